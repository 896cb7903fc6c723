"""A page as one picture: tiles, charts and policies laid out as SVG, then PNG. No browser takes part.

SVG has no text flow, so lines are broken by an estimate of the width of their characters; it errs on the wide side.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from prodsense.charts.export import inline_svg, notes_of, svg_size, svg_to_png, to_spec, to_svg
from prodsense.charts.page import ChartView, Page, PolicyView, SectionView, Tile, table_of, tile_parts
from prodsense.charts.rows import clean_text
from prodsense.charts.theme import LIGHT, PICTURE_FONT

WIDTH = 1240
MARGIN = 32
GAP = 16
PAD = 16
_TILES_IN_ROW = 5
_TABLE_ROWS = 12
#: Mean width of a character as a part of the font size.
_CHAR = 0.54


def page_png(page: Page, scale: float = 2.0) -> bytes:
    """The page as PNG, 1240 points wide, with `scale` pixels a point."""
    return svg_to_png(page_svg(page), scale)


def page_svg(page: Page) -> str:
    """The page as one SVG."""
    sheet = _Sheet()
    y = sheet.text(page.title, MARGIN, 44.0, size=24, weight=700)
    if page.subtitle:
        y = sheet.text(page.subtitle, MARGIN, y + 24, size=14, colour=LIGHT.muted, width=WIDTH - 2 * MARGIN)
    for section in page.sections:
        y = _section(sheet, section, y + 28)
    for note in page.notes:
        y = sheet.text(note, MARGIN, y + 20, size=12, colour=LIGHT.muted, width=WIDTH - 2 * MARGIN)
    return sheet.svg(y + MARGIN)


class _Sheet:
    """Elements of an SVG, and the few shapes that a page is made of."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.pictures = 0

    def svg(self, height: float) -> str:
        size = f'width="{WIDTH}" height="{height:.0f}" viewBox="0 0 {WIDTH} {height:.0f}"'
        ground = f'<rect width="100%" height="100%" fill="{LIGHT.page}"/>'
        font = html.escape(PICTURE_FONT, quote=True)
        head = f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {size}'
        return f'{head} font-family="{font}">{ground}{"".join(self.parts)}</svg>'

    def text(
        self,
        text: str,
        x: float,
        y: float,
        *,
        size: float = 13,
        weight: int = 400,
        colour: str = LIGHT.ink,
        width: float = WIDTH,
        anchor: str = "start",
        lines: int = 4,
    ) -> float:
        """Write text with its first baseline at `y`, at most `lines` lines; the last baseline comes back."""
        found = _wrap(text, width, size, lines)
        for i, line in enumerate(found):
            self.parts.append(
                f'<text x="{x:.1f}" y="{y + i * size * 1.4:.1f}" font-size="{size}" font-weight="{weight}" '
                f'fill="{colour}" text-anchor="{anchor}">{_escape(line)}</text>'
            )
        return y + max(0, len(found) - 1) * size * 1.4

    def box(self, x: float, y: float, width: float, height: float, *, at: int) -> None:
        """A card, put under what has been written since `at`."""
        self.parts.insert(
            at,
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="10" '
            f'fill="{LIGHT.surface}" stroke="{LIGHT.grid}"/>',
        )

    def picture(self, svg: str, x: float, y: float) -> float:
        """Place an SVG; its lower edge comes back."""
        width, height = svg_size(svg)
        self.pictures += 1
        body = inline_svg(svg, f"p{self.pictures}-").partition(">")[2].rpartition("</svg>")[0]
        self.parts.append(
            f'<svg x="{x:.1f}" y="{y:.1f}" width="{width:g}" height="{height:g}" '
            f'viewBox="0 0 {width:g} {height:g}">{body}</svg>'
        )
        return y + height


def _section(sheet: _Sheet, section: SectionView, y: float) -> float:
    """Draw a section with its first baseline near `y`; the lower edge comes back."""
    inner = WIDTH - 2 * MARGIN
    if section.title:
        y = sheet.text(section.title, MARGIN, y + 14, size=18, weight=600)
    if section.says:
        y = sheet.text(section.says, MARGIN, y + 22, size=13, colour=LIGHT.muted, width=inner)
    y += 14
    columns = min(_TILES_IN_ROW, max(len(section.tiles), 3))
    width = (inner - GAP * (columns - 1)) / columns
    for start in range(0, len(section.tiles), columns):
        row = section.tiles[start : start + columns]
        y = _row(sheet, [(_tile, t) for t in row], y, width) + GAP
    wide = len(section.charts) > 1
    width = (inner - GAP) / 2 if wide else inner * 0.68
    for start in range(0, len(section.charts), 2 if wide else 1):
        charts = section.charts[start : start + 2] if wide else section.charts
        y = _row(sheet, [(_chart, view) for view in charts], y, width) + GAP
    if section.policies:
        y = _row(sheet, [(_policies, section.policies)], y, inner) + GAP
    for note in section.notes:
        y = sheet.text(note, MARGIN, y + 14, size=12, colour=LIGHT.muted, width=inner)
    return y


def _row(sheet: _Sheet, cards: Sequence[tuple[Any, Any]], y: float, width: float) -> float:
    """Cards side by side, all as high as the highest; the lower edge comes back."""
    at, ends = len(sheet.parts), []
    for i, (draw, what) in enumerate(cards):
        ends.append(draw(sheet, what, MARGIN + i * (width + GAP) + PAD, y + PAD, width - 2 * PAD))
    height = max(ends) + PAD - y
    for i in range(len(cards)):
        sheet.box(MARGIN + i * (width + GAP), y, width, height, at=at)
    return y + height


def _tile(sheet: _Sheet, tile: Tile, x: float, y: float, width: float) -> float:
    parts = tile_parts(tile)
    y = sheet.text(tile.label, x, y + 11, size=12.5, colour=LIGHT.muted, width=width, lines=2)
    y = sheet.text(parts["value"], x, y + 32, size=25, weight=700)
    if parts["change"]:
        colour = {"good": LIGHT.good, "bad": LIGHT.bad, "flat": LIGHT.muted}[parts["mood"]]
        text = " ".join(w for w in (parts["arrow"], parts["change"], parts["words"], "vs", tile.versus) if w)
        y = sheet.text(text, x, y + 22, size=12, colour=colour, width=width, lines=2)
    if parts["spark"]:
        sheet.parts.append(
            f'<g transform="translate({x:.1f},{y + 12:.1f}) scale({width / 120:.3f},1)"><path d="{parts["spark"]}" '
            f'fill="none" stroke="{LIGHT.series[0]}" stroke-width="1.3"/></g>'
        )
        y += 42
    if tile.note:
        y = sheet.text(tile.note, x, y + 18, size=11.5, colour=LIGHT.muted, width=width, lines=3)
    return y + 2


def _chart(sheet: _Sheet, view: ChartView, x: float, y: float, width: float) -> float:
    if view.title:
        y = sheet.text(view.title, x, y + 12, size=15, weight=600, width=width, lines=2)
    if view.says:
        y = sheet.text(view.says, x, y + 20, size=12.5, colour=LIGHT.muted, width=width, lines=3)
    y += 12
    notes = list(view.notes)
    if view.error:
        return sheet.text(f"Not drawn. {view.error}", x, y + 10, size=13, colour=LIGHT.warn, width=width, lines=6)
    if view.chart is None:
        y = _table(sheet, view, x, y, width)
    else:
        spec = to_spec(view.chart)
        notes = list(dict.fromkeys([*notes, *notes_of(spec)]))
        if view.title or notes:
            spec.pop("title", None)
        y = sheet.picture(to_svg(spec, width=width), x, y)
    for note in notes:
        y = sheet.text(note, x, y + 16, size=11.5, colour=LIGHT.muted, width=width)
    return y


def _table(sheet: _Sheet, view: ChartView, x: float, y: float, width: float) -> float:
    """The first rows and as many columns as fit; what is left out is counted."""
    table = table_of(view.rows, view.units, view.grain)
    if table is None:
        return sheet.text("No rows.", x, y + 10, size=12.5, colour=LIGHT.muted)
    body, head = table["body"][:_TABLE_ROWS], table["head"]
    sizes = [min(240.0, 12 * _CHAR * max(len(n), *(len(r[i]) for r in body)) + 18) for i, (n, _) in enumerate(head)]
    fit = next((i for i in range(len(sizes), 1, -1) if sum(sizes[:i]) <= width), 1)
    for r, row in enumerate([[name for name, _ in head], *body]):
        left = x
        for i in range(fit):
            numeric = head[i][1]
            at = left + sizes[i] - 14 if numeric else left
            anchor, colour = ("end" if numeric else "start"), (LIGHT.ink if r else LIGHT.muted)
            sheet.text(row[i], at, y + 12, size=12, colour=colour, width=sizes[i], anchor=anchor, lines=1)
            left += sizes[i]
        y += 21
        sheet.parts.append(f'<path d="M{x:.1f},{y - 3:.1f}h{sum(sizes[:fit]):.1f}" stroke="{LIGHT.grid}"/>')
    left_out = []
    if table["total"] > len(body):
        left_out.append(f"{table['total'] - len(body)} more rows")
    if fit < len(sizes):
        left_out.append(f"{len(sizes) - fit} more columns")
    if left_out:
        text = f"And {' and '.join(left_out)}: the HTML page has them."
        y = sheet.text(text, x, y + 12, size=11.5, colour=LIGHT.muted)
    return y


def _policies(sheet: _Sheet, policies: Sequence[PolicyView], x: float, y: float, width: float) -> float:
    colours = {"holds": LIGHT.good, "broken": LIGHT.bad, "unknown": LIGHT.warn}
    for i, policy in enumerate(policies):
        top = y + (26 if i else 12)
        colour = colours[policy.state]
        sheet.parts.append(f'<circle cx="{x + 5:.1f}" cy="{top - 4.5:.1f}" r="4.5" fill="{colour}"/>')
        sheet.text(policy.state, x + 17, top, size=13, weight=600, colour=colour)
        name = policy.name
        if policy.state == "broken":
            name += f"  ({policy.violations} violation{'' if policy.violations == 1 else 's'})"
        y = sheet.text(name, x + 96, top, size=13, weight=600, width=width - 96)
        for words in (policy.says, policy.error):
            if words:
                y = sheet.text(words, x + 96, y + 18, size=12.5, colour=LIGHT.muted, width=width - 96)
    return y


def _wrap(text: str, width: float, size: float, lines: int) -> list[str]:
    """Break text into at most `lines` lines of about `width` points; the last ends in … when text is left."""
    import textwrap

    most = max(4, int(width / (size * _CHAR)))
    return textwrap.wrap(text, most, max_lines=lines, placeholder=" …", break_on_hyphens=False)


def _escape(text: str) -> str:
    """Text for XML."""
    return html.escape(clean_text(text), quote=False)
