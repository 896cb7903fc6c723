"""What the simulator plants is found in its tables, and nothing is found where nothing was planted.

Each finding is computed here from the tables alone, by pandas and numpy, without code of the package.
Tolerances are about four standard errors at this size.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from prodsense.packs.delivery.simulate import simulate
from prodsense.packs.delivery.simulate_world import Effects

Tables = dict[str, pd.DataFrame]


class City:
    """A simulation and the joins that the tests share."""

    def __init__(self, clean: bool, **effects: float):
        made = simulate(days=63, scale=1.0, seed=21, clean=clean, effects=effects)
        self.truth = made.truth
        self.t: Tables = {name: table.to_pandas() for name, table in made.tables.items()}
        t = self.t
        batches = t["fact_delivery_batches"]
        live = batches[batches.batch_status != "cancelled"]
        live = live.merge(t["dim_batching_algorithms"], on="batching_algorithm_key")
        junction = t["fact_batch_deliveries"][["batch_id", "delivery_id"]].merge(live, on="batch_id")
        deliveries = t["fact_deliveries"].merge(t["fact_orders"], on="order_id", suffixes=("", "_order"))
        columns = ["delivery_id", "batch_id", "total_deliveries", "algorithm_name", "batch_started_at"]
        self.all = deliveries.merge(junction[columns], on="delivery_id", how="left")
        self.all["batched"] = self.all.total_deliveries > 1
        self.d = self.all[self.all.delivery_status == "delivered"].copy()
        self.d["minutes"] = self.d.actual_delivery_time_minutes.astype(float)
        self.d["error"] = self.d.minutes - self.d.estimated_delivery_time_minutes
        self.batches = live[live.batch_status == "completed"]


@pytest.fixture(scope="module")
def city() -> City:
    return City(clean=False)


@pytest.fixture(scope="module")
def clean() -> City:
    return City(clean=True)


def batched_minutes(c: City, among: pd.Series | None = None, flag: pd.Series | None = None) -> float:
    """Coefficient of the flag in a least-squares fit of minutes on it, distance and preparation time."""
    d = c.d if among is None else c.d[among]
    on = (d.batched if flag is None else flag[d.index]).astype(float)
    x = np.column_stack([
        np.ones(len(d)), on, d.delivery_distance_miles.astype(float), d.estimated_prep_time_minutes.astype(float),
    ])  # fmt: skip
    return float(np.linalg.lstsq(x, d.minutes.to_numpy(), rcond=None)[0][1])


def test_batched_orders_take_longer_by_what_was_planted(city: City, clean: City) -> None:
    planted = city.truth["batched_delivery_minutes"]["all"]
    assert planted == pytest.approx(7.0, abs=0.4)  # 7, weighted over algorithms that differ by 1.5
    assert batched_minutes(city) == pytest.approx(planted, abs=0.35)
    assert batched_minutes(clean) == pytest.approx(0.0, abs=0.2)


@pytest.mark.slow
def test_another_size_comes_out_as_asked() -> None:
    small = City(clean=True, batched_extra_minutes=3.0)
    assert batched_minutes(small) == pytest.approx(3.0, abs=0.25)
    assert set(small.truth) == set(City(clean=False, churn_uplift=0.0).truth)


def ab_effect(c: City) -> float:
    """Batched orders of the test's two arms, by the assignment table."""
    a = c.t["experiment_assignments"]
    a = a[a.experiment == "batching_algorithm_ab_test"]
    arm = c.d.order_id.astype(str).map(a.set_index("unit_id").variant)
    return batched_minutes(c, arm.notna() & c.d.batched, arm == "treatment")


def test_the_better_algorithm_is_better_by_what_was_planted(city: City, clean: City) -> None:
    assert city.truth["algorithm_ab_test"]["effect"] == -3.0
    assert ab_effect(city) == pytest.approx(-3.0, abs=0.6)
    assert ab_effect(clean) == pytest.approx(0.0, abs=0.5)


def test_arms_are_balanced_and_by_zone_and_day(city: City) -> None:
    a = city.t["experiment_assignments"]
    orders = a[a.experiment == "batching_algorithm_ab_test"]
    assert len(orders) == pytest.approx(0.7 * 90_000 * 48 / 63, rel=0.2)
    assert (orders.variant == "treatment").mean() == pytest.approx(0.5, abs=0.1)
    told = a[a.experiment == "batching_transparency_test"].variant.value_counts(normalize=True)
    assert told.to_dict() == pytest.approx({"control": 1 / 3, "brief": 1 / 3, "detailed": 1 / 3}, abs=0.02)


def test_promises_to_batched_orders_are_biased_and_spread_as_planted(city: City, clean: City) -> None:
    error = city.d.groupby("batched").error
    assert error.mean()[True] == pytest.approx(city.truth["eta_error_minutes"]["batched"], abs=0.2)
    assert error.mean()[False] == pytest.approx(0.0, abs=0.1)
    by_algorithm = city.d[city.d.batched].groupby("algorithm_name").error.mean()
    for name, key in (("nearest_neighbor", "nearest_neighbor v1.0"), ("ml_optimized", "ml_optimized v1.5")):
        assert by_algorithm[name] == pytest.approx(city.truth["eta_error_minutes"][key], abs=0.3)
    individual, batched = error.std()[False], city.d[city.d.algorithm_name == "ml_optimized"].error.std()
    assert batched / individual == pytest.approx(1.6, abs=0.06)
    none = clean.d.groupby("batched").error
    assert none.mean()[True] == pytest.approx(0.0, abs=0.1)
    assert none.std()[True] / none.std()[False] == pytest.approx(1.0, abs=0.02)


def test_routes_are_longer_than_planned_as_planted(city: City, clean: City) -> None:
    def ratio(c: City, name: str) -> float:
        b = c.batches[c.batches.algorithm_name == name]
        return float(b.actual_total_distance_miles.sum() / b.planned_total_distance_miles.sum())

    for name, key in (("nearest_neighbor", "nearest_neighbor v1.0"), ("ml_optimized", "ml_optimized v1.5")):
        assert ratio(city, name) == pytest.approx(city.truth["route_ratio"][key], abs=0.006)
        assert ratio(clean, name) == pytest.approx(1.0, abs=0.006)
    assert city.truth["route_ratio"]["nearest_neighbor v1.0"] == 1.12


def reported(c: City, issues: tuple[str, ...]) -> pd.Series:
    tickets, refunds = c.t["support_tickets"], c.t["refund_requests"]
    ids = set(tickets.order_id[tickets.issue_type.isin(issues) & tickets.restaurant_id.isna()])
    ids |= set(refunds.order_id[refunds.reason.isin(issues)])
    settled = c.d[c.d.delivered_at < c.d.delivered_at.max() - pd.Timedelta(days=2)]
    return settled.order_id.isin(ids).groupby(settled.batched).mean()


@pytest.mark.parametrize(
    ("name", "issues"),
    [
        ("cold_food_reports", ("cold_food", "poor_condition")),
        ("wrong_item_reports", ("wrong_item", "missing_item", "missing_order")),
    ],
)
def test_complaints_come_at_the_planted_rates(city: City, clean: City, name: str, issues: tuple[str, ...]) -> None:
    found, planted = reported(city, issues), city.truth[name]
    assert found[True] == pytest.approx(planted["batched"], abs=0.006)
    assert found[False] == pytest.approx(planted["individual"], abs=0.003)
    none = reported(clean, issues)
    assert none[True] - none[False] == pytest.approx(0.0, abs=0.004)


def test_long_etas_are_cancelled_at_the_planted_rates(city: City, clean: City) -> None:
    def rates(c: City) -> pd.Series:
        first = c.all[c.all.cancellation_reason != "driver_cancelled"]
        return (first.cancellation_reason == "long_eta").groupby(first.batched).mean()

    planted = city.truth["long_eta_cancellations"]
    assert rates(city)[True] == pytest.approx(planted["batched"], abs=0.004)
    # A part of the individual ones never got a delivery, so that fewer are seen here.
    assert rates(city)[False] == pytest.approx(planted["individual"] * 0.7, abs=0.002)
    assert rates(clean)[True] == pytest.approx(planted["individual"], abs=0.003)


def answers(c: City, question: str) -> pd.DataFrame:
    s = c.t["survey_responses"]
    s = s[s.question == question].merge(c.d[["order_id", "batched", "order_timestamp"]], on="order_id")
    got = c.d[c.d.batched][["customer_id", "order_timestamp"]]
    pairs = s[["response_id", "customer_id", "order_timestamp"]].merge(got, on="customer_id", suffixes=("", "_of"))
    since = pairs.order_timestamp.dt.normalize() - pd.Timedelta(days=27)
    near = (pairs.order_timestamp_of <= pairs.order_timestamp) & (pairs.order_timestamp_of >= since)
    count = near.groupby(pairs.response_id).sum()
    s["often"] = s.response_id.map(count).fillna(0) >= 2
    s["score"] = s.score.astype(float)
    return s


def test_scores_fall_as_planted(city: City, clean: City) -> None:
    food = answers(city, "food_quality").groupby("batched").score.mean()
    assert food[True] == pytest.approx(city.truth["food_quality_score"]["batched"], abs=0.07)
    assert food[False] == pytest.approx(city.truth["food_quality_score"]["individual"], abs=0.05)
    none = answers(clean, "food_quality").groupby("batched").score.mean()
    assert none[True] - none[False] == pytest.approx(0.0, abs=0.08)

    alone = answers(city, "overall")
    alone = alone[~alone.batched].groupby("often").score.mean()  # transparency touches batched orders only
    assert alone[True] == pytest.approx(city.truth["overall_score"]["frequent_batched"], abs=0.12)
    assert alone[False] == pytest.approx(city.truth["overall_score"]["others"], abs=0.06)
    none = answers(clean, "overall").groupby("often").score.mean()
    assert none[True] - none[False] == pytest.approx(0.0, abs=0.1)


def test_promoters_are_fewer_among_frequent_batched_customers(city: City, clean: City) -> None:
    def nps(c: City) -> pd.Series:
        a = answers(c, "nps")
        return (a.nps_score >= 9).groupby(a.often).mean() - (a.nps_score <= 6).groupby(a.often).mean()

    planted = city.truth["nps"]
    assert nps(city)[True] == pytest.approx(planted["frequent_batched"], abs=0.09)
    assert nps(city)[False] == pytest.approx(planted["others"], abs=0.06)
    none = nps(clean)
    assert none[True] - none[False] == pytest.approx(0.0, abs=0.1)


def test_telling_customers_in_detail_helps_as_planted(city: City, clean: City) -> None:
    def effect(c: City) -> float:
        a = c.t["experiment_assignments"]
        a = a[a.experiment == "batching_transparency_test"]
        s = answers(c, "overall")
        s = s[s.batched]
        mean = s.score.groupby(s.customer_id.astype("int64").astype(str).map(a.set_index("unit_id").variant)).mean()
        return float(mean["detailed"] - mean["control"])

    assert effect(city) == pytest.approx(0.30, abs=0.16)
    assert effect(clean) == pytest.approx(0.0, abs=0.16)


def churn_difference(c: City) -> float:
    """Share that orders nothing for 25 days, twice or more batched in the 22 days before less the others,
    at equal numbers of orders (from two on) and weighted by the frequent ones.

    The days before the third algorithm's launch on day 15 are left out: few orders were batched then, so
    that customers of those days have fewer batched orders and older last orders at once.
    """
    o = c.d[["customer_id", "order_timestamp", "batched"]]
    day = (o.order_timestamp - o.order_timestamp.min().normalize()).dt.days
    first, second = o[(day >= 16) & (day < 38)], o[day >= 38]
    people = first.groupby("customer_id").agg(orders=("batched", "size"), batched=("batched", "sum"))
    people["gone"] = ~people.index.isin(second.customer_id)
    people["often"] = people.batched >= 2
    cells = people[people.orders.between(2, 12)].groupby(["orders", "often"]).gone.agg(["mean", "size"]).unstack()
    cells = cells.dropna()
    weight = cells[("size", True)]
    return float(((cells[("mean", True)] - cells[("mean", False)]) * weight).sum() / weight.sum())


def test_batching_drives_customers_away_as_planted(city: City, clean: City) -> None:
    # Visible to an analyst who has this city only; a window holds two to four such orders.
    assert 0.035 < churn_difference(city) < 0.2
    assert churn_difference(clean) == pytest.approx(0.0, abs=0.03)

    def never_again(c: City) -> float:
        """Share of customers' second and later batched orders of the first 30 days without an order after."""
        o = c.d[["customer_id", "order_timestamp", "batched"]].sort_values("order_timestamp")
        later = o[o.batched]
        later = later[later.groupby("customer_id").cumcount() >= 1]
        later = later[later.order_timestamp < o.order_timestamp.min().normalize() + pd.Timedelta(days=30)]
        last = o.groupby("customer_id").order_timestamp.max()
        return float((later.order_timestamp == later.customer_id.map(last)).mean())

    # With the same seed the clean city has the same customers: what they do anyway.
    anyway = never_again(clean)
    assert (never_again(city) - anyway) / (1 - anyway) == pytest.approx(0.04, abs=0.012)


def test_a_batch_pays_more_an_hour_as_planted(city: City, clean: City) -> None:
    def per_hour(c: City) -> pd.Series:
        pay = c.t["delivery_costs"]
        pay = pay[pay.cost_type == "driver_pay"].set_index("order_id").amount_cents
        d = c.d.assign(pay=c.d.order_id.map(pay), trip=np.where(c.d.batched, c.d.batch_id, -c.d.delivery_id))
        trips = d.groupby("trip").agg(
            pay=("pay", "sum"), since=("assigned_to_driver_at", "min"), until=("delivered_at", "max"),
            batched=("batched", "first"),
        )  # fmt: skip
        hours = (trips.until - trips.since).dt.total_seconds() / 3600
        return trips.pay.groupby(trips.batched).sum() / hours.groupby(trips.batched).sum()

    planted = city.truth["base_pay_per_engaged_hour"]
    assert per_hour(city)[True] == pytest.approx(planted["batched"], rel=0.005)
    assert per_hour(city)[False] == pytest.approx(planted["individual"], rel=0.005)
    assert per_hour(clean)[True] / per_hour(clean)[False] == pytest.approx(1.0, abs=0.01)


def test_one_restaurant_is_slow(city: City, clean: City) -> None:
    def waits(c: City) -> pd.Series:
        wait = (c.d.picked_up_at - c.d.driver_arrived_at_restaurant_at).dt.total_seconds() / 60
        of = wait.groupby(c.d.restaurant_id).agg(["median", "size"])
        return of[of["size"] > 100]["median"]

    slow = city.truth["slow_restaurant"]
    found = waits(city)
    assert found.idxmax() == slow["restaurant_id"]
    usual = found.drop(slow["restaurant_id"])
    assert found.max() - usual.median() == pytest.approx(slow["effect"], abs=2.5)
    assert usual.max() < found.max() - 6
    assert waits(clean).max() - waits(clean).median() < 4


def test_one_day_has_an_outage(city: City, clean: City) -> None:
    def shares(c: City) -> pd.Series:
        o = c.t["fact_orders"]
        return (o.order_status == "cancelled").groupby(o.date_partition.astype(str)).mean()

    found, planted = shares(city), city.truth["outage"]
    assert found.idxmax() == planted["day"] == "2024-02-07"
    assert found.max() - found.median() == pytest.approx(planted["effect"], abs=0.05)
    assert shares(clean).max() - shares(clean).median() < 0.04


def test_weaker_algorithms_lose_more_batches(city: City, clean: City) -> None:
    def spread(c: City) -> float:
        b = c.t["fact_delivery_batches"].merge(c.t["dim_batching_algorithms"], on="batching_algorithm_key")
        share = (b.batch_status == "cancelled").groupby(b.algorithm_name).mean()
        return float(share["nearest_neighbor"] - share["ml_optimized"])

    assert spread(city) == pytest.approx(2 * 0.02, abs=0.018)
    assert spread(clean) == pytest.approx(0.0, abs=0.018)


def test_run_times_grow_as_planted(city: City, clean: City) -> None:
    def predicted(c: City, seconds: Callable[[str], list[float]]) -> pd.Series:
        r = c.t["batching_algorithm_runs"].merge(c.t["dim_batching_algorithms"], on="batching_algorithm_key")
        r = r[r.finished_at.notna()]
        name = r.algorithm_name + " " + r.algorithm_version
        n = r.orders_considered.astype(float)
        cost = np.array([seconds(x) for x in name])
        took = (r.finished_at - r.started_at).dt.total_seconds()
        return took.groupby(name).sum() / (cost[:, 0] + cost[:, 1] * n + cost[:, 2] * n**2).groupby(name).sum()

    planted = {name: cost for name, cost in city.truth["algorithm_run_seconds"].items() if name != "unit"}
    assert predicted(city, lambda name: planted[name]).to_dict() == pytest.approx(dict.fromkeys(planted, 1.0), abs=0.05)
    plain = planted["nearest_neighbor v1.0"]
    assert predicted(clean, lambda name: plain).to_dict() == pytest.approx(dict.fromkeys(planted, 1.0), abs=0.05)


def test_a_clean_run_says_that_nothing_is_planted(city: City, clean: City) -> None:
    assert clean.truth == {}
    assert len(city.truth) == 18
    assert Effects.none().override({}) == Effects.none()
