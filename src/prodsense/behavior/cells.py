"""Answers from the cells of user days (see `daily`): rolling counts, lifecycle and the retention triangle.

A year of cells is some ten thousand numbers; they are computed as arrays, whole and exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from prodsense.metrics import periods

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_EPOCH = date(1970, 1, 1)
#: No active day before.
_NEVER = -(2**31)
#: Numbers of a triangle that are laid out at once.
_MOST = 20_000_000


@dataclass(frozen=True, eq=False)
class Gaps:
    """Gap cells as columns: place of the slice in `slices`, active day, active day before (days since 1970), users."""

    slices: tuple[str, ...]
    slice: np.ndarray
    day: np.ndarray
    before: np.ndarray
    users: np.ndarray

    @classmethod
    def of(cls, rows: pa.Table) -> Gaps:
        """From rows of ``slice, day, prev_day, users``; the day before is null, or the day itself, on a first day."""
        import numpy as np
        import pyarrow.compute as pc

        names, places = _coded(rows["slice"])
        day = _days(rows["day"])
        before = _days(pc.coalesce(rows["prev_day"], rows["day"]))
        return cls(names, places, day, np.where(before == day, _NEVER, before), _whole(rows["users"]))

    def returns(self) -> Iterator[tuple[str, date, date, int]]:
        """Slice, day, day before and users of those who had been active before."""
        import numpy as np

        for i in np.flatnonzero(self.before != _NEVER).tolist():
            yield self.slices[self.slice[i]], _date(self.day[i]), _date(self.before[i]), int(self.users[i])


def rolling(gaps: Gaps, windows: Sequence[int], last: date) -> dict[Any, Any]:
    """Distinct users of the trailing `windows` days at each day from a slice's first up to `last`.

    Columns ``day``, ``slice`` and one for each window, by day and slice. An active day covers itself and the
    following k − 1 days. What the active day before covers already is not counted again: the user enters the window
    at max(day, before + k) and leaves it at day + k. So a running sum gives the exact distinct count for any k.
    """
    import numpy as np

    first = int(gaps.day.min()) if len(gaps.day) else _number(last) + 1
    span = max(_number(last) - first + 1, 0)
    many = len(gaps.slices)
    begun = _firsts(gaps)
    shown = (np.arange(span)[:, None] + first) >= begun[None, :]
    at, of = np.nonzero(shown)
    found: dict[Any, Any] = {"day": _arrow_days(at + first), "slice": _names(gaps.slices, of)}
    for k in windows:
        enters = np.where(gaps.before == _NEVER, gaps.day, np.maximum(gaps.day, gaps.before + k))
        steps = _sums(enters - first, gaps.slice, gaps.users, span, many)
        steps -= _sums(gaps.day + k - first, gaps.slice, gaps.users, span, many)
        found[k] = np.cumsum(steps, axis=0)[shown]
    return found


def flows(gaps: Gaps, grain: str, last: date) -> dict[str, Any]:
    """Lifecycle of each slice and period from its first to the one that holds `last`, by period and slice.

    Of the users active in a period: ``new`` have their first active day in it, ``retained`` were active in the
    period before, ``resurrected`` came back after a longer time. ``dormant`` were active once and are not in
    this period; ``churned`` are those of them who were in the period before (the transition).
    """
    import numpy as np

    first = int(gaps.day.min()) if len(gaps.day) else _number(last) + 1
    starts, place = _periods(first, max(_number(last), int(gaps.day.max())) if len(gaps.day) else first, grain)
    ends = _periods(first, _number(last), grain)[0] if first <= _number(last) else []
    span, many = len(starts), len(gaps.slices)
    period = place[gaps.day - first]
    new = gaps.before == _NEVER
    earlier = np.where(new, -1, place[np.where(new, first, gaps.before) - first])
    back = ~new & (earlier != period)

    def counted(kept: np.ndarray) -> np.ndarray:
        return _sums(period[kept], gaps.slice[kept], gaps.users[kept], span, many)

    fresh, retained = counted(new), counted(back & (earlier == period - 1))
    resurrected = counted(back & (earlier < period - 1))
    active = fresh + retained + resurrected
    before = np.vstack([np.zeros((1, many), dtype=np.int64), active])[:-1]
    begun = place[_firsts(gaps) - first] if many else np.zeros(0, dtype=np.int64)
    shown = (np.arange(span)[:, None] >= begun[None, :]) & (np.arange(span) < len(ends))[:, None]
    at, of = np.nonzero(shown)
    columns = {
        "active": active, "new": fresh, "retained": retained, "resurrected": resurrected,
        "churned": before - retained, "dormant": np.cumsum(fresh, axis=0) - active,
    }
    return {
        "period": _arrow_days(np.array([_number(starts[i]) for i in at.tolist()], dtype=np.int64)),
        "slice": _names(gaps.slices, of), **{name: values[shown] for name, values in columns.items()},
    }


def triangle(
    cohorts: pa.Table, days: int, over: date, grain: str, by: str
) -> tuple[pa.Table, tuple[date, ...], dict[str, int], int] | None:
    """Day-N retention, N from 0 to `days`, from rows of ``slice, first_day, day, users``.

    `over` is the newest day that is wholly past; `grain` is ``day`` or ``all``. Returns the rows of `retention`, the
    cohorts of which a window is open, the entries left out by N, and the entries in all; None where so many slices
    and days have no place in arrays.
    """
    import numpy as np
    import pyarrow as pa

    slices, place = _coded(cohorts["slice"])
    entry, day, users = _days(cohorts["first_day"]), _days(cohorts["day"]), _whole(cohorts["users"])
    first = int(entry.min()) if len(entry) else 0
    span, many, wide = (int(entry.max()) - first + 1 if len(entry) else 0), len(slices), days + 1
    if span * many * wide > _MOST:
        return None
    # By day of entry and slice: entries, and those who came back on each day N whose window is over.
    sizes = _sums((entry - first)[entry == day], place[entry == day], users[entry == day], span, many)
    n = day - entry
    kept = (n <= days) & (day <= _number(over))
    back = _sums((((entry - first) * many + place) * wide + n)[kept], None, users[kept], span * many * wide, 1)
    back = back.reshape(span, many, wide)
    seen = _number(over) - first - np.arange(span)
    closed = np.arange(wide)[None, :] <= seen[:, None]
    size = sizes[:, :, None] * closed[:, None, :]
    censored = sizes[:, :, None] * ~closed[:, None, :]
    open_days = np.flatnonzero(censored.any(axis=(1, 2))) + first
    cohort_days = np.arange(span) + first
    if grain == "all":
        size, back, censored = (part.sum(axis=0, keepdims=True) for part in (size, back, censored))
    at, of, label = np.nonzero(size)
    chosen, returned = size[at, of, label], back[at, of, label]
    cohort = pa.nulls(len(at), pa.date32()) if grain == "all" else _arrow_days(cohort_days[at])
    rows = pa.table({
        "cohort": cohort, **({by: _names(slices, of)} if by else {}), "day": pa.array(label),
        "size": pa.array(chosen), "retained": pa.array(returned), "rate": pa.array(returned / chosen),
        "censored": pa.array(censored[at, of, label]),
    })  # fmt: skip
    left = censored.sum(axis=(0, 1))
    opened = () if grain == "all" else tuple(_date(number) for number in open_days)
    return rows, opened, {str(i): int(left[i]) for i in np.flatnonzero(left)}, int(sizes.sum())


# -- columns -----------------------------------------------------------------------------------------


def _coded(column: pa.ChunkedArray) -> tuple[tuple[str, ...], np.ndarray]:
    """The slices in order, and the place of each row's."""
    import numpy as np

    coded = column.combine_chunks().dictionary_encode()
    names = coded.dictionary.to_pylist()
    order = sorted(range(len(names)), key=names.__getitem__)
    rank = np.zeros(len(names), dtype=np.int64)
    rank[order] = np.arange(len(names))
    return tuple(names[i] for i in order), rank[coded.indices.to_numpy()]


def _days(column: pa.ChunkedArray) -> np.ndarray:
    import numpy as np
    import pyarrow as pa

    return column.cast(pa.date32()).cast(pa.int32()).to_numpy().astype(np.int64)


def _whole(column: pa.ChunkedArray) -> np.ndarray:
    import pyarrow as pa

    return column.cast(pa.int64()).to_numpy()


def _sums(at: np.ndarray, of: np.ndarray | None, users: np.ndarray, span: int, many: int) -> np.ndarray:
    """Users added up by row `at` and column `of`; what lies past the end is left out."""
    import numpy as np

    flat = at if of is None else at * many + of
    kept = at < span
    # Sums of whole numbers in double precision are exact below 2^53.
    found = np.bincount(flat[kept], weights=users[kept], minlength=span * many)
    return found.astype(np.int64).reshape(span, many)


def _firsts(gaps: Gaps) -> np.ndarray:
    import numpy as np

    found = np.full(len(gaps.slices), 2**31, dtype=np.int64)
    np.minimum.at(found, gaps.slice, gaps.day)
    return found


def _periods(first: int, last: int, grain: str) -> tuple[list[date], np.ndarray]:
    """Starts of the periods of the days from `first` to `last`, and the place of each day's."""
    import numpy as np

    starts: list[date] = []
    place = np.zeros(last - first + 1, dtype=np.int64)
    for i in range(len(place)):
        start = periods.start_of(_date(first + i), grain)
        if not starts or start != starts[-1]:
            starts.append(start)
        place[i] = len(starts) - 1
    return starts, place


def _names(slices: tuple[str, ...], places: np.ndarray) -> pa.Array:
    import pyarrow as pa

    return pa.array(slices, pa.string()).take(pa.array(places))


def _arrow_days(days: np.ndarray) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    return pa.array(days.astype(np.int32)).cast(pa.date32())


def _number(day: date) -> int:
    return (day - _EPOCH).days


def _date(number: Any) -> date:
    return _EPOCH + timedelta(days=int(number))
