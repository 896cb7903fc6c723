"""Results: JSON as agreed, exports, printing."""

from __future__ import annotations

import io
import json
import math
import re
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from metrics_shop import Ask

from prodsense.metrics import Result, Rows


def made(**changes: Any) -> Result:
    """A result by hand: two months of a share that should go up and of minutes that should go down."""
    table = pa.table({
        "period": pa.array([date(2024, 1, 1), date(2024, 2, 1)]),
        "city": ["Köln", None],
        "rate": [0.425, None],
        "rate_previous": [0.40, 0.5],
        "rate_delta": [0.025, None],
        "rate_change": [0.0625, None],
        "wait": [1234.56, 7.0],
        "wait_previous": [1000.0, 0.0],
        "wait_delta": [234.56, 7.0],
        "wait_change": [0.23456, None],
    })
    parts: dict[str, Any] = {
        "arrow": table, "metrics": ("rate", "wait"), "by": ("city",), "grain": "month", "compare": "previous",
        "units": {"rate": "share", "wait": "minutes"}, "better": {"rate": "up", "wait": "down"},
        "incomplete": (date(2024, 2, 1),), "notes": ("a note",), "as_of": datetime(2024, 2, 10, 12),
    }
    return Result(**(parts | changes))


def test_json_shape(ask: Ask) -> None:
    found = json.loads(ask("done_rate", "orders", by="tier", grain="week").to_json())
    assert list(found)[:5] == ["metrics", "by", "grain", "rows", "sql"]
    assert found["metrics"] == ["done_rate", "orders"]
    assert found["by"] == ["tier"]
    assert found["grain"] == "week"
    assert found["units"] == {"done_rate": "share", "orders": "count"}
    assert found["incomplete"] == ["2024-04-08"]
    assert list(found["rows"][0]) == ["period", "tier", "done_rate", "orders"]
    assert found["rows"][0]["period"] == "2024-01-29"
    assert all(isinstance(text, str) and "SELECT" in text for text in found["sql"])


def test_json_of_one_whole_window(ask: Ask) -> None:
    found = json.loads(ask("revenue", grain="all").to_json())
    (row,) = found["rows"]
    assert list(row) == ["period", "revenue"]
    assert row["period"] is None
    assert isinstance(row["revenue"], float)


def test_sum_of_cents_is_exact(ask: Ask, rows: dict[str, list[Any]]) -> None:
    expected = sum(Decimal(str(o[7])) for o in rows["orders"] if o[6] == "done" and o[7] is not None)
    (row,) = ask("revenue", grain="all").rows
    assert row["revenue"] == float(expected)


def test_json_of_odd_values() -> None:
    table = pa.table({
        "a": [math.nan, math.inf, 1.5], "b": [Decimal("1.10"), None, Decimal("2.00")],
        "c": [datetime(2024, 1, 1, 12), None, None], "d": [[1, None], [], None], "e": [b"\xff", None, b""],
    })
    found = json.loads(Rows(arrow=table, extras={"total": Decimal(3), "at": date(2024, 1, 2)}).to_json())
    assert found["rows"] == [
        {"a": None, "b": 1.1, "c": "2024-01-01T12:00:00", "d": [1, None], "e": "ff"},
        {"a": None, "b": None, "c": None, "d": [], "e": None},
        {"a": 1.5, "b": 2.0, "c": None, "d": None, "e": ""},
    ]
    assert (found["total"], found["at"]) == (3, "2024-01-02")


def test_sql_can_be_run_as_it_is_shown(ask: Ask, engine: Any) -> None:
    for options in ({"by": "tier", "where": "status = 'done' and amount > 7.5"}, {"grain": "week"}):
        result = ask("active_7", "orders", **options)
        (text,) = result.sql
        shown = engine.raw(text, fetch=True).to_pylist()
        values = {tuple(v for k, v in row.items() if not k.startswith("_")) for row in shown}
        assert {tuple(row.values()) for row in result.rows if row["orders"]} <= values


def test_printed_table() -> None:
    lines = str(made()).splitlines()
    head, _, first = (" ".join(line.split()) for line in lines[:3])
    assert head == "period city rate rate_previous rate_change wait wait_previous wait_change"
    assert first == "2024-01-01 Köln 42.5% 40.0% ▲ +6.2% 1,234.6 1,000.0 ▲ +23.5%"
    # No relative change of 0: the absolute one. No data is a dash.
    assert lines[3].split() == ["2024-02-01", "*", "–", "–", "50.0%", "–", "7.0", "0.0", "▲", "+7.0"]
    assert lines[4] == "* incomplete: not over, or not wholly observed, at 2024-02-10 12:00"
    assert lines[5] == "a note"


def test_colour_says_whether_a_change_is_good() -> None:
    from rich.console import Console

    from prodsense.metrics.show import _render

    out = io.StringIO()
    _render(Console(file=out, force_terminal=True, width=200, color_system="standard", highlight=False), made(), None)
    assert re.search(r"\x1b\[32m *▲ \+6\.2%", out.getvalue()), "a higher rate is good"
    assert re.search(r"\x1b\[31m *▲ \+23\.5%", out.getvalue()), "a longer wait is bad"
    assert "\x1b" not in str(made())


def test_hostile_values_do_not_reach_the_terminal_or_the_page() -> None:
    rows = Rows.from_rows([{"x": "\x1b[2J[red]<script>alert(1)</script>\n"}])
    assert "\x1b" not in str(rows) and "[red]" in str(rows) and "\\n" in str(rows)
    assert "<script>" not in rows._repr_html_()


def test_html_marks_and_escapes() -> None:
    page = made(notes=("a < b",))._repr_html_()
    assert "2024-02-01 *" in page and "a &lt; b" in page and "#1a7f37" in page


def test_csv(tmp_path: Any) -> None:
    text = made().to_csv(tmp_path / "out.csv")
    lines = text.splitlines()
    assert lines[0].startswith("period,city,rate,rate_previous")
    assert lines[1].startswith("2024-01-01,Köln,0.425,0.4,")
    assert lines[2].startswith("2024-02-01,,,0.5,,,7.0")
    assert (tmp_path / "out.csv").read_text(encoding="utf-8") == text


def test_frames() -> None:
    assert next(iter(made().to_pandas()["city"])) == "Köln"
    assert made().to_polars().shape == (2, 10)
    assert len(made()) == 2


def test_a_result_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        made().grain = "day"  # type: ignore[misc]


def test_rows_from_dicts_of_different_keys() -> None:
    rows = Rows.from_rows([{"a": 1}, {"b": "x"}, {"a": "text"}], extras={"n": 3})
    assert rows.rows == [{"a": "1", "b": None}, {"a": None, "b": "x"}, {"a": "text", "b": None}]
    assert json.loads(rows.to_json())["n"] == 3
    assert "no rows" in str(Rows.from_rows([]))


def test_chart_of_a_result(ask: Ask) -> None:
    chart = ask("orders", grain="week").chart()
    assert "mark" in json.dumps(chart.to_dict())
