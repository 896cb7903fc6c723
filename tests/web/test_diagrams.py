"""Diagrams: every wire leads to the right, no box covers another, and names cannot break out of the picture."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from prodsense.packs import load_pack
from prodsense.web.diagrams import TALLEST, Box, draw, er_diagram

SVG = "{http://www.w3.org/2000/svg}"


def boxes_of(svg: str) -> dict[str, tuple[float, float, float, float]]:
    """Title → left, top, right, bottom."""
    found = {}
    for group in ElementTree.fromstring(svg):
        rect = group.find(f"{SVG}rect")
        if rect is not None:
            x, y, w, h = (float(rect.get(name, "")) for name in ("x", "y", "width", "height"))
            found[group.findtext(f"{SVG}text", "")] = (x, y, x + w, y + h)
    return found


def test_columns_follow_the_wires() -> None:
    svg = draw([Box(n, n) for n in "dcba"], [("a", "b"), ("b", "c"), ("a", "c"), ("c", "d")], "four")
    left = {name: box[0] for name, box in boxes_of(svg).items()}
    assert left["a"] < left["b"] < left["c"] < left["d"]
    assert svg.count('class="wire') == 4


def test_a_circle_and_a_wire_to_oneself_are_drawn_too() -> None:
    svg = draw([Box(n, n) for n in "ab"], [("a", "b"), ("b", "a"), ("a", "a")], "two")
    assert set(boxes_of(svg)) == {"a", "b"}
    assert svg.count('class="wire') == 2


def test_nothing_to_draw() -> None:
    assert ElementTree.fromstring(draw([], [], "none")).get("aria-label") == "none"


def test_no_box_covers_another_or_leaves_the_picture() -> None:
    names = [f"table_{i}" for i in range(40)]
    svg = draw([Box(n, n, (("id · key", False),)) for n in names], [(names[0], n) for n in names[1:]], "many")
    root = ElementTree.fromstring(svg)
    width, height = float(root.get("width", "")), float(root.get("height", ""))
    found = list(boxes_of(svg).values())
    assert len(found) == 40
    for i, (x1, y1, x2, y2) in enumerate(found):
        assert x1 >= 0 and y1 >= 0 and x2 <= width and y2 <= height
        for a1, b1, a2, b2 in found[i + 1 :]:
            assert x2 <= a1 or a2 <= x1 or y2 <= b1 or b2 <= y1
    columns = [box[0] for box in found]
    assert max(map(columns.count, columns)) <= TALLEST


def test_names_are_escaped() -> None:
    svg = draw([Box("x", '<script>"&', address='/a?b="><script>')], [], '"><script>')
    assert "<script" not in svg
    assert set(boxes_of(svg)) == {'<script>"&'}


@pytest.mark.parametrize("pack", ["delivery", "stickiness"])
def test_tables_of_a_pack(pack: str) -> None:
    tables = load_pack(pack).tables
    svg = er_diagram(tables, lambda name: f"/data/tables/{pack}.{name}")
    assert set(boxes_of(svg)) == {table.name for table in tables.values()}
    links = re.findall(r'href="/data/tables/(\w+\.\w+)"', svg)
    assert sorted(links) == sorted(table.relation for table in tables.values())
    pairs = {(r.table, t.relation) for t in tables.values() for r in t.references if r.table != t.relation}
    assert svg.count('class="wire') == len(pairs)
