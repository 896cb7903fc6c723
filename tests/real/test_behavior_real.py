"""Behaviour methods on real logs, against published numbers and plain Python that shares nothing with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import prodsense as ps
from prodsense.behavior import EventTable, read_cohort

DAY = timedelta(days=1)


def file(shared_data: Path, *parts: str) -> Path:
    path = shared_data.joinpath(*parts)
    if not path.is_file():
        pytest.skip(f"no data at {path}")
    return path


def stamped(path: Path) -> list[dict[str, Any]]:
    """Rows with ``ts``, seconds since 1970, as a moment."""
    import pyarrow.parquet as pq

    return [
        {**row, "ts": datetime.fromtimestamp(row["ts"], UTC).replace(tzinfo=None)}
        for row in pq.read_table(path).to_pylist()
    ]


@pytest.fixture(scope="module")
def messages(shared_data: Path) -> list[dict[str, Any]]:
    return stamped(file(shared_data, "college-msg", "events.parquet"))


@pytest.fixture(scope="module")
def college(messages: list[dict[str, Any]]) -> Iterator[EventTable]:
    import pyarrow as pa

    with EventTable.read(pa.Table.from_pylist(messages), "src", "ts") as events:
        yield events


@pytest.fixture(scope="module")
def shop(shared_data: Path) -> Iterator[EventTable]:
    with EventTable.read(file(shared_data, "clickstream_ecom", "ecom.parquet"), "user_id", "timestamp", "event") as events:
        yield events


@pytest.fixture(scope="module")
def clicks(shared_data: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    rows = pq.read_table(file(shared_data, "clickstream_ecom", "ecom.parquet")).to_pylist()
    return [{**row, "timestamp": datetime.fromisoformat(row["timestamp"])} for row in rows]


# -- retention -------------------------------------------------------------------------------------


def test_monthly_cohorts_of_cdnow_have_the_published_actives(shared_data: Path) -> None:
    with EventTable.read(file(shared_data, "cdnow", "cdnow_sample_transactions.csv"), "customer_id", "date") as orders:
        found = ps.retention(orders, months=5, as_of="1998-06-30")
    actives: dict[date, list[int]] = {}
    for row in found.rows:
        actives.setdefault(row["cohort"], []).append(row["retained"])
    assert actives == {
        date(1997, 1, 1): [781, 124, 95, 70, 65, 77], date(1997, 2, 1): [857, 134, 110, 75, 77, 75],
        date(1997, 3, 1): [719, 87, 84, 78, 63, 64],
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["exact", "unbounded", "rolling"])
def test_retention_of_messages(college: EventTable, messages: list[dict[str, Any]], kind: str) -> None:
    newest = max(row["ts"] for row in messages)
    over = newest.date() - DAY  # the last day that is wholly past
    by_user: dict[int, list[datetime]] = {}
    for row in messages:
        by_user.setdefault(row["src"], []).append(row["ts"])
    expected: dict[int, list[int]] = {}
    for n in range(15):
        size = back = 0
        for moments in by_user.values():
            first = min(moments)
            if kind == "rolling":
                done = first + (n + 1) * DAY <= newest
                came = any(n * DAY <= m - first < (n + 1) * DAY for m in moments)
            else:
                done = first.date() + n * DAY <= over
                gaps = {(m.date() - first.date()).days for m in moments}
                came = n in gaps if kind == "exact" else max(gaps) >= n
            size, back = size + done, back + (done and came)
        expected[n] = [size, back]
    found = ps.retention(college, days=14, kind=kind, grain="all")
    assert {row["day"]: [row["size"], row["retained"]] for row in found.rows} == expected
    assert expected[0][0] > 1300 and 0 < expected[7][1] < expected[1][1]


def test_lifecycle_of_messages(college: EventTable, messages: list[dict[str, Any]]) -> None:
    weeks: dict[date, set[int]] = {}
    for row in messages:
        day = row["ts"].date()
        weeks.setdefault(day - timedelta(days=day.weekday()), set()).add(row["src"])
    first, last = min(weeks), max(weeks)
    ever: set[int] = set()
    expected = []
    week = first
    while week <= last:
        now, before = weeks.get(week, set()), weeks.get(week - 7 * DAY, set())
        expected.append((week, len(now), len(now - ever), len(now & before), len((now & ever) - before),
                         len(before - now), len(ever - now)))  # fmt: skip
        ever |= now
        week += 7 * DAY
    found = ps.lifecycle(college, grain="week", compare="previous").rows
    names = ("period", "active", "new", "retained", "resurrected", "churned", "dormant")
    assert [tuple(row[name] for name in names) for row in found] == expected
    assert [row["active_delta"] for row in found[1:]] == [b[1] - a[1] for a, b in pairwise(expected)]


def test_in_a_cohort_against_not_in_it(college: EventTable, messages: list[dict[str, Any]]) -> None:
    first: dict[int, datetime] = {}
    for row in messages:
        first[row["src"]] = min(row["ts"], first.get(row["src"], row["ts"]))
    days: dict[int, set[date]] = {}
    for row in messages:
        if row["ts"] - first[row["src"]] < 3 * DAY:
            days.setdefault(row["src"], set()).add(row["ts"].date())
    keen = {user for user, of in days.items() if len(of) >= 2}
    rule = read_cohort(college, "keen: on_days=2, within_days=3")
    assert {row["user_id"] for row in rule.users().rows} == keen
    found = ps.retention(college, by=rule, brackets="7-13", grain="all", as_of="2005-01-01")
    came = {row["src"] for row in messages if 7 <= (row["ts"].date() - first[row["src"]].date()).days <= 13}
    back = Counter(user in keen for user in came)
    assert {row["keen"]: (row["size"], row["retained"]) for row in found.rows} == {
        "in": (len(keen), back[True]), "not in": (len(first) - len(keen), back[False]),
    }
    sizes = ps.cohorts(college, rule).extras
    assert sizes == {"everyone": len(first), "sizes": {"keen": len(keen)}}


# -- paths and survival ----------------------------------------------------------------------------


def test_paths_of_the_shop(shop: EventTable, clicks: list[dict[str, Any]]) -> None:
    by_user: dict[str, list[tuple[datetime, str]]] = {}
    for row in clicks:
        by_user.setdefault(row["user_id"], []).append((row["timestamp"], row["event"]))
    newest = max(row["timestamp"] for row in clicks)
    sessions: list[list[str]] = []
    for log in by_user.values():
        run: list[tuple[datetime, str]] = []
        for event in [*sorted(log), (datetime.max, "")]:
            if run and event[0] - run[-1][0] >= timedelta(minutes=30):
                if newest - run[-1][0] >= timedelta(minutes=30):
                    sessions.append([name for _, name in run])
                run = []
            run.append(event)
    found = ps.paths(shop, steps=3, top=100)
    expected = Counter(
        (step, run[step - 1], run[step] if step < len(run) else "(end)")
        for run in sessions for step in (1, 2) if step <= len(run)
    )
    assert {(r["step"], r["source"], r["target"]): r["count"] for r in found.rows} == expected
    assert found.extras["sessions"] == len(sessions)


def kaplan_meier(lives: list[tuple[float, bool]]) -> dict[float, float]:
    """S(t) after each end, the product worked out one life at a time."""
    found, share, left = {}, 1.0, len(lives)
    ends = Counter(t for t, seen in lives if seen)
    gone = Counter(t for t, _ in lives)
    for t in sorted(gone):
        if ends[t]:
            share *= 1 - ends[t] / left
            found[t] = share
        left -= gone[t]
    return found


def test_survival_until_the_first_purchase(shop: EventTable, clicks: list[dict[str, Any]]) -> None:
    first: dict[str, datetime] = {}
    bought: dict[str, datetime] = {}
    for row in sorted(clicks, key=lambda row: row["timestamp"]):
        user = row["user_id"]
        first.setdefault(user, row["timestamp"])
        if row["event"] == "purchase" and row["timestamp"] > first[user]:
            bought.setdefault(user, row["timestamp"])
    newest = max(row["timestamp"] for row in clicks)
    lives = [((bought.get(u, newest) - start).total_seconds() / 86400, u in bought) for u, start in first.items()]
    expected = kaplan_meier(lives)
    found = ps.survival(shop, "purchase")
    assert {row["time"]: row["survival"] for row in found.rows[1:]} == pytest.approx(expected)
    assert len(expected) > 200


def test_tenure_of_customers_has_the_published_curve(shared_data: Path) -> None:
    import pyarrow.parquet as pq

    rows = [
        {"tenure": row["tenure"], "left": int(row["Churn"] == "Yes"), "contract": row["Contract"]}
        for row in pq.read_table(file(shared_data, "telco_churn", "telco.parquet")).to_pylist()
    ]

    def at(answer: Any, month: int, contract: str | None = None) -> float:
        mine = [r for r in answer.rows if r["time"] <= month and contract in (None, r.get("contract"))]
        return float(mine[-1]["survival"])

    everyone = ps.survival_of(rows, "tenure", "left", unit="months")
    known = {1: 0.94596, 6: 0.88483, 12: 0.84320, 24: 0.78874, 48: 0.70884, 72: 0.59279}
    assert {month: at(everyone, month) for month in known} == pytest.approx(known, abs=5e-6)
    by = ps.survival_of(rows, "tenure", "left", "contract", unit="months")
    assert at(by, 12, "Month-to-month") == pytest.approx(0.7031, abs=5e-5)
    assert at(by, 60, "One year") == pytest.approx(0.8318, abs=5e-5)
    assert at(by, 60, "Two year") == pytest.approx(0.9862, abs=5e-5)
    assert {g["contract"]: g["median"] for g in by.extras["groups"]}["Month-to-month"] == 35


# -- who drops -------------------------------------------------------------------------------------


def test_the_planted_stories_of_the_shop_are_found(shop: EventTable) -> None:
    steps = ["catalog", "add_to_cart", "purchase"]
    columns = ["platform", "acquisition_channel", "user_lifecycle"]
    # The checkout bug of spring met mobile users who had something in the cart.
    spring = ps.funnel(shop, ["add_to_cart", "purchase"], within="7d", since="2024-04-09", until="2024-05-09")
    (mobile,) = (r for r in spring.drops(columns, events=False).rows if r["value"] == "mobile")
    assert mobile["odds_ratio"] > 2 and mobile["low"] > 1
    # New users put less into the cart.
    rows = ps.funnel(shop, steps, within="7d").drops(columns).rows
    found = {(r["step"], r["value"]): r for r in rows if r["q_value"] < 0.05}
    assert found[2, "new"]["odds_ratio"] > 1.5 and found[3, "mobile"]["odds_ratio"] > 2
    assert not any(r["property"] == "acquisition_channel" for r in found.values())


def test_who_rates_again(shared_data: Path) -> None:
    """Bitcoin ratings: users by the first rating they give, and whether they rate again within a month."""
    import pyarrow as pa

    rows = stamped(file(shared_data, "bitcoin-alpha", "events.parquet"))
    by_user: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        by_user.setdefault(row["src"], []).append(row)
    table = []
    for log in by_user.values():
        log.sort(key=lambda r: (r["ts"], r["weight"]))
        table += [{**row, "what": "first" if n == 0 else "again"} for n, row in enumerate(log)]
    newest = max(row["ts"] for row in rows)
    expected: Counter[tuple[int, bool]] = Counter()
    for log in by_user.values():
        start = log[0]["ts"]
        if newest - start >= 30 * DAY:
            expected[log[0]["weight"], any(r["ts"] - start <= 30 * DAY for r in log[1:])] += 1
    with EventTable.read(pa.Table.from_pylist(table), "src", "ts", "what") as events:
        funnel = ps.funnel(events, ["first", "again"], within="30d", by="weight")
        counts = {(r["weight"], r["step"]): r["count"] for r in funnel.rows}
        drops = ps.funnel(events, ["first", "again"], within="30d").drops("weight", events=False, at_least=1)
    weights = {weight for weight, _ in expected}
    assert counts == {
        (w, step): expected[w, True] + (expected[w, False] if step == 1 else 0) for w in weights for step in (1, 2)
    }
    assert sum(row["dropped"] for row in drops.rows) == sum(n for (_, again), n in expected.items() if not again)
