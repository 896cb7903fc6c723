"""Cox against statsmodels and plain loops; BG/NBD and gamma-gamma against their formulas and simulated customers."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import prodsense as ps
from prodsense.errors import UsageError
from prodsense.inference.cox_math import concordance, fit_cox, proportional_test
from prodsense.inference.ltv_math import BgNbd, GammaGamma, _bgnbd, fit_bgnbd, fit_gamma_gamma


@pytest.fixture(scope="module")
def lives() -> tuple[Any, Any, Any]:
    """200 subjects with many ties: covariates, whole durations, whether seen to end."""
    rng = np.random.default_rng(7)
    x = np.column_stack([rng.normal(0, 1, 200), rng.integers(0, 2, 200)])
    end = rng.exponential(np.exp(-0.7 * x[:, 0] + 0.4 * x[:, 1]) * 8)
    lost = rng.uniform(0, 15, 200)
    return x, np.ceil(np.minimum(end, lost)), end <= lost


def test_cox_equals_statsmodels(lives: tuple[Any, Any, Any]) -> None:
    from statsmodels.duration.hazard_regression import PHReg

    x, span, seen = lives
    ours = fit_cox(x, span, seen)
    theirs = PHReg(span, x, status=seen.astype(int), ties="efron").fit(disp=0)
    assert ours.beta == pytest.approx(theirs.params, abs=1e-6)
    assert np.sqrt(np.diag(ours.covariance)) == pytest.approx(theirs.bse, abs=1e-6)
    assert ours.loglik == pytest.approx(theirs.llf, abs=1e-6)


def test_schoenfeld_test_by_a_plain_loop(lives: tuple[Any, Any, Any]) -> None:
    x, span, seen = lives
    fit = fit_cox(x, span, seen)
    weight = np.exp(x @ fit.beta)
    residuals = []
    for t in sorted(set(span[seen])):
        risk, tied = span >= t, (span == t) & seen
        means = []
        for share in np.arange(tied.sum()) / tied.sum():
            w = np.where(risk, weight, 0.0) - share * np.where(tied, weight, 0.0)
            means.append((w[:, None] * x).sum(axis=0) / w.sum())
        residuals += [(t, *(row - np.mean(means, axis=0))) for row in x[tied]]
    residuals.sort()
    moments, rest = np.array(residuals)[:, 0], np.array(residuals)[:, 1:]
    assert rest.sum(axis=0) == pytest.approx([0, 0], abs=1e-6)
    scaled = len(rest) * rest @ fit.covariance
    g = moments - moments.mean()
    expected = (g @ scaled) ** 2 / (len(rest) * np.diag(fit.covariance) * (g @ g))
    assert proportional_test(fit, fit.times)[0] == pytest.approx(expected, rel=1e-6)


def test_concordance_by_all_pairs(lives: tuple[Any, Any, Any]) -> None:
    x, span, seen = lives
    risk = np.round(x[:, 0], 1)
    pairs = good = 0.0
    for i in range(200):
        for j in range(200):
            if seen[i] and (span[i] < span[j] or (span[i] == span[j] and not seen[j])):
                pairs += 1
                good += 1.0 if risk[i] > risk[j] else 0.5 if risk[i] == risk[j] else 0.0
    assert concordance(span, seen, risk) == (pytest.approx(good / pairs, abs=1e-12), pairs)


def rows_of(lives: tuple[Any, Any, Any]) -> pa.Table:
    x, span, seen = lives
    return pa.table({"span": span, "ended": seen, "a": x[:, 0], "plan": ["pro" if v else "free" for v in x[:, 1]]})


def test_cox_of_a_table(lives: tuple[Any, Any, Any]) -> None:
    found = ps.cox(rows_of(lives), "span", "ended", ["a", "plan"], times=[0.5, 5, 99])
    names = [row["covariate"] for row in found.rows]
    assert names == ["a", "plan=pro"]
    assert found.rows[0]["low"] < math.exp(0.7) < found.rows[0]["high"]
    assert found.rows[1]["low"] < math.exp(-0.4) < found.rows[1]["high"]
    early, middle, never = (row["survival"] for row in found.extras["survival"])
    assert early == 1.0 and 0 < middle < 1 and never is None
    assert found.to_dict()["label"] == "observational" and found.chart().to_dict()


def test_noise_is_said_to_be_noise() -> None:
    rng = np.random.default_rng(11)
    table = pa.table({"span": rng.exponential(5, 300), "ended": [1] * 300, "x": rng.normal(0, 1, 300)})
    assert any("do not beat a model without any" in note for note in ps.cox(table, "span", "ended", ["x"]).notes)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"ended": [False] * 200}, "all 200 subjects are censored"),
        ({"span": [-1.0] * 200}, "not below 0"),
        ({"a": [1.0] * 200}, "a never varies"),
        ({"ended": [True] + [False] * 199}, "1 events are too few"),
        ({"ended": [2] * 200}, "should be 1 where the end was seen"),
    ],
)
def test_cox_refuses(lives: tuple[Any, Any, Any], change: dict[str, Any], says: str) -> None:
    table = rows_of(lives)
    for name, values in change.items():
        table = table.set_column(table.column_names.index(name), name, pa.array(values))
    with pytest.raises(UsageError, match=says):
        ps.cox(table, "span", "ended", ["a", "plan"])


def test_cox_refuses_what_repeats_or_separates(lives: tuple[Any, Any, Any]) -> None:
    table = rows_of(lives)
    twice = table.append_column("b", pa.array(2 * lives[0][:, 0] + 1))
    with pytest.raises(UsageError, match="repeat others"):
        ps.cox(twice, "span", "ended", ["a", "b"])
    apart = pa.table({"span": [1.0, 2, 3, 4, 5, 6, 7, 8], "ended": [1, 1, 1, 1, 0, 0, 0, 0], "x": [1, 1, 1, 1, 0, 0, 0, 0]})
    with pytest.raises(UsageError, match="without error"):
        ps.cox(apart, "span", "ended", ["x"])


# -- lifetime value ---------------------------------------------------------------------------------------


def test_bgnbd_likelihood_and_expectations_by_the_paper() -> None:
    """Equations 6 and 10 of the paper, written out for one customer; the expectation also by its own recursion at 0."""
    r, alpha, a, b = 0.243, 4.414, 0.793, 2.426
    x, tx, age = 2.0, 30.43, 38.86
    beta = lambda p, q: math.gamma(p) * math.gamma(q) / math.gamma(p + q)  # noqa: E731
    front = math.gamma(r + x) * alpha**r / math.gamma(r)
    expected = math.log(
        beta(a, b + x) / beta(a, b) * front / (alpha + age) ** (r + x)
        + beta(a + 1, b + x - 1) / beta(a, b) * front / (alpha + tx) ** (r + x)
    )
    one = [np.array([v]) for v in (x, tx, age)]
    assert _bgnbd(np.array([r, alpha, a, b]), *one)[0] == pytest.approx(expected, abs=1e-10)
    model = BgNbd(r, alpha, a, b, 0.0)
    # Published for this customer: 1.226 purchases in the next 39 weeks.
    assert model.purchases(*one, 39.0)[0] == pytest.approx(1.226, abs=5e-4)
    assert model.alive(*one)[0] == pytest.approx(1 / (1 + a / (b + 1) * ((alpha + age) / (alpha + tx)) ** (r + x)))
    assert model.alive(np.zeros(1), np.zeros(1), np.array([5.0]))[0] == 1.0


@pytest.fixture(scope="module")
def shop() -> pa.Table:
    """800 customers of the model's own kind (r 0.8, alpha 8, a 0.6, b 3), a year and a half, spend gamma-gamma."""
    rng = np.random.default_rng(12)
    who, when, spent = [], [], []
    for customer in range(800):
        rate, leave, level = rng.gamma(0.8, 1 / 8.0), rng.beta(0.6, 3.0), rng.gamma(4.0, 1 / 15.0)
        at = rng.uniform(0, 120)
        while at < 546:
            who.append(customer)
            when.append(dt.datetime(2023, 1, 1) + dt.timedelta(days=at))
            spent.append(rng.gamma(6.0, 1 / level))
            if rng.random() < leave and who.count(customer) > 1:
                break
            at += 7 * rng.exponential(1 / rate)
    return pa.table({"customer": who, "at": when, "paid": spent})


def test_ltv_foresees_the_held_back_and_beats_its_rules(shop: pa.Table) -> None:
    found = ps.ltv(shop, customer="customer", time="at", amount="paid", horizon="26w")
    judged = found.extras["judged"]
    assert judged["beats"] and judged["days"] == 182
    assert judged["metrics"][0]["total"] == pytest.approx(judged["metrics"][0]["actual"], rel=0.2)
    assert found.scores is not None and len(found.scores) == 800 and len(found) == 20
    values = found.scores["value"].to_pylist()
    assert values == sorted(values, reverse=True)
    assert found.extras["total"]["value"] == pytest.approx(sum(values))


def test_ltv_counts_a_day_once_and_repeats_only(shop: pa.Table) -> None:
    """Each customer's summary by a plain loop; a second purchase of a day is the same purchase."""
    twice = pa.concat_tables([shop, shop.slice(0, 300)])
    found = ps.ltv(twice, customer="customer", time="at", horizon="26w", top=None)
    days: dict[int, set[dt.date]] = {}
    for row in shop.to_pylist():
        days.setdefault(row["customer"], set()).add(row["at"].date())
    last = max(max(d) for d in days.values())
    for row in found.rows:
        own = days[row["customer"]]
        assert row["frequency"] == len(own) - 1
        assert row["recency"] == pytest.approx((max(own) - min(own)).days / 7)
        assert row["age"] == pytest.approx((last - min(own)).days / 7)
    assert "value" not in found.arrow.column_names


def test_ltv_says_when_the_likelihood_has_no_maximum() -> None:
    steady = [{"f": 5, "r": 50.0, "a": 50.0 + i % 2} for i in range(60)]  # all alike, nobody left
    with pytest.raises(ps.ProdsenseError, match="no maximum"):
        ps.ltv(steady, frequency="f", recency="r", age="a")


def test_gamma_gamma_finds_what_was_planted() -> None:
    rng = np.random.default_rng(13)
    x = rng.integers(1, 12, 3000).astype(float)
    rate = rng.gamma(4.0, 1 / 15.0, 3000)
    mean = rng.gamma(6.0 * x, 1 / (rate * x))
    model = fit_gamma_gamma(x, mean)
    # Mean spend of all: p · gamma / (q - 1) = 6 · 15 / 3 = 30.
    assert model.p * model.gamma / (model.q - 1) == pytest.approx(30, rel=0.05)
    assert model.p == pytest.approx(6, rel=0.15) and model.q == pytest.approx(4, rel=0.15)
    assert GammaGamma(6.0, 4.0, 15.0, 0.0).spend(np.array([0.0, 2.0]), np.array([0.0, 50.0])) == pytest.approx(
        [30.0, (3 * 30 + 12 * 50) / 15]
    )


@pytest.mark.slow
def test_bgnbd_finds_what_was_planted() -> None:
    rng = np.random.default_rng(14)
    n = 4000
    rate, leave = rng.gamma(0.8, 1 / 8.0, n), rng.beta(0.6, 3.0, n)
    x, tx, age = np.zeros(n), np.zeros(n), rng.uniform(40, 70, n)
    for i in range(n):
        at = rng.exponential(1 / rate[i])
        while at < age[i]:
            x[i], tx[i] = x[i] + 1, at
            if rng.random() < leave[i]:
                break
            at += rng.exponential(1 / rate[i])
    model = fit_bgnbd(x, tx, age)
    assert model.r == pytest.approx(0.8, rel=0.15) and model.alpha == pytest.approx(8, rel=0.2)
    assert model.a / (model.a + model.b) == pytest.approx(0.6 / 3.6, rel=0.15)


@pytest.mark.parametrize(
    ("row", "says"),
    [({"f": 1.5, "r": 1.0, "a": 2.0}, "whole number"), ({"f": 1, "r": 3.0, "a": 2.0}, "lies between"),
     ({"f": 0, "r": 1.0, "a": 2.0}, "no repeat purchase"), ({"f": 1, "r": 1.0, "a": 2.0}, "too few")],
)  # fmt: skip
def test_ltv_refuses(row: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        ps.ltv([row], frequency="f", recency="r", age="a")
