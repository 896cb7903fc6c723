"""What people do on the pages: filter, drill, save, note, act, take along; by mouse, by keyboard, by finger."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

SCORECARD = "/dashboards/delivery.batching_success_scorecard"


def test_password_and_way_back(visit: Any) -> None:
    visitor = visit("")
    page = visitor.page
    visitor.open("/explore/delivery.on_time_rate?range=28d")
    page.fill("[name=name]", "operations")
    page.fill("[name=password]", "not the password")
    page.click("button.primary")
    assert "Wrong name or password" in page.inner_text("main")
    page.fill("[name=name]", "operations")
    page.fill("[name=password]", "a password for tests")
    page.click("button.primary")
    assert page.url.endswith("/explore/delivery.on_time_rate?range=28d")
    page.click("text=Sign out")
    visitor.open("/")
    assert "/sign-in" in page.url


def test_theme_is_kept_and_turns_charts(visit: Any) -> None:
    visitor = visit()
    page = visitor.page
    visitor.open("/explore/delivery.on_time_rate")
    visitor.whole()
    light = page.locator(".plot svg").first.inner_html()
    page.click(".rail [data-theme-switch]")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    for _ in range(60):
        if page.locator(".plot svg").count() and page.locator(".plot svg").first.inner_html() != light:
            break
        page.wait_for_timeout(50)
    assert "#7597df" in page.locator(".plot svg").first.inner_html()  # the dark palette's first colour
    visitor.open("/catalogue")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert visitor.complaints == []


def test_filter_chip_and_preset(visit: Any) -> None:
    visitor = visit()
    page = visitor.page
    visitor.open(SCORECARD)
    page.select_option("select[name='is.restaurant_type']", index=1)  # counts at once, without a click on Apply
    page.wait_for_url(re.compile(r"is\.restaurant_type="))
    chosen = page.input_value("select[name='is.restaurant_type']")
    assert page.locator(".chips a.chip").first.inner_text().startswith(f"restaurant type: {chosen}")
    page.select_option("select[name=range]", "28d")
    page.wait_for_url(re.compile("range=28d"))
    assert "is.restaurant_type=" in page.url and "since=" not in page.url
    visitor.whole()
    assert page.locator(".tile .value").count() > 10
    page.locator(".chips a.chip").first.click()
    page.wait_for_url(lambda url: "is.restaurant_type" not in url)
    assert "range=28d" in page.url


def test_click_on_a_mark_drills_down(visit: Any) -> None:
    visitor = visit()
    page = visitor.page
    visitor.open(SCORECARD)
    visitor.whole()
    chart = page.locator("figure", has_text="On time by restaurant type").locator(".plot")
    chart.scroll_into_view_if_needed()
    mark = chart.locator("svg .mark-rect path").first
    mark.click()
    page.wait_for_url(re.compile(r"is\.\w+="))
    assert page.locator(".chips a.chip").count() == 1


def test_a_chart_has_a_tip_a_table_and_its_sql(visit: Any) -> None:
    visitor = visit()
    page = visitor.page
    visitor.open("/explore/delivery.total_order_volume?grain=week")
    visitor.whole()
    plot = page.locator(".plot").first
    box = plot.bounding_box()
    for part in (0.3, 0.5, 0.7, 0.45):
        page.mouse.move(box["x"] + box["width"] * part, box["y"] + box["height"] * 0.5)
        page.wait_for_timeout(80)
    page.click("summary:text('Data as a table')")
    assert page.locator("figure table tbody tr").count() >= 5
    page.click("summary:text('SQL')")
    assert "SELECT" in page.locator("figure pre").first.inner_text()


def test_leaders_lead_to_a_filter(visit: Any) -> None:
    visitor = visit()
    page = visitor.page
    visitor.open("/explore/delivery.on_time_rate")
    visitor.whole()
    link = page.locator(".lead-name a").first
    name = link.inner_text()
    link.click()
    page.wait_for_url(re.compile(r"is\.\w+="))
    assert name in page.locator(".chips a.chip").first.inner_text()
    visitor.whole()
    assert page.locator(".plot.drawn").count() == 1


@pytest.mark.parametrize(("kind", "begins"), [("CSV", b"period,"), ("Parquet", b"PAR1"), ("PNG picture", b"\x89PNG")])
def test_take_along(visit: Any, tmp_path: Path, kind: str, begins: bytes) -> None:
    visitor = visit()
    page = visitor.page
    visitor.open("/explore/delivery.on_time_rate?by=delivery_type&grain=week")
    page.click("header summary:has-text('Export')")
    with page.expect_download() as waiting:
        page.click(f"header .panel a:text-is('{kind}')")
    path = tmp_path / "file"
    waiting.value.save_as(path)
    assert path.read_bytes().startswith(begins)


def test_save_a_view_and_remove_it(visit: Any) -> None:
    visitor = visit()
    page = visitor.page
    visitor.open("/explore/delivery.on_time_rate?range=28d&by=delivery_type")
    page.click("text=Save view")
    page.fill("dialog[open] [name=title]", "On time, a month")
    page.click("dialog[open] button.primary")
    assert "Saved." in page.inner_text("main")
    visitor.open("/")
    page.click("a.chip:has-text('On time, a month')")
    assert page.url.endswith("range=28d&by=delivery_type")
    page.click("text=Save view")
    page.click("dialog[open] summary")
    page.click("dialog[open] button:has-text('Remove')")
    visitor.open("/")
    assert page.locator("a.chip:has-text('On time, a month')").count() == 0


def test_a_known_event_stands_on_charts_of_its_time(visit: Any) -> None:
    visitor = visit()
    page = visitor.page
    visitor.open("/explore/delivery.total_order_volume?grain=day")
    page.click("text=Note one")
    page.fill("dialog[open] [name=at]", "2024-01-20")
    page.fill("dialog[open] [name=text]", "A new <b>price</b> list")
    page.click("dialog[open] button.primary")
    visitor.whole()
    assert "2024-01-20: A new <b>price</b> list" in page.inner_text("figure .notes")
    page.locator(".plot svg line[stroke-dasharray], .plot svg [stroke-dasharray='4,3']").first.wait_for(state="attached")
    page.click("button[aria-label^='Remove the event']")
    page.locator("text=price</b> list").first.wait_for(state="detached")
    assert visitor.complaints == []


def test_alerts_are_seen_to(visit: Any, shots: Path) -> None:
    visitor = visit("operations")
    page = visitor.page
    visitor.open("/alerts")
    card = page.locator("li.alert").first
    identity = card.get_attribute("id")
    card.locator("text=Acknowledge").click()
    assert "Acknowledged" in page.inner_text(".notice.good")
    card = page.locator(f"[id='{identity}']")
    assert "acknowledged" in card.inner_text()
    card.locator("summary:has-text('Assign')").click()
    card.locator("[name=to]").fill("Ada")
    card.locator("button:text-is('Assign')").click()
    assert "Ada" in page.locator(f"[id='{identity}']").inner_text()
    page.locator(f"[id='{identity}'] h2 a").click()
    visitor.whole()
    visitor.shot(shots, "alert")
    assert visitor.troubles() == []
    page.fill("[name=note]", "asked the city team")
    page.click("text=Keep the note")
    assert "asked the city team" in page.inner_text("main")
    page.locator(".acts summary:has-text('Snooze')").click()
    page.click(".panel button:has-text('for a week')")
    visitor.open("/alerts")
    assert page.locator(f"[id='{identity}']").count() == 0
    visitor.open("/alerts?state=snoozed")
    page.locator(f"[id='{identity}'] button:text-is('Close')").click()
    visitor.open("/alerts?state=closed")
    page.locator(f"[id='{identity}'] button:text-is('Reopen')").click()
    visitor.open("/alerts")
    assert page.locator(f"[id='{identity}']").count() == 1


def test_keyboard(visit: Any) -> None:
    """The first stop leads to the content, every stop can be seen, and ``/`` goes to the search."""
    visitor = visit()
    page = visitor.page
    visitor.open("/catalogue")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#content"
    for _ in range(25):
        page.keyboard.press("Tab")
        seen = page.evaluate("""() => { const e = document.activeElement, s = getComputedStyle(e);
            return e === document.body || (s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2); }""")
        assert seen, page.evaluate("document.activeElement.outerHTML")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("/")
    page.keyboard.type("churn")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("q=churn"))
    assert page.locator(".results a").count() > 0


def test_menu_on_a_phone(visit: Any, shots: Path) -> None:
    visitor = visit(phone=True)
    page = visitor.page
    visitor.open("/")
    assert not page.locator("nav[aria-label=Main]").is_visible()
    page.click("button[aria-label=Menu]")
    assert page.locator("nav[aria-label=Main]").is_visible()
    visitor.page.screenshot(path=shots / "menu-phone.png")
    page.click("nav[aria-label=Main] a:has-text('Dashboards')")
    page.wait_for_url("**/dashboards")
    visitor.open(SCORECARD)
    page.click("summary:has-text('Filters')")
    page.select_option("select[name=range]", "28d")
    page.wait_for_url(re.compile("range=28d"))


def test_a_funnel_out_of_any_table(visit: Any) -> None:
    visitor = visit()
    page = visitor.page
    visitor.open("/behaviour/funnel")
    page.select_option("select[name=table]", "stickiness.user_events")
    page.click("button:text-is('Show')")
    for name, column in (("user", "user_id"), ("time", "timestamp"), ("event", "event_type")):
        page.select_option(f"select[name={name}]", column)
    page.click("button:text-is('Show')")
    page.select_option("#step-1", "session_start")
    page.select_option("#step-2", "content_view")
    page.select_option("#step-3", "like")
    page.locator("li:has(#step-2) [name=optional]").check()
    page.click("button:text-is('Show')")
    visitor.whole()
    assert page.locator(".plot.drawn").count() == 1
    assert "optional" in page.text_content("figure .plot svg")


def test_a_user_is_let_in_and_kept_out(visit: Any, address: str) -> None:
    visitor = visit()
    page = visitor.page
    visitor.open("/admin")
    page.fill("form[action='/admin/users'] [name=name]", "grace")
    page.select_option("form[action='/admin/users'] [name=role]", "executive")
    page.click("text=Make a user")
    link = page.inner_text(".notice.good code")
    assert link.startswith(f"{address}/sign-in/")
    guest = visit("")
    guest.page.goto(link)
    guest.page.click("button.primary")
    guest.open("/account")
    guest.page.fill("[name=password]", "correct horse battery")
    guest.page.fill("[name=again]", "correct horse battery")
    guest.page.click("text=Set it")
    assert "Your password is set" in guest.page.inner_text("main")
    assert guest.page.locator("nav[aria-label=Main] a:has-text('Data')").count() == 0
    assert guest.open("/data").status == 403
    page.locator("li:has(b:text-is('grace')) button:text-is('Keep out')").click()
    guest.open("/")
    assert "/sign-in" in guest.page.url


def test_a_token_is_shown_once(visit: Any) -> None:
    visitor = visit()
    page = visitor.page
    visitor.open("/admin/tokens")
    page.fill("[name=label]", "weekly report")
    page.click("text=Make a token")
    token = page.inner_text(".notice.good code")
    answer = visitor.context.request.get("/api/v1/dashboards", headers={"Authorization": f"Bearer {token}"})
    assert answer.ok and answer.json()["rows"]
    visitor.open("/admin/tokens")
    assert token not in page.content()
    page.click("button[aria-label='Remove weekly report']")
    assert not visitor.context.request.get("/api/v1/dashboards", headers={"Authorization": f"Bearer {token}"}).ok


def test_print_takes_the_whole_page_in_light(visit: Any, shots: Path) -> None:
    visitor = visit(dark=True)
    page = visitor.page
    visitor.open(SCORECARD)
    page.evaluate("""() => { window.print = () => {
        window.printed = document.querySelectorAll("[aria-busy], [data-chart]:not(.drawn)").length;
        window.colours = document.querySelector(".plot svg").innerHTML; }; }""")
    page.click("[data-print]")
    for _ in range(200):
        if page.evaluate("window.printed !== undefined"):
            break
        page.wait_for_timeout(100)
    assert page.evaluate("window.printed") == 0
    assert "#3c5fae" in page.evaluate("window.colours")  # the light palette's first colour
    page.emulate_media(media="print")
    page.screenshot(path=shots / "print.png", full_page=True)
    assert not page.locator(".rail").is_visible()


def test_a_part_that_is_refused_says_why(visit: Any) -> None:
    visitor = visit("partner")
    page = visitor.page
    visitor.open("/catalogue")
    refused = page.evaluate("""() => fetch("/explore/delivery.on_time_rate/why/answer", { headers: { "X-Part": "1" } })
        .then((answer) => answer.text())""")
    assert "may not" in refused and "<html" not in refused
