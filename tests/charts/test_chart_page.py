"""Pages: self-contained, safe, complete."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from prodsense.charts.builders import line
from prodsense.charts.page import ChartView, Page, PolicyView, SectionView, Tile, render_page, spark_path, table_of
from prodsense.charts.terminal import bars, sparkline
from prodsense.errors import UsageError

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\x02"
ROWS = [{"period": f"2024-01-0{i}", "m": i, "who": HOSTILE} for i in range(1, 5)]


def hostile_page() -> Page:
    chart = line(ROWS, "period", "m", title=HOSTILE, grain="day", incomplete=["2024-01-04"], series="who")
    view = ChartView(HOSTILE, HOSTILE, chart, ROWS, {"m": "count"}, "day", [f"SELECT '{HOSTILE}'"], [HOSTILE])
    tiles = [Tile(HOSTILE, 3, "count", 2, "up", HOSTILE, HOSTILE, HOSTILE, (1, None, 3, 4))]
    policies = [PolicyView(HOSTILE, "broken", HOSTILE, 2), PolicyView("p", "unknown", error=HOSTILE)]
    section = SectionView(HOSTILE, HOSTILE, tiles, [view, ChartView("e", error=HOSTILE)], policies, [HOSTILE])
    return Page(HOSTILE, HOSTILE, [section, section], [HOSTILE])


class Reader(HTMLParser):
    """Collects what a browser would load or run."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.tags: list[str] = []
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "srcset", "action", "data") and not str(value).startswith("#"):
                self.loads.append(f"{tag} {name}={value}")
            if name.startswith("on"):
                self.handlers.append(name)


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    return reader


def test_a_page_loads_nothing_and_runs_only_its_own_script() -> None:
    html = render_page(hostile_page())
    found = read(html)
    assert found.loads == [] and found.handlers == []
    assert found.tags.count("script") == 1 and "img" not in found.tags
    assert not re.search(r"url\((?!#)", html)
    assert "@import" not in html
    assert "default-src 'none'" in html


def test_what_was_hostile_is_shown_as_text() -> None:
    html = render_page(hostile_page())
    assert html.count("&lt;/script&gt;&lt;script&gt;alert(1)") > 10
    assert "\x02" not in html


def test_a_page_has_what_readers_of_every_kind_need() -> None:
    html = render_page(hostile_page())
    assert '<meta name="viewport"' in html and "prefers-color-scheme: dark" in html and "@media print" in html
    assert html.count('role="img" aria-label=') == 4  # two sections, each with a wide and a narrow picture
    assert "<summary>Data</summary>" in html and "<summary>SQL</summary>" in html
    assert "the period is not complete yet" in html


def test_ids_are_unique() -> None:
    ids = re.findall(r'\bid="([^"]+)"', render_page(hostile_page()))
    assert len(ids) == len(set(ids))


def test_the_title_of_a_chart_is_said_once() -> None:
    view = ChartView("Orders a day", chart=line(ROWS, "period", "m", title="Orders a day"))
    html = render_page(Page("P", sections=[SectionView("S", charts=[view])]))
    assert len(re.findall(r">Orders a day<", html)) == 1


def test_a_tile_says_better_or_worse_in_words() -> None:
    def tile(better: str) -> str:
        return render_page(Page("P", sections=[SectionView("S", tiles=[Tile("m", 2, previous=1, better=better)])]))  # type: ignore[arg-type]

    assert "<b>better</b>" in tile("up") and "<b>worse</b>" in tile("down")
    assert "<b>better" not in tile("none") and "+100.0%" in tile("none")


def test_a_long_table_is_cut_and_says_so() -> None:
    table = table_of([{"n": i} for i in range(300)], {})
    assert table is not None and (len(table["body"]), table["total"]) == (200, 300)
    html = render_page(
        Page("P", sections=[SectionView("S", charts=[ChartView("t", rows=[{"n": i} for i in range(300)])])])
    )
    assert "The first 200 of 300 rows." in html


def test_table_cells_know_units_nulls_and_ids() -> None:
    rows = [{"period": "2024-01-01", "id": 10234, "rate": 0.5, "rate_previous": 0.4, "rate_change": 0.25, "x": None}]
    table = table_of(rows, {"rate": "share"}, "month")
    assert table is not None
    assert table["body"] == [["Jan 2024", "10234", "50.0%", "40.0%", "25.0%", "–"]]
    assert table_of([], {}) is None


def test_a_spark_line_breaks_at_nulls() -> None:
    path = spark_path([1, 2, None, 3, 4])["spark"]
    assert path.count("M") == 2 and path.count("L") == 2
    assert spark_path([1, None, 2]) == {"spark": ""}


@pytest.mark.versions
@pytest.mark.slow
def test_a_page_saves_as_html_and_png(tmp_path: Path) -> None:
    page = hostile_page()
    assert page.save(tmp_path / "p.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert page.save(tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UsageError, match=r"\.html or \.png"):
        page.save(tmp_path / "p.txt")
    with pytest.raises(UsageError, match="make it first"):
        page.save(tmp_path / "none" / "p.html")


def test_a_page_prints_as_text() -> None:
    tiles = [Tile("On time", 0.8, "share", 0.7, "up", versus="the week before", trend=(1, 2, 3))]
    views = [ChartView("T", rows=[{"driver": "d1", "n": 3}]), ChartView("E", error="no such table")]
    text = str(
        Page(
            "Title",
            "Sub",
            [SectionView("Part", tiles=tiles, charts=views, policies=[PolicyView("P", "broken", violations=2)])],
        )
    )
    lines = [line.strip() for line in text.splitlines()]
    assert lines[:2] == ["Title", "Sub"] and "PART" in lines
    assert "On time         80.0%  ▲ +10.0 pp better vs the week before  ▁▅█" in lines
    assert "Not drawn. no such table" in lines and "broken   P (2)" in lines
    assert "d1      3" in lines


# -- terminal --------------------------------------------------------------------------------------


def test_sparkline_runs_from_least_to_most_with_blanks_for_nulls() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline([0, None, 7]) == "▁ █"
    assert sparkline([5, 5]) == "▄▄"
    assert sparkline([None, None]) == "  "
    assert sparkline([0, 7], ascii_only=True).isascii()


def test_bars_are_sorted_and_as_long_as_they_should_be() -> None:
    text = bars([{"k": "b", "v": 5}, {"k": "a", "v": 10}, {"k": "c", "v": None}], "k", "v", width=30, ascii_only=True)
    # 30 columns: 8 at most for the name (1 used), 7 for "no data", 3 blanks, so 19 for the longest bar.
    assert text.splitlines() == ["a  " + "#" * 19 + " 10", "b  " + "#" * 10 + " 5", "c  no data"]


def test_bars_count_what_they_leave_out_and_keep_their_width() -> None:
    rows = [{"k": "x" * 50 + str(i), "v": i} for i in range(20)]
    lines = bars(rows, "k", "v", top=3, width=60).splitlines()
    assert lines[-1] == "and 17 more" and len(lines) == 4
    assert all(len(line) <= 60 for line in lines)
    assert bars([], "k", "v") == "no data"
