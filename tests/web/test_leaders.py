"""Leaderboards: a mean of two deliveries does not lead, and who may not see small groups learns no sizes."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from web_shop import SECRETS, Served

from prodsense.metrics.observations import few_of

BOARD = "/explore/delivery.{}/leaders/restaurant_type"


@pytest.fixture(scope="module")
def delivered(planted_tables: dict[str, Any]) -> Counter[str]:
    """Delivered deliveries by type of restaurant, counted in Python."""
    kinds = {row["restaurant_id"]: row["cuisine_type"] for row in planted_tables["dim_restaurants"].to_pylist()}
    orders = {row["order_id"]: kinds[row["restaurant_id"]] for row in planted_tables["fact_orders"].to_pylist()}
    runs = planted_tables["fact_deliveries"].to_pylist()
    return Counter(orders[run["order_id"]] for run in runs if run["delivery_status"] == "delivered")


def test_few_are_those_under_30_or_a_hundredth(served: Served, delivered: Counter[str]) -> None:
    with served.site.reader(served.actor("admin")) as warehouse:
        least = max(30, sum(delivered.values()) / 100)
        few = {kind for kind, count in delivered.items() if count < least}
        assert SECRETS["kind"] in few and few != set(delivered)
        assert warehouse.few_behind("delivery.actual_delivery_time", "restaurant_type") == few
        largest = max(delivered, key=delivered.__getitem__)
        where = f"restaurant_type = '{largest}'"
        assert warehouse.few_behind("delivery.actual_delivery_time", "restaurant_type", where=where) == set()
        # A count says how few there are itself.
        assert warehouse.few_behind("delivery.total_order_volume", "restaurant_type") == set()


def test_of_many_values_few_is_less_than_half_of_an_equal_share() -> None:
    assert few_of({"a": 9800, "b": 101, "c": 99}) == {"c"}  # a hundredth of all is 100
    many = {**dict.fromkeys(range(999), 100), "more": 60, "less": 40}  # a hundredth is 1000, half of an equal share 50
    assert few_of(many) == {"less"}
    assert few_of({}) == set() and few_of({"a": 30, "b": 29}) == {"b"}


def test_few_are_ranked_last_and_said_to_be(admin: Any, delivered: Counter[str]) -> None:
    page = admin.get(BOARD.format("actual_delivery_time")).text
    names = [part.partition("</a>")[0].rpartition(">")[2] for part in page.split('class="lead-name">')[1:]]
    assert set(names) == set(delivered) and names[-1] == SECRETS["kind"]
    assert page.count('<tr class="muted">') == 1 and "few: under 30 rows" in page
    assert "muted" not in admin.get(BOARD.format("total_order_volume")).text.partition("<tbody>")[2]


def test_who_sees_groups_only_learns_no_sizes(served: Served) -> None:
    with served.site.reader(served.actor("executive")) as warehouse:
        assert warehouse.few_behind("delivery.actual_delivery_time", "restaurant_type") == set()
    page = served.client("executive").get(BOARD.format("actual_delivery_time")).text
    assert "lead-name" in page and "few" not in page and SECRETS["value"] not in page
