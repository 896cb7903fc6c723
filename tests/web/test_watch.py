"""An answer that takes too long is given up, and is nobody's answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from web_shop import Served, serve

import prodsense as ps
from prodsense.errors import ProdsenseError, TooLongError
from prodsense.web.site import Settings

#: Minutes of work.
ENDLESS = "SELECT SUM(hash(a.range + b.range)) AS total FROM range(10000000) AS a, range(100000) AS b"


@pytest.fixture
def hasty(tmp_path: Path) -> Iterator[Served]:
    """A site that gives up after half a second."""
    with ps.open(tmp_path / "tiny.duckdb") as warehouse:
        found = serve(warehouse, Settings(longest=0.5, readers=1, api_rate=1_000_000))
        yield found
        found.site.close()


def test_a_statement_is_stopped_and_the_session_reads_on(hasty: Served) -> None:
    admin = hasty.actor("admin")

    def endless(warehouse: Any) -> Any:
        return warehouse.engine.raw(ENDLESS, fetch=True)

    with pytest.raises(TooLongError, match=r"given up after 0\.5 seconds"):
        hasty.site.answer(admin, "endless", endless)
    _, found = hasty.site.answer(admin, "short", lambda w: w.engine.raw("SELECT 1 AS one", fetch=True).to_pylist())
    assert found == [{"one": 1}]


def test_nothing_is_kept_of_what_was_made_of_it(hasty: Served) -> None:
    """Parts of pages show what the engine says against a question; that the time was over is not about the question."""
    admin = hasty.actor("admin")
    asked = []

    def patient(warehouse: Any) -> str:
        asked.append(1)
        try:
            warehouse.engine.raw(ENDLESS if len(asked) == 1 else "SELECT 1", fetch=True)
        except ProdsenseError as error:
            return error.message
        return "done"

    with pytest.raises(TooLongError):
        hasty.site.answer(admin, "patient", patient)
    assert hasty.site.answer(admin, "patient", patient)[1] == "done"
    asked.clear()

    def part() -> str:
        with hasty.site.reader(admin) as warehouse:
            return hasty.site.part(admin, "part", lambda: patient(warehouse))

    with pytest.raises(TooLongError):
        part()
    assert part() == "done"


def test_who_computes_without_the_engine_is_told_at_the_next_statement(hasty: Served) -> None:
    def slow(warehouse: Any) -> None:
        end = time.monotonic() + 30
        while time.monotonic() < end:
            time.sleep(0.1)
            warehouse.engine.raw("SELECT 1", fetch=True)
        raise AssertionError("it went on for half a minute")

    with pytest.raises(TooLongError):
        hasty.site.answer(hasty.actor("admin"), "slow", slow)


def test_it_is_told_as_such(hasty: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(warehouse: Any, *args: Any, **options: Any) -> Any:
        return warehouse.engine.raw(ENDLESS, fetch=True)

    monkeypatch.setattr("prodsense.web.snapshot.Snapshot.show", endless)
    answer = hasty.client("admin").get("/api/v1/show/delivery.dim_customers")
    assert answer.status_code == 503
    assert "ask for a shorter time" in answer.json()["detail"]


def test_a_thread_may_read_in_two_sessions(tmp_path: Path) -> None:
    with ps.open(tmp_path / "tiny.duckdb") as warehouse:
        found = serve(warehouse, Settings(readers=2, api_rate=1_000_000))
        admin = found.actor("admin")
        with found.site.reader(admin), found.site.reader(admin) as inner:
            assert inner.engine.raw("SELECT 1 AS one", fetch=True).to_pylist() == [{"one": 1}]
        found.site.close()
