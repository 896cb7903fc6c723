"""The scan for slices: planted causes found exactly, nothing in noise, and the score by brute force."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from prodsense.errors import UsageError
from prodsense.inference.rootcause import Leaves, Slice, scan

SIZES = (6, 5, 4)


def grid() -> tuple[tuple[tuple[Any, ...], ...], tuple[np.ndarray[Any, Any], ...]]:
    cells = np.array(list(itertools.product(*(range(n) for n in SIZES))))
    values = tuple(tuple(f"{name}{i}" for i in range(n)) for name, n in zip("abc", SIZES, strict=True))
    return values, tuple(cells[:, i] for i in range(3))


def labels(found: tuple[Slice, ...]) -> list[str]:
    return [one.label for one in found]


VALUES, CODES = grid()
A, B, C = CODES


def counts(hit: Any, factor: float, seed: int = 1) -> Leaves:
    rng = np.random.default_rng(seed)
    mean = rng.lognormal(6, 0.7, len(A))
    return Leaves(("a", "b", "c"), VALUES, CODES, rng.poisson(mean).astype(float),
                  rng.poisson(mean * np.where(hit, factor, 1.0)).astype(float))  # fmt: skip


def shares(hit: Any, rate: float, seed: int = 2) -> Leaves:
    rng = np.random.default_rng(seed)
    n = rng.integers(200, 2000, len(A)).astype(float)
    return Leaves(("a", "b", "c"), VALUES, CODES, rng.binomial(n.astype(int), 0.05).astype(float),
                  rng.binomial(n.astype(int), np.where(hit, rate, 0.05)).astype(float), n, n)  # fmt: skip


@pytest.mark.parametrize(
    ("hit", "wanted"),
    [(A == 2, "a=a2"), ((A == 2) & (C == 1), "a=a2&c=c1"), ((A == 1) & (B == 3) & (C == 0), "a=a1&b=b3&c=c0")],
)
def test_one_cause_is_found_exactly(hit: Any, wanted: str) -> None:
    assert labels(scan(counts(hit, 0.3), "additive").answers) == [wanted]
    assert labels(scan(shares(hit, 0.2), "ratio").answers)[:1] == [wanted]


def test_two_causes_come_apart() -> None:
    hit = ((A == 0) & (B == 1)) | (C == 3)
    assert set(labels(scan(counts(hit, 0.5), "additive").answers)) == {"a=a0&b=b1", "c=c3"}


def test_noise_has_no_cause() -> None:
    for seed in range(20):
        assert scan(counts(A < 0, 1.0, seed), "additive").answers == ()
        assert scan(shares(A < 0, 0.05, seed), "ratio").answers == ()


def test_a_move_that_all_share_is_the_whole_and_the_rest_is_seen_beside_it() -> None:
    rng = np.random.default_rng(4)
    mean = rng.lognormal(6, 0.5, len(A))
    factor = np.where(A == 2, 0.3, 0.7)
    leaves = Leaves(("a", "b", "c"), VALUES, CODES, rng.poisson(mean).astype(float),
                    rng.poisson(mean * factor).astype(float))  # fmt: skip
    assert labels(scan(leaves, "additive").answers)[:2] in (["all", "a=a2"], ["a=a2", "all"])


def test_the_score_of_a_ratio_is_two_binomial_samples() -> None:
    """By scipy's log-likelihoods, at the best slice."""
    from scipy.stats import binom

    leaves = shares(B == 4, 0.3)
    found = scan(leaves, "ratio")
    inside = B == 4
    assert leaves.n_before is not None and leaves.n_after is not None
    k0, k1, n0, n1 = (x[inside].sum() for x in (leaves.before, leaves.after, leaves.n_before, leaves.n_after))
    own = binom.logpmf(k0, n0, k0 / n0) + binom.logpmf(k1, n1, k1 / n1)
    both = sum(binom.logpmf(k, n, (k0 + k1) / (n0 + n1)) for k, n in ((k0, n0), (k1, n1)))
    assert found.answers[0].score * found.overdispersion == pytest.approx(own - both, rel=1e-9)
    assert found.candidates[0].label == "b=b4"
    # 7*6*5 - 1 slices of fewer dimensions than none, and the whole
    assert found.looked_at == math.prod(n + 1 for n in SIZES)


def test_means_are_told_by_their_own_variance() -> None:
    rng = np.random.default_rng(5)
    size = 300
    rows = [(cell, rng.normal(10, 3, size), rng.normal(12 if A[cell] == 3 else 10, 3, size)) for cell in range(len(A))]
    centre = 10.0

    def column(part: int, fold: Any) -> Any:
        return np.array([fold(row[part]) for row in rows])

    leaves = Leaves(
        ("a", "b", "c"), VALUES, CODES, column(1, np.sum), column(2, np.sum), column(1, len).astype(float),
        column(2, len).astype(float), column(1, lambda x: ((x - centre) ** 2).sum()),
        column(2, lambda x: ((x - centre) ** 2).sum()), centre,
    )  # fmt: skip
    found = scan(leaves, "mean")
    assert labels(found.answers) == ["a=a3"]
    x = np.concatenate([r[1] for r in rows if A[r[0]] == 3])
    y = np.concatenate([r[2] for r in rows if A[r[0]] == 3])
    z = (y.mean() - x.mean()) / math.sqrt(x.var(ddof=1) / len(x) + y.var(ddof=1) / len(y))
    assert found.answers[0].score == pytest.approx(z * z / 2, rel=1e-9)


def test_amounts_of_few_rows_are_not_taken_for_causes() -> None:
    """Sums of a handful of skewed amounts vary by far more than 5%: their squares say so."""
    rng = np.random.default_rng(6)
    sides = [[rng.lognormal(3, 1, 8) for _ in range(len(A))] for _ in range(2)]
    sums, squares = ([np.array([f(x) for x in side]) for side in sides] for f in (np.sum, lambda x: (x * x).sum()))
    leaves = Leaves(("a", "b", "c"), VALUES, CODES, sums[0], sums[1], None, None, squares[0], squares[1])
    assert scan(leaves, "additive").answers == ()


def test_refusals() -> None:
    one = np.array([1.0])
    code = (np.array([0]),)
    with pytest.raises(UsageError, match="at least one dimension"):
        scan(Leaves((), (), (), one, one), "additive")
    with pytest.raises(UsageError, match="not negative"):
        scan(Leaves(("a",), (("x",),), code, -one, one), "additive")
    with pytest.raises(UsageError, match="above its denominator"):
        scan(Leaves(("a",), (("x",),), code, one * 2, one, one, one), "ratio")
    assert scan(Leaves(("a",), (("x",),), code, one * 0, one * 0), "additive").answers == ()


def test_many_dimensions_are_searched_in_few_layers() -> None:
    rng = np.random.default_rng(7)
    codes = tuple(rng.integers(0, 3, 2000) for _ in range(8))
    mean = rng.lognormal(5, 0.5, 2000)
    hit = (codes[5] == 1) & (codes[7] == 2)
    leaves = Leaves(
        tuple("abcdefgh"), tuple(tuple(range(3)) for _ in range(8)), codes, rng.poisson(mean).astype(float),
        rng.poisson(mean * np.where(hit, 0.4, 1)).astype(float),
    )  # fmt: skip
    found = scan(leaves, "additive")
    assert labels(found.answers) == ["f=1&h=2"]
    assert scan(leaves, "additive", layers=1).answers[0].label in ("f=1", "h=2")
