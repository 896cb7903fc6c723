"""How results look: as a table on a terminal, as text in a pipe, as HTML in a notebook."""

from __future__ import annotations

import io
from datetime import date, datetime
from html import escape
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from rich.console import Console

    from prodsense.metrics.result import Result, Rows

#: Shown for null: no data, which is not 0.
NULL = "–"
#: Rows shown before a table is cut.
LIMIT = 60


def number(value: float, unit: str = "") -> str:
    """A number as people read its unit: a share in percent, money with two decimals, minutes with one."""
    if isinstance(value, float) and value != value:
        return NULL
    if unit in ("share", "%"):
        return f"{value * 100:.1f}%"
    if unit == "currency":
        return f"{value:,.2f}"
    if unit in ("minutes", "seconds", "hours", "miles", "km", "days", "degrees"):
        return f"{value:,.1f}"
    if isinstance(value, int) or (unit in ("count", "cents") and float(value).is_integer()):
        return f"{value:,.0f}"
    if unit == "count" or abs(value) >= 1000:
        return f"{value:,.1f}"
    return f"{value:,.2f}" if abs(value) >= 0.1 or value == 0 else f"{value:.3g}"


def cell(value: Any, unit: str = "") -> str:
    """One value as text; control characters are shown, not obeyed."""
    if value is None:
        return NULL
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return number(value, unit) if unit else plain_number(value)
    if isinstance(value, datetime):
        return value.isoformat(" ", "seconds")
    if isinstance(value, date):
        return value.isoformat()
    text = str(value)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def plain_number(value: float) -> str:
    """A number without a known unit: keys stay as they are, long fractions are cut."""
    if isinstance(value, int):
        return str(value)
    return NULL if value != value else f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.1f}"


def change_text(change: float | None, delta: float | None, unit: str) -> str:
    """``▲ +3.2%`` of a change, relative, or absolute where the earlier value was 0."""
    size = change if change is not None else delta
    if size is None:
        return NULL
    arrow = "▲" if size > 0 else "▼" if size < 0 else "="
    if change is not None:
        return f"{arrow} {change:+.1%}"
    return f"{arrow} {'+' if size > 0 else ''}{number(size, unit)}"


def table(result: Rows, limit: int | None = LIMIT) -> tuple[list[tuple[str, bool]], list[list[tuple[str, str]]]]:
    """Columns as (heading, is numeric) and cells as (text, tone); tone is good, bad, faint or empty."""
    import pyarrow as pa

    metric = _metric(result)
    names = result.arrow.column_names
    changed = {f"{m}{s}" for m in metric.metrics for s in ("_delta", "_change")} if metric and metric.compare else set()
    shown = [n for n in names if n not in changed or n.endswith("_change")]
    head: list[tuple[str, bool]] = []
    for name in shown:
        kind = result.arrow.schema.field(name).type
        key = bool(metric and (name in metric.by or name == "period"))
        numeric = (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)) and not key
        head.append((name, numeric))
    unfinished = set(metric.incomplete) if metric else set()
    body = []
    for row in result.rows[:limit]:
        cells = []
        for name in shown:
            value = row[name]
            if metric and name in changed:
                base = name.removesuffix("_change")
                delta = row[f"{base}_delta"]
                moved = change_text(value, delta, metric.units.get(base, ""))
                cells.append((moved, _tone(metric.better.get(base), delta)))
                continue
            text = cell(value, _unit(result, name))
            if name == "period" and value in unfinished:
                text += " *"
            cells.append((text, "faint" if value is None else ""))
        body.append(cells)
    return head, body


def _metric(result: Rows) -> Result | None:
    """`result` as the answer to a metric request, if it is one."""
    return cast("Result", result) if hasattr(result, "metrics") else None


def _unit(result: Rows, name: str) -> str:
    return result.units.get(name) or result.units.get(name.removesuffix("_previous"), "")


def _tone(better: str | None, delta: float | None) -> str:
    if not delta or better not in ("up", "down"):
        return ""
    return "good" if (delta > 0) == (better == "up") else "bad"


def legend(result: Rows, limit: int | None = LIMIT) -> list[str]:
    """Lines below the table: rows cut, what the star means, notes."""
    lines = []
    metric = _metric(result)
    if limit is not None and len(result) > limit:
        lines.append(f"{len(result):,} rows, the first {limit} are shown")
    elif not len(result):
        lines.append("no rows")
    if metric and metric.incomplete:
        star = "the window is" if None in metric.incomplete else "*"
        moment = f" at {metric.as_of:%Y-%m-%d %H:%M}" if metric.as_of else " yet"
        lines.append(f"{star} incomplete: not over, or not wholly observed,{moment}")
    return [*lines, *result.notes]


_STYLES = {"good": "green", "bad": "red", "faint": "dim", "": ""}


def print_result(result: Rows, *, file: Any = None, limit: int | None = None) -> None:
    """Print a result; in colour where `file` (standard output by default) is a terminal."""
    from rich.console import Console

    console = Console(file=file, highlight=False)
    if not console.is_terminal:
        # Never cut to a width that nobody sees.
        console.width = 10_000
    _render(console, result, LIMIT if limit is None and console.is_terminal else limit)


def text(result: Rows) -> str:
    """The table as plain text."""
    from rich.console import Console

    out = io.StringIO()
    _render(Console(file=out, width=10_000, no_color=True, highlight=False), result, LIMIT)
    return out.getvalue().rstrip("\n")


def _render(console: Console, result: Rows, limit: int | None) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    head, body = table(result, limit)
    if result.title:
        console.print(Text(result.title, style="bold"))
    grid = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name, numeric in head:
        grid.add_column(Text(_heading(name)), justify="right" if numeric else "left", no_wrap=not console.is_terminal)
    for cells in body:
        grid.add_row(*(Text(value, style=_STYLES[tone]) for value, tone in cells))
    console.print(grid)
    for line in legend(result, limit):
        console.print(Text(line, style="dim"))


def _heading(name: str) -> str:
    return cell(name)


def html(result: Rows) -> str:
    """The table as an HTML fragment for a notebook."""
    head, body = table(result)
    align = ['style="text-align:right"' if numeric else 'style="text-align:left"' for _, numeric in head]
    colour = {"good": "color:#1a7f37", "bad": "color:#cf222e", "faint": "color:#888", "": ""}
    top = "".join(f"<th {a}>{escape(name)}</th>" for (name, _), a in zip(head, align, strict=True))
    rows = "".join(
        "<tr>"
        + "".join(
            f'<td {a}><span style="{colour[tone]}">{escape(value)}</span></td>'
            for (value, tone), a in zip(cells, align, strict=True)
        )
        + "</tr>"
        for cells in body
    )
    notes = "".join(f'<div style="color:#888">{escape(line)}</div>' for line in legend(result))
    title = f"<div><b>{escape(result.title)}</b></div>" if result.title else ""
    return f"{title}<table><thead><tr>{top}</tr></thead><tbody>{rows}</tbody></table>{notes}"
