"""Files: right kinds, legible, nothing fetched, nothing executed."""

from __future__ import annotations

import json
import re
import struct
import xml.dom.minidom
from pathlib import Path
from typing import Any

import pytest

from prodsense.charts.builders import bar, heatmap, line
from prodsense.charts.export import inline_svg, save, svg_size, to_spec, to_svg
from prodsense.charts.theme import DARK, LIGHT
from prodsense.errors import UsageError

HOSTILE = "\"><script>alert(1)</script>'&]]>\x01\ud800 \\ .[x]"


def sample() -> Any:
    return line(
        [{"p": f"2024-01-0{i}", "m": i / 10} for i in range(1, 8)], "p", "m", unit="share", title="Rate", grain="day"
    )


@pytest.mark.parametrize(
    ("ending", "start"),
    [("png", b"\x89PNG\r\n\x1a\n"), ("svg", b"<svg"), ("pdf", b"%PDF-"), ("html", b"<!DOCTYPE html>")],
)
def test_each_ending_gives_its_kind_of_file(tmp_path: Path, ending: str, start: bytes) -> None:
    path = save(sample(), tmp_path / f"c.{ending}")
    assert path.read_bytes().startswith(start)


def test_png_has_two_pixels_a_point(tmp_path: Path) -> None:
    width, height = svg_size(to_svg(sample()))
    data = save(sample(), tmp_path / "c.PNG").read_bytes()
    assert struct.unpack(">II", data[16:24]) == (round(width * 2), round(height * 2))


def test_json_is_the_spec(tmp_path: Path) -> None:
    spec = json.loads(save(sample(), tmp_path / "c.json").read_text())
    assert spec["$schema"].startswith("https://vega.github.io/schema/vega-lite/")
    assert spec["title"]["text"] == "Rate"


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.png, \.svg"):
        save(sample(), tmp_path / "c.gif")
    with pytest.raises(UsageError, match="does not exist"):
        save(sample(), tmp_path / "none" / "c.png")


def test_dark_files_are_dark() -> None:
    assert f'fill="{LIGHT.surface}"' in to_svg(sample())
    dark = to_svg(sample(), theme="dark")
    assert f'fill="{DARK.surface}"' in dark and LIGHT.series[0] not in dark


def test_text_is_text() -> None:
    assert "10%" in to_svg(sample()) and ">Rate<" in to_svg(sample())


@pytest.mark.parametrize("width", [340, 600])
def test_a_chart_is_refitted_to_its_place(width: int) -> None:
    for chart in (sample(), bar([{"a": "a name of some length", "v": 3}], "a", "v")):
        assert svg_size(to_svg(chart, width=width))[0] == pytest.approx(width, abs=2)


def test_a_narrow_heatmap_drops_numbers_that_do_not_fit() -> None:
    chart = heatmap([{"x": i, "y": "a", "v": i / 10 + 0.01} for i in range(10)], "x", "y", "v", unit="share")
    assert ">31%<" in to_svg(chart, width=640)
    assert ">31%<" not in to_svg(chart, width=340)


def test_a_spec_cannot_fetch() -> None:
    spec = {"data": {"url": "https://example.invalid/x.json"}, "mark": "bar", "encoding": {}}
    with pytest.raises(ValueError, match=r"(?i)url"):
        to_svg(spec)


def test_hostile_strings_stay_text() -> None:
    rows = [{"p": f"2024-01-0{i}", HOSTILE: HOSTILE if i % 2 else "b", "m": i} for i in range(1, 8)]
    for chart in (line(rows, "p", "m", series=HOSTILE, title=HOSTILE), bar([{"k": HOSTILE, "v": 1}], "k", "v")):
        svg = inline_svg(to_svg(chart), "p-", chart.description)
        assert "<script" not in svg
        assert svg.count("<title>") >= 1
        xml.dom.minidom.parseString(svg)


def test_inlined_pictures_share_no_ids() -> None:
    svg = '<svg xmlns="x" width="10" height="5"><clipPath id="clip0"/><g clip-path="url(#clip0)"/></svg>'
    first, second = inline_svg(svg, "a-"), inline_svg(svg, "b-")
    assert 'id="a-clip0"' in first and "url(#a-clip0)" in first
    assert not set(re.findall(r'id="([^"]+)"', first)) & set(re.findall(r'id="([^"]+)"', second))


def test_a_spec_is_not_changed_by_drawing_it() -> None:
    spec = to_spec(sample())
    before = json.dumps(spec)
    to_svg(spec, width=340, theme="dark")
    assert json.dumps(spec) == before
