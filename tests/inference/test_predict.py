"""Predictions: the learner and its measures against scikit-learn and statsmodels, features against a plain loop."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import prodsense as ps
from prodsense.engines.dialect import parse, render
from prodsense.errors import ProdsenseError, UsageError
from prodsense.inference import features, predict_scores
from prodsense.inference.predict_learn import Column, Encoder, Learner, folds, shapley
from prodsense.inference.predict_logit import fit_logit
from prodsense.inference.predict_read import read_frame


@pytest.fixture(scope="module")
def sample() -> tuple[Any, Any]:
    """300 rows, 4 columns of very different scale, one of no effect."""
    rng = np.random.default_rng(21)
    x = rng.normal(0, 1, (300, 4)) * [1, 100, 0.01, 5] + [0, 500, 0, 2]
    odds = -0.5 + x[:, 0] + 0.01 * (x[:, 1] - 500) - 60 * x[:, 2]
    return x, (rng.random(300) < 1 / (1 + np.exp(-odds))).astype(float)


# -- the learner -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("penalty", [0.1, 1.0, 30.0])
def test_logit_equals_scikit_learn(sample: tuple[Any, Any], penalty: float) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    x, y = sample
    ours = fit_logit(x, y, penalty)
    theirs = LogisticRegression(C=1 / penalty, tol=1e-12, max_iter=10_000).fit(StandardScaler().fit_transform(x), y)
    assert ours.weights * ours.scales == pytest.approx(theirs.coef_[0], abs=1e-6)
    assert ours.log_odds(x) == pytest.approx(theirs.decision_function(StandardScaler().fit_transform(x)), abs=1e-6)


def test_logit_without_penalty_equals_statsmodels(sample: tuple[Any, Any]) -> None:
    import statsmodels.api as sm

    x, y = sample
    ours, theirs = fit_logit(x, y, 0.0), sm.Logit(y, sm.add_constant(x)).fit(disp=0, tol=1e-12)
    assert [ours.intercept, *ours.weights] == pytest.approx(theirs.params, rel=1e-6)
    assert ours.std_errors == pytest.approx(theirs.bse, rel=1e-6)


def test_logit_refuses_what_has_no_estimate(sample: tuple[Any, Any]) -> None:
    x, y = sample
    with pytest.raises(UsageError, match="both outcomes"):
        fit_logit(x, np.ones(300))
    with pytest.raises(ProdsenseError, match="without error"):
        fit_logit(np.column_stack([x, y]), y, 0.0)
    with pytest.raises(UsageError, match="repeat others"):
        fit_logit(np.column_stack([x, x[:, 0]]), y, 0.0)
    assert np.isfinite(fit_logit(np.column_stack([x, x[:, 0], y]), y, 1.0).weights).all()


def test_encoding_learns_from_training_rows_only() -> None:
    column = Column("n", np.array([1.0, 3.0, np.nan, 100.0]))
    text = Column("t", np.array([0.0, 1.0, 1.0, 2.0]), ("a", "b", "c"))
    encoder = Encoder.of([c.take([0, 1, 2]) for c in (column, text)], True)
    assert encoder.titles == ("n", "n unknown", "t=a")  # b is the most frequent, c was never seen
    assert encoder.matrix([column, text]).tolist() == [[1, 0, 1], [3, 0, 0], [2, 1, 0], [100, 0, 0]]


# -- measures --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scored() -> tuple[Any, Any]:
    rng = np.random.default_rng(22)
    p = np.round(rng.beta(2, 5, 400), 2)  # with ties
    return (rng.random(400) < p).astype(float), p


def test_measures_equal_scikit_learn(scored: tuple[Any, Any]) -> None:
    from sklearn import metrics

    y, p = scored
    found = predict_scores.scores(y, p)
    assert found["auc"] == pytest.approx(metrics.roc_auc_score(y, p), abs=1e-12)
    assert found["average_precision"] == pytest.approx(metrics.average_precision_score(y, p), abs=1e-12)
    assert found["brier"] == pytest.approx(metrics.brier_score_loss(y, p), abs=1e-12)
    assert found["log_loss"] == pytest.approx(metrics.log_loss(y, p), abs=1e-9)


def test_delong_by_a_plain_loop(scored: tuple[Any, Any]) -> None:
    y, p = scored
    ones, zeros = p[y == 1], p[y == 0]
    wins = (ones[:, None] > zeros[None]) + 0.5 * (ones[:, None] == zeros[None])
    variance = wins.mean(axis=1).var(ddof=1) / len(ones) + wins.mean(axis=0).var(ddof=1) / len(zeros)
    assert predict_scores.auc(y, p)[1] == pytest.approx(math.sqrt(variance), rel=1e-9)


def test_wilson_and_isotonic_and_platt(scored: tuple[Any, Any]) -> None:
    from scipy.optimize import minimize
    from sklearn.isotonic import IsotonicRegression
    from statsmodels.stats.proportion import proportion_confint

    y, p = scored
    assert predict_scores.wilson(7, 40, 0.9) == pytest.approx(proportion_confint(7, 40, alpha=0.1, method="wilson"))
    knots, values = predict_scores.isotonic(p, y)
    assert values == pytest.approx(IsotonicRegression().fit(p, y).predict(knots), abs=1e-12)
    odds = np.log(np.clip(p, 0.005, 0.995) / (1 - np.clip(p, 0.005, 0.995)))
    target = np.where(y == 1, (y.sum() + 1) / (y.sum() + 2), 1 / ((1 - y).sum() + 2))

    def loss(ab: Any) -> float:
        eta = ab[0] * odds + ab[1]
        return float(np.sum(np.logaddexp(0, eta) - target * eta))

    assert predict_scores.platt(y, odds) == pytest.approx(minimize(loss, [1, 0], tol=1e-12).x, abs=1e-4)


def test_calibration_and_lift_by_hand() -> None:
    y = np.array([1.0, 1, 0, 1, 0, 0, 0, 0, 0, 0])
    p = np.array([0.9, 0.8, 0.7, 0.7, 0.4, 0.3, 0.2, 0.2, 0.1, 0.1])
    table = predict_scores.lift_table(y, p)
    assert [row["rate"] for row in table] == [1, 1, 0.5, 0.5, 0, 0, 0, 0, 0, 0]  # equal scores share
    assert table[0]["lift"] == pytest.approx(10 / 3) and [row["caught"] for row in table][2] == pytest.approx(2.5 / 3)
    bins = predict_scores.bins(y, p, 2)
    assert [(b["n"], b["observed"], round(b["predicted"], 3)) for b in bins] == [(5, 0.0, 0.18), (5, 0.6, 0.7)]
    assert predict_scores.ece(y, p, 2) == pytest.approx(0.5 * 0.18 + 0.5 * 0.1)


def test_a_constant_score_is_one_bin_without_lift() -> None:
    y = np.array([1.0] * 30 + [0.0] * 70)
    p = np.full(100, 0.3)
    assert len(predict_scores.bins(y, p)) == 1 and predict_scores.ece(y, p) == pytest.approx(0)
    assert all(row["lift"] == pytest.approx(1) for row in predict_scores.lift_table(y, p))
    assert predict_scores.auc(y, p)[0] == 0.5


def test_folds_are_a_partition_with_equal_shares() -> None:
    y = np.array([1.0] * 23 + [0.0] * 60)
    parts = folds(y, 5, 0)
    assert sorted(np.concatenate(parts)) == list(range(83))
    assert {int(y[p].sum()) for p in parts} <= {4, 5} and max(map(len, parts)) - min(map(len, parts)) <= 1


# -- reasons ---------------------------------------------------------------------------------------------


def test_shapley_values_of_a_known_function() -> None:
    """f = 2a + b·c: a's value is 2(a - ā) exactly; all sum to f less its mean over the background drawn."""
    rng = np.random.default_rng(1)
    x, background = rng.normal(0, 1, (5, 3)), np.array([[1.0, 0.0, 0.0]])
    found, start = shapley(lambda r: 2 * r[:, 0] + r[:, 1] * r[:, 2], x, background, np.arange(3), 3, 0)
    assert start == 2.0
    assert found[:, 0] == pytest.approx(2 * (x[:, 0] - 1))
    assert found[:, 1:] == pytest.approx(np.repeat((x[:, 1] * x[:, 2] / 2)[:, None], 2, axis=1))


@pytest.mark.slow
@pytest.mark.parametrize("learner", ["logit", "boosting"])
def test_reasons_sum_to_the_score(learner: str) -> None:
    table = customers(400)
    found = ps.predict(table, label="left", id="id", features=["plan", "spend", "noise"], learner=learner, calibrate="none", top=8)
    assert found.contributions is not None
    for row in found.rows:
        parts = [p for p in found.contributions.to_pylist() if p["id"] == row["id"]]
        odds = parts[0]["start"] + sum(p["effect"] for p in parts)
        assert 1 / (1 + math.exp(-odds)) == pytest.approx(row["probability"], abs=1e-9)
        assert len(parts) == 3 and row["reasons"].count(";") == 2


# -- tables ----------------------------------------------------------------------------------------------


def customers(n: int, seed: int = 5) -> pa.Table:
    """Who leaves hangs on plan and spend, with a bend; `noise` says nothing. `spend` is text with blanks."""
    rng = np.random.default_rng(seed)
    plan, spend = rng.integers(0, 3, n), rng.gamma(2, 30, n)
    odds = -1 + 1.2 * (plan == 0) - 1.0 * (plan == 2) - 0.03 * np.minimum(spend, 80) + 1.5
    left = rng.random(n) < 1 / (1 + np.exp(-odds))
    text = [" " if i % 50 == 0 else f"{v:.2f}" for i, v in enumerate(spend)]
    return pa.table({
        "id": [f"c{i}" for i in range(n)], "plan": [("free", "plus", "pro")[k] for k in plan], "spend": text,
        "noise": rng.normal(0, 1, n), "day": [dt.date(2024, 1, 1) + dt.timedelta(days=int(i * 100 / n)) for i in range(n)],
        "left": ["Yes" if v else "No" for v in left],
    })  # fmt: skip


def test_planted_causes_are_found_and_noise_is_not() -> None:
    found = ps.predict(customers(1500), label="left", id="id", features=["plan", "spend", "noise"])
    assert found.beats and found.extras["metrics"][0]["auc"] > 0.68
    assert found.extras["metrics"][0]["ece"] < 0.04
    assert found.notes[1].startswith("logit beats its baselines")
    assert "read as such" in " ".join(found.notes)
    order = [row["feature"].split("=")[0].split(" ")[0] for row in found.extras["features"]]
    assert "noise" not in order[:2]
    rates = [row["rate"] for row in found.extras["lift"]]
    assert rates[0] > 2 * rates[-1]
    assert found.chart().to_dict() and found.chart(kind="lift").to_dict()
    assert [m["model"] for m in found.extras["metrics"]][1] == "base rate"


@pytest.mark.parametrize("how", ["platt", "isotonic"])
def test_calibration_is_learned_from_training_rows_and_keeps_the_order(how: str) -> None:
    table = customers(900)
    asked: dict[str, Any] = {"label": "left", "id": "id", "features": ["plan", "spend"], "penalty": 1.0, "bends": False, "top": None}
    plain, mended = ps.predict(table, **asked), ps.predict(table, calibrate=how, **asked)
    own = mended.extras["metrics"][0]
    assert own["ece"] < 0.06 and own["auc"] == pytest.approx(plain.extras["metrics"][0]["auc"], abs=0.02)
    assert min(r["probability"] for r in mended.rows) > 0 and max(r["probability"] for r in mended.rows) < 1
    columns = read_frame(table, "left", ["plan", "spend"], id="id", positive=None, time=None, where="")
    model = Learner("logit", 1.0, how).fit(columns.columns, columns.y)
    order = np.argsort(model.log_odds(columns.columns))
    assert (np.diff(model.probability(columns.columns)[order]) >= -1e-12).all()


def test_noise_does_not_beat_the_base_rate() -> None:
    rng = np.random.default_rng(31)
    table = pa.table({"x": rng.normal(0, 1, 500), "z": rng.normal(0, 1, 500), "won": rng.integers(0, 2, 500)})
    found = ps.predict(table, label="won")
    assert not found.beats and "does not beat base rate" in found.notes[1]


def test_rows_without_a_label_are_scored_by_the_others() -> None:
    table = customers(600)
    unknown = [None if i < 25 else v for i, v in enumerate(table["left"].to_pylist())]
    found = ps.predict(table.set_column(5, "left", pa.array(unknown)), label="left", id="id", top=None)
    assert {row["id"] for row in found.rows} == {f"c{i}" for i in range(25)}
    assert "25 subjects without left: scored, not learned from" in found.notes


def test_validation_by_time_keeps_moments_together() -> None:
    table = customers(700)
    found = ps.predict(table, label="left", id="id", time="day", test=0.2, top=None)
    days = dict(zip(table["id"].to_pylist(), table["day"].to_pylist(), strict=True))
    shown = [days[row["id"]] for row in found.rows]
    assert min(shown) == sorted(table["day"].to_pylist())[int(700 * 0.8)]
    assert len(shown) == sum(day >= min(shown) for day in table["day"].to_pylist())
    assert f"judged on the newest {len(shown)} of 700" in found.notes[0]


def test_the_order_of_rows_plays_no_part() -> None:
    table = customers(300)
    mixed = table.take(pa.array(np.random.default_rng(0).permutation(300)))
    one, two = (ps.predict(t, label="left", id="id", features=["plan", "spend"], top=5) for t in (table, mixed))
    assert one.to_json() == two.to_json()


@pytest.mark.parametrize(
    ("change", "options", "says"),
    [
        ({"left": ["Yes"] * 300}, {}, "left is always Yes"),
        ({"left": ["Yes"] * 5 + ["No"] * 295}, {}, "5 subjects with it and 295 without to learn from"),
        ({"left": ["a", "b"] * 150}, {}, "say which one is meant"),
        ({"left": ["a", "b", "c"] * 100}, {}, "3 values, not two"),
        ({}, {"positive": "maybe"}, "never 'maybe'"),
        ({}, {"features": ["id"]}, "has 300 values, too many"),
        ({}, {"features": ["left"]}, "cannot be a feature"),
        ({"plan": ["x"] * 300}, {"features": ["plan"]}, "plan never varies"),
        ({}, {"learner": "magic"}, "no learner named"),
        ({}, {"folds": 1}, "folds is from 2"),
        ({}, {"user": "id"}, "name either"),
    ],
)
def test_refusals(change: dict[str, Any], options: dict[str, Any], says: str) -> None:
    table = customers(300)
    for name, values in change.items():
        table = table.set_column(table.column_names.index(name), name, pa.array(values))
    with pytest.raises(UsageError, match=says):
        ps.predict(table, **{"label": "left", **options})


def test_labels_of_all_kinds() -> None:
    x = list(range(60))
    for values, positive, said in (([True, False] * 30, None, "won"), ([1, 0] * 30, None, "won"),
                                   ([1.0, 0.0] * 30, None, "won"), (["on", "off"] * 30, "on", "won=on")):  # fmt: skip
        frame = read_frame(pa.table({"x": x, "won": values}), "won", (), id=None, positive=positive, time=None, where="")
        assert frame.label == said and frame.y.sum() == 30


# -- events ----------------------------------------------------------------------------------------------


def test_features_by_a_plain_loop() -> None:
    rng = np.random.default_rng(41)
    rows = [
        {"u": int(rng.integers(0, 12)), "t": dt.datetime(2024, 1, 1) + dt.timedelta(days=float(rng.uniform(0, 120))),
         "e": str(rng.choice(["view", "pay"], p=[0.8, 0.2]))} for _ in range(600)
    ]  # fmt: skip
    cuts = [dt.date(2024, 3, 1), dt.date(2024, 4, 1)]
    with features.log_of(rows, "u", "t", "e", "") as log:
        found = features.subject_features(log, cuts, horizon=14, gap=3, goal="pay", within=20)
    assert found.kinds == ("view", "pay")
    seen = {(row["cut"], row["user_id"]): row for row in found.arrow.to_pylist()}
    expected = 0
    for cut in cuts:
        for user in range(12):
            past = [((cut - r["t"].date()).days, r["e"], r["t"].date()) for r in rows if r["u"] == user and r["t"].date() < cut]
            if not past or min(p[0] for p in past) > 20:
                assert (cut, user) not in seen
                continue
            expected += 1
            row = seen[cut, user]
            assert row["recency_days"] == min(p[0] for p in past) and row["tenure_days"] == max(p[0] for p in past)
            assert row["events"] == len(past) and row["kinds"] == len({p[1] for p in past})
            assert row["active_days"] == len({p[2] for p in past})
            for window in (7, 28, 84):
                assert row[f"events_{window}d"] == sum(p[0] <= window for p in past)
                assert row[f"active_days_{window}d"] == len({p[2] for p in past if p[0] <= window})
            assert row["events_before_28d"] == sum(28 < p[0] <= 56 for p in past)
            assert row["kind_1_28d"] == sum(p[0] <= 28 and p[1] == "pay" for p in past)
            assert row["done"] == sum(p[1] == "pay" for p in past)
            ahead = [(r["t"].date() - cut).days for r in rows if r["u"] == user and r["e"] == "pay"]
            assert row["came"] == sum(3 <= d < 17 for d in ahead)
    assert len(seen) == expected


@pytest.mark.slow
@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000))
def test_what_comes_after_a_cut_changes_no_feature(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = [{"u": int(rng.integers(0, 5)), "t": dt.datetime(2024, 1, 1) + dt.timedelta(days=float(rng.uniform(0, 60))),
             "e": str(rng.choice(["a", "b"]))} for _ in range(80)]  # fmt: skip
    cut = dt.date(2024, 2, 1)
    later = [*rows, {"u": 1, "t": dt.datetime(2024, 2, 1), "e": "new"}, {"u": 2, "t": dt.datetime(2024, 2, 20), "e": "new"}]
    answers = []
    for given_rows in (rows, later):
        with features.log_of(given_rows, "u", "t", "e", "") as log:
            answers.append(features.subject_features(log, [cut], horizon=7).arrow.drop_columns("came"))
    assert answers[0].equals(answers[1])


@pytest.mark.parametrize("dialect", ["spark", "postgres", "duckdb"])
def test_the_statement_renders_for_every_engine(dialect: str) -> None:
    with features.log_of([{"u": 1, "t": dt.datetime(2024, 1, 1), "e": "a"}], "u", "t", "e", "") as log:
        sql = features.statement(log, 3, 2, True, "Europe/Berlin")
    assert render(parse(sql), dialect)


@pytest.fixture(scope="module")
def players() -> list[dict[str, Any]]:
    """600 players over 200 days: how often they come predicts whether they stay; each has a life of its own."""
    rng = np.random.default_rng(5)
    rows = []
    for user in range(600):
        rate, life, at = rng.gamma(1.2, 0.25) + 0.02, rng.exponential(120), rng.uniform(0, 120)
        end = min(200, at + life)
        while at < end:
            rows.append({"user": user, "at": dt.datetime(2024, 1, 1) + dt.timedelta(days=at),
                         "event": str(rng.choice(["view", "pay", "open"], p=[0.6, 0.1, 0.3]))})  # fmt: skip
            at += rng.exponential(1 / rate)
    return rows


@pytest.mark.slow
def test_churn_is_judged_by_later_cutoffs(players: list[dict[str, Any]]) -> None:
    found = ps.predict(players, user="user", time="at", event="event", horizon="28d", top=None)
    extras = found.extras
    newest = max(row["at"] for row in players).date()
    assert extras["score_cutoff"] == newest and extras["test_cutoff"] == newest - dt.timedelta(days=28)
    assert extras["train_cutoffs"][-1] == newest - dt.timedelta(days=56)
    active = {r["user"] for r in players if newest - dt.timedelta(days=28) <= r["at"].date() < newest}
    assert {row["user_id"] for row in found.rows} == active and extras["not_over"] == len(active)
    test_users = {r["user"] for r in players if newest - dt.timedelta(days=56) <= r["at"].date() < newest - dt.timedelta(days=28)}
    assert extras["metrics"][0]["n"] == len(test_users)
    assert extras["metrics"][0]["positives"] == len(test_users - active)
    assert extras["metrics"][0]["auc"] > 0.7 and [m["model"] for m in extras["metrics"]] == ["logit", "base rate", "recency rule"]
    assert found.sql and "window is not over" in " ".join(found.notes)


@pytest.mark.slow
def test_a_goal_and_once(players: list[dict[str, Any]]) -> None:
    asked: dict[str, Any] = {"user": "user", "time": "at", "event": "event", "horizon": "14d", "gap": 0, "goal": "pay",
                             "within": "28d", "cutoffs": 3, "as_of": None, "tz": "UTC", "where": ""}  # fmt: skip
    once = features.cohort_frames(players, once=True, **asked)
    every = features.cohort_frames(players, once=False, **asked)
    cut = once.extras["test_cutoff"]
    paid = {r["user"] for r in players if r["event"] == "pay" and r["at"].date() < cut}
    whole, fresh = (set(f.test.ids.to_pylist()) for f in (every, once))
    assert fresh == whole - paid and fresh and paid & whole
    soon = {r["user"] for r in players if r["event"] == "pay" and cut <= r["at"].date() < cut + dt.timedelta(days=14)}
    assert dict(zip(every.test.ids.to_pylist(), every.test.y, strict=True)) == {u: float(u in soon) for u in whole}
    assert np.isnan(every.today.y).all() and every.test.label == "pay within 14 days"
    found = ps.predict(players, user="user", time="at", event="event", goal="pay", horizon="14d")
    assert found.extras["label"] == "pay within 14 days"


@pytest.mark.parametrize(
    ("options", "says"),
    [({"horizon": "90d"}, "choose a shorter horizon"), ({"horizon": "soon"}, "number of days"),
     ({"goal": "fly"}, "holds no event 'fly'"), ({"event": None, "goal": "pay"}, "name the column of the event"),
     ({"user": None}, "name the outcome of a table"), ({"once": True}, "once needs a goal")],
)  # fmt: skip
def test_events_refuse(players: list[dict[str, Any]], options: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        ps.predict(players, **{"user": "user", "time": "at", "event": "event", **options})


def test_boosting_without_its_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    with pytest.raises(ProdsenseError, match=r"prodsense\[methods\]"):
        Learner("boosting").fit([Column("x", np.arange(40.0))], np.array([0.0, 1.0] * 20))
