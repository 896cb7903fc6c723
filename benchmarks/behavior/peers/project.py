"""This project: from the models that it keeps (`prepare`), made once and brought up to date by day."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from questions import COUNTED, STEPS

MISSING = ""
TITLE = "prodsense"


def events(engine: Any) -> Any:
    from prodsense.behavior import EventTable

    return EventTable.of(engine, "main.events", "user_id", "ts", "event")


def prepare(folder: Path, measured: Callable[[str, Callable[[], Any]], Any]) -> None:
    """Build what is kept, then the day that came last, once each; the measure takes a name and the work."""
    from prodsense.behavior import Activity
    from prodsense.behavior.log import EventLog
    from prodsense.behavior.rollup import Rollup
    from prodsense.engines.duckdb import DuckDBEngine

    shutil.copy(folder / "raw.duckdb", folder / "kept.duckdb")
    engine = DuckDBEngine(folder / "kept.duckdb")
    table = events(engine)
    day = table.as_of().date()
    sliced = table.by("country", "platform")
    activity = measured("activity model, full", lambda: Activity.build(table, "activity"))
    measured("activity model, one day", lambda: activity.update(table, since=day))
    log = measured("event log, full", lambda: EventLog.build(table).save(folder / "log"))
    measured("event log, one day named", lambda: log.update(table, since=day).save(folder / "log"))
    measured("event log, days that changed found", lambda: log.changed(table))
    rollup = measured(
        "roll-up, full", lambda: Rollup.build(sliced, "activity.slices", counts=COUNTED, sums=["amount"])
    )
    measured("roll-up, one day", lambda: rollup.update(sliced, since=day))
    engine.close()


def open_(folder: Path, question: str, last: date) -> tuple[Callable[[], Any], Callable[[Any], Any]]:
    from prodsense.behavior import Activity, funnel, sessions, transitions
    from prodsense.behavior.kernels_sessions import session_table
    from prodsense.behavior.log import EventLog
    from prodsense.behavior.rollup import Rollup
    from prodsense.engines.duckdb import DuckDBEngine

    if question in ("funnel", "sessions", "named", "transitions"):
        engine = DuckDBEngine(folder / "raw.duckdb", read_only=True)
        log = EventLog.open(folder / "log")
        table = log.attach(events(engine))
        far = datetime.combine(last, datetime.min.time()) + timedelta(days=9)  # every window and session is over
        if question == "funnel":
            return (lambda: funnel(table, STEPS, within="7d", entries="best", as_of=far)), (
                lambda found: [tuple(row["count"] for row in found.rows)]
            )
        if question == "sessions":
            return (lambda: session_table(log, 1800.0, 300.0, None, far)), _told
        if question == "named":
            return (lambda: sessions(table, background=None, as_of=far)), lambda found: _told(found.arrow)
        return (lambda: transitions(table, as_of=far)), lambda found: [
            (row["source"], row["target"], row["count"]) for row in found.rows
            if row["source"] != "(start)" and row["target"] != "(end)"
        ]
    engine = DuckDBEngine(folder / "kept.duckdb", read_only=True)
    if question == "metrics":
        return (lambda: Rollup.open(engine).daily()), _metrics
    model = Activity.open(engine)
    answers: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
        "rolling": (model.active_users, _columns("day", "active_1d", "active_7d", "active_28d")),
        "l28": (model.active_days, lambda found: [
            (row["days"], row["users"]) for row in found.rows if row["users"]]),
        "retention": (model.retention, lambda found: [
            (row["cohort"], row["day"], row["retained"]) for row in found.rows if row["retained"]]),
        "lifecycle": (model.lifecycle, _columns("period", "new", "retained", "resurrected", "churned", "dormant")),
    }  # fmt: skip
    return answers[question]


def _columns(*names: str) -> Callable[[Any], Any]:
    return lambda found: list(zip(*(found.arrow[name].to_pylist() for name in names), strict=True))


def _told(found: Any) -> Any:
    import numpy as np
    import pyarrow as pa

    def us(name: str) -> Any:
        return found[name].cast(pa.timestamp("us")).cast(pa.int64()).to_numpy()

    user, began, ended = found["user_id"].to_numpy(), us("session_start"), us("session_end")
    size = found["events"].to_numpy()
    mixed = (user % 10007) * (began % 1000003) + size * (ended % 10007)
    return [(len(user), int(size.sum()), int((ended - began).sum()), int(np.sum(mixed)))]


def _metrics(found: Any) -> Any:
    names = ["day", "country", "platform", "events", "users", *(f"events_{name}" for name in COUNTED), "users_pay"]
    columns = [found.arrow[name].to_pylist() for name in names]
    revenue = [int(value or 0) for value in found.arrow["sum_amount"].to_pylist()]
    each = [value * 1000 // users for value, users in zip(revenue, columns[4], strict=True)]
    return list(zip(*columns, revenue, each, strict=True))


