"""Numbers as people read them: one place that knows how each unit is written, in text and on axes."""

from __future__ import annotations

import math
from typing import Any

#: What stands for "there is no number"; it is never 0.
NO_DATA = "–"

_CURRENCIES = {"USD": "$", "EUR": "€", "GBP": "£", "INR": "₹", "JPY": "¥"}
_SUFFIXES = {
    "milliseconds": " ms",
    "seconds": " s",
    "minutes": " min",
    "hours": " h",
    "days": " d",
    "miles": " mi",
    "km": " km",
    "meters": " m",
    "metres": " m",
    "kbps": " kbps",
    "degrees": "°",
    "percent": "%",
}
#: Units that say nothing beside the number.
_BARE = {"", "count", "score", "ratio", "currency", "share", "category", "level", "date", "text", "none"}


def format_value(value: Any, unit: str = "", *, compact: bool = False) -> str:
    """A value with its unit, as in ``82.4%``, ``32.5 min``, ``1,234``; `NO_DATA` for None and NaN.

    `compact` shortens what is large: ``1.2M``. A value that is no number is given back as text.
    """
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return NO_DATA
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, int | float):
        return str(value)
    if unit == "share":
        return _trim(value * 100, 1 if abs(value) >= 0.01 or value == 0 else 2) + "%"
    if compact and abs(value) >= 10_000:
        number = _short(value)
    elif unit == "currency" or unit in _CURRENCIES:
        number = f"{value:,.0f}" if compact and abs(value) >= 1000 else f"{value:,.2f}"
    elif isinstance(value, int) or float(value).is_integer():
        number = f"{value:,.0f}"
    else:
        number = _trim(value, _decimals(value))
    if unit in _CURRENCIES:
        sign, number = ("−", number[1:]) if number.startswith("-") else ("", number)
        return sign + _CURRENCIES[unit] + number
    return number.replace("-", "−") + unit_suffix(unit)


def format_change(value: float | None, previous: float | None, unit: str = "") -> str:
    """The move from `previous` to `value`: points for a share, else per cent; empty when either is missing."""
    if value is None or previous is None:
        return ""
    if unit == "share":
        return _signed((value - previous) * 100) + " pp"
    if previous == 0:
        return ""
    return _signed((value - previous) / abs(previous) * 100) + "%"


def _signed(value: float) -> str:
    text = f"{value:+.1f}"
    return "±0.0" if text in ("+0.0", "-0.0") else text.replace("-", "−")


def unit_suffix(unit: str) -> str:
    """What follows a number of that unit, with its leading blank."""
    if unit in _SUFFIXES:
        return _SUFFIXES[unit]
    return "" if unit in _BARE or unit in _CURRENCIES else f" {unit}"


def short_suffix(unit: str) -> str:
    """The unit as it is written on each tick of an axis; empty for a unit that needs a note of its own."""
    return _SUFFIXES.get(unit, "")


def unit_note(unit: str) -> str:
    """A note that names a unit which the ticks of an axis cannot carry; else empty."""
    return "" if unit in _BARE or unit in _SUFFIXES or unit == "USD" else f"In {unit}."


def axis_format(unit: str, low: float, high: float) -> str:
    """The d3 format of an axis that runs from `low` to `high`."""
    span, top = high - low, max(abs(low), abs(high))
    if unit == "share":
        return ".0%" if span >= 0.08 else ".1%" if span >= 0.008 else ".2%"
    prefix = "$" if unit == "USD" else ""
    if top >= 10_000:
        return prefix + ",.3~s"
    if top >= 0.05 or top == 0:
        return prefix + (",.2~f" if span >= 0.05 else ",.4~f")
    return prefix + ",.3~g"


def _decimals(value: float) -> int:
    size = abs(value)
    return 1 if size >= 10 else 2 if size >= 0.1 or size == 0 else 4


def _trim(value: float, decimals: int) -> str:
    text = f"{value:,.{decimals}f}"
    return ("−" + text[1:] if text.startswith("-") else text) if text.strip("-0.,") else "0"


def _short(value: float) -> str:
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size * 0.9995:
            return f"{value / size:.3g}{letter}" if abs(value) / size < 999.5 else f"{value / size:,.0f}{letter}"
    return f"{value:,.0f}"
