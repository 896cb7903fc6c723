"""Retention by cohort on the tiny platform, counted in plain Python."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from prodsense.errors import UsageError
from prodsense.warehouse import Warehouse

from .oracle import Platform

ORACLE = Platform()


def expected(last: date, key: Any) -> dict[Any, dict[str, Any]]:
    """By cohort: users, and of those old enough by `last` the share there on day 1, 7, 30 and the days of two weeks."""
    groups: dict[Any, list[str]] = {}
    for user in ORACLE.everyone():
        signup = ORACLE.signup(user)
        if signup is not None and ORACLE.first <= signup <= last:
            groups.setdefault(key(user), []).append(user)
    found = {}
    for name, users in groups.items():
        row: dict[str, Any] = {"users": len(users)}
        for n in (1, 7, 30):
            old = [u for u in users if ORACLE.signup(u) + timedelta(n) <= last]
            back = [u for u in old if ORACLE.signup(u) + timedelta(n) in ORACLE.days_of(u)]
            row[f"d{n}_users"], row[f"d{n}"] = len(old), len(back) / len(old) if old else None
        old = [u for u in users if ORACLE.signup(u) + timedelta(27) <= last]
        in_days = lambda u, a, b: sum(a <= (d - ORACLE.signup(u)).days <= b for d in ORACLE.days_of(u) if d <= last)  # noqa: E731
        row["four_week_users"] = len(old)
        row["active_days_week_1"] = sum(in_days(u, 0, 6) for u in old) / len(old) if old else None
        row["active_days_week_4"] = sum(in_days(u, 21, 27) for u in old) / len(old) if old else None
        found[name] = row
    return found


@pytest.mark.parametrize("as_of", [None, "2024-02-10", "2024-01-20"])
def test_by_month_and_channel(platform: Warehouse, as_of: str | None) -> None:
    last = date.fromisoformat(as_of) if as_of else ORACLE.newest
    answer = platform.analyze("retention_cohort_analysis", as_of=as_of)
    key = lambda u: (ORACLE.signup(u).replace(day=1), ORACLE.users[u]["acquisition_source"], ORACLE.users[u]["campaign"])  # noqa: E731
    wanted = expected(last, key)
    assert {(r["cohort"], r["acquisition_source"], r["campaign"]) for r in answer.rows} == set(wanted)
    for row in answer.rows:
        for name, value in wanted[row["cohort"], row["acquisition_source"], row["campaign"]].items():
            assert row[name] == (pytest.approx(value) if value is not None else None), (row, name)


def test_pooled_and_bounded(platform: Warehouse) -> None:
    (row,) = platform.analyze("retention_cohort_analysis", by=None, grain="all").rows
    (wanted,) = expected(ORACLE.newest, lambda u: None).values()
    assert row["cohort"] is None
    assert {k: row[k] for k in ("users", "d1_users", "d7_users", "d30_users")} == {
        k: wanted[k] for k in ("users", "d1_users", "d7_users", "d30_users")
    }
    later = platform.analyze("retention_cohort_analysis", by=None, grain="all", since="2024-01-02", until="2024-02-20").rows
    assert later[0]["users"] == 2  # u3 and u4; u6 signs up on the day after the last


def test_day_n_agrees_with_the_metric(platform: Warehouse) -> None:
    (row,) = platform.analyze("retention_cohort_analysis", by=None, grain="all").rows
    for n in (1, 7, 30):
        (value,) = platform.metric(f"d{n}_retention", grain="all", since=ORACLE.first).rows
        assert row[f"d{n}"] == pytest.approx(value[f"d{n}_retention"])


def test_refusals(platform: Warehouse) -> None:
    with pytest.raises(UsageError, match="no cohorts of grain 'year'"):
        platform.analyze("retention_cohort_analysis", grain="year")
    with pytest.raises(UsageError, match="tenure passes by"):
        platform.analyze("retention_cohort_analysis", by="tenure")
    with pytest.raises(UsageError, match="nobody signed up"):
        platform.analyze("retention_cohort_analysis", since="2024-05-01")
