"""Every door: a declared permission, shut for those without it, and no secret behind it in anybody's bytes."""

from __future__ import annotations

import re
from typing import Any

import pytest
from fastapi.routing import APIRoute
from web_shop import ROLES, SECRETS

from prodsense.web.actor import DOORS
from prodsense.web.app import check_doors, doors

#: Values for the parts of addresses; a part without one fails the test that walks.
PARTS = {
    "version": "0", "name:path": "app.js", "name": None, "number": "1", "identity": "0123456789ab", "pack": "delivery",
    "section": "0", "chart": "0", "link": "nothing", "table": "delivery.fact_orders", "dashboard": None, "metric": None,
    "board": None, "kind": "metric", "part": "0", "at": "0", "user": "partner", "id": "0123456789ab",
    "method": "retention", "place": "0", "dimension": "restaurant_type",
}
#: What ``{name}`` stands for, by what the address is about.
NAMES = {
    "metric": "delivery.actual_delivery_time", "query": "delivery.restaurant_batching_impact",
    "analyze": "delivery.order_funnel", "experiment": "delivery.batching_algorithm_ab_test",
    "experiments": "delivery.batching_algorithm_ab_test", "show": "delivery.dim_restaurants",
    "explain": "delivery.actual_delivery_time", "explore": "delivery.actual_delivery_time",
    "dashboards": "delivery.batching_success_scorecard", "lineage": "delivery.order_facts", "users": "partner",
    "table": "delivery.dim_restaurants", "tables": "delivery.dim_restaurants", "data": "delivery",
    "catalogue": "delivery.actual_delivery_time", "catalog": "delivery.actual_delivery_time",
    "answer": "Q9.1.1", "questions": "Q9.1.1", "alerts": "0123456789ab", "behaviour": "delivery",
}
#: Further questions, chosen to lead to what is planted.
ASKED = [
    "/api/v1/metric?name=actual_delivery_time&by=restaurant_type",
    "/api/v1/metric?name=actual_delivery_time&by=restaurant",
    "/api/v1/metric?name=actual_delivery_time&by=restaurant_type&format=csv",
    "/api/v1/metric?name=actual_delivery_time&grain=day&where=restaurant_type = 'quodlibetian'",
    "/api/v1/metric?name=actual_delivery_time&where=restaurant = 990001",
    "/api/v1/metric?name=total_order_volume&by=restaurant_type&compare=previous&since=2024-01-08&until=2024-01-15",
    *(f"/api/v1/show/{table}?limit=100000" for table in (
        "delivery.dim_restaurants", "delivery.fact_orders", "delivery.fact_deliveries", "delivery.orders",
        "delivery.delivery_facts", "prodsense.quarantine", "prodsense.loads", "delivery.refund_requests",
    )),
    "/api/v1/show/delivery.fact_orders?where=special_instructions = 'ring twice for Wendelin'",
    "/api/v1/funnel?table=delivery.fact_orders&user=customer_id&time=order_timestamp&event=special_instructions"
    "&step=ring twice for Wendelin&by=delivery_instructions",
    "/api/v1/retention?table=delivery.fact_orders&user=customer_id&time=order_timestamp&by=special_instructions",
    "/api/v1/paths?table=delivery.fact_orders&user=customer_id&time=order_timestamp&event=delivery_instructions",
    "/api/v1/explain/actual_delivery_time?from=2024-01-01..2024-01-07&to=2024-01-08..2024-01-14&dims=restaurant_type",
    "/api/v1/query/restaurant_batching_impact?param=min_orders=1",
    "/api/v1/catalog?search=quodlibetian",
    "/api/v1/dashboards/batching_success_scorecard/sections/0/charts/0?where=restaurant_type = 'quodlibetian'",
    "/api/v1/dashboards/batching_success_scorecard/sections/3/charts/0",
]  # fmt: skip


def routes(app: Any) -> list[APIRoute]:
    return [route for route in app.routes if isinstance(route, APIRoute)]


def address(route: APIRoute) -> str:
    """A route's address with its parts filled in."""

    def fill(found: re.Match[str]) -> str:
        part = found[1]
        if part in ("name", "dashboard", "board", "metric"):
            words = [word for word in route.path.split("{")[0].split("/") if word in NAMES]
            assert words, f"say in NAMES what {{{part}}} is in {route.path}"
            return NAMES[words[-1]]
        assert PARTS.get(part), f"say in PARTS what {{{part}}} is in {route.path}"
        return str(PARTS[part])

    return re.sub(r"\{([^}]+)\}", fill, route.path)


def test_every_route_says_who_may_call_it(served: Any) -> None:
    check_doors(served.app)
    assert all(len(doors(route)) == 1 for route in routes(served.app))
    known = set().union(*DOORS.values())
    assert {door for route in routes(served.app) for door in doors(route)} <= known


def test_a_route_without_a_permission_is_not_served(served: Any) -> None:
    from fastapi import FastAPI

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.get("/open")(lambda: "open")
    with pytest.raises(RuntimeError, match="/open declares no permission"):
        check_doors(app)


def test_what_changes_something_takes_more_than_reading(served: Any) -> None:
    for route in routes(served.app):
        if route.methods & {"POST", "PUT", "PATCH", "DELETE"}:
            assert doors(route) != ["read"], route.path


def test_nobody_passes_a_door_that_is_not_public(served: Any) -> None:
    client = served.client()
    for route in routes(served.app):
        for method in route.methods:
            answer = client.request(method, address(route), follow_redirects=False)
            if doors(route) == ["public"]:
                continue
            page = not route.path.startswith("/api/") and method == "GET"
            assert answer.status_code == (303 if page else 401), (method, route.path, answer.status_code)
            assert_hidden(answer, ("name", "phone", "kind", "value", "wish", "door"), (method, route.path))


@pytest.mark.slow
@pytest.mark.parametrize("role", ["analyst", "operations", "executive", "partner"])
def test_every_route_as_every_role(served: Any, role: str) -> None:
    """Nothing that a role must not see is in any answer, whatever its status; and doors shut to it are shut."""
    client = served.client(role)
    hidden = ROLES[role][1]
    for route in routes(served.app):
        for method in route.methods - {"HEAD"}:
            if method != "GET" and set(doors(route)) <= DOORS[role]:
                continue  # what they may change is tested where it is changed
            answer = client.request(method, address(route), follow_redirects=False)
            assert answer.status_code < 500, (method, route.path, answer.text[:300])
            if not set(doors(route)) <= DOORS[role]:
                assert answer.status_code == 403, (method, route.path, answer.status_code)
            assert_hidden(answer, hidden, (method, route.path))


@pytest.mark.slow
@pytest.mark.parametrize("role", ["analyst", "operations", "executive", "partner"])
def test_questions_that_lead_to_secrets(served: Any, role: str) -> None:
    client = served.client(role)
    for question in ASKED:
        answer = client.get(question)
        assert answer.status_code < 500, (question, answer.text[:300])
        if answer.status_code == 200:
            assert_hidden(answer, ROLES[role][1], question)
        else:
            # A refusal may repeat what the asker wrote, and nothing else.
            assert_hidden(answer, [s for s in ROLES[role][1] if not asked_with(question, s)], question)


def asked_with(question: str, secret: str) -> bool:
    return SECRETS[secret] in question


def test_the_admin_finds_each_secret(served: Any, admin: Any) -> None:
    """So that the tests above look for something that is there."""
    seen = b"".join(admin.get(question).content for question in ASKED)
    for secret in SECRETS.values():
        assert secret.encode() in seen, secret


def assert_hidden(answer: Any, secrets: Any, what: object) -> None:
    for secret in secrets:
        # A number stands for itself (33.5277777 tells nothing), and pages part its thousands.
        number = SECRETS[secret].isdigit()
        pattern = rf"(?<![\d.]){SECRETS[secret][0]},?{SECRETS[secret][1:]}(?!\d)" if number else re.escape(SECRETS[secret])
        assert not re.search(pattern.encode(), answer.content), (what, secret)
