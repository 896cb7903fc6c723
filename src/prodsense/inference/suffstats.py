"""Sufficient statistics: all that an experiment needs of its units, gathered in the engine in one pass.

A metric is a function of some columns of a unit (its numerator, denominator, covariates). Their count, means and
sums of products of deviations, by arm, are enough for every test here. They add up: days, segments and arms merge
by the pairwise rule of Chan, Golub and LeVeque (1983), so that pieces give what the whole gives.

Raw squares lose the variance of large numbers (of 1e9 with a spread of 0.3 nothing is left). Sums are taken of
differences to a pilot mean, which costs no more and loses nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from prodsense.engines.base import comma
from prodsense.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from prodsense.engines.base import Engine

#: Rows that the pilot mean is taken of. It need not be near the mean, only of its size.
PILOT_ROWS = 100_000


@dataclass(frozen=True, eq=False)
class Moments:
    """Count, means and sums of products of deviations of k columns: ``n``, ``mean`` (k), ``m2`` (k, k)."""

    n: int
    mean: NDArray[np.float64]
    m2: NDArray[np.float64]

    @classmethod
    def of(cls, values: Any) -> Moments:
        """Of rows in memory, shape (n, k) or (n,)."""
        rows = np.asarray(values, float)
        rows = rows[:, None] if rows.ndim == 1 else rows
        if not len(rows):
            return cls.empty(rows.shape[1])
        mean = rows.mean(axis=0)
        away = rows - mean
        return cls(len(rows), mean, away.T @ away)

    @classmethod
    def empty(cls, columns: int) -> Moments:
        return cls(0, np.zeros(columns), np.zeros((columns, columns)))

    @classmethod
    def of_sums(cls, n: int, centre: Any, sums: Any, products: Any) -> Moments:
        """From sums of (x − c) and of (x − c)(y − c): the form in which an engine adds up."""
        if not n:
            return cls.empty(len(centre))
        first = np.asarray(sums, float)
        return cls(int(n), np.asarray(centre, float) + first / n,
                   np.asarray(products, float) - np.outer(first, first) / n)

    @classmethod
    def of_variance(cls, n: int, mean: Any, covariance: Any) -> Moments:
        """From a reported count, mean(s) and sample (co)variance: results that others have aggregated."""
        means = np.atleast_1d(np.asarray(mean, float))
        return cls(int(n), means, np.atleast_2d(np.asarray(covariance, float)) * max(int(n) - 1, 0))

    @property
    def cov(self) -> NDArray[np.float64]:
        """Sample covariance matrix (divisor n − 1)."""
        return self.m2 / (self.n - 1) if self.n > 1 else np.full_like(self.m2, np.nan)

    def __add__(self, other: Moments) -> Moments:
        n = self.n + other.n
        if not self.n or not other.n:
            return self if self.n else other
        apart = other.mean - self.mean
        mean = self.mean + apart * (other.n / n)
        return Moments(n, mean, self.m2 + other.m2 + np.outer(apart, apart) * (self.n * other.n / n))

    def take(self, columns: Sequence[int]) -> Moments:
        """Of some of the columns, in the order given."""
        kept = list(columns)
        return Moments(self.n, self.mean[kept], self.m2[np.ix_(kept, kept)])

    def to_dict(self) -> dict[str, Any]:
        """As it is stored, to be merged with later days: `from_dict` gives it back."""
        return {"n": self.n, "mean": self.mean.tolist(), "m2": self.m2.tolist()}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Moments:
        return cls(int(stored["n"]), np.array(stored["mean"], float), np.array(stored["m2"], float))


def merged(parts: Sequence[Moments]) -> Moments:
    """The parts together; at least one."""
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


#: A metric's name → the columns it is a function of.
Blocks = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, eq=False)
class Gathered:
    """What one pass found: the rows of each group, and each metric's moments there."""

    keys: tuple[str, ...]
    rows: Mapping[tuple[Any, ...], int]
    moments: Mapping[tuple[Any, ...], Mapping[str, Moments]]
    statements: tuple[tuple[str, Mapping[str, Any]], ...]

    def over(self, position: int = 0) -> tuple[dict[Any, int], dict[Any, dict[str, Moments]]]:
        """Rows and moments by one of the keys, the others merged."""
        rows: dict[Any, int] = {}
        found: dict[Any, dict[str, Moments]] = {}
        for key, count in self.rows.items():
            name = key[position]
            rows[name] = rows.get(name, 0) + count
            into = found.setdefault(name, {})
            for metric, moments in self.moments[key].items():
                into[metric] = into[metric] + moments if metric in into else moments
        return rows, found


def gather(
    engine: Engine, source: str, blocks: Blocks, keys: Sequence[str] = (), params: Mapping[str, Any] | None = None,
    *, base: bool = True, cast: Mapping[str, str] | None = None,
) -> Gathered:
    """Moments of each block of columns by `keys`, in one pass over `source`.

    `source` is a SELECT in the source dialect. `base` says that it only reads a stored relation, so that a pilot
    mean is cheap and sums of differences are used; else (it aggregates itself) the engine's own var_samp and
    covar_samp, which need no pilot. A row counts for a metric when all columns of its block are known; where some
    rows have but a part of them, the statement is run once more with that condition.
    """
    unique = list(dict.fromkeys(blocks.values()))
    columns = list(dict.fromkeys(name for block in unique for name in block))
    given = dict(params or {})
    statements: list[tuple[str, Mapping[str, Any]]] = []
    centre = dict.fromkeys(columns, 0.0)
    if base and columns:
        pilot = _pilot(source, columns)
        statements.append((pilot, given))
        found = engine.query(pilot, given).to_pylist()[0]
        for i, name in enumerate(columns):
            value = found[f"p{i}"]
            centre[name] = float(value) if value is not None and np.isfinite(value) else 0.0
        given |= {f"pilot_{i}": centre[name] for i, name in enumerate(columns)}
    text = _one_pass(source, unique, columns, list(keys), base, masked=not base)
    statements.append((text, given))
    lines = engine.query(text, given).to_pylist()
    if base and any(not _complete(line, b, len(block)) for line in lines for b, block in enumerate(unique)):
        # Only where some columns of a unit are missing and others not: a condition on each value is dear.
        text = _one_pass(source, unique, columns, list(keys), base, masked=True)
        statements.append((text, given))
        lines = engine.query(text, given).to_pylist()
    rows: dict[tuple[Any, ...], int] = {}
    moments: dict[tuple[Any, ...], dict[str, Moments]] = {}
    for line in lines:
        key = tuple(line[f"k{i}"] for i in range(len(keys)))
        rows[key] = int(line["n"])
        by_block = {block: _read(line, b, [centre[c] for c in block], base) for b, block in enumerate(unique)}
        moments[key] = {metric: by_block[block] for metric, block in blocks.items()}
    return Gathered(tuple(keys), rows, moments, tuple(statements))


def _pilot(source: str, columns: Sequence[str]) -> str:
    means = ", ".join(f"mean({comma([name])}) AS p{i}" for i, name in enumerate(columns))
    return f"SELECT {means} FROM (SELECT * FROM ({source}) AS every_row LIMIT {PILOT_ROWS}) AS pilot"


def _complete(line: Mapping[str, Any], b: int, k: int) -> bool:
    """Whether the same rows have each of a block's columns: as many have one, and both it and the first."""
    n = line[f"b{b}_n"]
    return all(line[f"n{b}_{j}"] == n == line[f"n{b}_0_{j}"] for j in range(1, k))


def _one_pass(
    source: str, blocks: Sequence[tuple[str, ...]], columns: Sequence[str], keys: list[str], base: bool, masked: bool
) -> str:
    """The statement: an inner SELECT of differences, an outer one that adds them up by group.

    Masked, a row counts for all columns of a block or for none; else it is counted whether that is so anyway.
    """
    position = {name: i for i, name in enumerate(columns)}
    inner = [f"{comma([key])} AS k{i}" for i, key in enumerate(keys)]
    outer = [f"k{i}" for i in range(len(keys))] + ["COUNT(*) AS n"]
    for b, block in enumerate(blocks):
        for j, name in enumerate(block):
            value = f"CAST({comma([name])} AS DOUBLE)"
            if base:
                value = f"({value} - CAST(:pilot_{position[name]} AS DOUBLE))"
            others = " AND ".join(f"{comma([other])} IS NOT NULL" for other in block if other != name and masked)
            inner.append((f"CASE WHEN {others} THEN {value} END" if others else value) + f" AS b{b}_{j}")
        outer.append(f"COUNT(b{b}_0) AS b{b}_n")
        for j in range(len(block)):
            mine = f"b{b}_{j}"
            if j and not masked:
                outer += [f"COUNT({mine}) AS n{b}_{j}", f"COUNT(b{b}_0 * {mine}) AS n{b}_0_{j}"]
            outer.append(f"SUM({mine}) AS s{b}_{j}" if base else f"mean({mine}) AS s{b}_{j}")
            for i in range(j + 1):
                other = f"b{b}_{i}"
                if base:
                    outer.append(f"SUM({mine} * {other}) AS q{b}_{j}_{i}")
                elif i == j:
                    outer.append(f"VAR_SAMP({mine}) AS q{b}_{j}_{i}")
                else:
                    outer.append(f"COVAR_SAMP({mine}, {other}) AS q{b}_{j}_{i}")
    group = f" GROUP BY {', '.join(str(i + 1) for i in range(len(keys)))}" if keys else ""
    rows = f"SELECT {', '.join(inner) or '1 AS one'} FROM ({source}) AS every_row"
    return f"SELECT {', '.join(outer)} FROM ({rows}) AS differences{group}"


def _read(line: Mapping[str, Any], b: int, centre: Sequence[float], base: bool) -> Moments:
    """A block's moments from a row of the answer."""
    k, n = len(centre), int(line[f"b{b}_n"] or 0)
    if not n:
        return Moments.empty(k)
    first = [float(line[f"s{b}_{j}"]) for j in range(k)]
    products = np.zeros((k, k))
    for j in range(k):
        for i in range(j + 1):
            value = line[f"q{b}_{j}_{i}"]
            products[i, j] = products[j, i] = 0.0 if value is None else float(value)
    found = Moments.of_sums(n, centre, first, products) if base else Moments.of_variance(n, first, products)
    if not (np.isfinite(found.mean).all() and np.isfinite(found.m2).all()):
        raise UsageError("a metric holds NaN or infinite values; leave those rows out (--where) or mend them first")
    return found
