"""Sankey diagrams: how a number of things flows through steps, ribbon by ribbon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from prodsense.charts.parts import CHAR, WIDTH, clip, dress, empty, inline, list_values, sentence
from prodsense.charts.rows import Row, as_number, label_of, need_fields, plain_rows
from prodsense.charts.theme import LIGHT
from prodsense.charts.units import format_value

if TYPE_CHECKING:
    import altair as alt

HEIGHT = 360
#: Pixels between two nodes of a step, and the least height of a node whose name is written.
PAD, NAMED = 8.0, 7.0
#: Points along the edge of a ribbon.
_POINTS = 14
_NODE = 0.035


@dataclass
class Node:
    """A node of a step: `size` things, drawn from `top` down (in the unit of sizes)."""

    step: int
    name: str
    size: float = 0.0
    top: float = 0.0
    #: Where the next ribbon leaves and arrives.
    leaves: float = field(default=0.0, repr=False)
    arrives: float = field(default=0.0, repr=False)


@dataclass(frozen=True)
class Link:
    """A ribbon: its size and where its upper edge leaves and arrives."""

    source: Node
    target: Node
    size: float
    leaves: float
    arrives: float


def layout(
    rows: Sequence[tuple[int, str, str, float]], *, last: Sequence[str] = (), gap: float = 0.02
) -> tuple[list[Node], list[Link]]:
    """Nodes and ribbons of links (step, source, target, size), none of which overlap inside a step.

    A node is as large as what flows in or what flows out, whichever is more. Nodes of a step stand by size, the
    largest on top, those named in `last` at the bottom; `gap` is the space between two as a share of the largest step.
    """
    nodes: dict[tuple[int, str], Node] = {}
    into: dict[tuple[int, str], float] = {}
    out: dict[tuple[int, str], float] = {}
    for step, source, target, size in rows:
        for at, name, sums in ((step, source, out), (step + 1, target, into)):
            nodes.setdefault((at, name), Node(at, name))
            sums[at, name] = sums.get((at, name), 0.0) + size
    for key, node in nodes.items():
        node.size = max(into.get(key, 0.0), out.get(key, 0.0))
    steps: dict[int, list[Node]] = {}
    for node in nodes.values():
        steps.setdefault(node.step, []).append(node)
    rank = {name: place for place, name in enumerate(last, 1)}
    space = gap * max((sum(n.size for n in column) for column in steps.values()), default=0.0)
    for column in steps.values():
        column.sort(key=lambda n: (rank.get(n.name, 0), -n.size, n.name))
        top = 0.0
        for node in column:
            node.top = node.leaves = node.arrives = top
            top += node.size + space
    # Ribbons leave in the order of where they go and arrive in the order of where they come from.
    links = []
    order = {key: place for column in steps.values() for place, key in enumerate((n.step, n.name) for n in column)}
    arrivals: dict[tuple[int, str, str], float] = {}
    for step, source, target, size in sorted(rows, key=lambda r: (r[0], order[r[0] + 1, r[2]], order[r[0], r[1]])):
        node = nodes[step + 1, target]
        arrivals[step, source, target] = node.arrives
        node.arrives += size
    for step, source, target, size in sorted(rows, key=lambda r: (r[0], order[r[0], r[1]], order[r[0] + 1, r[2]])):
        node = nodes[step, source]
        links.append(Link(node, nodes[step + 1, target], size, node.leaves, arrivals[step, source, target]))
        node.leaves += size
    return [node for step in sorted(steps) for node in steps[step]], links


def sankey(
    data: Any,
    step: str,
    source: str,
    target: str,
    size: str,
    *,
    last: Sequence[str] = (),
    title: str = "",
    notes: Sequence[str] = (),
    width: int = WIDTH,
    height: int = HEIGHT,
) -> alt.LayerChart:
    """Ribbons from the `source` at each `step` to the `target` at the next one, as thick as `size`.

    A name keeps its colour over all steps; the 8 largest have one of their own, the others and those in `last`
    (folded or ended, at the bottom of a step) are grey. Names stand beside nodes that are high enough for text;
    every ribbon and node tells its number when pointed at.
    Raises `UsageError` for unknown fields and for text where a number belongs.
    """
    import altair as alt

    rows = plain_rows(data)
    need_fields(rows, step, source, target, size)
    read = [
        (int(as_number(r.get(step), step) or 0), label_of(r.get(source)), label_of(r.get(target)),
         float(as_number(r.get(size), size) or 0))
        for r in rows
    ]  # fmt: skip
    read = [row for row in read if row[3] > 0]
    if not read:
        return empty(title, notes, width, height)
    columns: dict[int, set[str]] = {}
    for at, here, there, _ in read:
        columns.setdefault(at, set()).add(here)
        columns.setdefault(at + 1, set()).add(there)
    most = max(len(names) for names in columns.values())
    nodes, links = layout(read, last=last, gap=min(PAD / height, 0.5 / most))
    deepest = max(node.top + node.size for node in nodes)
    totals: dict[str, float] = {}
    for node in nodes:
        if node.name not in last:
            totals[node.name] = totals.get(node.name, 0.0) + node.size
    largest = sorted(totals, key=lambda name: (-totals[name], name))[: len(LIGHT.series)]
    colours = {name: LIGHT.series[place] for place, name in enumerate(largest)}
    end = max(columns)
    # Names are written right of their node, so the last step needs room for them.
    longest = max((len(_label(n)) for n in nodes if n.step == end), default=0)
    room = longest * CHAR / (width / max(1, end - min(columns) + 1))
    x = alt.X("x:Q", axis=None, scale=alt.Scale(domain=[min(columns), end + _NODE + room], nice=False))
    y = alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[0, deepest], reverse=True, nice=False))
    ribbons: list[Row] = []
    for number, link in enumerate(links):
        shade = colours.get(link.source.name, LIGHT.previous)
        said = f"{link.source.name} → {link.target.name}: {format_value(link.size, 'count')}"
        begin, stop = link.source.step + _NODE, float(link.target.step)
        for point in range(_POINTS):
            share = point / (_POINTS - 1)
            # A smooth step: level where it leaves and where it arrives.
            upper = link.leaves + (link.arrives - link.leaves) * share * share * (3 - 2 * share)
            ribbons.append({
                "link": number, "x": round(begin + (stop - begin) * share, 4), "y": round(upper, 3),
                "y2": round(upper + link.size, 3), "colour": shade, "tip": said,
            })
    boxes: list[Row] = [
        {
            "x": node.step, "x2": node.step + _NODE, "y": node.top, "y2": node.top + node.size,
            "middle": node.top + node.size / 2, "label": _label(node),
            "colour": colours.get(node.name, LIGHT.previous),
            "tip": f"step {node.step}, {node.name}: {format_value(node.size, 'count')}",
            "named": node.size / deepest * height >= NAMED,
        }
        for node in nodes
    ]
    colour = alt.Color("colour:N", scale=None, legend=None)
    tip = alt.Tooltip("tip:N", title=" ")
    flow = alt.Chart(inline(ribbons)).mark_area(opacity=0.3, aria=False, line=False)
    drawn = flow.encode(x=x, y=y, y2="y2:Q", detail="link:N", color=colour, tooltip=tip)
    base = alt.Chart(inline(boxes))
    bars = base.mark_rect().encode(x=x, x2="x2:Q", y=y, y2="y2:Q", color=colour, tooltip=tip, description="tip:N")
    names = base.transform_filter("datum.named").mark_text(align="left", dx=4, color=LIGHT.ink, aria=False)
    texts = names.encode(x=alt.X("x2:Q", axis=None), y=alt.Y("middle:Q", axis=None), text="label:N")
    first = [(node.name, node.size) for node in nodes if node.step == min(columns)]
    top = sorted(links, key=lambda link: -link.size)[:5]
    ways = "; ".join(f"{link.source.name} to {link.target.name} {format_value(link.size, 'count')}" for link in top)
    what = f"flow over {len(columns)} steps, beginning with {list_values(first, 'count')}; largest: {ways}."
    return dress(
        alt.layer(drawn, bars, texts), title=title, notes=notes, description=sentence(title, what),
        width=width, height=height,
    )


def _label(node: Node) -> str:
    return f"{clip(node.name, 18)} {format_value(node.size, 'count', compact=True)}"
