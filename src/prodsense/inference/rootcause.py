"""Which slices explain a move: a scan of all combinations of dimensions, and the smallest set that accounts for it.

The data are leaves: one row for each combination of all dimensions, with what was expected (or was before) and what
is now. A slice fixes some of the dimensions; the slices of one set of dimensions are a cuboid, and each leaf belongs
to one slice of each cuboid. A slice's score is a log-likelihood ratio: how much better the leaves inside are described
by a level of their own than by what was expected (Kulldorff 1997, scan statistic), with

    additive   v against f: relative deviations 2(v-f)/(v+f) of leaves, weighted by how precise leaves of that volume
               are; leaves of a cause share their deviation (the ripple effect of Li et al. 2019, PSqueeze), so that a
               slice that is too large is diluted, one that is too small lacks leaves, and the cause scores highest
    ratio      k of n: two binomial samples, before and after
    rate       k for n: two Poisson samples with exposure, for numerators that are no part of their denominator
    mean       two samples with means and variances

The best slice is taken, its leaves are set aside, and the rest is scanned again: nested and overlapping slices of the
same cause do not come twice. The whole competes as a slice of no dimension: a move that all share is "all", and what
departs from the common move is then looked for. Scores are deflated by the overdispersion of the leaves, and what is
left must beat the number of slices looked at.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from prodsense.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[np.float64]]
    Codes = np.ndarray[Any, np.dtype[np.int64]]

Kind = Literal["additive", "ratio", "rate", "mean"]

#: A slice counts when its score is beyond the log of the number of slices by this much (nats). Ten, where three would
#: do for exact likelihoods: tails of real leaves are heavier than their middle says.
MARGIN = 10.0
#: Relative deviations below this are never significant by themselves: no forecast is that good.
LEAST_NOISE = 0.05
#: From so many leaves on their own middle tells the noise.
MANY = 200
#: Dimensions up to which slices of all of them are looked at; beyond, slices of at most `LAYERS` dimensions.
ALL_LAYERS, LAYERS = 5, 3
#: Most answers, and most alternatives.
ANSWERS, CANDIDATES = 12, 10
#: Cells up to which a cuboid is counted in an array; beyond, only the slices that occur.
DENSE = 4_000_000
#: Median of chi-squared with one degree of freedom.
_CHI2_MEDIAN = 0.4549


@dataclass(frozen=True)
class Leaves:
    """Leaves as columns: for each dimension codes into its values; before and after as `kind` needs them.

    additive: `before` is what was expected, `after` what is; `q_before`, `q_after`, where known, the sums of squares of
    the rows' values. Otherwise these are numerators (sums), `n_before` and `n_after` denominators (counts, exposure),
    and for means `q_before`, `q_after` sums of squared distances from `centre`.
    """

    dims: tuple[str, ...]
    values: tuple[tuple[Any, ...], ...]
    codes: tuple[Codes, ...]
    before: Array
    after: Array
    n_before: Array | None = None
    n_after: Array | None = None
    q_before: Array | None = None
    q_after: Array | None = None
    centre: float = 0.0

    def __len__(self) -> int:
        return len(self.before)

    def measures(self) -> list[Array]:
        """The columns of numbers that are there, always in the same order."""
        columns = (self.before, self.after, self.n_before, self.n_after, self.q_before, self.q_after)
        return [column for column in columns if column is not None]


@dataclass(frozen=True)
class Slice:
    """A slice of the move: where (dimension → value; empty: everywhere), how much, how surely.

    `score` is the log-likelihood ratio, `p_value` that of the best of all slices looked at (Bonferroni).
    `numbers` are the sums of the leaves' columns inside.
    """

    where: Mapping[str, Any]
    score: float
    p_value: float
    leaves: int
    numbers: tuple[float, ...] = field(default=())

    @property
    def label(self) -> str:
        """``city=Bonn&platform=ios``; ``all`` for the whole."""
        return "&".join(f"{d}={'none' if v is None else v}" for d, v in self.where.items()) or "all"


@dataclass(frozen=True)
class Scan:
    """What a scan found: the answers in the order they were taken, the best slices before any was, how many slices."""

    answers: tuple[Slice, ...]
    candidates: tuple[Slice, ...]
    looked_at: int
    overdispersion: float


def leaves_of(table: Any, dims: Sequence[str], columns: Sequence[str]) -> tuple[tuple[Any, ...], ...]:
    """Arrow columns of dimensions as values and codes, and of measures as numbers: (values, codes, numbers)."""
    import numpy as np

    values, codes = [], []
    for name in dims:
        column = table.column(name).combine_chunks()
        encoded = column.dictionary_encode(null_encoding="encode")
        values.append(tuple(encoded.dictionary.to_pylist()))
        codes.append(encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64))
    numbers = [np.nan_to_num(table.column(name).to_numpy(zero_copy_only=False).astype(np.float64)) for name in columns]
    return tuple(values), tuple(codes), tuple(numbers)


def scan(leaves: Leaves, kind: Kind, *, layers: int | None = None, margin: float = MARGIN, most: int = ANSWERS) -> Scan:
    """The smallest set of slices that explains how the leaves moved, and the best slices to choose from.

    `layers` is the most dimensions that a slice fixes. Raises UsageError for leaves that `kind` cannot read.
    """
    import numpy as np

    if not leaves.dims:
        raise UsageError("a search for slices needs at least one dimension")
    model = _model(leaves, kind)
    cuboids = list(_cuboids(leaves, layers))
    looked_at = sum(cuboid.occupied for cuboid in cuboids)
    least = math.log(max(looked_at, 1)) + margin
    free = np.ones(len(leaves), bool)
    answers: list[Slice] = []
    candidates: list[Slice] = []
    for step in range(most):
        found = list(_best(leaves, model, cuboids, free, CANDIDATES if step == 0 else 1, looked_at))
        if step == 0:
            candidates = [slice_ for slice_, _, _ in found]
        if not found or found[0][0].score < least:
            break
        best, cuboid, cell = found[0]
        answers.append(best)
        if not best.where:
            model = model.shifted()
            continue
        free &= cuboid.key != cell
        if not free.any():
            break
    return Scan(tuple(answers), tuple(candidates), looked_at, model.overdispersion)


# -- cuboids -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Cuboid:
    """The slices of one set of dimensions: to each leaf the number of its slice."""

    dims: tuple[int, ...]
    key: Codes
    size: int

    def sums(self, column: Array) -> Array:
        """The sum of a column of leaves in each slice."""
        import numpy as np

        found: Array = np.bincount(self.key, weights=column, minlength=self.size).astype(np.float64)
        return found

    @cached_property
    def occupied(self) -> int:
        import numpy as np

        return int((np.bincount(self.key, minlength=self.size) > 0).sum())


def _cuboids(leaves: Leaves, layers: int | None) -> Iterator[_Cuboid]:
    """All cuboids, the whole first, then by number of dimensions: of equal scores the simpler slice comes first."""
    import numpy as np

    count = len(leaves.dims)
    most = min(count, layers or (count if count <= ALL_LAYERS else LAYERS))
    for layer in range(most + 1):
        for chosen in itertools.combinations(range(count), layer):
            key = np.zeros(len(leaves), np.int64)
            size = 1
            for i in chosen:
                key = key * max(1, len(leaves.values[i])) + leaves.codes[i]
                size *= max(1, len(leaves.values[i]))
                if size > DENSE:
                    # Renumbered as they occur, so that keys stay small however many dimensions follow.
                    present, key = np.unique(key, return_inverse=True)
                    size = len(present)
            yield _Cuboid(chosen, key, size)


def _best(
    leaves: Leaves, model: _Model, cuboids: Sequence[_Cuboid], free: Any, count: int, looked_at: int
) -> Iterator[tuple[Slice, _Cuboid, int]]:
    """The `count` slices of highest score among the free leaves, best first; slices of the same leaves come once."""
    import numpy as np

    columns = [np.where(free, column, 0.0) for column in model.columns]
    found: list[tuple[float, int, int]] = []
    for number, cuboid in enumerate(cuboids):
        score = model.score([cuboid.sums(column) for column in columns])
        top = np.argpartition(-score, min(count, len(score) - 1))[: count + 1] if len(score) > 1 else np.array([0])
        found += [(float(score[cell]), number, int(cell)) for cell in top if score[cell] > 0]
    # A child with all the leaves of its parent has the same score but for rounding: it is the parent by another name.
    found.sort(key=lambda item: (-round(item[0], 6), item[1], item[2]))
    seen: set[float] = set()
    for score_, number, cell in found:
        if count == 0:
            return
        if round(score_, 6) in seen:
            continue
        seen.add(round(score_, 6))
        cuboid = cuboids[number]
        inside = free & (cuboid.key == cell)
        first = int(np.argmax(inside))
        where = {leaves.dims[i]: leaves.values[i][leaves.codes[i][first]] for i in cuboid.dims}
        numbers = tuple(float(column[inside].sum()) for column in leaves.measures())
        p_value = min(1.0, looked_at * math.erfc(math.sqrt(score_)))
        yield Slice(where, score_, p_value, int(inside.sum()), numbers), cuboid, cell
        count -= 1


# -- models --------------------------------------------------------------------------------------------


class _Model:
    """How likely leaves are: columns whose sums give the score of any slice."""

    columns: list[Array]
    overdispersion: float = 1.0

    def score(self, sums: list[Array]) -> Array:
        raise NotImplementedError

    def shifted(self) -> _Model:
        """The model once the move that all share is taken as expected."""
        raise NotImplementedError


def _model(leaves: Leaves, kind: Kind) -> _Model:
    if kind == "additive":
        known = leaves.q_before is not None and leaves.q_after is not None
        squares = leaves.q_before + leaves.q_after if known else None  # type: ignore[operator]
        return _Additive(leaves.before, leaves.after, squares)
    if kind == "mean":
        return _Mean(leaves)
    return _Counts(leaves, binomial=kind == "ratio")


class _Additive(_Model):
    """Weighted relative deviations: the score is (sum of w d)^2 / (2 sum of w), w the inverse of a leaf's variance."""

    def __init__(self, expected: Array, actual: Array, squares: Array | None):
        import numpy as np

        if (expected < 0).any() or (actual < 0).any():
            raise UsageError("slices are searched for in numbers that are not negative; here some are")
        self.expected, self.actual, self.squares = expected, actual, squares
        volume = expected + actual
        known = volume > 0
        safe = np.where(known, volume, 1.0)
        deviation = np.where(known, 2 * (actual - expected) / safe, 0.0)
        variance = np.full(len(volume), np.inf)
        variance[known] = _noise(
            deviation[known], volume[known], _step(expected, actual), None if squares is None else squares[known]
        )
        weight = 1 / variance
        self.columns = [weight * deviation, weight]

    def score(self, sums: list[Array]) -> Array:
        import numpy as np

        moved, weight = sums
        return np.where(weight > 0, moved * moved / (2 * np.where(weight > 0, weight, 1.0)), 0.0)

    def shifted(self) -> _Model:
        common = self.actual.sum() / max(self.expected.sum(), 1e-300)
        return _Additive(self.expected * common, self.actual, self.squares)


def _noise(deviation: Array, volume: Array, step: float, squares: Array | None) -> Array:
    """The variance of a leaf's relative deviation, by its volume.

    Of many leaves the middle of the deviations of those of about the same volume (by twentieths) tells it, as most
    have no part in a cause. Of few, chance must do: a sum of independent rows varies by the sum of their squares
    (compound Poisson), a count by itself. It is never below what counting gives whole numbers, what rounding to the
    numbers' own `step` does, and `LEAST_NOISE`.
    """
    import numpy as np

    many = len(volume) >= MANY or (squares is None and len(volume) >= MANY // 4)
    found = np.zeros(len(volume))
    if many:
        order = np.argsort(volume)
        at, spread = [], []
        for part in np.array_split(order, min(20, len(order) // 30 or 1)):
            at.append(np.median(np.log(volume[part])))
            spread.append(1.4826 * np.median(np.abs(deviation[part])))
        found = np.interp(np.log(volume), at, spread)
        found = np.square(np.maximum(found, 0.5 * np.median(found)))
    elif squares is not None:
        found = 4 * squares / np.square(volume)
    counting = 4 / volume if step >= 1 else 0.0
    return np.maximum(found, counting) + np.square(2 * step / volume) + LEAST_NOISE**2


def _step(*columns: Array) -> float:
    """The step in which numbers are given: 1 for whole ones, 0.01 for cents, 0 for none that shows."""
    import numpy as np

    known = np.concatenate([column[column != 0] for column in columns])
    for digits in range(5):
        scaled = known * 10**digits
        if np.all(np.abs(scaled - np.round(scaled)) <= 1e-6 * np.maximum(1.0, np.abs(scaled) * 1e-6)):
            return float(10**-digits)
    return 0.0


class _Counts(_Model):
    """Numerators over denominators, before and after, as two samples of one share (binomial) or rate (Poisson)."""

    def __init__(self, leaves: Leaves, *, binomial: bool, factor: float = 1.0, overdispersion: float | None = None):
        import numpy as np

        assert leaves.n_before is not None and leaves.n_after is not None
        self.leaves, self.binomial, self.factor = leaves, binomial, factor
        before = leaves.before * factor
        if (leaves.before < 0).any() or (leaves.after < 0).any():
            raise UsageError("slices of a ratio are searched for in numerators that are not negative; here some are")
        if binomial and ((leaves.before > leaves.n_before).any() or (leaves.after > leaves.n_after).any()):
            raise UsageError("a numerator is above its denominator: this is no share of it")
        if binomial and factor > 1:
            before = np.minimum(before, leaves.n_before)
        self.columns = [before, leaves.after, leaves.n_before, leaves.n_after]
        self.overdispersion = self._overdispersion() if overdispersion is None else overdispersion

    def _overdispersion(self) -> float:
        """The median leaf's own score over what chance gives, with and without the move that all share; at least 1."""
        import numpy as np

        k0, k1, n0, n1 = self.columns
        enough = (k0 + k1 >= 5) & (n0 > 0) & (n1 > 0)
        if enough.sum() < 10:
            return 1.0
        found = []
        for factor in (1.0, _common(self.leaves)):
            scaled = np.minimum(k0 * factor, n0) if self.binomial else k0 * factor
            ratio = _two_samples(scaled, k1, n0, n1, self.binomial)
            found.append(float(np.median(2 * ratio[enough])) / _CHI2_MEDIAN)
        return max(1.0, min(found))

    def score(self, sums: list[Array]) -> Array:
        k0, k1, n0, n1 = sums
        return _two_samples(k0, k1, n0, n1, self.binomial) / self.overdispersion

    def shifted(self) -> _Model:
        factor = self.factor * _common(self.leaves)
        return _Counts(self.leaves, binomial=self.binomial, factor=factor, overdispersion=self.overdispersion)


def _common(leaves: Leaves) -> float:
    """By how much the ratio of the whole changed."""
    assert leaves.n_before is not None and leaves.n_after is not None
    before = leaves.before.sum() / max(leaves.n_before.sum(), 1e-300)
    after = leaves.after.sum() / max(leaves.n_after.sum(), 1e-300)
    return float(after / before) if before > 0 and after > 0 else 1.0


def _two_samples(k0: Array, k1: Array, n0: Array, n1: Array, binomial: bool) -> Array:
    """The log-likelihood ratio of a ratio each against one for both; 0 where one of them has no denominator."""
    import numpy as np

    def part(k: Array, n: Array) -> Array:
        return _xlogy(k, n) + (_xlogy(n - k, n) if binomial else 0.0)

    found = part(k0, n0) + part(k1, n1) - part(k0 + k1, n0 + n1)
    return np.where((n0 > 0) & (n1 > 0), np.maximum(found, 0.0), 0.0)


def _xlogy(x: Array, n: Array) -> Array:
    """x ln(x / n), 0 where x is."""
    import numpy as np

    there = (x > 0) & (n > 0)
    return np.where(there, x * np.log(np.where(there, x, 1.0) / np.where(there, n, 1.0)), 0.0)


class _Mean(_Model):
    """Means before and after with their variances: half the square of Welch's z."""

    def __init__(self, leaves: Leaves, shift: float = 0.0):
        assert leaves.n_before is not None and leaves.n_after is not None
        assert leaves.q_before is not None and leaves.q_after is not None
        self.leaves, self.shift = leaves, shift
        # Sums about the centre, so that squares lose no digits.
        before = leaves.before - leaves.centre * leaves.n_before
        after = leaves.after - leaves.centre * leaves.n_after
        self.columns = [before, after, leaves.n_before, leaves.n_after, leaves.q_before, leaves.q_after]

    def score(self, sums: list[Array]) -> Array:
        import numpy as np

        s0, s1, n0, n1, q0, q1 = sums
        enough = (n0 >= 2) & (n1 >= 2)
        a, b = np.where(enough, n0, 2.0), np.where(enough, n1, 2.0)
        spread = np.maximum(q0 - s0 * s0 / a, 0) / (a - 1) / a + np.maximum(q1 - s1 * s1 / b, 0) / (b - 1) / b
        moved = s1 / b - s0 / a - self.shift
        # Few equal values have no spread; they prove nothing.
        known = enough & (spread > 1e-12 * (np.abs(q0) / a + 1e-300))
        return np.where(known, moved * moved / (2 * np.where(known, spread, 1.0)), 0.0)

    def shifted(self) -> _Model:
        leaves = self.leaves
        assert leaves.n_before is not None and leaves.n_after is not None
        moved = leaves.after.sum() / leaves.n_after.sum() - leaves.before.sum() / leaves.n_before.sum()
        return _Mean(leaves, float(moved))
