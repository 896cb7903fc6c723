"""Every page at two sizes and in both colour schemes: it comes, it is whole, and everybody can read it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

#: An event table that no pack declares as such.
LOG = "table=stickiness.user_events&user=user_id&time=timestamp&event=event_type"
PAGES = [
    "/",
    "/dashboards",
    "/dashboards/delivery.batching_success_scorecard",
    "/dashboards/stickiness.stickiness_overview?range=28d&compare=previous",
    "/explore",
    "/explore/delivery.on_time_rate?by=delivery_type",
    "/explore/delivery.on_time_rate/why?from_since=2024-01-08&from_until=2024-01-14&to_since=2024-01-15&to_until=2024-01-21",
    "/behaviour",
    "/behaviour/retention",
    f"/behaviour/funnel?{LOG}&step=session_start&step=content_view&optional=2&step=like&within=1d",
    f"/behaviour/paths?{LOG}",
    "/experiments",
    "/experiments/stickiness.onboarding_flow_test",
    "/alerts",
    "/data",
    "/data/quarantine",
    "/data/tables",
    "/data/tables/delivery.fact_orders",
    "/data/schema/delivery",
    "/data/models",
    "/data/lineage/delivery.on_time_rate",
    "/catalogue?q=retention",
    "/catalogue/delivery.Q9.2.1?kind=question",
    "/catalogue/delivery.batch_state_counts?kind=query",
    "/admin",
    "/admin/tokens",
    "/admin/audit",
    "/account",
]
#: Long pages made of the same parts as others: one look is enough.
ONCE = [path for path in PAGES if "stickiness_overview" in path or "Q9.2.1" in path]
LOOKS = [(p, "desktop") for p in PAGES] + [(p, "phone in the dark") for p in PAGES if p not in ONCE]


@pytest.mark.parametrize(("path", "look"), LOOKS)
def test_page(visit: Any, shots: Path, path: str, look: str) -> None:
    phone = look != "desktop"
    visitor = visit(phone=phone, dark=phone)
    assert visitor.open(path).status == 200
    visitor.whole()
    visitor.shot(shots, path + ("-phone-dark" if phone else ""))
    assert visitor.page.locator(".notice.warn").all_inner_texts() == []
    assert visitor.troubles() == []
    assert visitor.complaints == []


@pytest.mark.parametrize("look", ["desktop", "phone in the dark"])
def test_sign_in_and_nothing_here(visit: Any, shots: Path, look: str) -> None:
    phone = look != "desktop"
    visitor = visit("", phone=phone, dark=phone)
    visitor.open("/alerts")
    assert "/sign-in" in visitor.page.url
    visitor.shot(shots, "sign-in" + ("-phone-dark" if phone else ""))
    assert visitor.troubles() == []
    known = visit("admin", phone=phone, dark=phone)
    assert known.open("/no-such-page").status == 404
    known.shot(shots, "nothing-here" + ("-phone-dark" if phone else ""))
    assert "There is no page at /no-such-page" in known.page.inner_text("main")
    assert known.troubles() == []


@pytest.mark.parametrize("role", ["operations", "executive", "partner"])
def test_what_a_role_sees(visit: Any, shots: Path, role: str) -> None:
    """The menu leads nowhere that is shut, and what it leads to comes."""
    visitor = visit(role)
    visitor.open("/")
    visitor.whole()
    visitor.shot(shots, f"home-{role}")
    links = visitor.page.locator("nav[aria-label=Main] a").evaluate_all("all => all.map(a => a.getAttribute('href'))")
    assert ("/data" in links) == (role == "operations")
    assert "/admin" not in links
    for link in links:
        assert visitor.open(link).status == 200, link
    visitor.open("/catalogue")
    assert visitor.page.locator(".results a").count() > 0
    assert visitor.complaints == []


def test_without_script(visit: Any) -> None:
    """Numbers, tables and filters are there without any script."""
    visitor = visit(script=False)
    visitor.open("/dashboards/delivery.batching_success_scorecard?full=1")
    page = visitor.page
    assert page.locator(".tile .value").count() > 10
    assert page.locator("figure table tbody tr").count() > 20
    page.select_option("select[name='is.restaurant_type']", index=1)
    page.click("form.filters button.primary")
    assert "is.restaurant_type=" in page.url
