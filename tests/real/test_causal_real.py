"""Causal methods on published data sets: each figure is that of the paper, or of the independent package its README names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import prodsense as ps


@pytest.fixture(scope="module")
def file(shared_data: Path) -> Any:
    def find(name: str) -> Path:
        path = shared_data / name
        if not path.is_file():
            pytest.skip(f"no data at {path}")
        return path

    return find


# -- difference in differences -------------------------------------------------------------------------


def test_kielmc(file: Any) -> None:
    asked: dict[str, Any] = {"treated": "nearinc", "after": "y81", "errors": "classic"}
    data = file("kielmc_did/kielmc.csv")
    found = ps.did(data, "rprice", **asked)
    assert [r["estimate"] for r in found.rows] == pytest.approx([-11863.90, -18824.37, 18790.29, 82517.23], abs=0.01)
    assert found.std_error == pytest.approx(7456.65, abs=0.01)
    aged = ps.did(data, "rprice", covariates=["age", "agesq"], **asked)
    assert (aged.value, aged.std_error) == (pytest.approx(-21920.27, abs=0.01), pytest.approx(6359.75, abs=0.01))
    log = ps.did(data, "lrprice", **asked)
    assert (log.value, log.std_error) == (pytest.approx(-0.06265, abs=1e-5), pytest.approx(0.08344, abs=1e-5))


def test_card_and_krueger(file: Any) -> None:
    asked: dict[str, Any] = {"treated": "nj", "after": "d", "errors": "classic"}
    data = file("card_krueger/njmin3.csv")
    found = ps.did(data, "fte", **asked)
    assert (found.value, found.std_error) == (pytest.approx(2.753606, abs=1e-6), pytest.approx(1.688409, abs=1e-6))
    assert [(m["mean"], m["rows"]) for m in found.extras["means"]] == [
        (pytest.approx(23.331169, abs=1e-6), 77), (pytest.approx(21.165584, abs=1e-6), 77),
        (pytest.approx(20.439408, abs=1e-6), 321), (pytest.approx(21.027429, abs=1e-6), 319),
    ]  # fmt: skip
    assert "26 rows without fte, d, nj left out" in found.notes
    chains = ps.did(data, "fte", covariates=["kfc", "roys", "wendys", "CO_OWNED"], **asked)
    assert (chains.value, chains.std_error) == (pytest.approx(2.845067, abs=1e-6), pytest.approx(1.523338, abs=1e-6))
    regions = ps.did(data, "fte", covariates=["kfc", "roys", "wendys", "CO_OWNED", "SOUTHJ", "CENTRALJ", "PA1"], **asked)
    assert (regions.value, regions.std_error) == (pytest.approx(2.814908, abs=1e-6), pytest.approx(1.502382, abs=1e-6))


def test_petersen(file: Any) -> None:
    data = file("petersen_clustered/petersen.csv")

    def error(**options: Any) -> float | None:
        found = ps.cluster_ols(data, "y", "x", **options)
        assert [r["estimate"] for r in found.rows] == pytest.approx([1.0348334, 0.0296797], abs=1e-7)
        return found.std_error

    assert error(errors="classic") == pytest.approx(0.0285833, abs=1e-7)
    assert error() == pytest.approx(0.0283952, abs=1e-7)
    assert error(cluster="firm") == pytest.approx(0.0505957, abs=1e-7)
    assert error(cluster="year") == pytest.approx(0.0333889, abs=1e-7)
    assert error(cluster=["firm", "year"]) == pytest.approx(0.0535580, abs=1e-7)


# -- staggered adoption --------------------------------------------------------------------------------

MPDTA: dict[str, Any] = {"unit": "countyreal", "time": "year", "cohort": "first_treat"}
ATT = {
    (2004, 2004): -0.0105, (2004, 2005): -0.0704, (2004, 2006): -0.1373, (2004, 2007): -0.1008,
    (2006, 2004): 0.0065, (2006, 2005): -0.0028, (2006, 2006): -0.0046, (2006, 2007): -0.0412,
    (2007, 2004): 0.0305, (2007, 2005): -0.0027, (2007, 2006): -0.0311, (2007, 2007): -0.0261,
}  # fmt: skip


def test_minimum_wage_of_counties(file: Any) -> None:
    data = file("mpdta_staggered/mpdta.csv")
    found = ps.staggered_did(data, "lemp", aggregate="group_time", **MPDTA)
    assert {(r["group"], r["period"]): pytest.approx(r["estimate"], abs=5e-5) for r in found.rows} == ATT
    published = {"simple": (-0.0400, 0.0120), "group": (-0.0310, 0.0127), "dynamic": (-0.0772, 0.0203), "calendar": (-0.0417, 0.0171)}
    for kind, (value, error) in published.items():
        line = found.extras["aggregates"][kind]
        assert line["estimate"] == pytest.approx(value, abs=5e-5)
        assert line["std_error"] == pytest.approx(error, rel=0.1)  # theirs are drawn by a bootstrap
    rows = {kind: [r["estimate"] for r in ps.staggered_did(data, "lemp", aggregate=kind, **MPDTA).rows]
            for kind in ("dynamic", "group", "calendar")}  # fmt: skip
    assert rows["dynamic"] == pytest.approx([0.0305, -0.0006, -0.0245, -0.0199, -0.0510, -0.1373, -0.1008], abs=5e-5)
    assert rows["group"] == pytest.approx([-0.0797, -0.0229, -0.0261], abs=6e-5)
    assert rows["calendar"] == pytest.approx([-0.0105, -0.0704, -0.0488, -0.0371], abs=6e-5)
    balanced = ps.staggered_did(data, "lemp", balance=1, **MPDTA)
    assert balanced.value == pytest.approx(-0.0288, abs=5e-5) and balanced.std_error == pytest.approx(0.0135, rel=0.1)


def test_minimum_wage_given_population(file: Any) -> None:
    found = ps.staggered_did(file("mpdta_staggered/mpdta.csv"), "lemp", covariates="lpop", **MPDTA)
    later = [r["estimate"] for r in found.rows if r["relative"] >= 0]
    assert later == pytest.approx([-0.0211, -0.0530, -0.1404, -0.1069], abs=5e-5)
    assert found.extras["aggregates"]["simple"]["estimate"] == pytest.approx(-0.04175, abs=5e-6)


def test_the_two_way_regression_of_the_minimum_wage(file: Any) -> None:
    naive = ps.staggered_did(file("mpdta_staggered/mpdta.csv"), "lemp", **MPDTA).extras["two_way"]
    assert naive["estimate"] == pytest.approx(-0.036549, abs=1e-6)
    assert naive["std_error"] == pytest.approx(0.013255, rel=2e-3)
    weights = [line["weight"] for line in naive["comparisons"]]
    assert weights == pytest.approx([0.8628, 0.0833, 0.0539], abs=5e-5)
    assert naive["comparisons"][2]["contribution"] == pytest.approx(0.0002, abs=5e-5)
    assert sum(line["contribution"] for line in naive["comparisons"]) == pytest.approx(naive["estimate"])


# -- propensity ----------------------------------------------------------------------------------------

LALONDE: dict[str, Any] = {
    "treated": "treat", "covariates": ["age", "educ", "race", "married", "nodegree", "re74", "re75"]
}  # fmt: skip


def test_lalonde_randomised(file: Any) -> None:
    data = file("lalonde/nsw_experimental.csv")
    plain = ps.cluster_ols(data, "re78", "treat", errors="classic")
    assert (plain.value, plain.std_error) == (pytest.approx(1794.34, abs=0.01), pytest.approx(632.85, abs=0.01))
    assert ps.cluster_ols(data, "re78", "treat").std_error == pytest.approx(670.82, abs=0.01)
    full = ["treat", "age", "educ", "black", "hisp", "marr", "nodegree", "re74", "re75"]
    adjusted = ps.cluster_ols(data, "re78", full, errors="classic")
    assert (adjusted.value, adjusted.std_error) == (pytest.approx(1676.34, abs=0.01), pytest.approx(638.68, abs=0.01))


def test_lalonde_observational(file: Any) -> None:
    data = file("lalonde/matchit_lalonde.csv")
    full = ps.cluster_ols(data, "re78", ["treat", *LALONDE["covariates"]], errors="classic")
    assert (full.value, full.std_error) == (pytest.approx(1548.24, abs=0.01), pytest.approx(781.28, abs=0.01))
    weighted = ps.propensity(data, "re78", method="weighting", **LALONDE)
    assert weighted.value == pytest.approx(1214.07, abs=0.01)
    assert weighted.rows[-1]["estimate"] == pytest.approx(-635.03, abs=0.01)
    for method in ("doubly_robust", "weighting", "matching"):
        found = ps.propensity(data, "re78", method=method, **LALONDE)
        assert 1000 < found.value < 2400
        assert any("unbalanced" in w for w in found.warnings) and found.label == "observational"


def test_lalonde_matched_as_matchit_does(file: Any) -> None:
    found = ps.propensity(file("lalonde/matchit_lalonde.csv"), "re78", method="matching", **LALONDE)
    plain = next(r for r in found.rows if r["estimator"] == "matching")
    assert plain["estimate"] == pytest.approx(894.37, abs=0.01) and found.extras["matched"] == 185
    balance = {b["covariate"]: (b["before"], b["after"]) for b in found.extras["balance"]}
    for name, expected in {"age": (-0.3094, 0.0718), "educ": (0.0550, -0.1290), "re74": (-0.7211, -0.0505),
                           "re75": (-0.2903, -0.0257)}.items():  # fmt: skip
        assert balance[name] == pytest.approx(expected, abs=5e-5)
    # MatchIt sets the difference of a share over its standard deviation too: black about 1.76 before, 1.02 after.
    assert balance["race=black"] == pytest.approx((1.76, 1.02), abs=0.01)
    assert not found.extras["balanced"]


# -- synthetic control ---------------------------------------------------------------------------------

PROP99: dict[str, Any] = {"unit": "state", "time": "year", "treated": "California", "since": 1989}


def test_proposition_99(file: Any) -> None:
    data = file("prop99/prop99.csv")
    found = ps.synthetic_control(data, "cigsale", **PROP99)
    assert found.value == pytest.approx(-19.5136, abs=1e-4)
    assert found.rows[-1]["gap"] == pytest.approx(-26.597, abs=1e-3)
    assert found.extras["error_before"] == pytest.approx(1.6564, abs=1e-4)
    weights = {w["unit"]: w["weight"] for w in found.extras["weights"]}
    published = {"Utah": 0.394, "Montana": 0.232, "Nevada": 0.205, "Connecticut": 0.109, "New Hampshire": 0.045, "Colorado": 0.015}
    assert weights == pytest.approx(published, abs=5e-4)
    assert found.extras["ratio"] == pytest.approx(154.75, abs=0.01) and found.extras["rank"] == 3
    assert found.extras["estimate"]["p_value"] == pytest.approx(3 / 39)
    ratios = {p["unit"]: p["ratio"] for p in found.extras["placebo_units"]}
    assert ratios["Missouri"] == pytest.approx(572.4, abs=0.1) and ratios["Virginia"] == pytest.approx(393.1, abs=0.1)
    assert found.extras["compared"]["did"] == pytest.approx(-27.3491, abs=1e-4)


def test_proposition_99_by_synthetic_differences(file: Any) -> None:
    found = ps.synthetic_control(file("prop99/prop99.csv"), "cigsale", method="sdid", **PROP99)
    # The authors' package stops its optimiser early (-15.6038); this is the optimum itself.
    assert found.value == pytest.approx(-15.6038, abs=0.01)
    assert found.std_error is not None and 8 < found.std_error < 11


# -- interrupted series --------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("outcome", "step", "error", "significant"),
    [("drivers", -0.2359, 0.0205, True), ("front", -0.3194, 0.0306, True), ("rear", 0.0410, 0.0310, False)],
)
def test_seat_belts(file: Any, outcome: str, step: float, error: float, significant: bool) -> None:
    found = ps.interrupted_series(
        file("seatbelts_its/seatbelts.csv"), outcome, time="month", since="1983-02-01", log=True, lags=12
    )
    assert found.extras["season"] == 12
    assert (found.value, found.std_error) == (pytest.approx(step, abs=5e-5), pytest.approx(error, abs=1e-4))
    low, high = found.interval
    assert low is not None and high is not None
    assert (found.extras["estimate"]["p_value"] < 0.01) == significant == (not low < 0 < high)


def test_the_nile_fell(file: Any) -> None:
    found = ps.interrupted_series(file("nile_changepoint/nile.csv"), "volume", time="year", since=1899, slope=False)
    before = found.extras["series"][:28]
    assert sum(r["actual"] for r in before) / 28 == pytest.approx(1097.75)
    assert found.extras["estimate"]["p_value"] < 0.01 and found.value < -150
