"""Declared dashboards and questions as pages, over a fake warehouse that can fail."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from prodsense.charts.dashboards import answer_page, dashboard_page, spoken
from prodsense.charts.page import render_page
from prodsense.contracts.vocabulary import Chart, Dashboard, Metric, Policy, Query, Question, Section
from prodsense.errors import NotBuiltError, UsageError

MONDAY = dt.date(2024, 1, 1)
WEEKS = [MONDAY + dt.timedelta(weeks=i) for i in range(4)]


class Fake:
    """Weeks 1, 2, 3 of `good` are 10, 20, 30 and the fourth, 5, is not complete. `bad` always fails."""

    def __init__(self) -> None:
        self.requests: list[tuple[Any, ...]] = []

    def metric(self, names: Sequence[str], **request: Any) -> Any:
        self.requests.append((tuple(names), request))
        if "bad" in names:
            raise NotBuiltError("shop.orders is empty; run: prodsense ingest")
        if "bug" in names:
            raise KeyError("left over")
        grain, by = request.get("grain", "all"), tuple(request.get("by", ()))
        if "timeless" in names and grain != "all":
            raise UsageError("timeless has no time")
        if grain == "all":
            rows = [dict.fromkeys(names, 60) | dict.fromkeys(by, "x")]
        else:
            rows = [{"period": w} | dict.fromkeys(names, v) for w, v in zip(WEEKS, (10, 20, 30, 5), strict=True)]
        return SimpleNamespace(
            rows=rows,
            metrics=tuple(names),
            by=by,
            grain=grain,
            units=dict.fromkeys(names, "count"),
            incomplete=(WEEKS[3],),
            notes=("Test users are left out.",),
            sql=[f"SELECT {names[0]}"],
        )

    def query(self, name: str, params: Mapping[str, Any] | None = None) -> Any:
        self.requests.append((name, params))
        if name == "broken":
            raise UsageError("no query of that name")
        return SimpleNamespace(rows=[{"driver": "d1", "earned": 3.5}], units={}, notes=(), sql=["SELECT 1"])

    def policy(self, name: str) -> Any:
        if name == "cannot":
            raise NotBuiltError("surveys is empty")
        broken = name == "fails"
        return SimpleNamespace(
            state="broken" if broken else "holds", says="A rule.", violations=[1, 2] if broken else []
        )

    def metric_definition(self, name: str) -> Metric:
        return Metric(name, f"What {name} says.", "count", "up", "count(*)", source="orders")


def dashboard(*charts: Chart | str, metrics: tuple[str, ...] = (), policies: tuple[str, ...] = ()) -> Dashboard:
    return Dashboard("shop_health", "How the shop does.", (Section("Sales", metrics, charts, policies),))


def test_a_dashboard_becomes_a_page() -> None:
    page = dashboard_page(
        dashboard(
            "weekly",
            Chart("board", "Drivers.", query="drivers", form="bar", x="driver", y="earned"),
            metrics=("good",),
            policies=("holds", "fails", "cannot"),
        ),
        Fake(),
        {"weekly": Chart("weekly", "Orders a week.", metrics=("good",), grain="week")},
    )
    assert (page.title, page.subtitle) == ("Shop health", "How the shop does.")
    section = page.sections[0]
    assert [(v.title, bool(v.chart), v.error) for v in section.charts] == [("Weekly", True, ""), ("Board", True, "")]
    assert section.charts[0].sql == ["SELECT good"] and section.charts[0].notes == ["Test users are left out."]
    assert [(p.name, p.state, p.violations) for p in section.policies] == [
        ("Holds", "holds", 0),
        ("Fails", "broken", 2),
        ("Cannot", "unknown", 0),
    ]
    assert "surveys is empty" in render_page(page)


def test_a_headline_is_the_newest_complete_week_beside_the_one_before() -> None:
    (tile,) = dashboard_page(dashboard(metrics=("good",)), Fake()).sections[0].tiles
    assert (tile.value, tile.previous, tile.better) == (30, 20, "up")
    assert tile.trend == (10, 20, 30) and tile.note == "week of 15 Jan 2024"


def test_one_failing_metric_leaves_the_others() -> None:
    tiles = dashboard_page(dashboard(metrics=("good", "bad", "timeless")), Fake()).sections[0].tiles
    assert [t.value for t in tiles] == [30, None, 60]
    assert "prodsense ingest" in tiles[1].note and tiles[2].note == "over the whole time"


def test_what_matures_later_does_not_make_the_other_weeks_incomplete() -> None:
    fake = Fake()
    fake.metric_definition = lambda name: Metric(  # type: ignore[method-assign]
        name, "", "count", "up", "x", source="" if name == "derived" else "orders", matures=28 if name == "slow" else 0
    )
    dashboard_page(dashboard(metrics=("good", "slow", "derived", "fine")), fake)
    assert [names for names, _ in fake.requests] == [("good", "fine"), ("slow",), ("derived",)]


def test_headlines_are_one_request_when_nothing_fails() -> None:
    fake = Fake()
    dashboard_page(dashboard(metrics=("good", "fine", "well")), fake)
    assert fake.requests == [(("good", "fine", "well"), {"grain": "week"})]


@pytest.mark.parametrize(
    ("chart", "words"),
    [
        (Chart("c", "s", metrics=("bad",)), "run: prodsense ingest"),
        (Chart("c", "s", metrics=("bug",)), "Unexpected KeyError"),
        (Chart("c", "s", query="broken", form="bar"), "no query of that name"),
        (Chart("c", "s", query="drivers", form="pie"), "unknown form 'pie'"),
        (Chart("c", "s"), "neither metrics nor a query"),
        ("missing", "no chart named missing"),
    ],
)
def test_a_failing_chart_shows_its_error_in_its_place(chart: Chart | str, words: str) -> None:
    page = dashboard_page(dashboard(chart, Chart("ok", "s", metrics=("good",), grain="week")), Fake())
    failed, fine = page.sections[0].charts
    assert words in failed.error and failed.chart is None
    assert fine.chart is not None and words.replace("'", "&#39;") in render_page(page)


def test_a_chart_asks_for_what_it_declares() -> None:
    fake = Fake()
    chart = Chart(
        "c", "s", metrics=("good",), by=("city",), grain="all", form="bar", compare="year", params={"where": "x"}
    )
    view = dashboard_page(dashboard(chart), fake).sections[0].charts[0]
    assert fake.requests == [(("good",), {"by": ["city"], "grain": "all", "compare": "year", "where": "x"})]
    assert view.error == ""


def test_a_table_is_a_chart_without_a_picture() -> None:
    view = dashboard_page(dashboard(Chart("t", "s", query="drivers", form="table")), Fake()).sections[0].charts[0]
    assert view.chart is None and view.rows == [{"driver": "d1", "earned": 3.5}]


def test_a_question_is_answered_by_all_its_kinds() -> None:
    fake = Fake()
    pack = SimpleNamespace(
        metrics={n: fake.metric_definition(n) for n in ("good", "extra", "bad")},
        queries={"drivers": Query("drivers", "Drivers."), "huge": Query("huge", "x")},
        policies={"fails": Policy("fails", "A rule.")},
        charts={
            "mine": Chart("mine", "s", metrics=("good",), grain="week", question="Q1"),
            "other": Chart("other", "s", metrics=("good",), grain="week", question="Q2"),
        },
    )
    question = Question(
        "Q1",
        "Does it work?",
        ("good", "extra", "bad", "drivers", "fails", "an_experiment"),
        ("good",),
        {"caveat": "Mind the gap."},
    )
    page = answer_page(question, fake, pack)
    assert (page.title, page.subtitle) == ("Does it work?", "Q1")
    parts = {s.title: s for s in page.sections}
    assert list(parts) == [
        "In numbers",
        "In pictures",
        "More metrics",
        "In tables",
        "What must hold",
        "Beside the numbers",
    ]
    assert [t.value for t in parts["In numbers"].tiles] == [30]
    assert [v.title for v in parts["In pictures"].charts] == ["Mine"]
    table = {row["metric"]: row["value"] for row in parts["More metrics"].charts[0].rows}
    assert table == {"extra": "60", "bad": "shop.orders is empty; run: prodsense ingest"}
    assert [v.title for v in parts["In tables"].charts] == ["Drivers"]
    assert page.notes == ["Also part of the answer, see `prodsense catalog`: an_experiment."]
    text = str(page)
    assert "Does it work?" in text and "d1" in text and "Caveat: Mind the gap." in text


def test_names_are_spoken() -> None:
    assert spoken("delivery.on_time_rate") == "On time rate"
    assert spoken("avg_eta_error") == "Average ETA error"


def test_pages_load_nothing_heavy_until_they_draw() -> None:
    code = (
        "import sys, prodsense.charts.dashboards, prodsense.charts.terminal;"
        "print([m for m in ('altair', 'vl_convert', 'jinja2', 'pandas', 'numpy') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
