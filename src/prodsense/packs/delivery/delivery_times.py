"""Delivery times out of driver actions, a travel-time matrix and an index of locations.

Each driver has a clock that starts at 0 at the first location. A move to another location adds the matrix's minutes
from there to here (direction matters); staying adds nothing. An order's delivery time is the clock at its drop-off
less the clock at its pickup, stops in between included. The order of a driver's actions in the input is the order of
work; there is no waiting or service time.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

from prodsense.errors import ProdsenseError

Action = Mapping[str, Any]

_KEYS = ("driver", "location", "action_type", "order_no")
_WORD = re.compile(r"^\s*order\s+", re.IGNORECASE)


class DeliveryActionError(ProdsenseError):
    """An action that cannot be timed: it says which, why, and what to do."""


@dataclass(frozen=True)
class ActionProblem:
    """What is wrong with the action at `index` (from 0; None: with the input as a whole)."""

    index: int | None
    order_no: Any
    problem: str

    def __str__(self) -> str:
        return self.problem if self.index is None else f"action {self.index}: {self.problem}"


@dataclass
class _Clock:
    """A driver's place in space and time; `lost` once a location was unknown."""

    location: Hashable = None
    index: int = -1
    minutes: int = 0
    started: bool = False
    lost: bool = False


@dataclass
class _Order:
    """An order under way: who picked it up, when, and how it is written in the input."""

    name: Any
    driver: Hashable
    picked_up: int
    action: int
    delivered: int | None = None


@dataclass
class _Run:
    """One pass over the actions. `spoiled` orders have a problem and get no time."""

    matrix: Sequence[Sequence[int]]
    places: Mapping[Hashable, int]
    problems: list[ActionProblem]
    strict: bool
    clocks: dict[Hashable, _Clock] = field(default_factory=dict)
    orders: dict[tuple[int, Any], _Order] = field(default_factory=dict)
    spoiled: set[tuple[int, Any]] = field(default_factory=set)

    def report(self, index: int | None, order_no: Any, problem: str) -> None:
        found = ActionProblem(index, order_no, problem)
        if self.strict:
            raise DeliveryActionError(str(found))
        self.problems.append(found)
        if order_no is not None:
            self.spoiled.add(_identity(order_no))


def calculate_delivery_times(
    actions: Sequence[Action],
    travel_matrix: Sequence[Sequence[int]],
    location_mapping: Mapping[Hashable, int],
    problems: list[ActionProblem] | None = None,
) -> dict[Any, int]:
    """Minutes from pickup to drop-off of each order, sorted by order number (2 before 10).

    `actions` are mappings with ``driver``, ``location``, ``action_type`` ("pick_up" or "drop_off") and
    ``order_no`` (a number or text such as "order 10"), in each driver's order of work. ``travel_matrix[i][j]``
    is the whole number of minutes from i to j, ``location_mapping`` gives the index of a location.

    Raises DeliveryActionError at the first action that cannot be timed: a missing key, an unknown location or
    action type, a second pickup or drop-off of an order, a drop-off without a pickup or by another driver, a
    pickup without a drop-off. With a list as `problems` these are added to it instead, and the orders
    concerned are left out. The inputs are not changed; no actions give an empty result.

    >>> minutes = [[0, 10, 3], [4, 0, 7], [20, 9, 0]]
    >>> calculate_delivery_times(
    ...     [
    ...         {"driver": "D1", "location": "A", "action_type": "pick_up", "order_no": 2},
    ...         {"driver": "D1", "location": "B", "action_type": "pick_up", "order_no": 10},
    ...         {"driver": "D1", "location": "C", "action_type": "drop_off", "order_no": 2},
    ...         {"driver": "D1", "location": "A", "action_type": "drop_off", "order_no": 10},
    ...     ],
    ...     minutes, {"A": 0, "B": 1, "C": 2},
    ... )
    {2: 17, 10: 27}
    """
    run = _Run(travel_matrix, location_mapping, problems if problems is not None else [], problems is None)
    for index, action in enumerate(actions):
        _take(run, index, action)
    for identity, order in run.orders.items():
        if order.delivered is None and identity not in run.spoiled:
            run.report(order.action, order.name, f"{_label(order.name)} is picked up and never dropped off")
    done = {
        identity: order for identity, order in run.orders.items()
        if identity not in run.spoiled and order.delivered is not None
    }
    return {done[key].name: (done[key].delivered or 0) - done[key].picked_up for key in sorted(done, key=_natural)}


def format_delivery_times(times: Mapping[Any, int]) -> list[str]:
    """One line an order, in the order given: ``order 2 is delivered within 17 mins``."""
    return [f"{_label(order_no)} is delivered within {minutes} mins" for order_no, minutes in times.items()]


def _take(run: _Run, index: int, action: Action) -> None:
    """Move the driver of an action and note the pickup or drop-off."""
    missing = [key for key in _KEYS if key not in action or action[key] is None]
    if missing:
        run.report(index, action.get("order_no"), f"lacks {', '.join(missing)}; an action has {', '.join(_KEYS)}")
        if action.get("driver") is not None and "location" in missing:
            run.clocks.setdefault(action["driver"], _Clock()).lost = True
            return
        if action.get("driver") is None:
            return
    odd = [key for key in _KEYS if not isinstance(action.get(key), Hashable)]
    if odd:
        run.report(index, str(action.get("order_no")), f"{', '.join(odd)} should be a plain name or number")
        return
    driver, order_no, kind = action["driver"], action.get("order_no"), action.get("action_type")
    clock = run.clocks.setdefault(driver, _Clock())
    _move(run, clock, index, action)
    if missing:
        return
    if kind not in ("pick_up", "drop_off"):
        run.report(index, order_no, f"unknown action_type {kind!r}; write pick_up or drop_off")
    elif clock.lost:
        run.report(index, order_no, f"the clock of {driver} cannot be known after an unknown location or travel time")
    elif kind == "pick_up":
        _pick_up(run, clock, index, action)
    else:
        _drop_off(run, clock, index, action)


def _move(run: _Run, clock: _Clock, index: int, action: Action) -> None:
    """Advance the driver's clock to the action's location."""
    location, order_no = action["location"], action.get("order_no")
    place = run.places.get(location)
    if place is None:
        known = ", ".join(map(str, list(run.places)[:5]))
        run.report(index, order_no, f"unknown location {location!r}; location_mapping knows {known or 'none'}")
        clock.lost = True
        return
    if clock.started and location != clock.location:
        try:
            minutes = run.matrix[clock.index][place] if min(clock.index, place) >= 0 else None
        except (IndexError, TypeError):
            minutes = None
        if not isinstance(minutes, Integral) or isinstance(minutes, bool) or minutes < 0:
            problem = f"travel_matrix has no whole minutes from {clock.location!r} to {location!r}"
            run.report(index, order_no, problem)
            clock.lost = True
        else:
            clock.minutes += int(minutes)
    clock.location, clock.index, clock.started = location, place, True


def _pick_up(run: _Run, clock: _Clock, index: int, action: Action) -> None:
    identity = _identity(action["order_no"])
    if identity in run.orders:
        run.report(index, action["order_no"], f"{_label(action['order_no'])} is picked up a second time")
        return
    run.orders[identity] = _Order(action["order_no"], action["driver"], clock.minutes, index)


def _drop_off(run: _Run, clock: _Clock, index: int, action: Action) -> None:
    order_no = action["order_no"]
    order = run.orders.get(_identity(order_no))
    if order is None:
        run.report(index, order_no, f"{_label(order_no)} is dropped off without a pickup before")
    elif order.driver != action["driver"]:
        problem = f"{_label(order_no)} is dropped off by {action['driver']} but was picked up by {order.driver}"
        run.report(index, order_no, problem)
    elif order.delivered is not None:
        run.report(index, order_no, f"{_label(order_no)} is dropped off a second time")
    else:
        order.delivered = clock.minutes


def _bare(order_no: Any) -> str:
    return _WORD.sub("", str(order_no)).strip()


def _label(order_no: Any) -> str:
    return f"order {_bare(order_no)}"


def _identity(order_no: Any) -> tuple[int, Any]:
    """What makes two spellings the same order: 7, "7" and "order 7" are one. Numbers come before words."""
    bare = _bare(order_no)
    return (0, int(bare)) if re.fullmatch(r"\d+", bare) else (1, bare)


def _natural(identity: tuple[int, Any]) -> tuple[Any, ...]:
    """Sort key in which numbers inside words count as numbers (A2 before A10)."""
    kind, value = identity
    if kind == 0:
        return (0, value)
    return (1, tuple((0, int(p), "") if p.isdigit() else (1, 0, p) for p in re.split(r"(\d+)", value) if p))
