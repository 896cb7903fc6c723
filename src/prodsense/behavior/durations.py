"""Lengths of time as people write them: ``7d``, ``30m``, ``1h30m``."""

from __future__ import annotations

import re
from datetime import timedelta

from prodsense.errors import UsageError

_SECONDS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1, "ms": 0.001}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[wdhms])")


def seconds(length: str | timedelta, what: str = "the window") -> float:
    """A length of time in seconds, from text like ``7d``, ``1h30m``, ``500ms`` or a timedelta.

    Units are w, d, h, m, s and ms; a day is 24 hours. Raises UsageError, naming `what`, for another text and
    for a length that is not above 0.
    """
    if isinstance(length, timedelta):
        found = length.total_seconds()
    else:
        text = str(length).replace(" ", "").lower()
        parts = _PART.findall(text)
        if not parts or "".join(number + unit for number, unit in parts) != text:
            raise UsageError(f"{what} should be a length of time like 7d, 12h, 30m or 1h30m, not {str(length)!r}")
        found = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if found <= 0:
        raise UsageError(f"{what} should be longer than 0, not {str(length)!r}")
    return found


def spoken(length: float) -> str:
    """Seconds as the shortest such text: 604800 is ``7d``, 5400 ``1h30m``."""
    left, text = length, ""
    for unit in ("d", "h", "m", "s"):
        count = int(left // _SECONDS[unit])
        if count:
            text += f"{count}{unit}"
            left -= count * _SECONDS[unit]
    thousandths = round(left * 1000)
    return text + (f"{thousandths}ms" if thousandths else "") or f"{length:g}s"
