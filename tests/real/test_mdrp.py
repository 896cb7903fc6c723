"""Real-derived meal-delivery days: conservation, rules, known answers, and the pack's metrics on them.

Everything expected is recomputed here from the raw files with a plain loop over the orders, or
comes from `anchors.csv`, the known answers of an independent implementation.
"""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import pytest

import prodsense as ps
from prodsense.packs.delivery.dispatch import Run, algorithm, simulate
from prodsense.packs.delivery.dispatch.compare import load
from prodsense.packs.delivery.dispatch.record import to_tables

NAMES = ("0o50t75s2p100", "1o50t100s1p100", "4o50t100s1p100", "6r50t100s1p100")
#: A measure, its column in `anchors.csv`, and what makes its unit the one there.
COLUMNS = {
    "undelivered": ("undel", 100), "click_to_door": ("CtD", 1), "click_to_door_p90": ("CtD90", 1),
    "on_time": ("ontime", 100), "ready_to_pickup": ("RtP", 1), "utilisation": ("util", 1), "cost_per_order": ("cpo", 1),
    "miles_per_delivery": ("km", 1.609344),
}  # fmt: skip


@pytest.fixture(scope="session")
def mdrp(shared_data: Path) -> Path:
    folder = shared_data / "mdrp"
    if not (folder / "anchors.csv").is_file():
        pytest.skip(f"no meal-delivery instances at {folder}")
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def minutes(a: dict[str, str], b: dict[str, str], metres_per_minute: float) -> int:
    return math.ceil(math.dist((int(a["x"]), int(a["y"])), (int(b["x"]), int(b["y"]))) / metres_per_minute)


def first_come(folder: Path) -> Run:
    return simulate(load(folder), algorithm("no_batching"))


def recomputed(folder: Path, run: Run) -> list[dict[str, Any]]:
    """One record per delivered order, every time worked out again from the raw files; asserts the rules."""
    orders, couriers = rows(folder / "orders.txt"), rows(folder / "couriers.txt")
    places = {r["restaurant"]: r for r in rows(folder / "restaurants.txt")}
    speed = float(rows(folder / "instance_parameters.txt")[0]["meters_per_minute"])
    by_courier: dict[int, list[int]] = {}
    for i in range(len(orders)):
        if run.courier[i] >= 0:
            by_courier.setdefault(int(run.courier[i]), []).append(i)
    out = []
    for k, mine in by_courier.items():
        here, free = couriers[k], int(couriers[k]["on_time"])
        for i in sorted(mine, key=lambda i: run.picked[i]):
            order, place = orders[i], places[orders[i]["restaurant"]]
            trip = run.trips[run.trip[i]]
            assert trip.orders == (i,)
            leave = int(trip.assigned)
            assert leave >= int(order["placement_time"]), "assigned before it was known"
            assert leave >= free, "assigned while busy"
            there = leave + minutes(here, place, speed)
            pickup = max(int(order["ready_time"]), there + 2)
            drop = pickup + 2 + minutes(place, order, speed) + 2
            assert pickup <= int(couriers[k]["off_time"]), "picked up after the shift"
            assert (trip.arrive[0], run.picked[i], run.dropped[i]) == (there, pickup, drop)
            out.append({
                "order": i, "courier": k, "assigned": leave, "there": there, "pickup": pickup, "drop": drop,
                "placed": int(order["placement_time"]), "ready": int(order["ready_time"]),
            })  # fmt: skip
            here, free = order, drop + 2
    return out


@pytest.mark.parametrize("name", NAMES)
def test_every_order_is_delivered_once_by_the_rules_or_reported(mdrp: Path, name: str) -> None:
    folder = mdrp / "instances" / name
    run = first_come(folder)
    done = recomputed(folder, run)
    assert len({r["order"] for r in done}) == len(done) == int((run.courier >= 0).sum())
    tables = to_tables(run)
    wanted = {int(r["order"][1:]) for r in rows(folder / "orders.txt")}
    status = {r["order_id"]: r["order_status"] for r in tables["fact_orders"].to_pylist()}
    assert set(status) == wanted
    assert sum(s == "delivered" for s in status.values()) == len(done)
    assert sum(s == "cancelled" for s in status.values()) == len(wanted) - len(done)
    assert tables["fact_deliveries"].num_rows == len(wanted)


@pytest.mark.slow
def test_the_known_answers_come_out(mdrp: Path) -> None:
    """All instances, all measures, to the three decimals given."""
    with (mdrp / "anchors.csv").open(newline="") as file:
        anchors = list(csv.DictReader(file))
    assert len(anchors) >= 18
    for known in anchors:
        found = first_come(mdrp / "instances" / known["instance"]).measures()
        for name, (column, unit) in COLUMNS.items():
            expected = float(known[f"no_batching_fcfs__{column}"])
            assert unit * (found[name] or 0.0) == pytest.approx(expected, abs=0.00051), (known["instance"], name)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["1o50t100s1p100"])
def test_the_packs_metrics_on_a_real_day(mdrp: Path, name: str) -> None:
    folder = mdrp / "instances" / name
    run = first_come(folder)
    done = recomputed(folder, run)
    couriers = rows(folder / "couriers.txt")
    online = active = 0
    for k, courier in enumerate(couriers):
        on, off = int(courier["on_time"]), int(courier["off_time"])
        online += off - on
        busy = set()
        for r in done:
            if r["courier"] == k:
                busy |= set(range(r["assigned"], r["drop"]))  # whole minutes, so a set of them is exact
        active += len(busy & set(range(on, off)))
    orders = len(rows(folder / "orders.txt"))
    expected = {
        "order_fulfillment_rate": len(done) / orders,
        "click_to_door": sum(r["drop"] - r["placed"] for r in done) / len(done),
        "ready_to_pickup": sum(r["pickup"] - r["ready"] for r in done) / len(done),
        "on_time_rate": sum(r["drop"] - r["placed"] <= 40 + 10 for r in done) / len(done),
        "driver_utilization_rate": active / online,
        "deliveries_per_hour": len(done) / (online / 60),
        "driver_restaurant_wait_time": sum(r["pickup"] - r["there"] for r in done) / len(done),
    }
    with ps.open(":memory:") as wh:
        report = wh.ingest(to_tables(run), pack="delivery")
        assert "0 quarantined" in str(report)
        wh.build("delivery")
        found = wh.metric(*(f"delivery.{metric}" for metric in expected)).arrow.to_pylist()[0]
    for metric, value in expected.items():
        assert found[metric] == pytest.approx(value, rel=1e-9), metric
