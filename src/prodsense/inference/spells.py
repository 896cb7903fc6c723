"""Spells: stretches of days in which something happened far more, or less, than in the rest of the time.

The temporal scan statistic (Kulldorff 2001): for each value of a column (an event), alone and within each value of
other columns (on mobile), and for each stretch of days up to half of the time, the log-likelihood ratio of a Poisson
rate of its own inside against one rate throughout. What is expected follows the traffic: the rows of that day, within
a slice the slice's rows, so that a busy week is no finding. Scores are deflated by how much more than chance the
value's weeks vary anyway, and must beat the number of stretches looked at.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from prodsense.engines.base import comma, quoted
from prodsense.errors import UsageError
from prodsense.inference.detect import Findings, TooLittleError, findings
from prodsense.metrics.reading import find_column, read_data, relation_columns

if TYPE_CHECKING:
    import numpy as np

    from prodsense.engines.base import Engine

    Array = np.ndarray[Any, np.dtype[np.float64]]

#: Fewest days of data, fewest rows of a value, shortest spell, longest history in days.
LEAST_DAYS, LEAST_ROWS, SHORTEST, LONGEST = 28, 20, 2, 730
#: A score counts beyond the log of the number of stretches by this much.
MARGIN = 5.0
#: A spell is that of a slice when so much of the excess lies in it, and clearly less of the traffic does.
CONCENTRATED, TRAFFIC = 0.8, 0.7
#: Most values of the column, and of the slices.
MOST = 5_000


@dataclass(frozen=True)
class Spell:
    """A value's spell: days from `first` to `last` (indices, both inside), rows seen and expected, score."""

    cell: int
    first: int
    last: int
    seen: float
    expected: float
    score: float


def detect_spells(
    data: Any, *, time: str, by: Sequence[str], margin: float = MARGIN, engine: Engine | None = None
) -> Findings:
    """Spells of the values of the first column of `by` in `data`, each named with the slice of the others it lies in.

    `data` is a file, frame, Arrow data, rows, or a relation of `engine`. A finding's period is the spell's first day,
    column ``until`` its last one.
    """
    from prodsense.engines import open_engine

    if not by:
        raise UsageError("name at least one column (by): what happens; others may say where")
    if engine is not None:
        return _detect(engine, str(data), str(data), time, tuple(by), margin)
    rows = read_data(data)
    own = open_engine(":memory:")
    try:
        with own.temporary(rows) as relation:
            return _detect(own, relation, "the data", time, tuple(by), margin)
    finally:
        own.close()


def _detect(engine: Engine, relation: str, label: str, time: str, by: tuple[str, ...], margin: float) -> Findings:
    import numpy as np

    schema = relation_columns(engine, relation)
    time = find_column(schema, time, "time", label)
    by = tuple(find_column(schema, name, "by", label) for name in by)
    day = f"date_of({comma([time])})"
    table = engine.query(
        f"SELECT {comma(by)}, {day} AS day, COUNT(*) AS n FROM {quoted(relation)}"
        f" WHERE {comma([time])} IS NOT NULL AND {comma(by[:1])} IS NOT NULL GROUP BY {comma(by)}, {day}"
    )
    if not table.num_rows:
        raise TooLittleError(f"{label} holds no row with both {time} and {by[0]}")
    days = table.column("day").to_numpy(zero_copy_only=False).astype("datetime64[D]")
    start = days.min()
    place = (days - start).astype(int)
    length = int(place.max()) + 1
    if length < LEAST_DAYS:
        raise TooLittleError(f"{length} days are too few to tell a spell from the rest; {LEAST_DAYS} are needed")
    if length > LONGEST:
        raise UsageError(f"{length} days are too many for one scan; restrict it to {LONGEST}")
    counts = table.column("n").to_numpy(zero_copy_only=False).astype(np.float64)
    codes = []
    names = []
    for name in by:
        encoded = table.column(name).combine_chunks().dictionary_encode(null_encoding="encode")
        codes.append(encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64))
        names.append(encoded.dictionary.to_pylist())
        if len(names[-1]) > MOST:
            raise UsageError(f"{name} has {len(names[-1]):,} values; at most {MOST:,} are scanned")
    own = _matrix(codes[0], place, counts, len(names[0]), length)
    traffic = own.sum(axis=0)
    wide = spells(own, np.broadcast_to(traffic, own.shape), margin)
    first_day = date.fromisoformat(str(start))
    rows = []
    for spell in wide:
        where = list(_concentrations(spell, codes, names, by, place, counts))
        rows.append(_finding(spell, by, names, where, first_day))
    checked = [{"detector": "spells", "state": "fired" if rows else "quiet", "findings": len(rows), "reason": ""}]
    return findings(rows, {"checked": checked, "days": length})


def _matrix(code: Any, place: Any, counts: Array, values: int, length: int) -> Array:
    import numpy as np

    flat: Array = np.bincount(code * length + place, weights=counts, minlength=values * length).astype(np.float64)
    return flat.reshape(values, length)


def spells(counts: Array, traffic: Array, margin: float = MARGIN) -> list[Spell]:
    """The best spell of each row of `counts` (values x days) against `traffic` (alike): those that count, in order."""
    import numpy as np

    length = counts.shape[1]
    first, last = np.triu_indices(length + 1, SHORTEST)
    fits = last - first <= length // 2
    first, last = first[fits], last[fits]
    eligible = np.flatnonzero(counts.sum(axis=1) >= LEAST_ROWS)
    least = math.log(max(1, len(first) * len(eligible))) + margin
    found = []
    for cell in eligible.tolist():
        expected = traffic[cell] * (counts[cell].sum() / max(traffic[cell].sum(), 1e-300))
        seen = np.concatenate([[0.0], np.cumsum(counts[cell])])
        due = np.concatenate([[0.0], np.cumsum(expected)])
        o, e = seen[last] - seen[first], due[last] - due[first]
        score = np.where(e > 0, _xlog(o, e) + _xlog(seen[-1] - o, due[-1] - e), 0.0)
        best = int(np.argmax(score))
        inside = slice(int(first[best]), int(last[best]))
        deflated = float(score[best]) / _overdispersion(counts[cell], expected, inside)
        if deflated >= least:
            found.append(Spell(cell, inside.start, inside.stop - 1, float(o[best]), float(e[best]), deflated))
    return sorted(found, key=lambda spell: -spell.score)


def _xlog(x: Array, e: Array) -> Array:
    import numpy as np

    there = (x > 0) & (e > 0)
    return np.where(there, x * np.log(np.where(there, x, 1.0) / np.where(there, e, 1.0)), 0.0)


def _overdispersion(seen: Array, expected: Array, inside: slice) -> float:
    """How much more than Poisson the weeks outside of the spell vary: their mean chi-squared, at least 1."""
    import numpy as np

    outside = np.ones(len(seen), bool)
    outside[inside] = False
    if outside.sum() < 28 or seen[outside].sum() < 5:
        return 1.0
    share = seen[outside].sum() / max(expected[outside].sum(), 1e-300)
    weeks = np.array_split(np.flatnonzero(outside), max(4, int(outside.sum()) // 7))
    due = np.array([expected[week].sum() * share for week in weeks])
    got = np.array([seen[week].sum() for week in weeks])
    kept = due > 0
    chi = float((np.square(got[kept] - due[kept]) / due[kept]).sum())
    return max(1.0, chi / max(1, int(kept.sum()) - 1))


def _concentrations(
    spell: Spell, codes: list[Any], names: list[list[Any]], by: tuple[str, ...], place: Any, counts: Array
) -> Iterator[tuple[str, Any, float]]:
    """The value of each further column in which the spell lies, if it does: (column, value, share of its rows)."""
    import numpy as np

    inside = (place >= spell.first) & (place <= spell.last)
    mine = codes[0] == spell.cell
    for i in range(1, len(by)):
        size = len(names[i])

        def sums(rows: Any, i: int = i, size: int = size) -> Array:
            found: Array = np.bincount(codes[i][rows], weights=counts[rows], minlength=size).astype(np.float64)
            return found

        seen, traffic = sums(inside & mine), sums(inside)
        # What each slice would have had at the rate of the time outside of the spell.
        rate = counts[mine & ~inside].sum() / max(counts[~inside].sum(), 1e-300)
        excess = seen - traffic * rate
        total = spell.seen - traffic.sum() * rate
        if total == 0:
            continue
        top = int(np.argmax(excess * np.sign(total)))
        if excess[top] / total >= CONCENTRATED and traffic[top] / max(traffic.sum(), 1e-300) <= TRAFFIC:
            yield by[i], names[i][top], float(seen[top] / max(spell.seen, 1e-300))


def _finding(
    spell: Spell, by: tuple[str, ...], names: list[list[Any]], where: list[tuple[str, Any, float]], start: date
) -> dict[str, Any]:
    first, last = start + timedelta(days=spell.first), start + timedelta(days=spell.last)
    thing = f"{by[0]}={names[0][spell.cell]}"
    place = "".join(f", {column}={'none' if value is None else value}" for column, value, _ in where)
    only = "".join(f"; {share:.0%} of them with {column}={value}" for column, value, share in where)
    return {
        "detector": "spells", "severity": "warning", "subject": thing + place, "period": first.isoformat(),
        "metric": "rows", "value": spell.seen, "expected": spell.expected, "low": None, "high": None,
        "score": spell.score, "action": None, "until": last,
        "reason": f"{spell.seen:,.0f} from {first} to {last}, {spell.expected:,.0f} expected by the traffic{only}",
    }  # fmt: skip
