"""Specs of the builders: what is encoded, sorted, cut, left blank and said."""

from __future__ import annotations

import datetime as dt
import re
from types import SimpleNamespace
from typing import Any

import pytest

from prodsense.charts.builders import area, bar, chart_result, chart_rows, funnel, heatmap, histogram, line, number
from prodsense.charts.theme import FLIPPED, LIGHT
from prodsense.errors import UsageError

Row = dict[str, Any]


def marks(chart: Any) -> list[Row]:
    """The rows that a chart draws."""
    spec = chart.to_dict()
    found = [v for rows in spec["datasets"].values() for v in rows] if "datasets" in spec else spec["data"]["values"]
    return list(found)


def layers(chart: Any, kind: str) -> list[Row]:
    return [layer for layer in chart.to_dict()["layer"] if layer["mark"]["type"] == kind]


def notes(chart: Any) -> str:
    return " ".join(chart.to_dict()["usermeta"]["prodsense"]["notes"])


DAYS = [{"period": f"2024-01-0{i}", "m": v} for i, v in ((1, 0.5), (2, None), (4, 0.7), (5, 0.8), (6, 0.6))]


# -- line ------------------------------------------------------------------------------------------


def test_line_keeps_nulls_and_missing_periods_as_gaps() -> None:
    points = marks(line(DAYS, "period", "m", grain="day", unit="share"))
    assert [(p["x"][-1], p["solid"]) for p in points] == [
        ("1", 0.5),
        ("2", None),
        ("3", None),
        ("4", 0.7),
        ("5", 0.8),
        ("6", 0.6),
    ]


def test_line_shows_a_point_where_no_line_can_go() -> None:
    chart = line(DAYS, "period", "m", grain="day")
    assert [p["x"] for p in marks(chart) if p["alone"]] == ["2024-01-01"]
    assert any(layer.get("transform") == [{"filter": "datum.alone"}] for layer in layers(chart, "point"))


def test_line_draws_incomplete_periods_dashed_to_a_hollow_point() -> None:
    chart = line(DAYS, "period", "m", grain="day", incomplete=["2024-01-06"])
    points = marks(chart)
    assert [p["solid"] for p in points][-2:] == [0.8, None]
    # The dashed stretch starts at the last complete neighbour.
    assert [p["partial"] for p in points][-3:] == [None, 0.8, 0.6]
    assert any(layer["mark"].get("strokeDash") for layer in layers(chart, "line"))
    hollow = [layer for layer in layers(chart, "point") if layer["mark"].get("fill") == LIGHT.surface]
    assert hollow and "not complete" in notes(chart)
    assert "(incomplete)" in points[-1]["tip"]


def test_line_compares_with_a_dashed_line() -> None:
    rows = [{"p": f"2024-01-0{i}", "m": i, "m_previous": i - 1} for i in (1, 2, 3)]
    chart = line(rows, "p", "m", previous="m_previous", previous_label="last year")
    dashed = [layer for layer in layers(chart, "line") if layer["mark"].get("strokeDash")]
    assert [layer["encoding"]["y"]["field"] for layer in dashed] == ["previous"]
    assert dashed[0]["encoding"]["color"]["scale"]["domain"] == ["this period", "last year"]


def test_line_reads_dates_as_utc() -> None:
    x = layers(line(DAYS, "period", "m"), "line")[0]["encoding"]["x"]
    assert (x["type"], x["scale"]["type"]) == ("temporal", "utc")
    assert "utcFormat" in x["axis"]["labelExpr"]


def test_line_labels_every_fourth_week_of_a_half_year_on_the_mondays() -> None:
    first = dt.date(2024, 1, 1)
    rows = [{"p": first + dt.timedelta(weeks=i), "m": i} for i in range(26)]
    values = layers(line(rows, "p", "m", grain="week"), "line")[0]["encoding"]["x"]["axis"]["values"]
    assert values[:3] == ["2024-01-01", "2024-01-29", "2024-02-26"]


def test_line_keeps_the_eight_largest_series_and_says_so() -> None:
    rows = [{"p": f"2024-01-0{d}", "k": f"s{i}", "m": i} for i in range(10) for d in (1, 2)]
    chart = line(rows, "p", "m", series="k")
    domain = layers(chart, "line")[0]["encoding"]["color"]["scale"]["domain"]
    assert domain == ["s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9"]
    assert "8 largest of 10" in notes(chart)
    assert {p["series"] for p in marks(chart)} == set(domain)


def test_line_fills_each_series_over_all_periods() -> None:
    rows = [
        {"p": "2024-01-01", "k": "a", "m": 1},
        {"p": "2024-01-02", "k": "a", "m": 2},
        {"p": "2024-01-02", "k": "b", "m": 3},
    ]
    assert [(p["series"], p["x"][-1], p["y"]) for p in marks(line(rows, "p", "m", series="k"))] == [
        ("a", "1", 1),
        ("a", "2", 2),
        ("b", "1", None),
        ("b", "2", 3),
    ]


def test_line_takes_numbers_and_labels_as_its_axis() -> None:
    curve = line([{"day": 7, "r": 0.2}, {"day": 0, "r": 1.0}], "day", "r")
    assert [p["x"] for p in marks(curve)] == [0, 7]
    assert layers(curve, "line")[0]["encoding"]["x"]["type"] == "quantitative"
    steps = line([{"s": "b", "r": 1}, {"s": "a", "r": 2}], "s", "r")
    assert layers(steps, "line")[0]["encoding"]["x"]["sort"] == ["b", "a"]


def test_line_describes_first_last_and_extremes() -> None:
    text = line(DAYS, "period", "m", grain="day", unit="share", title="On time").to_dict()["description"]
    assert text == (
        "On time: line by day, from 50.0% (1 Jan 2024) to 60.0% (6 Jan 2024); highest 80.0% (5 Jan 2024), "
        "lowest 50.0% (1 Jan 2024). 2 of 6 places have no data."
    )


def test_line_refuses_what_it_cannot_draw() -> None:
    with pytest.raises(UsageError, match="no field 'x'; they have m, period"):
        line(DAYS, "period", "x")
    with pytest.raises(UsageError, match="no number"):
        line([{"p": "2024-01-01", "m": "12"}], "p", "m")
    with pytest.raises(UsageError, match="Two rows share p"):
        line([{"p": "2024-01-01", "m": 1}, {"p": "2024-01-01", "m": 2}], "p", "m")


def test_no_data_says_so() -> None:
    for chart in (
        line([], "a", "b"),
        bar([], "a", "b"),
        heatmap([], "a", "b", "c"),
        histogram([], "a", "b"),
        funnel([], "a", "b"),
        area([], "a", "b", series="c"),
        line([{"a": "x", "b": None}], "a", "b"),
    ):
        assert marks(chart) == [{"text": "No data for this choice"}]
        assert "no data" in chart.to_dict()["description"].lower()


def test_line_names_the_series_that_have_no_data_at_all() -> None:
    rows = [{"p": "2024-01-01", "k": "a", "m": 1}, {"p": "2024-01-01", "k": None, "m": None}]
    chart = line(rows, "p", "m", series="k")
    assert {p["series"] for p in marks(chart)} == {"a"} and "Without any data: (none)." in notes(chart)


def test_a_series_keeps_its_colour_whatever_its_size() -> None:
    def domain(a: int, b: int, ten: int) -> list[str]:
        rows = [{"p": "2024-01-01", "k": k, "m": v} for k, v in (("a", a), ("b", b), ("10", ten), ("9", 1))]
        return list(layers(line(rows, "p", "m", series="k"), "line")[0]["encoding"]["color"]["scale"]["domain"])

    assert domain(1, 2, 3) == domain(3, 2, 1) == ["9", "10", "a", "b"]


# -- area ------------------------------------------------------------------------------------------


def test_area_stacks_the_largest_at_the_bottom_and_leaves_gaps() -> None:
    rows = [
        {"p": "2024-01-01", "k": "small", "m": 1},
        {"p": "2024-01-01", "k": "big", "m": 5},
        {"p": "2024-01-02", "k": "small", "m": 2},
        {"p": "2024-01-02", "k": "big", "m": None},
    ]
    points = {(p["series"], p["x"][-1]): (p["y0"], p["y1"]) for p in marks(area(rows, "p", "m", series="k"))}
    assert points == {("big", "1"): (0, 5), ("small", "1"): (5, 6), ("big", "2"): (None, None), ("small", "2"): (0, 2)}


def test_area_folds_what_is_beyond_eight_into_other() -> None:
    rows = [{"p": "2024-01-01", "k": f"s{i}", "m": i} for i in range(1, 11)]
    points = marks(area(rows, "p", "m", series="k"))
    assert [p["series"] for p in points] == ["s10", "s9", "s8", "s7", "s6", "s5", "s4", "other (3)"]
    # 1 + 2 + 3 on top of 49.
    assert (points[-1]["y0"], points[-1]["y1"]) == (49, 55)


def test_area_pales_incomplete_periods_and_refuses_negatives() -> None:
    rows = [{"p": f"2024-01-0{i}", "k": "a", "m": i} for i in (1, 2, 3)]
    chart = area(rows, "p", "m", series="k", incomplete=["2024-01-03"])
    assert [p["solid1"] for p in marks(chart)] == [1, 2, None]
    assert [p["partial1"] for p in marks(chart)] == [None, 2, 3]
    with pytest.raises(UsageError, match="negative"):
        area([{"p": "2024-01-01", "k": "a", "m": -1}], "p", "m", series="k")


# -- bar -------------------------------------------------------------------------------------------

CITIES = [{"c": "b", "m": 2}, {"c": "a", "m": 5}, {"c": None, "m": 3}, {"c": "z", "m": None}]


def test_bars_are_sorted_nulls_last_and_never_zero() -> None:
    found = marks(bar(CITIES, "c", "m"))
    assert [(m["label"], m["y"], m["text"]) for m in found] == [
        ("a", 5, "5"),
        ("(none)", 3, "3"),
        ("b", 2, "2"),
        ("z", None, "no data"),
    ]
    assert [m["label"] for m in marks(bar(CITIES, "c", "m", sort="given"))] == ["b", "a", "(none)", "z"]


def test_bars_of_days_follow_time() -> None:
    months = [{"p": "2024-02-01", "m": 9}, {"p": "2024-01-01", "m": 1}, {"p": "2024-03-01", "m": 5}]
    assert [m["y"] for m in marks(bar(months, "p", "m"))] == [1, 9, 5]
    tiers = [{**row, "t": "core"} for row in months]
    assert [m["y"] for m in marks(bar(tiers, "p", "m", series="t"))] == [1, 9, 5]


def test_bars_cut_with_a_note_or_fold_when_additive() -> None:
    cut = bar(CITIES, "c", "m", top=2)
    assert [m["label"] for m in marks(cut)] == ["a", "(none)"]
    assert "2 largest of 4" in notes(cut)
    folded = marks(bar(CITIES, "c", "m", top=2, additive=True))
    assert (folded[-1]["label"], folded[-1]["y"]) == ("other (2)", 2)


def test_bars_mark_the_period_before() -> None:
    chart = bar([{"c": "a", "m": 0.5, "p": 0.4}], "c", "m", previous="p", unit="share")
    assert layers(chart, "tick")[0]["encoding"]["x"]["field"] == "previous"
    assert marks(chart)[0]["change"] == "+10.0 pp"


def test_bars_of_two_dimensions_are_grouped() -> None:
    rows = [{"c": "x", "g": "b", "m": 1}, {"c": "x", "g": "a", "m": 2}, {"c": "y", "g": "a", "m": 9}]
    chart = bar(rows, "c", "m", series="g")
    assert [(m["label"], m["series"], m["y"], m["text"]) for m in marks(chart)] == [
        ("y", "a", 9, "9"),
        ("y", "b", None, "no data"),
        ("x", "a", 2, "2"),
        ("x", "b", 1, "1"),
    ]
    assert layers(chart, "bar")[0]["encoding"]["yOffset"]["field"] == "series"
    with pytest.raises(UsageError, match="Two rows share c 'x' and g 'a'"):
        bar([*rows, rows[1]], "c", "m", series="g")


def test_bars_refuse_two_rows_for_one_label() -> None:
    with pytest.raises(UsageError, match="aggregate first"):
        bar([{"c": "a", "m": 1}, {"c": "a", "m": 2}], "c", "m")


# -- heatmap ---------------------------------------------------------------------------------------


def test_heatmap_keeps_the_triangle_of_a_retention_table() -> None:
    rows = [{"cohort": f"2024-01-0{c}", "day": d, "r": 0.5 / (d + 1)} for c in (1, 2, 3) for d in range(4 - c)]
    chart = heatmap(rows, "day", "cohort", "r", unit="share")
    found = marks(chart)
    assert len(found) == 6
    rect = layers(chart, "rect")[0]["encoding"]
    assert rect["x"]["sort"] == ["0", "1", "2"] and len(rect["y"]["sort"]) == 3
    assert "3 cells have no data" in chart.to_dict()["description"]


def test_heatmap_sorts_numbers_as_numbers() -> None:
    rows = [{"h": h, "d": "x", "v": h} for h in (10, 9, 2)]
    assert layers(heatmap(rows, "h", "d", "v"), "rect")[0]["encoding"]["x"]["sort"] == ["2", "9", "10"]


def test_heatmap_colours_agree_with_the_text_on_them() -> None:
    chart = heatmap([{"x": str(v), "y": "a", "v": v} for v in range(0, 91, 5)], "x", "y", "v")
    scale = layers(chart, "rect")[0]["encoding"]["color"]["scale"]
    assert scale["domain"] == [0, 90] and scale["range"] == list(LIGHT.ramp)
    for mark in marks(chart):
        assert mark["strong"] is (min(8, mark["value"] // 10) in FLIPPED), mark


def test_heatmap_of_both_signs_diverges_around_zero() -> None:
    chart = heatmap([{"x": "a", "y": "b", "v": -1}, {"x": "c", "y": "b", "v": 4}], "x", "y", "v")
    scale = layers(chart, "rect")[0]["encoding"]["color"]["scale"]
    assert scale["domain"][0] == -scale["domain"][1] and scale["domain"][1] >= 4
    assert scale["range"] == list(LIGHT.diverging)


def test_heatmap_leaves_out_numbers_that_do_not_fit() -> None:
    def texts(columns: int) -> int:
        return len(layers(heatmap([{"x": i, "y": "a", "v": 1000 + i} for i in range(columns)], "x", "y", "v"), "text"))

    assert texts(5) > 0
    assert texts(40) == 0


# -- histogram, funnel, number ---------------------------------------------------------------------


def test_histogram_draws_given_bins() -> None:
    chart = histogram([{"b": 0, "n": 3}, {"b": 5, "n": 7}, {"b": 20, "n": 1}], "b", "n", unit="minutes")
    assert [(m["start"], m["end"], m["y"]) for m in marks(chart)] == [(0, 5, 3), (5, 10, 7), (20, 25, 1)]
    assert "Histogram of 11 in 3 bins" in chart.to_dict()["description"]


def test_histogram_of_groups_compares_shares() -> None:
    rows = [
        {"b": 0, "n": 1, "g": "x"},
        {"b": 5, "n": 3, "g": "x"},
        {"b": 0, "n": 50, "g": "y"},
        {"b": 5, "n": 50, "g": "y"},
    ]
    chart = histogram(rows, "b", "n", series="g")
    shares = {(m["series"], m["start"]): m["y"] for m in marks(chart) if "tip" in m}
    assert shares == {("x", 0): 0.25, ("x", 5): 0.75, ("y", 0): 0.5, ("y", 5): 0.5}


def test_histogram_of_labelled_bins_keeps_their_order() -> None:
    chart = histogram([{"b": "under 10", "n": 1}, {"b": "10 to 20", "n": 2}], "b", "n")
    assert layers(chart, "bar")[0]["encoding"]["x"]["sort"] == ["under 10", "10 to 20"]


def test_funnel_says_step_and_overall_conversion() -> None:
    rows = [{"s": "view", "n": 200}, {"s": "cart", "n": 100}, {"s": "pay", "n": 25}]
    found = marks(funnel(rows, "s", "n"))
    assert [m["of_step"] for m in found] == ["enter here", "50.0% of previous", "25.0% of previous"]
    assert [m["text"] for m in found] == ["200", "100 · 50.0% of all", "25 · 12.5% of all"]
    assert [m["label"] for m in found] == ["1. view", "2. cart", "3. pay"]


def test_the_step_after_an_optional_one_is_compared_with_the_required_one_before() -> None:
    rows = [{"s": "view", "n": 200, "o": False}, {"s": "chat", "n": 10, "o": True}, {"s": "pay", "n": 50, "o": False}]
    found = marks(funnel(rows, "s", "n", optional="o"))
    assert [m["of_step"] for m in found] == ["enter here", "5.0% of previous, optional", "25.0% of previous"]


def test_funnel_of_nobody_divides_by_nothing() -> None:
    found = marks(funnel([{"s": "view", "n": 0}, {"s": "pay", "n": 0}], "s", "n"))
    assert found[1]["text"] == "0 · – of all"


def test_number_colours_its_change_by_what_is_better() -> None:
    def colour(better: Any, now: float, then: float) -> str:
        chart = number(now, label="m", previous=then, better=better)
        return str(layers(chart, "text")[2]["mark"]["color"])

    assert colour("up", 2, 1) == LIGHT.good
    assert colour("down", 2, 1) == LIGHT.bad
    assert colour("none", 2, 1) == colour("up", 1, 1) == LIGHT.muted


# -- the choice of a form --------------------------------------------------------------------------


def result(rows: list[Row], metrics: list[str], by: tuple[str, ...] = (), grain: str = "all", **more: Any) -> Any:
    base = {"units": dict.fromkeys(metrics, "count"), "incomplete": (), "notes": (), "sql": []}
    return SimpleNamespace(rows=rows, metrics=tuple(metrics), by=by, grain=grain, **{**base, **more})


P = [dt.date(2024, 1, 1), dt.date(2024, 1, 2)]


def test_over_time_without_slices_is_a_line() -> None:
    chart = chart_result(result([{"period": p, "m": 1} for p in P], ["m"], grain="day", incomplete=(P[1],)))
    assert layers(chart, "line") and marks(chart)[1]["incomplete"]


def test_over_time_by_one_dimension_is_a_line_each() -> None:
    rows = [{"period": p, "k": k, "m": 1} for p in P for k in "ab"]
    assert {p["series"] for p in marks(chart_result(result(rows, ["m"], ("k",), "day")))} == {"a", "b"}


def test_over_time_by_two_dimensions_joins_them() -> None:
    rows = [{"period": p, "k": k, "j": 1, "m": 1} for p in P for k in "ab"]
    assert {p["series"] for p in marks(chart_result(result(rows, ["m"], ("k", "j"), "day")))} == {"a · 1", "b · 1"}


def test_one_dimension_is_bars_two_are_a_heatmap_none_is_a_number() -> None:
    one = chart_result(result([{"k": "a", "m": 1}], ["m"], ("k",)))
    two = chart_result(result([{"k": "a", "j": "b", "m": 1}], ["m"], ("k", "j")))
    none = chart_result(result([{"m": 1234}], ["m"]))
    assert layers(one, "bar") and layers(two, "rect")
    assert {"text": "1,234"} in marks(none)


def test_a_line_not_over_time_runs_over_its_first_dimension() -> None:
    rows = [{"hour": h, "k": k, "m": h} for h in (10, 2, 9) for k in "ab"]
    chart = chart_result(result(rows, ["m"], ("hour", "k")), "line")
    assert [p["x"] for p in marks(chart)] == [2, 9, 10, 2, 9, 10]
    assert layers(chart_result(result(rows, ["m"], ("hour", "k")), "bar"), "bar")


def test_several_metrics_share_a_picture_only_with_one_unit() -> None:
    rows = [{"period": p, "a": 1, "b": 2} for p in P]
    same = chart_result(result(rows, ["a", "b"], grain="day"))
    assert {p["series"] for p in marks(same)} == {"A", "B"}
    other = chart_result(result(rows, ["a", "b"], grain="day", units={"a": "count", "b": "share"}))
    assert len(other.to_dict()["vconcat"]) == 2


def test_a_comparison_is_drawn_when_the_result_has_one() -> None:
    rows = [{"period": p, "m": 2, "m_previous": 1} for p in P]
    chart = chart_result(result(rows, ["m"], grain="day"))
    assert any(layer["encoding"]["y"].get("field") == "previous" for layer in layers(chart, "line"))


def test_a_form_that_does_not_suit_is_refused_with_what_to_do() -> None:
    with pytest.raises(UsageError, match="choose one of line"):
        chart_result(result([{"m": 1}], ["m"]), "pie")
    with pytest.raises(UsageError, match="cannot be drawn as heatmap: leave the form out"):
        chart_result(result([{"m": 1}], ["m"]), "heatmap")
    with pytest.raises(UsageError, match="has no metric 'x'"):
        chart_result(result([{"m": 1}], ["m"]), metric="x")
    with pytest.raises(UsageError, match="chart_rows"):
        chart_result(SimpleNamespace(rows=[]))


def test_rows_of_a_query_choose_their_fields() -> None:
    rows = [{"driver": "d1", "note": "x", "earned": 3.5}]
    assert marks(chart_rows(rows, "bar"))[0]["label"] == "d1"
    assert marks(chart_rows(rows, "bar", x="note", y="earned"))[0]["label"] == "x"
    with pytest.raises(UsageError, match="second field"):
        chart_rows(rows, "heatmap")
    with pytest.raises(UsageError, match="nothing to draw"):
        chart_rows([{"a": "x"}], "bar")


def test_every_chart_has_alt_text_and_no_field_name_of_the_data_in_its_encodings() -> None:
    hostile = "a.b[0]'\"<x>"
    rows = [{hostile: "k", "v.1": 2, "p:q": "2024-01-01"}]
    for chart in (
        bar(rows, hostile, "v.1"),
        line(rows, "p:q", "v.1", series=hostile),
        heatmap(rows, hostile, "p:q", "v.1"),
        histogram(rows, hostile, "v.1"),
        funnel(rows, hostile, "v.1"),
        area(rows, "p:q", "v.1", series=hostile),
    ):
        spec = chart.to_dict()
        assert spec["description"]
        fields = set(re.findall(r"'field': '([^']+)'", str(spec)))
        assert fields and all(re.fullmatch(r"\w+", f) for f in fields), fields
