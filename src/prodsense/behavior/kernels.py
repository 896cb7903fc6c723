"""Array kernels over a sorted event log: what they share.

A log's rows are sorted by user, moment and event. Each kernel has a form in NumPy and one in Numba (the extra
``fast``), which give the same numbers; `compiled` chooses. The SQL of a method is what both must equal.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

#: No moment: what a step that was not reached holds.
NEVER = -(2**63)
#: Below so many rows compiling, which happens once on a machine, costs more than it saves in many questions.
COMPILED_FROM = 2_000_000


def compiled(rows: int) -> Any:
    """The module of compiled kernels where they are installed and worth it for so many rows, else None."""
    return _compiled() if rows >= COMPILED_FROM else None


@cache
def _compiled() -> Any:
    try:
        from prodsense.behavior import kernels_numba
    except ImportError:
        return None
    return kernels_numba


def form_of(log: Any) -> str:
    """How an answer calls the form that made it, from the log that it used (None: SQL)."""
    if log is None:
        return "sql"
    return "kernel (numba)" if compiled(len(log)) is not None else "kernel (numpy)"


def frozen(array: np.ndarray) -> np.ndarray:
    """The array for reading only: kernels are compiled for that one kind, mapped files are of it too."""
    import numpy as np

    found = np.asarray(array).view(np.ndarray)
    found.flags.writeable = False
    return found


def at_most(seconds: float) -> int:
    """The most microseconds that are at most `seconds`, as SQL compares them: as seconds in double precision."""
    found = math.floor(seconds * 1e6)
    while (found + 1) / 1e6 <= seconds:
        found += 1
    while found / 1e6 > seconds:
        found -= 1
    return found


def at_least(seconds: float) -> int:
    """The fewest microseconds that are at least `seconds`, compared the same way."""
    found = math.ceil(seconds * 1e6)
    while (found - 1) / 1e6 >= seconds:
        found -= 1
    while found / 1e6 < seconds:
        found += 1
    return found


def quantile(micros: np.ndarray, q: float) -> float | None:
    """The `q` quantile of spans in microseconds, in seconds, between its two neighbours.

    SQL's QUANTILE_CONT says the same but for the last digit of a double.
    """
    import numpy as np

    if not len(micros):
        return None
    place = (len(micros) - 1) * q
    low, high = math.floor(place), math.ceil(place)
    parted = np.partition(micros, (low, high))
    a, b = float(parted[low]) / 1e6, float(parted[high]) / 1e6
    return a + (b - a) * (place - low)


def ranked(code: np.ndarray, ties: np.ndarray, user: np.ndarray, moment: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """Codes in which events of one user and moment stand by `rank` (code → place); the same array where they do.

    `ties` are the rows whose user and moment equal those of the row before (`EventLog.ties`).
    """
    import numpy as np

    if not len(ties) or not (rank[code[ties - 1]] > rank[code[ties]]).any():
        return code
    rows = np.union1d(ties - 1, ties)
    new = np.ones(len(rows), dtype=bool)
    new[1:] = (user[rows[1:]] != user[rows[:-1]]) | (moment[rows[1:]] != moment[rows[:-1]])
    order = np.lexsort((code[rows], rank[code[rows]], np.cumsum(new)))
    found = np.array(code)
    found[rows] = code[rows][order]
    return found


def first_in(low: np.ndarray, high: np.ndarray, after: Any) -> np.ndarray:
    """In each span of rows [low, high), the first for which `after(rows, places)` is true; `high` where none is.

    `after` is called with rows and the places of their spans; within a span it is false, then true.
    """
    import numpy as np

    low, high = low.copy(), high.copy()
    open_ = np.flatnonzero(low < high)
    while len(open_):
        middle = (low[open_] + high[open_]) >> 1
        hit = after(middle, open_)
        high[open_[hit]] = middle[hit]
        low[open_[~hit]] = middle[~hit] + 1
        open_ = open_[low[open_] < high[open_]]
    return low
