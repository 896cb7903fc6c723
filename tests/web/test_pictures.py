"""Charts as parts of a page: alt text, table, notes said once, known events drawn where the axis is time."""

from __future__ import annotations

from prodsense.charts import bar, line
from prodsense.charts.page import ChartView
from prodsense.web.pictures import picture, slug

ROWS = [{"period": f"2024-01-0{d}", "orders": d / 3} for d in range(1, 8)]


def test_a_chart_has_its_text_and_its_table() -> None:
    chart = line(ROWS, "period", "orders", unit="count", title="Orders", grain="day")
    shown = picture(ChartView("Orders", "A day.", chart, ROWS, {"orders": "count"}, "day", notes=("said",)))
    assert shown.spec is not None and shown.table is not None
    assert shown.alt and shown.table["total"] == 7
    assert "title" not in shown.spec  # the page says it
    assert shown.notes == ["said"]


def test_numbers_are_as_long_as_a_picture_can_show() -> None:
    shown = picture(ChartView("Orders", chart=line(ROWS, "period", "orders"), rows=ROWS))
    assert "0.3333333333" not in str(shown.spec)
    assert "0.3333333" in str(shown.spec)


def test_known_events_are_rules_on_an_axis_of_time() -> None:
    mark = {"at": "2024-01-03", "text": "a <b>release</b>"}
    over_time = picture(ChartView("Orders", chart=line(ROWS, "period", "orders", grain="day"), rows=ROWS), marks=[mark])
    assert over_time.spec is not None
    rule = over_time.spec["layer"][-1]
    assert rule["mark"]["type"] == "rule" and rule["data"]["values"] == [{"at": "2024-01-03", "what": "a <b>release</b>"}]
    assert "2024-01-03: a <b>release</b>" in over_time.notes
    groups = [{"city": "Rome", "orders": 1}, {"city": "Milan", "orders": 2}]
    bars = picture(ChartView("Orders", chart=bar(groups, "city", "orders"), rows=groups), marks=[mark])
    assert "rule" not in [layer.get("mark", {}).get("type") for layer in bars.spec.get("layer", []) if isinstance(layer.get("mark"), dict)]


def test_what_failed_is_said_in_its_place() -> None:
    shown = picture(ChartView("Orders", error="no such slice"))
    assert (shown.error, shown.spec) == ("no such slice", None)


def test_statements_only_for_who_may_see_them() -> None:
    view = ChartView("Orders", rows=ROWS, sql=("SELECT 1",))
    assert picture(view).sql == ["SELECT 1"]
    assert not picture(view, show_sql=False).sql


def test_slug() -> None:
    assert slug("On time, by hour!") == "on-time-by-hour"
