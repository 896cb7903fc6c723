"""The simulated tables are possible: every rule that they must keep, checked on the rows by pandas."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import prodsense as ps
from prodsense.contracts.tables import read_schema
from prodsense.packs import delivery
from prodsense.packs.delivery.simulate import simulate
from prodsense.simulate import Simulation

END = pd.Timestamp(2024, 1, 29)


@pytest.fixture(scope="module")
def made() -> Simulation:
    return simulate(days=28, scale=0.6, seed=11)


@pytest.fixture(scope="module")
def t(made: Simulation) -> Mapping[str, pd.DataFrame]:
    return {name: table.to_pandas() for name, table in made.tables.items()}


def active_junction(t: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    batches = t["fact_delivery_batches"]
    live = batches[batches.batch_status != "cancelled"].drop(columns="date_partition")
    return t["fact_batch_deliveries"].drop(columns="date_partition").merge(live, on="batch_id")


def test_columns_and_types_are_those_of_the_schema(made: Simulation) -> None:
    path = Path(str(delivery.__file__)).with_name("schema.sql")
    schema = read_schema(path.read_text(), "delivery")
    arrow = {
        "BIGINT": pa.int64(), "INT": pa.int32(), "VARCHAR": pa.string(), "JSON": pa.string(), "TEXT": pa.string(),
        "BOOLEAN": pa.bool_(), "TIMESTAMP": pa.timestamp("us"), "DATE": pa.date32(), "INTEGER": pa.int32(),
    }  # fmt: skip
    for name, table in made.tables.items():
        wanted = {}
        for column in schema[name].columns.values():
            if column.type.startswith("DECIMAL"):
                precision, scale = (int(x) for x in column.type[8:-1].split(","))
                wanted[column.name] = pa.decimal128(precision, scale)
            else:
                wanted[column.name] = arrow[column.type]
        assert dict(zip(table.schema.names, table.schema.types, strict=True)) == wanted, name


@pytest.mark.slow
def test_everything_is_accepted_and_every_data_policy_holds(made: Simulation) -> None:
    with ps.open(":memory:") as wh:
        report = wh.ingest(dict(made.tables), pack="delivery")
        for line in str(report).strip().splitlines():
            read = int(line.rsplit("=", 1)[1].split()[0].replace(",", ""))
            assert f"{read:,} accepted + 0 duplicate + 0 quarantined" in line
        wh.build("delivery")
        names = [n for n in wh.pack("delivery").policies if not n.startswith("guardrail_")]
        assert "batch_constraint_parameters" in names
        for result in wh.policies(*(f"delivery.{n}" for n in names)):
            assert result.violations.arrow.num_rows == 0, (result.name, result.violations)


def test_references_point_to_rows(t: Mapping[str, pd.DataFrame]) -> None:
    keys = {
        "order_id": "fact_orders", "delivery_id": "fact_deliveries", "batch_id": "fact_delivery_batches",
        "driver_id": "dim_drivers", "customer_id": "dim_customers", "restaurant_id": "dim_restaurants",
        "batch_delivery_id": "fact_batch_deliveries", "batching_algorithm_key": "dim_batching_algorithms",
    }  # fmt: skip
    checked = 0
    for name, table in t.items():
        for column, parent in keys.items():
            if column in table and parent != name:
                assert table[column].dropna().isin(t[parent][column]).all(), (name, column)
                checked += 1
    assert checked > 25


def test_moments_of_a_delivery_follow_each_other(t: Mapping[str, pd.DataFrame]) -> None:
    d = t["fact_deliveries"].merge(t["fact_orders"], on="order_id")
    steps = [
        "order_timestamp", "delivery_created_at", "assigned_to_driver_at", "driver_arrived_at_restaurant_at",
        "picked_up_at", "delivered_at",
    ]  # fmt: skip
    for before, after in pairwise(steps):
        both = d[before].notna() & d[after].notna()
        assert (d.loc[both, before] <= d.loc[both, after]).all(), (before, after)
        assert not (d[after].notna() & d[before].isna()).any()
    assert d[steps].max().max() < END
    done = d[d.delivery_status == "delivered"]
    assert done.delivered_at.notna().all()
    minutes = (done.delivered_at - done.delivery_created_at).dt.total_seconds() / 60
    assert (minutes - done.actual_delivery_time_minutes).abs().max() <= 0.5
    assert np.allclose(
        done.delivery_distance_miles.astype(float),
        (done.driver_to_restaurant_distance_miles + done.restaurant_to_customer_distance_miles).astype(float),
    )


def test_orders_are_conserved(t: Mapping[str, pd.DataFrame]) -> None:
    orders, d = t["fact_orders"], t["fact_deliveries"]
    live = d[d.delivery_status != "cancelled"]
    assert not live.order_id.duplicated().any()
    delivered = set(orders.order_id[orders.order_status == "delivered"])
    assert delivered == set(live.order_id[live.delivery_status == "delivered"])
    cancelled = orders[orders.order_status == "cancelled"]
    assert not set(cancelled.order_id) & set(live.order_id)
    assert len(delivered) + len(cancelled) < len(orders) < len(delivered) + len(cancelled) + 60  # the rest is under way
    assert d.order_id.duplicated().any(), "some orders need a second delivery"
    assert (~cancelled.order_id.isin(d.order_id)).any(), "some orders never get one"


def test_demand_has_its_rhythm(t: Mapping[str, pd.DataFrame]) -> None:
    at = t["fact_orders"].order_timestamp
    by_hour = at.dt.hour.value_counts()
    assert by_hour[[18, 19]].min() > 2.3 * by_hour[15] > 20 * by_hour[3]
    by_day = at.dt.day_of_week.value_counts()
    assert by_day[[4, 5]].min() > 1.15 * by_day[[0, 1]].max()
    assert len(at) / 28 == pytest.approx(1500 * 0.6, rel=0.12)


def test_batches_reconcile_with_their_rows(t: Mapping[str, pd.DataFrame]) -> None:
    b, j = t["fact_delivery_batches"].set_index("batch_id"), t["fact_batch_deliveries"]
    count = j.groupby("batch_id").size()
    assert (count.reindex(b.index).fillna(0) == b.total_deliveries).all()
    assert (b.total_orders == b.total_deliveries).all()
    fees = j.merge(t["fact_deliveries"], on="delivery_id").merge(t["fact_orders"], on="order_id").groupby("batch_id")
    assert (fees.delivery_fee_cents.sum() == b.total_delivery_fees_cents).all()
    assert (fees.tip_amount_cents.sum() == b.total_tips_cents).all()
    live = active_junction(t)
    assert not live.delivery_id.duplicated().any()
    assert not j.duplicated(["batch_id", "dropoff_sequence"]).any()
    cancelled = b[b.batch_status == "cancelled"]
    moved = j[j.batch_id.isin(cancelled.index)]
    assert moved.delivery_id.isin(live.delivery_id).any(), "some are batched again"
    assert (~moved.delivery_id.isin(live.delivery_id)).any(), "some are delivered alone"
    assert cancelled.driver_id.isna().all()


def test_pickups_and_dropoffs_follow_their_sequence(t: Mapping[str, pd.DataFrame]) -> None:
    live = active_junction(t)
    done = live[live.actual_dropoff_time.notna()]
    by_drop = done.sort_values(["batch_id", "dropoff_sequence"])
    same = by_drop.batch_id.eq(by_drop.batch_id.shift())
    assert (by_drop.actual_dropoff_time.diff()[same] > pd.Timedelta(0)).all()
    by_pick = done.sort_values(["batch_id", "pickup_sequence"])
    same = by_pick.batch_id.eq(by_pick.batch_id.shift())
    assert (by_pick.actual_pickup_time.diff()[same] >= pd.Timedelta(0)).all()
    whole = done.groupby("batch_id")
    assert (whole.actual_pickup_time.max() < whole.actual_dropoff_time.min()).all()
    restaurant = done.merge(t["fact_deliveries"], on="delivery_id").merge(t["fact_orders"], on="order_id")
    assert (restaurant.groupby(["batch_id", "pickup_sequence"]).restaurant_id.nunique() == 1).all()
    d = done.merge(t["fact_deliveries"], on="delivery_id", suffixes=("", "_d"))
    assert (d.actual_pickup_time == d.picked_up_at).all()
    assert (d.actual_dropoff_time == d.delivered_at).all()
    assert (d.driver_id == d.driver_id_d).all()
    assert (d.delivery_delay_minutes == d.actual_delivery_time_minutes - d.estimated_delivery_time_minutes).all()


def test_batches_keep_the_limits_of_their_algorithm(t: Mapping[str, pd.DataFrame]) -> None:
    live = active_junction(t).merge(t["dim_batching_algorithms"], on="batching_algorithm_key")
    live = live.merge(t["fact_deliveries"][["delivery_id", "order_id"]], on="delivery_id")
    live = live.merge(t["fact_orders"][["order_id", "restaurant_id", "estimated_prep_time_minutes"]], on="order_id")
    live = live.merge(t["dim_restaurants"][["restaurant_id", "can_handle_batch_pickups"]], on="restaurant_id")
    live = live.merge(t["dim_drivers"][["driver_id", "max_batch_capacity"]], on="driver_id", how="left")
    assert (live.total_deliveries <= live.max_batch_size).all()
    assert not (live.total_deliveries > live.max_batch_capacity).any()
    assert not (live.actual_total_distance_miles > live.max_total_distance_miles).any()
    assert not (live.actual_total_time_minutes > live.max_total_time_minutes).any()
    assert live[live.total_deliveries > 1].can_handle_batch_pickups.all()
    grouped = live.groupby("batch_id")
    assert (grouped.restaurant_id.nunique() <= 3).all()
    assert (grouped.estimated_prep_time_minutes.agg(lambda p: p.max() - p.min()) <= 15).all()
    assert (live.batch_created_at >= live.deployed_at).all()
    assert not (live.batch_created_at.dt.normalize() > live.deprecated_at).any()
    assert (live[live.algorithm_name == "no_batching"].total_deliveries == 1).all()
    assert (live[live.algorithm_name != "no_batching"].total_deliveries > 1).all()
    algos = t["dim_batching_algorithms"]
    for moment in pd.date_range("2024-01-01", END, freq="12h"):
        on = algos[(algos.deployed_at <= moment) & ~(algos.deprecated_at <= moment)]
        assert float(on.traffic_percentage.sum()) <= 1.0


def test_waypoints_add_up_to_the_batch(t: Mapping[str, pd.DataFrame]) -> None:
    w = t["fact_batch_waypoints"].merge(t["fact_delivery_batches"], on="batch_id", suffixes=("", "_b"))
    w = w[w.batch_status == "completed"]
    stops = w.drop_duplicates(["batch_id", "sequence_order"]).sort_values(["batch_id", "sequence_order"])
    first = stops.groupby("batch_id").first()
    assert (stops.groupby("batch_id").sequence_order.agg(lambda s: list(s) == list(range(1, len(s) + 1)))).all()
    assert (first.waypoint_type == "driver_start").all()
    assert (stops.groupby("batch_id").last().waypoint_type == "driver_end").all()
    driven = stops.distance_to_next_miles.astype(float).groupby(stops.batch_id).sum()
    total = first.actual_total_distance_miles.astype(float)
    assert (driven - total).abs().max() < 0.006 * stops.groupby("batch_id").size().max() + 0.006
    step = stops.actual_arrival_time.shift(-1) - stops.actual_departure_time
    inside = stops.batch_id.eq(stops.batch_id.shift(-1))
    assert (step[inside] >= pd.Timedelta(0)).all()
    assert not (stops.actual_departure_time < stops.actual_arrival_time).any()
    assert (first.actual_departure_time == first.batch_started_at).all()
    served = w[w.waypoint_type == "customer"].merge(t["fact_deliveries"], on="delivery_id")
    assert (served.actual_departure_time == served.delivered_at).all()
    # Street miles of a leg are never shorter than the straight line between its ends.
    lat, lng = stops.waypoint_lat.astype(float), stops.waypoint_lng.astype(float)
    north = (lat.shift(-1) - lat) * 69.09
    east = (lng.shift(-1) - lng) * 69.09 * np.cos(np.radians(37.775))
    straight = np.hypot(north, east)[inside & (stops.waypoint_type != "driver_start")]
    assert (stops.distance_to_next_miles.astype(float)[straight.index] >= straight * 0.94 - 0.02).all()


def test_a_driver_has_one_trip_at_a_time_within_a_session(t: Mapping[str, pd.DataFrame]) -> None:
    live = active_junction(t)[["delivery_id", "batch_id"]]
    d = t["fact_deliveries"].merge(live, on="delivery_id", how="left")
    d = d[d.driver_id.notna()]
    d["trip"] = d.batch_id.fillna(-d.delivery_id)
    d["until"] = d.delivered_at.fillna(END)
    trips = d.groupby(["driver_id", "trip"]).agg(since=("assigned_to_driver_at", "min"), until=("until", "max"))
    trips = trips.reset_index().sort_values(["driver_id", "since"])
    same = trips.driver_id.eq(trips.driver_id.shift())
    assert (trips.since - trips.until.shift())[same].min() >= pd.Timedelta(0)

    s = t["driver_online_sessions"].sort_values(["driver_id", "online_at"])
    ends = s.offline_at.fillna(END)
    same = s.driver_id.eq(s.driver_id.shift())
    assert (s.online_at - ends.shift())[same].min() > pd.Timedelta(0)
    asked = t["batch_offers"][["driver_id", "offered_at"]].rename(columns={"offered_at": "since"}).assign(until=pd.NaT)
    jobs = pd.concat([trips[["driver_id", "since", "until"]], asked]).sort_values("since")
    jobs["driver_id"] = jobs.driver_id.astype("int64")
    found = pd.merge_asof(
        jobs, s.sort_values("online_at"), left_on="since", right_on="online_at", by="driver_id", direction="backward"
    )
    assert found.online_at.notna().all()
    over = found.offline_at.fillna(END)
    assert (found.until.fillna(found.since) <= over).all()


def test_offers_lead_to_one_acceptance(t: Mapping[str, pd.DataFrame]) -> None:
    o = t["batch_offers"].merge(t["fact_delivery_batches"], on="batch_id", suffixes=("", "_b"))
    assert (o.offered_at >= o.batch_created_at).all()
    accepted = o[o.decision == "accepted"]
    assert not accepted.batch_id.duplicated().any()
    assert (accepted.driver_id == accepted.driver_id_b).all()
    assert (accepted.decided_at == accepted.batch_assigned_at).all()
    others = o[o.decision.isin(["declined", "expired"])]
    assert set(others.decision) == {"declined", "expired"}
    assert (others.decided_at <= others.batch_assigned_at.fillna(END)).all()
    assert (others.driver_id != others.driver_id_b).all()


def test_states_form_a_chain_that_ends_in_the_batch_status(t: Mapping[str, pd.DataFrame]) -> None:
    s = t["fact_batch_state_changes"].sort_values(["batch_id", "timestamp", "state_change_id"])
    same = s.batch_id.eq(s.batch_id.shift())
    assert s.previous_state[~same].isna().all()
    assert (s.previous_state[same] == s.new_state.shift()[same]).all()
    last = s.groupby("batch_id").new_state.last()
    b = t["fact_delivery_batches"].set_index("batch_id")
    assert (last.reindex(b.index) == b.batch_status).all()
    assert {"created", "assigned", "in_progress", "completed", "cancelled"} == set(s.new_state)


def test_money_adds_up(t: Mapping[str, pd.DataFrame]) -> None:
    orders = t["fact_orders"].set_index("order_id")
    earned, costs = t["driver_earnings"], t["delivery_costs"]
    tips = orders.tip_amount_cents[orders.order_status == "delivered"].sum()
    pay = costs[costs.cost_type == "driver_pay"].amount_cents.sum()
    paid = earned.amount_cents.sum() - tips
    assert paid == pytest.approx(pay, rel=2e-3)  # shares of a batch's pay are rounded, open batches are not paid yet
    per_order = costs.groupby(["order_id", "cost_type"]).size()
    assert (per_order == 1).all()
    assert earned.amount_cents.min() > 0


def test_a_part_of_what_is_under_way_is_unknown_yet(t: Mapping[str, pd.DataFrame]) -> None:
    d = t["fact_deliveries"]
    open_ = d[~d.delivery_status.isin(["delivered", "cancelled"])]
    assert len(open_) > 0
    assert open_.delivered_at.isna().all()
    assert open_.actual_delivery_time_minutes.isna().all()
    for name, table in t.items():
        for column in table.select_dtypes("datetime").columns:
            if not column.startswith("estimated_"):
                assert not (table[column] >= END).any(), (name, column)


@pytest.mark.parametrize("kwargs", [{"days": 1, "scale": 0.02}, {"days": 3, "scale": 0.05, "start": date(2023, 2, 27)}])
def test_small_cities_work(kwargs: dict[str, object]) -> None:
    small = simulate(**kwargs)  # type: ignore[arg-type]
    assert small.tables["fact_orders"].num_rows > 10
    assert small.tables["dim_batching_algorithms"].num_rows == 5
