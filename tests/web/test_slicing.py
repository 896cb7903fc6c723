"""``is.<slice>`` means the same to the API as to the pages: one of these values, whatever stands in them."""

from __future__ import annotations

from typing import Any

import pytest
from web_shop import OWN, Served

METRIC = "/api/v1/metric"
ALL = {"name": "delivery.total_order_volume", "grain": "all"}


def volume(client: Any, **query: Any) -> float | None:
    answer = client.get(METRIC, params={**ALL, **query})
    assert answer.status_code == 200, answer.text
    rows = answer.json()["rows"]
    return rows[0]["total_order_volume"] if rows else None


@pytest.fixture(scope="module")
def by_type(admin: Any) -> dict[str | None, float]:
    rows = admin.get(METRIC, params={**ALL, "by": "restaurant_type"}).json()["rows"]
    return {row["restaurant_type"]: row["total_order_volume"] for row in rows}


def test_a_slice_narrows_to_its_values(admin: Any, by_type: dict[str | None, float]) -> None:
    first, second = sorted(name for name in by_type if name)[:2]
    assert volume(admin, **{"is.restaurant_type": first}) == by_type[first]
    assert volume(admin, **{"is.restaurant_type": [first, second]}) == by_type[first] + by_type[second]
    where = {"where": f"restaurant_type = '{second}' OR TRUE"}
    assert volume(admin, **{"is.restaurant_type": first}, **where) == by_type[first]
    # A number: its type is that of the slice's values.
    rows = admin.get(METRIC, params={**ALL, "by": "restaurant"}).json()["rows"]
    mine = next(row["total_order_volume"] for row in rows if row["restaurant"] == OWN)
    assert volume(admin, **{"is.restaurant": OWN}) == mine


def test_nothing_in_a_value_is_more_than_a_value(admin: Any, by_type: dict[str | None, float]) -> None:
    for text in ("O'Hare", "x' OR '1' = '1", "x') OR (TRUE"):
        assert not volume(admin, **{"is.restaurant_type": text})
    assert admin.get(METRIC, params={**ALL, "is.restaurant_type": "x", "where": "TRUE) OR (TRUE"}).status_code == 400


def test_no_value_is_a_value_too(admin: Any) -> None:
    rows = admin.get(METRIC, params={**ALL, "by": "vehicle_type"}).json()["rows"]
    found = {row["vehicle_type"]: row["total_order_volume"] for row in rows}
    assert found[None] > 0
    assert volume(admin, **{"is.vehicle_type": "(none)"}) == found[None]


def test_a_slice_that_is_not_there_is_refused(admin: Any) -> None:
    for address in (METRIC, "/api/v1/dashboards/delivery.batching_success_scorecard/sections/0"):
        answer = admin.get(address, params={**ALL, "is.restaurant_typ": "pizza"})
        assert answer.status_code == 400, answer.text
        assert "not known by restaurant_typ: take that filter out. Did you mean restaurant_type" in answer.json()["detail"]
    # Where nothing is sliced, a filter is not left out in silence.
    assert admin.get("/api/v1/show/delivery.fact_orders", params={"is.restaurant_type": "x"}).status_code == 400


def test_the_api_and_the_pages_tell_the_same(admin: Any, by_type: dict[str | None, float]) -> None:
    kind = min(name for name in by_type if name)
    state = {"is.restaurant_type": kind, "grain": "all"}
    page = admin.get("/explore/delivery.total_order_volume/export", params={**state, "as": "json"}).json()
    api = admin.get(METRIC, params={**ALL, "is.restaurant_type": kind}).json()
    assert page["rows"] == api["rows"]

    def tiles(**query: str) -> list[Any]:
        rows = admin.get("/api/v1/dashboards/delivery.batching_success_scorecard/sections/0", params=query).json()["rows"]
        return [(row["metric"], row["value"], row["previous"], row["trend"]) for row in rows]

    window = {"since": "2024-01-08"}
    narrow = tiles(**{"is.restaurant_type": kind}, **window)
    assert narrow == tiles(where=f"restaurant_type = '{kind}'", **window) != tiles(**window)



def test_a_role_sees_no_more_by_a_filter(served: Served) -> None:
    partner = served.client("partner")
    assert not volume(partner, **{"is.restaurant_type": "quodlibetian"})
    executive = served.client("executive")
    # Two customers: too few to be shown.
    assert volume(executive, **{"is.restaurant_type": "quodlibetian"}) is None
    assert executive.get(METRIC, params={**ALL, "is.customer": "1"}).status_code in (400, 403)
