"""The steps of a funnel as the user states them, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from prodsense.behavior.durations import seconds
from prodsense.errors import UsageError


@dataclass(frozen=True)
class Step:
    """One step: any of `events` reaches it.

    `within` is the longest time since the required step before, in seconds. `without` are events that must not
    happen between the required step before and this one. An optional step is counted and never blocks.
    """

    events: tuple[str, ...]
    name: str
    optional: bool = False
    within: float | None = None
    without: tuple[str, ...] = ()


def step(
    event: str | Sequence[str], *, name: str = "", within: str | timedelta | None = None,
    without: str | Sequence[str] = (), optional: bool = False,
) -> Step:
    """A step that one of the events reaches, e.g. ``step("pay", within="30m", without="remove")``."""
    events = (event,) if isinstance(event, str) else tuple(event)
    if not events or not all(events):
        raise UsageError("a step needs the name of an event")
    label = name or " or ".join(events)
    excluded = (without,) if isinstance(without, str) else tuple(without)
    limit = None if within is None else seconds(within, f"the window of step {label}")
    return Step(events, label, optional, limit, excluded)


def optional(event: str | Sequence[str], *, name: str = "", within: str | timedelta | None = None) -> Step:
    """A step that is counted when it happens between its neighbours and never blocks."""
    return step(event, name=name, within=within, optional=True)


def read_steps(
    given: Sequence[str | Step], *, order: str, exclude: Sequence[str] = (),
    within: Mapping[str, str] | None = None, without: Mapping[str, Sequence[str]] | None = None,
) -> tuple[Step, ...]:
    """The steps of a request; a text is the name of an event, optional when it begins with ``?``.

    `exclude` holds for every step, `within` and `without` by name of step. Raises UsageError where the request
    contradicts itself.
    """
    steps = [
        item if isinstance(item, Step) else optional(item[1:]) if item.startswith("?") else step(item)
        for item in given
    ]
    known = {item.name for item in steps}
    for name in {**(within or {}), **(without or {})}:
        if name not in known:
            raise UsageError(f"no step named {name}; the steps are {', '.join(item.name for item in steps)}")
    for i, item in enumerate(steps):
        if within and item.name in within:
            item = replace(item, within=seconds(within[item.name], f"the window of step {item.name}"))
        if without and item.name in without:
            item = replace(item, without=(*item.without, *without[item.name]))
        if exclude and i and not item.optional:
            item = replace(item, without=(*item.without, *(e for e in exclude if e not in item.without)))
        steps[i] = item
    _check(steps, order)
    return tuple(steps)


def _check(steps: Sequence[Step], order: str) -> None:
    required = [item for item in steps if not item.optional]
    if len(required) < 2:
        raise UsageError("a funnel needs at least two steps that are not optional")
    first = steps[0]
    if first.optional:
        raise UsageError(f"the first step makes users enter, so it cannot be optional: {first.name}")
    if first.within is not None or first.without:
        raise UsageError(f"nothing comes before the first step, {first.name}: it takes no window and no exclusion")
    for item in steps:
        if item.optional and item.without:
            raise UsageError(f"step {item.name} is optional, so it takes no exclusion; put it on the step after it")
    if order == "strict" and any(item.without for item in steps):
        raise UsageError("in strict order nothing may happen between two steps: leave the exclusions out")
    if order == "any":
        if any(item.without or item.within is not None for item in steps):
            raise UsageError("in any order no step comes before another: leave windows and exclusions of steps out")
        events = [event for item in steps for event in item.events]
        twice = sorted({event for event in events if events.count(event) > 1})
        if twice:
            raise UsageError(f"in any order an event can stand in one step only: {', '.join(twice)}")
