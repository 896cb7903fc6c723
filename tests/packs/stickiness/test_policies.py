"""Policies hold on the tiny platform with the pack's own registry, and each reports what breaks it and nothing else."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

import prodsense.warehouse
from prodsense.packs import load_pack
from prodsense.packs.stickiness.registry import registry_rows
from prodsense.warehouse import Warehouse

PACK = load_pack("stickiness")


def registry(*changed: dict[str, Any]) -> pa.Table:
    """The pack's registry; a changed row takes the place of that of its metric and version, or is added."""
    rows = {(row["metric_name"], row["version"]): row for row in registry_rows()}
    for row in changed:
        key = row["metric_name"], row.get("version", 1)
        rows[key] = {**rows.get(key, dict.fromkeys(next(iter(rows.values())))), "version": key[1], **row}
    return pa.Table.from_pylist(list(rows.values()))


def found(warehouse: Warehouse, name: str) -> list[dict[str, Any]]:
    return warehouse.policies(f"stickiness.{name}")[0].violations.rows


@pytest.fixture
def sound(own_platform: Warehouse) -> Warehouse:
    own_platform.ingest(registry(), table="stickiness.metric_registry")
    return own_platform


def test_sound_platform(sound: Warehouse) -> None:
    results = {r.name: r for r in sound.policies(pack="stickiness")}
    assert set(results) == set(PACK.policies)
    # The tiny platform dwindles: its balance is looked at below.
    assert [name for name, r in results.items() if not r.holds and name != "ecosystem_balance_rule"] == []


BREAKS: dict[str, list[tuple[dict[str, Any], str]]] = {
    "time_spent_quality_guard": [
        ({"metric_name": "time_spent_per_active_user_per_day", "counter_metrics": None}, "has no measure of quality"),
        ({"metric_name": "time_spent_per_active_user_per_day", "counter_metrics": " , "}, "has no measure of quality"),
        ({"metric_name": "time_spent_per_active_user_per_day", "counter_metrics": "happiness"}, "not in the registry"),
        ({"metric_name": "watch_time_total", "counter_metrics": "time_spent_per_active_user_per_day", "is_vanity": False,
          "freshness": "daily_batch"}, "only metrics of time"),
    ],
    "vanity_metric_guard": [
        ({"metric_name": "feed_scroll_depth", "is_vanity": None}, "marked neither"),
        ({"metric_name": "dau_mau_ratio", "is_vanity": True}, "a vanity metric leads"),
    ],
    "active_user_definition": [
        ({"metric_name": "daily_active_users", "definition": "  "}, "no written definition"),
        ({"metric_name": "weekly_active_users", "active_definition": "Opened the app."}, "different rules"),
        ({"metric_name": "feed_adoption_pct", "active_definition": None}, "some state the rule"),
    ],
    "metric_freshness_tiers": [
        ({"metric_name": "daily_active_users", "freshness": None}, "declares no freshness"),
        ({"metric_name": "daily_active_users", "freshness": "hourly"}, "neither"),
    ],
}


@pytest.mark.parametrize(("name", "row", "says"), [(n, r, s) for n, cases in BREAKS.items() for r, s in cases])
def test_broken_registry(own_platform: Warehouse, name: str, row: dict[str, Any], says: str) -> None:
    own_platform.ingest(registry(row), table="stickiness.metric_registry")
    assert any(says in violation["violation"] for violation in found(own_platform, name))
    others = [n for n in PACK.policies if n not in (name, "ecosystem_balance_rule")]
    assert all(r.holds for r in own_platform.policies(*(f"stickiness.{n}" for n in others)))


@pytest.mark.parametrize(
    "row",
    [
        {"metric_name": "daily_active_users", "version": 2, "freshness": "Near real-time"},
        {"metric_name": "daily_active_users", "version": 2, "freshness": "daily batch"},
    ],
)
def test_spellings_of_freshness(sound: Warehouse, row: dict[str, Any]) -> None:
    sound.ingest(registry(row), table="stickiness.metric_registry")
    assert found(sound, "metric_freshness_tiers") == []


def test_only_the_newest_version_counts(own_platform: Warehouse) -> None:
    old = {"metric_name": "daily_active_users", "version": 0, "freshness": "weekly", "definition": None, "is_vanity": None}
    own_platform.ingest(registry(old), table="stickiness.metric_registry")
    assert found(own_platform, "metric_freshness_tiers") == found(own_platform, "active_user_definition") == []
    assert found(own_platform, "vanity_metric_guard") == []


def test_a_registry_with_only_the_column_asked_for(own_platform: Warehouse) -> None:
    own_platform.ingest(
        pa.table({"metric_name": ["time_spent", "csat"], "counter_metrics": ["csat", None]}),
        table="stickiness.metric_registry",
    )
    assert found(own_platform, "time_spent_quality_guard") == []
    assert len(found(own_platform, "metric_freshness_tiers")) == 2
    assert len(found(own_platform, "vanity_metric_guard")) == 2


def test_the_days_counted_are_those_of_the_rule(sound: Warehouse) -> None:
    sound.engine.execute("DELETE FROM stickiness.active_days WHERE user_id = 'u4' AND activity_date = '2024-01-10'")
    (missing,) = found(sound, "active_user_definition")
    assert missing == {"violation": "active by the rule, but not counted", "subject": "u4", "day": date(2024, 1, 10)}
    # The rule is changed and nothing built anew: likes alone make nobody active any more.
    sound.ingest(pa.table({"event_type": ["like"], "qualifies": [False]}), table="stickiness.active_event_types")
    assert "counted, but not active by the rule" in {row["violation"] for row in found(sound, "active_user_definition")}


def balance(now: dict[str, int], **more: Any) -> list[dict[str, Any]]:
    """Violations where ten of each type a day became `now` in the second four weeks."""
    rows: list[dict[str, Any]] = []
    for day in range(56):
        for kind, usual in (("post_creation", 10), ("like", 10), ("content_view", 10)):
            rows += [
                {"user_id": "a", "timestamp": datetime(2024, 1, 1, 9, i) + timedelta(days=day), "event_type": kind,
                 "content_type": "post" if kind == "content_view" else None}
                for i in range(now[kind] if day >= 28 else usual)
            ]  # fmt: skip
    with prodsense.warehouse.open(":memory:") as warehouse:
        warehouse.ingest(pa.Table.from_pylist(rows), table="stickiness.user_events")
        warehouse.build("stickiness")
        return warehouse.policies("stickiness.ecosystem_balance_rule", **more)[0].violations.rows


@pytest.mark.slow
def test_balance_by_hand() -> None:
    same = {"post_creation": 10, "like": 10, "content_view": 10}
    assert balance(same) == []
    # A fall in one is fine where a more valuable one rises: creation before interaction before consumption.
    assert balance({**same, "content_view": 5, "like": 11}) == []
    assert balance({**same, "like": 5, "post_creation": 11}) == []
    (fallen,) = balance({**same, "post_creation": 5, "content_view": 20})
    assert fallen["family"] == "creation" and fallen["change"] == pytest.approx(-0.5)
    assert [row["family"] for row in balance({**same, "content_view": 5})] == ["consumption"]
    assert balance({**same, "content_view": 5}, max_fall=0.6) == []


@pytest.mark.slow
def test_balance_is_not_judged_before_two_windows_have_passed() -> None:
    fallen = {"post_creation": 5, "like": 10, "content_view": 10}
    assert balance(fallen, days=29) == []
    (violation,) = balance(fallen, days=28)
    assert violation["family"] == "creation"


def test_balance_needs_metrics_of_all_three(own_platform: Warehouse) -> None:
    own_platform.ingest(
        pa.table({"metric_name": ["a", "b"], "family": ["creation", "interaction"]}), table="stickiness.metric_registry"
    )
    missing = [row["family"] for row in found(own_platform, "ecosystem_balance_rule") if "no metric" in row["violation"]]
    assert missing == ["consumption"]


@pytest.mark.slow
def test_planted_fall_of_creation_and_none_where_none_is(
    planted: tuple[Warehouse, dict[str, Any]], quiet: Warehouse
) -> None:
    """Those who made most stop ten days before the end: creation falls by more than a tenth, and nothing rises."""
    warehouse, truth = planted
    assert len(truth["creation_drop"]["users"]) == 10
    (result,) = warehouse.policies("stickiness.ecosystem_balance_rule", days=9)
    assert [row["family"] for row in result.violations.rows] == ["creation"]
    assert all(result.holds for result in quiet.policies(pack="stickiness"))
