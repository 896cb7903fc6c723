"""Features and creators: selection by hand, where the answer is known, and planted truth on a simulated platform."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pytest

import prodsense.warehouse
from prodsense.errors import UsageError
from prodsense.inference.like_users import e_value
from prodsense.warehouse import Warehouse

DAY_0 = date(2024, 1, 1)


def channels() -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    """Two channels: one retains 80% and adopts stories by 80%, the other 20% and 20%, retention being the same with and
    without. Groups are adopted by half of each cell, and half of these who would not have stayed then do."""
    users, days, uses = [], [], []
    number = 0
    for channel, adopting, staying in (("organic", 160, 0.8), ("ads", 40, 0.2)):
        for adopts, size in ((True, adopting), (False, 200 - adopting)):
            for i in range(size):
                user = f"u{number:03}"
                number += 1
                stays = i < round(size * staying)
                groups = i % 2 == 0
                if groups and not stays and i % 4 == 0:
                    stays = True
                users.append({"user_id": user, "signup_date": DAY_0, "acquisition_source": channel})
                days.append({"user_id": user, "activity_date": DAY_0})
                if stays:
                    days.append({"user_id": user, "activity_date": DAY_0 + timedelta(21)})
                uses += [(user, name) for name, used in (("stories", adopts), ("groups", groups)) if used]
    days.append({"user_id": "u000", "activity_date": DAY_0 + timedelta(27)})
    events = [{"user_id": user, "timestamp": DAY_0, "event_type": "feature_usage", "feature_name": name} for user, name in uses]
    return users, days, events


@pytest.fixture(scope="module")
def selected() -> Iterator[Warehouse]:
    users, days, events = channels()
    with prodsense.warehouse.open(":memory:") as warehouse:
        for table, rows in (("users", users), ("daily_user_activity", days), ("user_events", events)):
            columns = {name: [row[name] for row in rows] for name in rows[0]}
            if table == "user_events":
                columns["timestamp"] = pa.array(columns["timestamp"]).cast(pa.timestamp("us"))
            warehouse.ingest(pa.table(columns), table=f"stickiness.{table}")
        warehouse.build("stickiness")
        yield warehouse


def of(answer: Any, feature: str, outcome: str = "retained_in_fourth_week") -> dict[str, Any]:
    return next(row for row in answer.rows if (row["feature"], row["outcome"]) == (feature, outcome))


def test_selection_by_channel_is_taken_out(selected: Warehouse) -> None:
    answer = selected.analyze("feature_impact_on_stickiness")
    users, days, events = channels()
    stayed = {row["user_id"] for row in days if row["activity_date"] == DAY_0 + timedelta(21)} | {"u000"}
    channel = {row["user_id"]: row["acquisition_source"] for row in users}

    def rate(members: list[str]) -> float:
        return sum(user in stayed for user in members) / len(members)

    for feature in ("stories", "groups"):
        adopters = {e["user_id"] for e in events if e["feature_name"] == feature}
        cells = {(c, a): [u for u in channel if channel[u] == c and (u in adopters) == a] for c in ("organic", "ads") for a in (True, False)}
        row = of(answer, feature)
        mine, others = sorted(adopters), sorted(set(channel) - adopters)
        assert (row["adopters"], row["others"]) == (len(mine), len(others))
        assert row["difference"] == pytest.approx(rate(mine) - rate(others))
        # With one covariate of two values, the effect on adopters is the difference within channels, weighed by adopters.
        within = sum(len(cells[c, True]) * (rate(cells[c, True]) - rate(cells[c, False])) for c in ("organic", "ads"))
        assert row["effect"] == pytest.approx(within / len(mine), abs=1e-6)
    stories, groups = of(answer, "stories"), of(answer, "groups")
    assert stories["difference"] > 0.25 and abs(stories["effect"]) < 0.06
    assert stories["finding"].startswith("explained by who adopts") and stories["e_value"] == 1
    assert groups["finding"] == "adopters do better than like users" and groups["e_value"] > 1
    assert answer.extras["obtained"] == "observational"


def test_what_cannot_be_said_is_not_said(selected: Warehouse) -> None:
    # The month after that of signup is not over: nobody's later tier is known.
    assert of(selected.analyze("feature_impact_on_stickiness"), "groups", "in_higher_tier")["effect"] is None
    with pytest.raises(UsageError, match="nobody used reels"):
        selected.analyze("feature_impact_on_stickiness", features="reels")
    with pytest.raises(UsageError, match="adoption_days is from 1 to 14"):
        selected.analyze("feature_impact_on_stickiness", adoption_days=30)
    with pytest.raises(UsageError, match="shorter than twice 28 days"):
        selected.analyze("creation_vs_consumption_stickiness")


def test_e_value_by_hand() -> None:
    # 60% of adopters stay, the interval's near end is 10 points: risk ratio 0.6 / 0.5 = 1.2, E = 1.2 + sqrt(1.2 x 0.2).
    assert e_value(0.6, 0.2, 0.1, 0.3) == pytest.approx(1.2 + math.sqrt(0.24))
    assert e_value(0.4, -0.2, -0.3, -0.1) == pytest.approx(1.25 + math.sqrt(1.25 * 0.25))
    assert e_value(0.6, 0.1, -0.1, 0.3) == 1.0


@pytest.mark.slow
def test_planted_effect_and_planted_selection(planted: tuple[Warehouse, dict[str, Any]]) -> None:
    warehouse, truth = planted
    # At one in a hundred, so that a seed does not decide.
    answer = warehouse.analyze("feature_impact_on_stickiness", features="groups,stories,search", confidence=0.99)
    groups, stories = of(answer, "groups"), of(answer, "stories")
    assert groups["low"] <= truth["groups"]["effect"] <= groups["high"]
    assert of(answer, "groups", "active_days_in_fourth_week")["finding"] == "adopters do better than like users"
    assert truth["stories"]["adopters_minus_others"] > 0.05
    for row in (stories, of(answer, "stories", "active_days_in_fourth_week")):
        assert row["low"] <= 0 <= row["high"] and row["effect"] < row["difference"]
        assert not row["finding"].startswith("adopters do")
    assert of(answer, "search")["finding"] == "no difference seen"


@pytest.mark.slow
def test_nothing_planted_nothing_found(quiet: Warehouse) -> None:
    answer = quiet.analyze("feature_impact_on_stickiness")
    assert not [row for row in answer.rows if row["finding"].startswith("adopters do")]
    assert not quiet.analyze("creation_vs_consumption_stickiness").extras["comparison"]["creators_are_stickier"]


@pytest.mark.slow
def test_creators_are_stickier_where_planted(planted: tuple[Warehouse, dict[str, Any]]) -> None:
    warehouse, truth = planted
    answer = warehouse.analyze("creation_vs_consumption_stickiness")
    found = answer.extras["comparison"]
    assert found["creators_are_stickier"]
    # A quarter more; those who create much are a little more often there for other reasons too (steady creators).
    assert 0.5 * truth["creators"]["effect"] < found["adjusted_relative"] < 2.5 * truth["creators"]["effect"]
    by_group = {row["group"]: row for row in answer.rows}
    assert by_group["consumers"]["creations_a_day"] == 0
    assert by_group["creators"]["creations_a_day"] >= 0.5
