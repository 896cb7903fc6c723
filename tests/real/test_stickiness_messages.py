"""Half a year of private messages of students (Panzarasa, Opsahl, Carley, 2009) as a platform: stickiness against pandas.

A message is an event of its sender; a user signs up with the first one. Published: 1,899 users, 59,835 messages, 20,296
directed and 13,838 undirected pairs.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import prodsense.warehouse
from prodsense.warehouse import Warehouse

USERS, MESSAGES, ARROWS, PAIRS = 1899, 59835, 20296, 13838

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def messages(shared_data: Path) -> pd.DataFrame:
    path = shared_data / "college-msg" / "events.parquet"
    if not path.is_file():
        pytest.skip(f"no messages at {path}")
    found = pd.read_parquet(path)
    found["at"] = pd.to_datetime(found["ts"], unit="s")
    found["day"] = found["at"].dt.normalize()
    return found


@pytest.fixture(scope="module")
def platform(messages: pd.DataFrame) -> Iterator[Warehouse]:
    events = pa.table({
        "user_id": pa.array(messages["src"].astype(str)),
        "timestamp": pa.array(messages["at"].astype("datetime64[us]")),
        "event_type": pa.array(["direct_message"] * len(messages)),
        "event_date": pa.array(messages["day"].dt.date),
    })
    first = messages.groupby("src")["day"].min()
    everyone = pd.Index(np.union1d(messages["src"], messages["dst"]))
    signup = [None if pd.isna(day) else day.date() for day in first.reindex(everyone)]
    users = pa.table({"user_id": pa.array(everyone.astype(str)), "signup_date": pa.array(signup, pa.date32())})
    edges = messages.drop_duplicates(["src", "dst"])
    connections = pa.table({
        "user_id": pa.array(edges["src"].astype(str)), "connected_user_id": pa.array(edges["dst"].astype(str)),
        "created_at": pa.array(edges["at"].astype("datetime64[us]")),
    })
    with prodsense.warehouse.open(":memory:") as warehouse:
        for name, table in {"users": users, "user_events": events, "connections": connections}.items():
            assert warehouse.ingest(table, table=f"stickiness.{name}").accepted == table.num_rows
        warehouse.build("stickiness")
        yield warehouse


def by_period(warehouse: Warehouse, name: str, **options: str) -> pd.Series:
    rows = warehouse.metric(f"stickiness.{name}", **options).rows
    return pd.Series({pd.Timestamp(row["period"]): row[name] for row in rows}, dtype=float).dropna()


def same(found: pd.Series, wanted: pd.Series) -> None:
    found.index, wanted.index = (pd.DatetimeIndex(index).as_unit("us") for index in (found.index, wanted.index))
    pd.testing.assert_series_equal(found.sort_index(), wanted.astype(float).sort_index(), check_names=False, check_freq=False)


def test_active_users(platform: Warehouse, messages: pd.DataFrame) -> None:
    users = messages["src"]
    same(by_period(platform, "daily_active_users"), users.groupby(messages["day"]).nunique())
    week = messages["day"] - pd.to_timedelta(messages["day"].dt.day_of_week, "D")
    same(by_period(platform, "weekly_active_users"), users.groupby(week).nunique())
    month = messages["day"].dt.to_period("M").dt.to_timestamp()
    mau = users.groupby(month).nunique()
    same(by_period(platform, "monthly_active_users"), mau)
    daily = users.groupby(messages["day"]).nunique()
    same(by_period(platform, "dau_mau_ratio"), daily.resample("MS").mean() / mau)


def test_sessions(platform: Warehouse, messages: pd.DataFrame) -> None:
    ordered = messages.sort_values(["src", "at"])
    gap = ordered["at"] - ordered.groupby("src")["at"].shift()
    ordered["start"] = ~(gap < pd.Timedelta(minutes=30))
    ordered["run"] = ordered["start"].cumsum()
    sessions = ordered.groupby("run").agg(user=("src", "first"), start=("at", "min"), end=("at", "max"))
    day = sessions["start"].dt.normalize()
    started = sessions.groupby(day).size()
    active = messages.groupby("day")["src"].nunique()
    same(by_period(platform, "session_frequency_per_user"), (started / active).dropna())
    pause = (sessions["start"] - sessions.groupby("user")["end"].shift()).dropna()
    (row,) = platform.metric("stickiness.inter_session_interval").rows
    assert row["inter_session_interval"] == pytest.approx(pause.median() / pd.Timedelta(hours=1))


def test_who_comes_back(platform: Warehouse, messages: pd.DataFrame) -> None:
    days = messages.drop_duplicates(["src", "day"])[["src", "day"]]
    active, newest = set(zip(days["src"], days["day"], strict=True)), days["day"].max()
    first = days.groupby("src")["day"].min()
    for n in (1, 7, 30):
        old = first[first + pd.Timedelta(days=n) <= newest]
        wanted = np.mean([(user, day + pd.Timedelta(days=n)) in active for user, day in old.items()])
        (row,) = platform.metric(f"stickiness.d{n}_retention").rows
        assert row[f"d{n}_retention"] == pytest.approx(wanted)
    base = days[days["day"] + pd.Timedelta(days=7) <= newest]
    wanted = np.mean([(user, day + pd.Timedelta(days=7)) in active for user, day in base.itertuples(index=False)])
    (row,) = platform.metric("stickiness.l7_open_rate").rows
    assert row["l7_open_rate"] == pytest.approx(wanted)
    week = days["day"] - pd.to_timedelta(days["day"].dt.day_of_week, "D")
    weeks = set(zip(days["src"], week, strict=True))
    over = pd.DataFrame(sorted(weeks), columns=["user", "week"])
    over = over[over["week"] + pd.Timedelta(days=13) <= newest]
    stays = pd.Series([(u, w + pd.Timedelta(days=7)) in weeks for u, w in over.itertuples(index=False)], index=over["week"])
    same(by_period(platform, "rolling_retention", grain="week"), stays.groupby(level=0).mean())


def test_resurrection(platform: Warehouse, messages: pd.DataFrame) -> None:
    days = messages.drop_duplicates(["src", "day"]).sort_values("day")
    wanted = {}
    for month in pd.period_range(days["day"].min(), days["day"].max(), freq="M"):
        start = month.to_timestamp()
        last = days[days["day"] < start].groupby("src")["day"].max()
        churned = last[(start - last).dt.days > 28].index
        inside = days[days["day"].dt.to_period("M") == month]["src"]
        if len(churned):
            wanted[start] = churned.isin(inside).mean()
    same(by_period(platform, "resurrection_rate"), pd.Series(wanted))


def test_published_size_of_the_network(platform: Warehouse, messages: pd.DataFrame) -> None:
    assert len(messages) == MESSAGES
    (row,) = platform.metric("stickiness.network_density", "stickiness.network_density_directed").rows
    assert row["network_density"] == pytest.approx(2 * PAIRS / (USERS * (USERS - 1)))
    assert row["network_density_directed"] == pytest.approx(ARROWS / (USERS * (USERS - 1)))
