"""Sessions cut from raw events, whatever sessions the clients told, and what late events and wrong clocks do to them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from prodsense.errors import UsageError

from .people import PACK

if TYPE_CHECKING:
    from prodsense.behavior.events import EventTable
    from prodsense.behavior.result import Answer
    from prodsense.metrics.result import Rows
    from prodsense.warehouse import Warehouse

_EVENTS = "stickiness.user_events"
_CUTS = {"gap": ("session_gap_minutes", 30.0), "grace": ("background_grace_minutes", 5.0)}


def sessionization(
    warehouse: Warehouse, gap: float | None = None, grace: float | None = None, across: str = "joined",
    join: float | None = None, as_of: Any = None, tz: str = "UTC",
) -> Answer:
    """Sessions of all but internal users, one row each (see `behavior.sessions` for its columns).

    `gap` and `grace` (after app_background) are minutes, by default those of the table `settings`, else 30 and 5.
    `across` platforms: ``joined`` (sessions of two platforms that overlap, or follow within `join` minutes, are one),
    ``apart``, or ``together`` (one log). Times are set right by received_at where it is known. Extras hold what the
    sessions feed: frequency, time spent, interval.
    """
    events = _log(warehouse)
    rules = _rules(warehouse, gap, grace)
    found = _sessions(warehouse, events, rules, across=across, join=join, as_of=as_of, tz=tz)
    facts = measures(found)
    notes = (
        f"{facts['sessions']:,} sessions of {facts['users']:,} users: {_said(facts['sessions_per_user_day'])} a user"
        f" and day, {_said(facts['mean_minutes'])} minutes in the mean, {_said(facts['median_hours_between'])} hours"
        " between two (median)",
        *found.notes,
    )
    return replace(found, extras={**found.extras, **rules, **facts}, notes=notes)


#: Events by how late they came, and bursts: several late ones of a user received in one second.
_LATE = """
WITH late AS (
    SELECT
        user_id,
        received_at,
        CASE WHEN minutes_between(timestamp, received_at) > :late THEN 1 ELSE 0 END AS is_late,
        CASE WHEN timestamp > received_at THEN 1 ELSE 0 END AS is_ahead
    FROM stickiness.user_events
    WHERE received_at IS NOT NULL
),
moments AS (
    SELECT
        user_id,
        CAST(FLOOR(seconds_between(CAST('2000-01-01' AS TIMESTAMP), received_at)) AS BIGINT) AS second_of_receipt
    FROM late
    WHERE is_late = 1
),
bursts AS (
    SELECT user_id, second_of_receipt FROM moments GROUP BY user_id, second_of_receipt HAVING COUNT(*) > 1
)
SELECT
    COUNT(*) AS events_with_receipt,
    COALESCE(SUM(is_late), 0) AS late_events,
    COALESCE(SUM(is_ahead), 0) AS ahead_events,
    (SELECT COUNT(*) FROM bursts) AS bursts
FROM late
"""


def sessionization_edge_cases(
    warehouse: Warehouse, gap: float | None = None, grace: float | None = None, late_minutes: float = 5,
    as_of: Any = None,
) -> Rows:
    """What events that came late in bursts and clocks that are off would do to sessions, and that they do not.

    Rows: sessions cut by the time set right (what counts), by the client's time as it is, and by the time of receipt
    alone, each with how many sessions are the same (user, platform, start and end) as those that count. Extras: events
    that came over `late_minutes` after they happened, their bursts (several of one user received in one second), and
    what was set right.
    """
    from prodsense.metrics.result import Rows

    if not late_minutes > 0:
        raise UsageError(f"late_minutes is above 0, not {late_minutes:g}")
    events, rules = _log(warehouse), _rules(warehouse, gap, grace)
    counted = warehouse.engine.query(
        _LATE,
        {"late": late_minutes},
    ).to_pylist()[0]
    if not counted["events_with_receipt"]:
        raise UsageError(
            "no event says when the server received it (received_at): there is nothing to set clocks right by"
        )
    right = _sessions(warehouse, events, rules, across="apart", as_of=as_of)
    ways = {
        "set right by receipt": right,
        "client time as it is": _sessions(warehouse, events, rules, across="apart", as_of=as_of, received=False),
        "time of receipt alone": _sessions(
            warehouse, replace(events, time="received_at"), rules, across="apart", as_of=as_of, received=False
        ),
    }
    truth = _spans(right)
    rows = []
    for name, answer in ways.items():
        facts, spans = measures(answer), _spans(answer)
        rows.append(
            {
                "times": name,
                "counts": answer is right,
                "sessions": facts["sessions"],
                "users": facts["users"],
                "sessions_as_counted": len(spans & truth),
                "minutes": facts["minutes"],
                "mean_minutes": facts["mean_minutes"],
                "median_hours_between": facts["median_hours_between"],
            }
        )
    extras = {
        **{key: int(value) for key, value in counted.items()}, **rules,
        **{key: right.extras.get(key, 0) for key in ("clocks_off", "shifted", "set_to_receipt")},
    }
    return Rows(
        arrow=Rows.from_rows(rows).arrow, title="Sessions under late events and wrong clocks", extras=extras,
        units={"minutes": "minutes", "mean_minutes": "minutes", "median_hours_between": "hours"},
        notes=(f"{extras['late_events']:,} events came over {late_minutes:g} minutes late, {extras['bursts']:,} bursts",
               *right.notes),
        statements=right.statements, dialect=right.dialect,
    )  # fmt: skip


def _log(warehouse: Warehouse) -> EventTable:
    from prodsense.behavior.events import EventTable

    warehouse.ready(PACK, ["user_events", "users", "settings"])
    if warehouse.engine.is_empty(_EVENTS):
        raise UsageError("user_events holds nothing to cut sessions from; run: prodsense ingest")
    return EventTable.of(warehouse.engine, _EVENTS, "user_id", "timestamp", "event_type", device="platform")


def _rules(warehouse: Warehouse, gap: float | None, grace: float | None) -> dict[str, float]:
    """Minutes that end a session: as given, else those of the table `settings`, else the usual ones."""
    stored = {
        row["setting"]: row["value"]
        for row in warehouse.engine.query("SELECT setting, value FROM stickiness.settings").to_pylist()
    }
    given = {"gap": gap, "grace": grace}
    return {
        name: value if (value := given[name]) is not None else float(stored.get(setting, usual))
        for name, (setting, usual) in _CUTS.items()
    }


def _sessions(
    warehouse: Warehouse, events: EventTable, rules: Mapping[str, float], *, across: str, join: float | None = None,
    as_of: Any = None, tz: str = "UTC", received: bool = True,
) -> Answer:
    """Sessions without those of internal users."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from prodsense.behavior import sessions

    found = sessions(
        events, gap=rules["gap"], grace=rules["grace"], devices=across, join=join, platform="platform",
        received="received_at" if received else "", as_of=as_of, tz=tz,
    )
    internal = warehouse.engine.query("SELECT user_id FROM stickiness.users WHERE is_internal")["user_id"]
    rows = found.arrow
    rows = rows.filter(pc.invert(pc.is_in(rows["user_id"], value_set=pa.array(internal.to_pylist(), pa.string()))))
    open_ones = int(pc.sum(rows["is_open"]).as_py() or 0)
    return replace(found, arrow=rows, extras={**found.extras, "sessions": rows.num_rows, "open": open_ones})


def measures(found: Answer) -> dict[str, Any]:
    """What sessions feed: how many a user and day, how long, how far apart. The interval is 0 where two overlap."""
    import numpy as np
    import pyarrow as pa

    table = found.arrow
    users = table["user_id"].combine_chunks().dictionary_encode()
    who = users.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    start, end = (
        table[name].cast(pa.timestamp("us")).to_numpy().astype("datetime64[us]").astype(np.int64) // 1000
        for name in ("session_start", "session_end")
    )
    days = table["session_day"].cast(pa.int32()).to_numpy().astype(np.int64)
    order = np.lexsort((start, who))
    gaps = []
    if len(order) > 1:
        who, start, end = who[order], start[order], end[order]
        # The latest end so far within each user: users are kept apart by an offset beyond all times.
        low = start.min()
        reach = max(int(end.max() - low), 1) + 1
        latest = np.maximum.accumulate((end - low) + who * reach) - who * reach + low
        same = who[1:] == who[:-1]
        gaps = np.maximum(start[1:] - latest[:-1], 0)[same] / 3.6e6
    minutes = float(table["seconds"].to_numpy().sum()) / 60 if table.num_rows else 0.0
    user_days = len(np.unique(who * 4_000_000 + days[order])) if table.num_rows else 0
    return {
        "sessions": table.num_rows, "users": len(users.dictionary) if table.num_rows else 0, "user_days": user_days,
        "sessions_per_user_day": table.num_rows / user_days if user_days else None,
        "minutes": minutes, "mean_minutes": minutes / table.num_rows if table.num_rows else None,
        "minutes_per_user_day": minutes / user_days if user_days else None,
        "median_hours_between": float(np.median(gaps)) if len(gaps) else None,
        "mean_hours_between": float(np.mean(gaps)) if len(gaps) else None,
    }


def _spans(found: Answer) -> set[tuple[Any, ...]]:
    columns = ("user_id", "device_id", "session_start", "session_end")
    return set(zip(*(found.arrow[name].to_pylist() for name in columns), strict=True))


def _said(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"
