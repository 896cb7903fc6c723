"""Clusters and switchbacks: errors are those of statsmodels, CR2 is its definition, arms that leak are seen."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import statsmodels.api as sm

import prodsense as ps
from prodsense.engines.duckdb import DuckDBEngine
from prodsense.inference.designs import Clusters, cluster_effect, cluster_fit, cluster_products, randomisation_test
from prodsense.inference.estimators import Outcome, RefusalError, clustered_value, difference
from prodsense.inference.formula import Formula
from prodsense.inference.suffstats import Moments


@pytest.fixture(scope="module")
def orders() -> pd.DataFrame:
    """Twelve clusters of uneven size in three places."""
    rng = np.random.default_rng(4)
    size = rng.integers(5, 40, 12)
    cluster = np.repeat(np.arange(12), size)
    treated = np.repeat(np.tile([0, 1], 6), size)
    place = cluster % 3
    y = 10 + 1.5 * treated + place + np.repeat(rng.normal(0, 2, 12), size) + rng.normal(0, 3, len(cluster))
    return pd.DataFrame({"cluster": cluster, "treated": treated, "place": place, "y": y})


def design(orders: pd.DataFrame) -> np.ndarray:
    dummies = pd.get_dummies(orders.place, drop_first=True).to_numpy(float)
    return np.column_stack([orders.treated, np.ones(len(orders)), dummies])


def clusters_of(orders: pd.DataFrame) -> Clusters:
    g = orders.groupby("cluster")
    return Clusters(g.y.sum().to_numpy(), g.size().to_numpy(float), g.treated.first().to_numpy() == 1,
                    (g.place.first().to_numpy(),), len(orders))


def test_cr1_is_that_of_statsmodels(orders: pd.DataFrame) -> None:
    fit = sm.OLS(orders.y, design(orders)).fit(cov_type="cluster", cov_kwds={"groups": orders.cluster}, use_t=True)
    found = cluster_effect(clusters_of(orders), "CR1")
    assert found.beta[0] == pytest.approx(fit.params.iloc[0], rel=1e-10)
    assert found.se[0] == pytest.approx(fit.bse.iloc[0], rel=1e-10)
    assert found.freedom[0] == fit.df_resid_inference == 11


def test_cr2_and_its_freedom_are_their_definition_over_rows(orders: pd.DataFrame) -> None:
    """Bell and McCaffrey with every matrix written out, which no sums of products are used for."""
    x, y = design(orders), orders.y.to_numpy()
    bread = np.linalg.inv(x.T @ x)
    residual = y - x @ bread @ x.T @ y
    hat = np.eye(len(y)) - x @ bread @ x.T
    meat = np.zeros((x.shape[1],) * 2)
    columns = []
    for g in range(12):
        rows = np.flatnonzero(orders.cluster == g)
        values, vectors = np.linalg.eigh(np.eye(len(rows)) - x[rows] @ bread @ x[rows].T)
        root = vectors @ np.diag(1 / np.sqrt(values)) @ vectors.T
        score = x[rows].T @ root @ residual[rows]
        meat += np.outer(score, score)
        columns.append(hat[:, rows] @ root @ x[rows] @ bread[:, 0])
    z = np.column_stack(columns)
    gram = z.T @ z
    found = cluster_effect(clusters_of(orders), "CR2")
    assert found.se[0] == pytest.approx(np.sqrt((bread @ meat @ bread)[0, 0]), rel=1e-8)
    assert found.freedom[0] == pytest.approx(np.trace(gram) ** 2 / np.sum(gram**2), rel=1e-8)
    assert 3 < found.freedom[0] < 11


def test_sums_of_products_come_from_the_engine(orders: pd.DataFrame) -> None:
    engine = DuckDBEngine()
    moved = orders.assign(y=orders.y + 1e8)
    with engine.temporary(pa.Table.from_pandas(moved)) as name:
        xx, xy, rows, _ = cluster_products(engine, f"SELECT * FROM {name}", "y", ["treated", "place"], ["cluster"])
    found = cluster_fit(xx, xy, rows, kind="CR1")
    x = sm.add_constant(orders[["treated", "place"]])
    fit = sm.OLS(orders.y, x).fit(cov_type="cluster", cov_kwds={"groups": orders.cluster})
    assert found.beta[1:] == pytest.approx(fit.params[["treated", "place"]].to_numpy(), rel=1e-6)
    assert found.se[1:] == pytest.approx(fit.bse[["treated", "place"]].to_numpy(), rel=1e-6)


def test_without_strata_means_of_clusters_by_hand() -> None:
    # Two clusters an arm: sums (10 of 2 units, 30 of 3) and (14 of 2, 27 of 3).
    a = Moments.of([[10.0, 2.0], [30.0, 3.0]])
    found = clustered_value(a, Outcome(Formula.mean()), 5)
    assert found.value == 8.0  # 40 over 5
    # Residuals of the sums: 10 − 16 = −6 and 30 − 24 = 6, variance 72, over 2 clusters of mean size 2.5.
    assert found.variance == pytest.approx(72 / (2 * 2.5**2))
    b = clustered_value(Moments.of([[14.0, 2.0], [27.0, 3.0]]), Outcome(Formula.mean()), 5)
    assert difference(found, b).effect == pytest.approx(0.2)


def test_the_randomisation_test_is_exact_on_a_case_that_can_be_counted() -> None:
    """Four against four without overlap: 2 of the 70 ways are as extreme."""
    y = np.array([1.0, 2.0, 3.0, 4.0, 11.0, 12.0, 13.0, 14.0])
    cells = Clusters(y, np.ones(8), np.arange(8) >= 4, (), 8)
    assert randomisation_test(cells, draws=20_000) == pytest.approx(2 / 70, abs=0.004)


def test_a_table_with_clusters_and_strata(orders: pd.DataFrame) -> None:
    found = ps.experiment(orders, arm="treated", metrics="y", cluster="cluster", strata="place", control="0")
    row = found.rows[0]
    fit = cluster_effect(clusters_of(orders), "CR2")
    assert (row["effect"], row["se"]) == pytest.approx((fit.beta[0], fit.se[0]), rel=1e-9)
    assert 0 < row["p_randomisation"] <= 1
    assert found.srm["observed"] == {"0": 6, "1": 6}


def test_a_cluster_in_two_arms_is_seen(orders: pd.DataFrame) -> None:
    leaky = orders.copy()
    leaky.loc[leaky.index[:3], "treated"] = 1 - leaky.treated.iloc[0]
    found = ps.experiment(leaky, arm="treated", metrics="y", cluster="cluster", control="0")
    assert found.decision == "hold"
    assert any("1 clusters hold units of several arms" in reason for reason in found.reasons)


def test_arms_that_are_the_strata_are_refused(orders: pd.DataFrame) -> None:
    found = ps.experiment(orders.assign(place=orders.treated), arm="treated", metrics="y", cluster="cluster",
                          strata="place", control="0")
    assert found.rows[0]["effect"] is None
    assert "cannot be told apart from the strata" in found.rows[0]["refused"]
    with pytest.raises(RefusalError, match="2 clusters"):
        cluster_fit(np.ones((2, 1, 1)), np.ones((2, 1)), 4)
