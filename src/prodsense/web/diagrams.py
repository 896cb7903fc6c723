"""Diagrams as SVG: tables with their references, and lineage. Boxes in columns, wires between them, no script."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from prodsense.build.lineage import Lineage
from prodsense.contracts.tables import Table

#: Sizes in pixels: a line of text, a box's padding, the gaps between columns and between boxes, a character.
LINE, PAD, GAP_X, GAP_Y, CHAR, TITLE_CHAR = 17, 9, 84, 18, 7.3, 8.1
#: More boxes than this in one column are parted over several.
TALLEST = 14


@dataclass(frozen=True)
class Box:
    """A node: its title, lines of text below it (text, whether dim), a class for its look, where it leads."""

    name: str
    title: str
    lines: tuple[tuple[str, bool], ...] = ()
    look: str = ""
    address: str = ""

    @property
    def width(self) -> float:
        longest = max([len(self.title) * TITLE_CHAR, *(len(text) * CHAR for text, _ in self.lines)])
        return max(90.0, longest + 2 * PAD)

    @property
    def height(self) -> float:
        return PAD * 2 + LINE * (1 + len(self.lines))


def er_diagram(tables: Mapping[str, Table], address: Callable[[str], str]) -> str:
    """The tables of a pack with their keys; a wire leads from the referring table to the one referred to."""
    boxes = []
    for table in tables.values():
        foreign = {column for reference in table.references for column in reference.columns}
        shown = [(f"{c} · key", False) for c in table.primary_key]
        shown += [(f"{c} →", True) for c in table.columns if c in foreign and c not in table.primary_key]
        others = len(table.columns) - len(shown)
        if others:
            shown.append((f"{others} more column{'' if others == 1 else 's'}", True))
        boxes.append(Box(table.name, table.name, tuple(shown), "table", address(table.name)))
    names = {box.name for box in boxes}
    wires = {
        (target, table.name)
        for table in tables.values() for reference in table.references
        if (target := reference.table.rpartition(".")[2]) in names and target != table.name
    }
    return draw(boxes, sorted(wires), f"{len(boxes)} tables and {len(wires)} references between them")


def lineage_diagram(found: Lineage, address: Callable[[str, str], str]) -> str:
    """What a model or metric stands on, left to right, and what stands on it; its own box is marked."""
    names = sorted({end for edge in found.edges for end in edge} | {found.name})
    boxes = []
    for name in names:
        kind = found.kinds.get(name, found.kind if name == found.name else "table")
        look = kind + (" self" if name == found.name else "")
        boxes.append(Box(name, name.rpartition(".")[2], ((kind, True),), look, address(name, kind)))
    words = f"{found.name} stands on {len(found.upstream)} and is read by {len(found.downstream)} relations"
    return draw(boxes, sorted(set(found.edges)), words, on=found.name)


def draw(boxes: Sequence[Box], wires: Iterable[tuple[str, str]], words: str, on: str = "") -> str:
    """Boxes in columns so that every wire leads to the right, where there is no circle; wires of `on` stand out."""
    kept = [(a, b) for a, b in wires if a != b]
    columns = _ordered(_columns([box.name for box in boxes], kept), kept)
    by_name = {box.name: box for box in boxes}
    at: dict[str, tuple[float, float]] = {}
    x = PAD * 1.0
    tall = max((_height([by_name[n] for n in column]) for column in columns), default=0)
    for column in columns:
        wide = max(by_name[name].width for name in column)
        y = PAD + (tall - _height([by_name[name] for name in column])) / 2
        for name in column:
            at[name] = (x, y)
            y += by_name[name].height + GAP_Y
        x += wide + GAP_X
    width, height = max(x - GAP_X + PAD, 120), tall + 2 * PAD
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}"'
        f' viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(words, quote=True)}">'
    ]
    for start, end in kept:
        parts.append(_wire(by_name[start], at[start], by_name[end], at[end], on in (start, end) and bool(on)))
    parts += [_box(box, *at[box.name]) for box in boxes]
    return "".join([*parts, "</svg>"])


def _columns(names: Sequence[str], wires: Sequence[tuple[str, str]]) -> list[list[str]]:
    """Names by the length of the longest way that leads to them; what lies on a circle stands where it is met."""
    into: dict[str, list[str]] = {name: [] for name in names}
    for start, end in wires:
        into[end].append(start)
    depth: dict[str, int] = {}

    def rank(name: str, way: frozenset[str]) -> int:
        if name not in depth:
            before = [rank(each, way | {name}) + 1 for each in into[name] if each not in way]
            depth[name] = max(before, default=0)
        return depth[name]

    found: dict[int, list[str]] = {}
    touched = {end for wire in wires for end in wire}
    for name in names:
        # What stands alone goes last, so that it does not part the others.
        found.setdefault(rank(name, frozenset({name})) if name in touched else 10_000, []).append(name)
    columns = []
    for key in sorted(found):
        column = found[key]
        columns += [column[i : i + TALLEST] for i in range(0, len(column), TALLEST)]
    return columns


def _ordered(columns: list[list[str]], wires: Sequence[tuple[str, str]]) -> list[list[str]]:
    """Each column in the order of its neighbours' places, a few times to and fro, so that fewer wires cross."""
    near: dict[str, list[str]] = {}
    for start, end in wires:
        near.setdefault(start, []).append(end)
        near.setdefault(end, []).append(start)
    for turn in range(6):
        place = {name: i / max(len(column), 1) for column in columns for i, name in enumerate(column)}
        for column in columns if turn % 2 == 0 else reversed(columns):
            column.sort(key=lambda name: (
                sum(place[each] for each in near.get(name, ())) / max(len(near.get(name, ())), 1), name
            ))
            place.update({name: i / max(len(column), 1) for i, name in enumerate(column)})
    return columns


def _height(boxes: Sequence[Box]) -> float:
    return sum(box.height for box in boxes) + GAP_Y * max(len(boxes) - 1, 0)


def _wire(a: Box, at_a: tuple[float, float], b: Box, at_b: tuple[float, float], on: bool) -> str:
    x1, y1 = at_a[0] + a.width, at_a[1] + a.height / 2
    x2, y2 = at_b[0], at_b[1] + b.height / 2
    if x2 < x1:  # the same column, or backwards: around the left side
        x1, bend = at_a[0], 40.0
        path = f"M{x1:.0f},{y1:.0f} C{x1 - bend:.0f},{y1:.0f} {x2 - bend:.0f},{y2:.0f} {x2:.0f},{y2:.0f}"
    else:
        bend = max(30.0, (x2 - x1) / 2)
        path = f"M{x1:.0f},{y1:.0f} C{x1 + bend:.0f},{y1:.0f} {x2 - bend:.0f},{y2:.0f} {x2:.0f},{y2:.0f}"
    return f'<path class="wire{" on" if on else ""}" d="{path}"/>'


def _box(box: Box, x: float, y: float) -> str:
    text = [f'<text class="title" x="{x + PAD:.0f}" y="{y + PAD + 12:.0f}">{escape(box.title)}</text>']
    for i, (line, dim) in enumerate(box.lines, start=1):
        top = y + PAD + 12 + LINE * i
        look = ' class="dim"' if dim else ""
        text.append(f'<text{look} x="{x + PAD:.0f}" y="{top:.0f}">{escape(line)}</text>')
    body = (
        f'<rect class="box {escape(box.look, quote=True)}" x="{x:.0f}" y="{y:.0f}" width="{box.width:.0f}"'
        f' height="{box.height:.0f}" rx="7"/>{"".join(text)}'
    )
    return f'<a href="{escape(box.address, quote=True)}">{body}</a>' if box.address else f"<g>{body}</g>"
