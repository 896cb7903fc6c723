"""Least squares against statsmodels, and by hand where there is nothing to compare with."""

from __future__ import annotations

import numpy as np
import pytest

from prodsense.errors import UsageError
from prodsense.inference.ols import band_factor, demeaned, joint, ols, p_value, quantile_of

sm = pytest.importorskip("statsmodels.api")


@pytest.fixture(scope="module")
def data() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(4)
    n = 240
    firm, year = np.repeat(np.arange(24), 10), np.tile(np.arange(10), 24)
    x = np.column_stack([rng.normal(size=n) * 1e3, rng.normal(size=n), np.ones(n)])
    y = x @ [2e-3, -1, 5] + rng.normal(size=24)[firm] + rng.normal(size=10)[year] + rng.normal(size=n) * (1 + x[:, 1] ** 2)
    return {"x": x, "y": y, "firm": firm, "year": year}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"errors": "classic"}, {}),
        ({"errors": "robust"}, {"cov_type": "HC1"}),
        ({"errors": "cluster", "clusters": ["firm"]}, {"cov_type": "cluster", "cov_kwds": {"groups": "firm"}}),
        ({"errors": "cluster", "clusters": ["firm", "year"]}, {"cov_type": "cluster", "cov_kwds": {"groups": "both"}}),
        ({"errors": "hac", "lags": 5}, {"cov_type": "HAC", "cov_kwds": {"maxlags": 5}}),
    ],
    ids=["classic", "hc1", "one way", "two ways", "hac"],
)
def test_errors_equal_statsmodels(data: dict[str, np.ndarray], ours: dict, theirs: dict) -> None:
    options = {**ours, "clusters": [data[name] for name in ours.get("clusters", ())]}
    found = ols(data["y"], data["x"], ["a", "b", "c"], **options)
    kwds = dict(theirs.get("cov_kwds", {}))
    if "groups" in kwds:
        kwds["groups"] = np.column_stack([data["firm"], data["year"]]) if kwds["groups"] == "both" else data[kwds["groups"]]
    fit = sm.OLS(data["y"], data["x"]).fit(**{**theirs, **({"cov_kwds": kwds} if kwds else {})})
    assert found.coefficients == pytest.approx(fit.params, rel=1e-9)
    assert found.std_errors == pytest.approx(fit.bse, rel=1e-7)
    assert found.r_squared == pytest.approx(fit.rsquared, rel=1e-9)


def test_cells_give_the_answer_of_their_rows(data: dict[str, np.ndarray]) -> None:
    """Rows of equal regressors and cluster, aggregated, fit like the rows themselves."""
    x = np.column_stack([np.ones(240), (data["firm"] < 12), (data["year"] > 4)]).astype(float)
    keys, code = np.unique(np.column_stack([x, data["firm"]]), axis=0, return_inverse=True)
    count = np.bincount(code).astype(float)
    mean = np.bincount(code, data["y"]) / count
    spread = np.bincount(code, (data["y"] - mean[code]) ** 2)
    for errors in ("classic", "robust", "cluster"):
        rows = ols(data["y"], x, "abc", errors=errors, clusters=[data["firm"]])
        cells = ols(mean, keys[:, :3], "abc", errors=errors, clusters=[keys[:, 3].astype(int)], count=count, spread=spread)
        assert cells.coefficients == pytest.approx(rows.coefficients)
        assert cells.covariance == pytest.approx(rows.covariance)
        assert cells.r_squared == pytest.approx(rows.r_squared)


def test_a_missing_period_is_a_gap_in_time_not_two_neighbours() -> None:
    """A row of zeros keeps the periods around it two steps apart: by hand, with one lag and a constant."""
    y = np.array([1.0, 2, 0, 4, 9])
    known = np.array([1.0, 1, 0, 1, 1])
    found = ols(y * known, known[:, None], ["constant"], errors="hac", lags=1)
    left = (y - 4) * known
    variance = (left**2).sum() + 2 * 0.5 * (left[0] * left[1] + left[3] * left[4])
    assert found.observations == 4
    assert found.covariance[0, 0] == pytest.approx(variance / 16)


def test_fixed_effects_taken_out_equal_dummies(data: dict[str, np.ndarray]) -> None:
    dummies = (data["firm"][:, None] == np.arange(24)).astype(float)
    full = sm.OLS(data["y"], np.column_stack([data["x"][:, :2], dummies])).fit()
    one = np.ones(240)
    found = ols(demeaned(data["y"], data["firm"], one), demeaned(data["x"][:, :2], data["firm"], one), "ab",
                errors="classic", absorbed=24)  # fmt: skip
    assert found.coefficients == pytest.approx(full.params[:2])
    assert found.std_errors == pytest.approx(full.bse[:2])


def test_joint_tests(data: dict[str, np.ndarray]) -> None:
    fit = sm.OLS(data["y"], data["x"]).fit(cov_type="HC1", use_t=True)
    ours = ols(data["y"], data["x"], "abc").test([0, 1])
    theirs = fit.f_test(np.eye(3)[:2])
    assert (ours.statistic, ours.p_value) == pytest.approx((float(theirs.fvalue), float(theirs.pvalue)))
    # A direction counted twice is one degree.
    twice = joint(np.array([2.0, 2.0]), np.ones((2, 2)))
    assert (twice.degrees, twice.statistic) == (1, pytest.approx(4))
    assert joint(np.zeros(1), np.zeros((1, 1))).degrees == 0


def test_quantiles_and_bands() -> None:
    assert quantile_of(0.95) == pytest.approx(1.959964, abs=1e-6)
    assert quantile_of(0.95, 9) == pytest.approx(2.262157, abs=1e-6)
    assert p_value(1.959964, 1) == pytest.approx(0.05, abs=1e-6) and p_value(1, 0) is None
    # Independent values: the band of k holds each with 0.95^(1/k) (Šidák); of one value it is its interval.
    assert band_factor(np.eye(4), 0.95) == pytest.approx(quantile_of(0.95**0.25), abs=0.03)
    assert band_factor(np.ones((3, 3)), 0.95) == pytest.approx(1.96, abs=0.03)
    assert band_factor(np.eye(1), 0.95) == pytest.approx(1.959964, abs=1e-6)


def test_what_cannot_be_fitted_is_refused() -> None:
    x, y = np.column_stack([np.arange(5.0), 2 * np.arange(5.0), np.ones(5)]), np.arange(5.0)
    with pytest.raises(UsageError, match="b repeats what the columns before it say"):
        ols(y, x, "abc")
    with pytest.raises(UsageError, match="2 observations cannot carry 3"):
        ols(y[:2], x[:2], "abc")
    with pytest.raises(UsageError, match="a is 0 in every row"):
        ols(y, np.column_stack([np.zeros(5), np.ones(5)]), "ab")
    with pytest.raises(UsageError, match="without any error"):
        ols(y, x[:, 1:], "ab")
    y = y**2
    with pytest.raises(UsageError, match="one cluster"):
        ols(y, x[:, 1:], "ab", errors="cluster", clusters=[np.zeros(5, int)])
    with pytest.raises(UsageError, match="no errors named"):
        ols(y, x[:, 1:], "ab", errors="magic")
