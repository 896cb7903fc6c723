"""Pictures out of characters, for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from prodsense.charts.rows import as_number, label_of, need_fields, plain_rows
from prodsense.charts.units import format_value

if TYPE_CHECKING:
    from prodsense.charts.page import Page

_LEVELS = "▁▂▃▄▅▆▇█"
_LEVELS_ASCII = "_.-=+*#@"
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_TABLE_ROWS = 12


def sparkline(values: Sequence[float | int | None], *, ascii_only: bool = False) -> str:
    """One character a value, from the least to the most; a blank for a null. Equal values stand in the middle."""
    levels = _LEVELS_ASCII if ascii_only else _LEVELS
    known = [v for v in values if v is not None]
    if not known:
        return " " * len(values)
    low, high = min(known), max(known)

    def level(value: float | int) -> str:
        return levels[3] if high == low else levels[min(7, int((value - low) / (high - low) * 8))]

    return "".join(" " if v is None else level(v) for v in values)


def bars(
    data: Any, label: str, value: str, *, unit: str = "", width: int = 72, top: int = 12, ascii_only: bool = False
) -> str:
    """Horizontal bars, the largest first, as lines of text not wider than `width`.

    A null says "no data" and has no bar; what is beyond `top` is counted in a last line. A negative
    value is drawn by its size, and its number has the sign.
    """
    rows = plain_rows(data)
    need_fields(rows, label, value)
    pairs = [(label_of(row.get(label)), as_number(row.get(value), value)) for row in rows]
    pairs.sort(key=lambda p: (p[1] is None, -(p[1] or 0), p[0]))
    shown = pairs[:top]
    if not shown:
        return "no data"
    name_width = min(max(len(name) for name, _ in shown), max(8, width // 3))
    texts = [format_value(v, unit, compact=True) if v is not None else "no data" for _, v in shown]
    room = max(4, width - name_width - max(map(len, texts)) - 3)
    most = max((abs(v) for _, v in shown if v is not None), default=0) or 1
    lines = []
    for (name, number), text in zip(shown, texts, strict=True):
        clipped = name if len(name) <= name_width else name[: name_width - 1] + ("~" if ascii_only else "…")
        bar = _bar(abs(number or 0) / most * room, ascii_only)
        lines.append(f"{clipped:<{name_width}}  {bar}{' ' if bar else ''}{text}")
    if len(pairs) > top:
        lines.append(f"and {len(pairs) - top} more")
    if ascii_only:
        lines = [line.replace("−", "-").replace("–", "-") for line in lines]
    return "\n".join(lines)


def _bar(length: float, ascii_only: bool) -> str:
    if ascii_only:
        return "#" * round(length)
    eighths = round(length * 8)
    return "█" * (eighths // 8) + (_EIGHTHS[eighths % 8] if eighths % 8 else "")


def page_text(page: Page, width: int = 100) -> str:
    """A page as text: titles, headline numbers with their change, tables, policies; pictures only by name."""
    from prodsense.charts.page import tile_parts

    lines = [page.title, *textwrap.wrap(page.subtitle, width)]
    for section in page.sections:
        lines += ["", *([section.title.upper()] if section.title else [])]
        lines += textwrap.wrap(section.says, width)
        names = max((len(t.label) for t in section.tiles), default=0)
        for tile in section.tiles:
            parts = tile_parts(tile)
            line = f"  {tile.label:<{names}}  {parts['value']:>12}"
            if parts["change"]:
                line += f"  {parts['arrow']} {parts['change']} {parts['words']}".rstrip() + f" vs {tile.versus}"
            if any(v is not None for v in tile.trend):
                line += f"  {sparkline(tile.trend)}"
            lines.append(line.rstrip() + (f"  ({tile.note})" if tile.note else ""))
        for view in section.charts:
            lines += ["", f"  {view.title}"]
            if view.error:
                lines += textwrap.wrap(f"Not drawn. {view.error}", width - 4, initial_indent="    ")
            else:
                lines += [f"    {line}" for line in _table(view.rows, view.units, view.grain, width - 4)]
        for policy in section.policies:
            count = f" ({policy.violations})" if policy.state == "broken" else ""
            lines.append(f"  {policy.state:<8} {policy.name}{count}{': ' + policy.error if policy.error else ''}")
        lines += [f"  {note}" for note in section.notes]
    return "\n".join([*lines, *(["", *page.notes] if page.notes else [])])


def _table(rows: Sequence[Mapping[str, Any]], units: Mapping[str, str], grain: str, width: int) -> list[str]:
    from prodsense.charts.page import table_of

    table = table_of(rows, units, grain)
    if table is None:
        return ["no rows"]
    body = table["body"][:_TABLE_ROWS]
    widths = [min(32, max(len(name), *(len(r[i]) for r in body))) for i, (name, _) in enumerate(table["head"])]
    # The last column is often a sentence: it may have what room is left.
    left = width - sum(widths[:-1]) - 2 * (len(widths) - 1)
    widths[-1] = min(max(widths[-1], left), max(len(table["head"][-1][0]), *(len(r[-1]) for r in body)))
    fit = next((i for i in range(len(widths), 1, -1) if sum(widths[:i]) + 2 * (i - 1) <= width), 1)

    def line(cells: Sequence[str]) -> str:
        out = []
        for cell, size, (_, numeric) in zip(cells[:fit], widths, table["head"], strict=False):
            text = cell if len(cell) <= size else cell[: size - 1] + "…"
            out.append(text.rjust(size) if numeric else text.ljust(size))
        return "  ".join(out).rstrip()

    lines = [line([name for name, _ in table["head"]]), *(line(row) for row in body)]
    more = []
    if table["total"] > len(body):
        more.append(f"{table['total'] - len(body)} more rows")
    if fit < len(widths):
        more.append(f"{len(widths) - fit} more columns")
    return [*lines, f"and {' and '.join(more)}"] if more else lines
