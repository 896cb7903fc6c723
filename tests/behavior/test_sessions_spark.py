"""Sessions, time by feature and kept sessions give on Spark what they give on DuckDB."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import session_oracle as oracle
from session_oracle import Event

from prodsense.behavior import EventTable, KeptSessions, feature_time, sessions
from prodsense.engines.duckdb import DuckDBEngine

BASE = datetime(2024, 3, 1, 23, 30)

LOG = [
    *[Event("a", "p", t, "view", "ios", t + 0.1, "feed") for t in (0.0, 20.0, 60.0)],
    Event("a", "p", 61.5, "app_background", "ios", 61.5), Event("a", None, 66.0, "view", None, None, "chat"),
    *[Event("a", "q", t - 300, "view", "web", t, "film") for t in (10.0, 30.0, 55.0)],  # five hours behind
    Event("b", "p", 99_999.0, "view", "web", 5.0, None), Event("b", "p", 7.5, "view", "ios", 400.0, "feed"),
    Event(None, "p", 7.5), Event("b", "p", None),
]  # fmt: skip
LATE = [Event("a", "p", 40.0, "view", "ios", 2000.0, "feed"), Event("b", "r", 2000.0, "view", "ios", 2000.0, "chat")]


def asked(engine: Any) -> dict[str, Any]:
    def table(log: list[Event]) -> EventTable:
        return EventTable.of(engine, oracle.stored(engine, log, BASE), "u", "t", "e", device="d")

    rules: dict[str, Any] = {"received": "r", "platform": "p", "devices": "joined"}
    kept = KeptSessions.build(table(LOG), "kept", tz="Europe/Berlin", **rules)
    late = kept.update(table([*LOG[1:], *LATE]))
    assert late.restated is not None
    return {
        "time": feature_time(table(LOG), "f", by="p", grain="day", received="r"), "kept": late.sessions(),
        "restated": late.restated,
        "anew": sessions(table([*LOG[1:], *LATE]), tz="Europe/Berlin", **rules),
    }  # fmt: skip


@pytest.mark.spark
@pytest.mark.slow
def test_spark_gives_the_same(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    from prodsense.engines.spark import SparkEngine

    here = DuckDBEngine()
    there = SparkEngine(tmp_path / "lake", session=request.getfixturevalue("spark_session"))
    expected, found = asked(here), asked(there)
    for name, answer in expected.items():
        assert answer.rows, name
        assert found[name].rows == answer.rows, name
        assert found[name].extras == answer.extras, name
    assert expected["anew"].extras["shifted"] == 3
    assert expected["anew"].extras["set_to_receipt"] == 1
    assert expected["kept"].rows == expected["anew"].rows
    here.close()
    there.close()
