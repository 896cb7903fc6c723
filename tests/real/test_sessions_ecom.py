"""Sessions and time by feature on a shop's clicks, against Polars; clocks and late events planted in them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import prodsense as ps
from prodsense.engines.duckdb import DuckDBEngine

pl = pytest.importorskip("polars")
GAP = timedelta(minutes=30)


@pytest.fixture(scope="module")
def clicks(shared_data: Path) -> Any:
    """user_id, at, event, platform and the shop's own session_id, in order."""
    path = shared_data / "clickstream_ecom" / "ecom.parquet"
    if not path.is_file():
        pytest.skip(f"no clickstream at {path}")
    frame = pl.read_parquet(path).with_columns(at=pl.col("timestamp").str.to_datetime(time_unit="us"))
    return frame.select("user_id", "at", "event", "platform", "session_id").sort("user_id", "at", "event", "platform")


def cut(frame: Any, *who: str) -> Any:
    """The rows with the number of their session and the seconds to the next event in it."""
    begins = pl.col("at").diff().over(who).fill_null(GAP) >= GAP
    numbered = frame.sort(*who, "at", "event", "platform").with_columns(begins=begins)
    numbered = numbered.with_columns(number=pl.col("begins").cast(pl.Int64).cum_sum())
    away = (pl.col("at").shift(-1).over("number") - pl.col("at")).dt.total_seconds().fill_null(0)
    return numbered.with_columns(seconds=away)


def by_polars(frame: Any, *who: str) -> list[tuple[Any, ...]]:
    found = cut(frame, *who).group_by("number", *who).agg(
        start=pl.col("at").min(), end=pl.col("at").max(), events=pl.len(), first=pl.col("event").first(),
        last=pl.col("event").last(), platforms=pl.col("platform").n_unique(), enters=pl.col("platform").first(),
    )  # fmt: skip
    return sorted(found.select(*who, "start", "end", "events", "first", "last", "platforms", "enters").rows())


def test_sessions_are_those_of_polars_and_of_the_shop(clicks: Any) -> None:
    with ps.EventTable.read(clicks, "user_id", "at", "event") as events:
        answer = ps.sessions(events, platform="platform")
    names = ("user_id", "session_start", "session_end", "events", "first_event", "last_event", "platforms", "first_platform")
    assert sorted(tuple(row[name] for name in names) for row in answer.rows) == by_polars(clicks, "user_id")
    # The shop's own sessions: each lies in one of ours, unless it has a pause of half an hour itself.
    own = clicks.group_by("session_id").agg(pl.col("at").sort().diff().max().fill_null(timedelta()).alias("pause"))
    assert own.height == 3605
    inside = cut(clicks, "user_id").group_by("session_id").agg(pl.col("number").n_unique()).join(own, on="session_id")
    assert inside.filter(pl.col("pause") < GAP)["number"].max() == 1
    assert answer.extras["sessions"] > 3000


def test_time_by_event_and_platform(clicks: Any) -> None:
    spent = cut(clicks, "user_id", "platform").group_by("event", "platform").agg(
        seconds=pl.col("seconds").sum(), events=pl.len(), users=pl.col("user_id").n_unique(),
        sessions=pl.col("number").n_unique(),
    )  # fmt: skip
    with ps.EventTable.read(clicks, "user_id", "at", "event", device="platform") as events:
        answer = ps.feature_time(events, "event", by="platform")
    names = ("feature", "platform", "seconds", "events", "users", "sessions")
    expected = sorted(spent.select("event", "platform", "seconds", "events", "users", "sessions").rows())
    assert sorted(tuple(row[name] for name in names) for row in answer.rows) == expected
    assert sum(row["share"] for row in answer.rows) == pytest.approx(3)  # one for each platform


def test_clocks_that_were_put_off_are_found(clicks: Any) -> None:
    """Each seventh user's clock is off by hours, each fifth sends a third of all at midnight: sessions stay as they were."""
    number = pl.col("user_id").str.slice(5).cast(pl.Int64)
    off = pl.when(number % 7 == 0).then((number % 10 + 1) * pl.when(number % 2 == 0).then(1).otherwise(-1)).otherwise(0)
    held = (number % 5 == 0) & (pl.int_range(pl.len()) % 3 == 0)
    stamped = clicks.with_columns(
        got=pl.when(held).then(pl.col("at").dt.truncate("1d") + timedelta(days=1)).otherwise(pl.col("at")),
        sent=pl.col("at") + off * timedelta(hours=1),
    )
    wrong = stamped.filter(pl.col("sent") != pl.col("at"))["user_id"].n_unique()
    with ps.EventTable.read(stamped, "user_id", "sent", "event") as events:
        answer = ps.sessions(events, platform="platform", received="got")
    names = ("user_id", "session_start", "session_end", "events", "first_event", "last_event", "platforms", "first_platform")
    assert answer.extras["clocks_off"] == wrong > 50
    assert answer.extras["set_to_receipt"] == 0
    assert sorted(tuple(row[name] for name in names) for row in answer.rows) == by_polars(clicks, "user_id")


@pytest.mark.slow
def test_kept_sessions_take_the_clicks_in_any_order(clicks: Any) -> None:
    engine = DuckDBEngine()
    mixed = clicks.sample(fraction=1, shuffle=True, seed=5)
    # Half of all, then 1,500 more from anywhere, then a single late click, then all.
    half = mixed.height // 2
    before: list[Any] = []
    for size in (half, half + 1500, half + 1501, mixed.height):
        with ps.EventTable.read(mixed[:size], "user_id", "at", "event", engine=engine) as events:
            kept = ps.KeptSessions.keep(events, "kept")
            rows = kept.sessions().rows
            assert rows == ps.sessions(events).rows
        now = [tuple(value for name, value in row.items() if name != "is_open") for row in rows]
        assert kept.restated is not None
        done = kept.restated.extras
        if before:
            assert done["added"] + done["changed"] == len(set(now) - set(before))
            assert done["removed"] + done["changed"] == len(set(before) - set(now))
        if size == half + 1501:
            assert done["added"] + done["changed"] == 1
        before = now
    engine.close()
