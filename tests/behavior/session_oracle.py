"""Sessions as their definition reads, one event at a time in plain Python. It shares no code with the package."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import pyarrow as pa

BACKGROUND = "app_background"


class Event(NamedTuple):
    """`at` and `got` (receipt) are minutes after a base; None is null."""

    user: Any
    device: Any
    at: float | None
    name: str = "view"
    platform: Any = None
    got: float | None = None
    feature: Any = None


MOMENT = pa.timestamp("us")
#: A column is of its type also where all of it is null.
COLUMNS = {"u": pa.string(), "d": pa.string(), "t": MOMENT, "e": pa.string(), "p": pa.string(), "r": MOMENT, "f": pa.string()}


def table(events: Iterable[Event], base: datetime) -> pa.Table:
    """Events as a table with columns u, d, t, e, p, r, f."""

    def moment(minutes: float | None) -> datetime | None:
        return None if minutes is None else base + timedelta(minutes=minutes)

    rows = [(e.user, e.device, moment(e.at), e.name, e.platform, moment(e.got), e.feature) for e in events]
    columns = zip(*rows, strict=True) if rows else [()] * len(COLUMNS)
    return pa.table({name: pa.array(column, kind) for (name, kind), column in zip(COLUMNS.items(), columns, strict=True)})


def stored(engine: Any, events: Iterable[Event], base: datetime, relation: str = "t.log") -> str:
    """The same as a table of `engine`; one name for all, so that SQL over it is parsed once."""
    with engine.temporary(table(events, base)) as name:
        engine.replace(relation, f"SELECT * FROM {name}")
    return relation


def known(events: Iterable[Event]) -> list[Event]:
    return [e for e in events if e.user is not None and e.at is not None]


def settled(events: Sequence[Event], by_device: bool, tolerance: float = 1) -> tuple[list[Event], dict[str, int]]:
    """The events with their times set right, and counts of what was done."""
    clocks: dict[Any, list[Event]] = {}
    for e in known(events):
        clocks.setdefault((e.user, e.device) if by_device else e.user, []).append(e)
    out: list[Event] = []
    done = {"clocks_off": 0, "shifted": 0, "set_to_receipt": 0}
    for mine in clocks.values():
        heard = [(e.got - e.at, e.got) for e in mine if e.got is not None]  # type: ignore[operator]

        def steady(delay: float, heard: list[Any] = heard) -> bool:
            receipts = [got for d, got in heard if delay <= d <= delay + tolerance]
            return max(receipts) - min(receipts) > tolerance

        delays = [d for d, _ in heard]
        shift = None
        if not any(abs(d) <= tolerance for d in delays):
            early = [d for d in delays if d < -tolerance and steady(d)]
            late = [d for d in delays if d > tolerance]
            if early:
                shift = min(early)
            elif late and steady(min(late)):
                shift = min(late)
        done["clocks_off"] += shift is not None
        for e in mine:
            at = e.at + (shift or 0)  # type: ignore[operator]
            if e.got is not None and at - e.got > tolerance:
                out.append(e._replace(at=e.got))
                done["set_to_receipt"] += 1
            else:
                out.append(e._replace(at=at))
                done["shifted"] += shift is not None
    return out, done


def order(e: Event) -> tuple[Any, ...]:
    return e.at, e.name == BACKGROUND, e.name, (e.device is None, e.device or ""), (e.platform is None, e.platform or "")


def runs(events: Iterable[Event], gap: float = 30, grace: float = 5) -> list[list[Event]]:
    """The events of one subject cut into sessions."""
    found: list[list[Event]] = []
    for e in sorted(events, key=order):
        if found:
            last = found[-1][-1]
            away = e.at - last.at  # type: ignore[operator]
            if away < gap and not (last.name == BACKGROUND and away >= grace):
                found[-1].append(e)
                continue
        found.append([e])
    return found


def sessions(
    events: Iterable[Event], devices: str = "apart", gap: float = 30, grace: float = 5, join: float | None = None
) -> list[list[Event]]:
    """All sessions, each a list of its events in order."""
    subjects: dict[Any, list[Event]] = {}
    for e in known(events):
        subjects.setdefault((e.user, e.device if devices != "together" else 0), []).append(e)
    cut = [run for mine in subjects.values() for run in runs(mine, gap, grace)]
    if devices != "joined":
        return cut
    near = grace if join is None else join
    # Any two of one user that overlap or are close are put together, until nothing moves.
    moved = True
    while moved:
        moved = False
        for i, one in enumerate(cut):
            for j in range(i + 1, len(cut)):
                other = cut[j]
                apart = max(other[0].at - one[-1].at, one[0].at - other[-1].at)  # type: ignore[operator]
                if one[0].user == other[0].user and apart < near:
                    cut[i] = sorted([*one, *other], key=order)
                    del cut[j]
                    moved = True
                    break
            if moved:
                break
    return cut


def facts(run: list[Event], devices: str, platform: bool = True) -> dict[str, Any]:
    """What the package tells of a session, times in minutes."""
    named = {e.device for e in run} - {None}
    seen = {
        "user_id": run[0].user, "session_start": run[0].at, "session_end": run[-1].at, "events": len(run),
        "first_event": run[0].name, "last_event": run[-1].name,
    }
    if devices == "apart":
        seen["device_id"] = run[0].device
    else:
        seen["devices"] = len(named)
    if platform:
        seen |= {"platforms": len({e.platform for e in run} - {None}), "first_platform": run[0].platform,
                 "last_platform": run[-1].platform}
    return seen


def feature_time(
    events: Iterable[Event], devices: str = "apart", last: float = 0, gap: float = 30, grace: float = 5
) -> dict[Any, float]:
    """Feature → minutes."""
    spent: dict[Any, float] = {}
    for run in sessions(events, devices, gap, grace):
        for e, after in zip(run, [*run[1:], None], strict=True):
            minutes = last if after is None else after.at - e.at  # type: ignore[operator]
            spent[e.feature] = spent.get(e.feature, 0) + (0 if e.name == BACKGROUND else minutes)
    return spent
