"""Instances, dispatch and mapping on a day small enough to work out by hand.

100 metres a minute; restaurant r1 at (0, 0). c1 waits there, c2 500 m away; both work minutes 0 to 60.

* minute 10: o1 (ready 20, 500 m away) and o2 (ready 12, 1,000 m away) are placed. o1 first: both could
  pick up at 20, c1 travels less. c1: pickup 20, drop 20 + 2 + 5 + 2 = 29, free 31.
  o2 by c2: 5 minutes there, pickup 10 + 5 + 2 = 17, drop 17 + 2 + 10 + 2 = 31, free 33.
* minute 12: o10 (ready 13, 100 m away) waits for c1 at 31: 5 minutes back, pickup 38, drop 38 + 2 + 1 + 2 = 43.
* minute 40: o3 (ready 58, at the restaurant) by c2, idle 1,000 m away: 10 minutes, waits, pickup 58, drop 62.
* minute 46: o4 (ready 59, 200 m away) by c1, idle since 45, 1 minute away: pickup 59, drop 59 + 2 + 2 + 2 = 65.
* minute 47: o5 (ready 50): nobody is free before the shifts end. Not delivered.
"""

from __future__ import annotations

import math
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from prodsense.errors import ContractError
from prodsense.packs.delivery.dispatch import Run, algorithm, from_instance, simulate
from prodsense.packs.delivery.dispatch.record import to_tables
from prodsense.packs.delivery.mdrp import Instance, read_instance

ORDERS = """order\tx\ty\tplacement_time\trestaurant\tready_time
o3\t0\t0\t40\tr1\t58
o1\t300\t400\t10\tr1\t20
o2\t0\t1000\t10\tr1\t12
o10\t100\t0\t12\tr1\t13
o4\t0\t200\t46\tr1\t59
o5\t0\t100\t47\tr1\t50
"""
FILES = {
    "orders": ORDERS,
    "restaurants": "restaurant\tx\ty\nr1\t0\t0\n",
    "couriers": "courier\tx\ty\ton_time\toff_time\nc1\t0\t0\t0\t60\nc2\t500\t0\t0\t60\n",
    "instance_parameters": (
        "meters_per_minute\tpickup service minutes\tdropoff service minutes\ttarget click-to-door\t"
        "maximum click-to-door\tpay per order\tguaranteed pay per hour\n100\t4\t4\t25\t90\t10\t25\n"
    ),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "tiny"
    place.mkdir()
    for name, text in FILES.items():
        (place / f"{name}.txt").write_text(text)
    return place


def first_come(instance: Instance) -> Run:
    return simulate(from_instance(instance), algorithm("no_batching"))


def test_the_schedule_is_the_one_worked_out_above(folder: Path) -> None:
    instance = read_instance(folder)
    run = first_come(instance)
    trips = {instance.orders[trip.orders[0]]: trip for trip in run.trips}
    rows = {
        name: (int(run.courier[i]), trips[name].assigned, run.picked[i], run.dropped[i])
        for i, name in enumerate(instance.orders) if name != "o5"
    }
    assert run.courier[instance.orders.index("o5")] == -1
    assert math.isnan(run.dropped[instance.orders.index("o5")])
    assert rows == {
        "o1": (0, 10, 20, 29), "o2": (1, 10, 17, 31), "o10": (0, 31, 38, 43), "o3": (1, 40, 58, 62),
        "o4": (0, 46, 59, 65),
    }  # fmt: skip
    assert trips["o3"].arrive[0] == 50


def test_the_measures_are_the_ones_by_hand(folder: Path) -> None:
    found = first_come(read_instance(folder)).measures()
    expected = {
        "undelivered": 1 / 6,
        "click_to_door": (19 + 21 + 31 + 22 + 19) / 5,
        "click_to_door_censored": (19 + 21 + 31 + 22 + 19 + 120) / 6,
        "click_to_door_p90": 22 + 0.6 * 9,
        "on_time": 4 / 6,  # within 25 minutes: all delivered but o10
        "ready_to_pickup": (0 + 5 + 25 + 0 + 0) / 5,
        # Driving and service: c1 13 + 14 + 11 minutes, c2 23 + 18, of 60 each.
        "utilisation": (38 / 60 + 41 / 60) / 2,
        # c1 earns 30 by its orders, c2 the guaranteed 25 instead of 20.
        "cost_per_order": 55 / 5,
        "miles_per_delivery": (500 + 1500 + 600 + 1000 + 300) / 5 / 1609.344,
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_the_tables_hold_the_day(folder: Path) -> None:
    tables = to_tables(first_come(read_instance(folder)))
    orders = {r["order_id"]: r for r in tables["fact_orders"].to_pylist()}
    assert sorted(orders) == [1, 2, 3, 4, 5, 10]
    assert orders[2]["order_timestamp"] == datetime(2018, 1, 1, 0, 10)
    assert (orders[5]["order_status"], orders[4]["order_status"]) == ("cancelled", "delivered")
    assert orders[1]["estimated_prep_time_minutes"] == 10
    deliveries = {r["order_id"]: r for r in tables["fact_deliveries"].to_pylist()}
    lost, second = deliveries[5], deliveries[2]
    assert lost["delivery_status"] == "cancelled"
    assert lost["cancellation_reason"] == "no_driver_available"
    unknown = ("driver_id", "picked_up_at", "delivered_at", "actual_delivery_time_minutes")
    assert [lost[column] for column in unknown] == [None] * 4
    assert second["driver_id"] == 2
    assert second["driver_arrived_at_restaurant_at"] == datetime(2018, 1, 1, 0, 15)
    assert second["picked_up_at"] == datetime(2018, 1, 1, 0, 17)
    assert second["delivered_at"] == datetime(2018, 1, 1, 0, 31)
    assert (second["actual_delivery_time_minutes"], second["estimated_delivery_time_minutes"]) == (21, 25)
    assert second["driver_to_restaurant_distance_miles"] == Decimal("0.31")  # 500 m
    assert second["restaurant_to_customer_distance_miles"] == Decimal("0.62")  # 1,000 m
    assert second["delivery_distance_miles"] == Decimal("0.93")
    north = orders[2]["delivery_address_lat"] - tables["dim_restaurants"]["restaurant_lat"][0].as_py()
    assert float(north) == pytest.approx(math.degrees(1000 / 6_371_008.8), rel=1e-5)
    pay = tables["driver_earnings"].to_pylist()
    assert sorted((r["driver_id"], r["amount_cents"], r["delivery_id"]) for r in pay if r["delivery_id"]) == [
        (1, 1000, 1), (1, 1000, 4), (1, 1000, 10), (2, 1000, 2), (2, 1000, 3),
    ]  # fmt: skip
    assert [(r["driver_id"], r["amount_cents"]) for r in pay if not r["delivery_id"]] == [(2, 500)]


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("orders", None, "orders.txt is missing"),
        ("couriers", ("off_time", "until"), "no column off_time"),
        ("orders", ("\t58", "\tsoon"), "ready_time holds something that is no number"),
        ("orders", ("r1\t58", "r9\t58"), "restaurant r9 is not in restaurants.txt"),
        ("restaurants", ("r1\t0\t0\n", ""), "no row"),
        ("couriers", ("c2\t500", "c2"), "couriers.txt:3: fewer cells"),
    ],
)
def test_a_broken_instance_is_named(folder: Path, name: str, change: tuple[str, str] | None, says: str) -> None:
    path = folder / f"{name}.txt"
    if change is None:
        path.unlink()
    else:
        path.write_text(FILES[name].replace(*change))
    with pytest.raises(ContractError, match=says):
        read_instance(folder)


def test_names_without_numbers_are_refused(folder: Path) -> None:
    (folder / "couriers.txt").write_text(FILES["couriers"].replace("c2", "c1"))
    instance = read_instance(folder)
    with pytest.raises(ContractError, match="each courier needs a name"):
        from_instance(instance)
