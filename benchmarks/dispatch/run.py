"""Dispatch algorithms on real-derived days, against published results, the exact optimum, and a peer library.

    python benchmarks/dispatch/run.py [--data FOLDER] [--quick]

FOLDER holds `mdrp/instances/` (folders of the Meal Delivery Routing Problem) and `mdrp/anchors.csv` (known results).
Six parts: every algorithm on every instance; thinned fleets (what bundles are worth when couriers lack); ready times
that nobody announces; searches on one snapshot, with pyvroom on the same where it is installed; routes of one batch;
large days.
CPU seconds, one process.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from prodsense.packs.delivery.dispatch import Limits, View, World, algorithm, simulate
from prodsense.packs.delivery.dispatch.algorithms import ALGORITHMS, ESTIMATING
from prodsense.packs.delivery.dispatch.bundles import Book
from prodsense.packs.delivery.dispatch.compare import load, teacher
from prodsense.packs.delivery.dispatch.measures import measures
from prodsense.packs.delivery.dispatch.routes import exact_route
from prodsense.packs.delivery.dispatch.search import genetic, local_search
from prodsense.packs.delivery.dispatch.snapshot import Snapshot, by_ready
from prodsense.packs.delivery.dispatch.world import metres

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from known import data_option, folder_of

KM = 1.609344
HEAD = f"{'':27}{'undel %':>8}{'CtD':>7}{'censored':>9}{'p90':>6}{'RtP':>6}{'on time %':>10}{'opb':>6}{'km':>6}" + (
    f"{'cost':>7}{'orders/CPU s':>13}"
)


def line(name: str, found: dict[str, Any], spent: float | None = None) -> str:
    rate = f"{found['orders'] / spent:13,.0f}" if spent else ""
    return (
        f"{name:27}{100 * found['undelivered']:8.2f}{found['click_to_door']:7.2f}{found['click_to_door_censored']:9.2f}"
        f"{found['click_to_door_p90']:6.1f}{found['ready_to_pickup']:6.2f}{100 * found['on_time']:10.1f}"
        f"{found['orders_per_batch']:6.3f}{found['miles_per_delivery'] * KM:6.2f}{found['cost_per_order']:7.2f}{rate}"
    )


def all_instances(data: Path, anchors: dict[str, dict[str, str]]) -> None:
    names = [name for name in ALGORITHMS if name not in ESTIMATING]
    worlds = {name: load(data / "instances" / name) for name in anchors}
    print(f"\n1. {len(worlds)} days, {sum(w.orders for w in worlds.values()):,} orders, ready times announced")
    print(HEAD)
    by: dict[str, dict[str, Any]] = {}
    for name in names:
        begun = time.process_time()
        runs = {key: simulate(world, algorithm(name)) for key, world in worlds.items()}
        spent = time.process_time() - begun
        by[name] = {key: measures(run) for key, run in runs.items()}
        print(line(name, measures(*runs.values()), spent), flush=True)
    print("\nMean click to door by instance, minutes (undelivered % in brackets)")
    known = ("exact_ctd", "reyes2018_ctd", "lap_lazy_batch__CtD")
    short = ("exact", "Reyes 2018", "lab")
    print(f"{'':18}{'':>8}" + "".join(f"{name[:18]:>20}" for name in names) + "".join(f"{s:>12}" for s in short))
    for key, row in anchors.items():
        cells = "".join(
            f"{by[n][key]['click_to_door']:12.2f} ({100 * by[n][key]['undelivered']:5.2f})" for n in names
        )
        print(f"{key:18}{row['orders']:>8}{cells}" + "".join(f"{row[k] or '':>12}" for k in known))
    print(
        f"\n{'Mean over instances':34}{'CtD':>8}{'RtP':>8}{'on time %':>11}{'km':>7}{'gap to exact %':>16}"
        f"{'published % over exact':>24}"
    )
    exact = {k: float(r["exact_ctd"]) for k, r in anchors.items() if r["exact_ctd"]}
    theirs = {k: float(r["reyes2018_ctd"]) for k, r in anchors.items() if k in exact}
    for name in names:
        gap = 100 * (statistics.mean(by[name][k]["click_to_door"] for k in exact) / statistics.mean(exact.values()) - 1)
        published = 100 * (statistics.mean(theirs.values()) / statistics.mean(exact.values()) - 1)
        mean = {key: statistics.mean(m[key] for m in by[name].values()) for key in by[name][key]}
        print(
            f"{name:34}{mean['click_to_door']:8.2f}{mean['ready_to_pickup']:8.2f}{100 * mean['on_time']:11.2f}"
            f"{KM * mean['miles_per_delivery']:7.2f}{gap:16.2f}{published:24.2f}"
        )
    for label, stem in (("lab, LAP with bundles", "lap_lazy_batch"), ("lab, LAP without", "lap_lazy_nobatch")):
        ctd = statistics.mean(float(r[f"{stem}__CtD"]) for r in anchors.values())
        rtp = statistics.mean(float(r[f"{stem}__RtP"]) for r in anchors.values())
        on_time = statistics.mean(float(r[f"{stem}__ontime"]) for r in anchors.values())
        km = statistics.mean(float(r[f"{stem}__km"]) for r in anchors.values())
        lost = sum(float(r[f"{stem}__undel"]) * float(r["orders"]) for r in anchors.values()) / sum(
            float(r["orders"]) for r in anchors.values())
        print(f"{label:34}{ctd:8.2f}{rtp:8.2f}{on_time:11.2f}{km:7.2f}     undelivered {lost:.3f}%")


def thinned(data: Path, names: list[str]) -> None:
    print("\n2. Fleets thinned at random: what bundles are worth")
    print(HEAD)
    for load_ in (2.5, 3.2):
        worlds = []
        for name in names:
            world = load(data / "instances" / name)
            worlds += [world.thinned(min(1.0, world.orders / world.hours / load_), seed) for seed in (1, 2)]
        found = {}
        for name in ("matching_without_batches", "matching_rolling_horizon"):
            found[name] = measures(*(simulate(w, algorithm(name)) for w in worlds))
            print(line(f"{load_} an hour: {name[9:]}", found[name]))
        alone, bundled = (m["miles_per_delivery"] for m in found.values())
        print(f"  bundles change km an order by {100 * (bundled / alone - 1):.2f}%")


def estimated(data: Path, names: list[str]) -> None:
    print("\n3. Ready times that nobody announces (the model learns on other cities)")
    print(HEAD)
    worlds = {name: load(data / "instances" / name) for name in names}
    blind = {name: world.uncertain() for name, world in worlds.items()}
    models = {n: teacher(None, str(data / "instances" / n), [w])() for n, w in blind.items()}
    oracle = [simulate(w, algorithm("matching_rolling_horizon")) for w in worlds.values()]
    print(line("oracle: true times", measures(*oracle)))
    for name in ("matching_rolling_horizon", "matching_running_mean", "no_batching"):
        label = {"matching_rolling_horizon": "matching, 15 min stated"}.get(name, name)
        print(line(label, measures(*(simulate(w, algorithm(name)) for w in blind.values()))))
    for label, shift in (("ml_optimized, mean", 0.0), ("ml_optimized", None)):
        runs = [
            simulate(w, algorithm("ml_optimized", model=m if shift is None else replace(m, shift=shift)))
            for w, m in ((blind[n], models[n]) for n in names)
        ]
        print(line(label, measures(*runs)))
    for name, model in models.items():
        print(
            f"  {name}: quantile {model.quantile}, RMSE on days left out {model.rmse:.2f}; running mean"
            f" {model.rmse_running_mean:.2f}; stated {model.rmse_stated:.2f}"
        )


def snapshot(world: World, orders: int, couriers: int, seed: int) -> Snapshot:
    """The orders placed about the middle of a day, all open at once, and couriers free within 15 minutes."""
    rng = np.random.default_rng(seed)
    middle = np.median(world.placed)
    mine = np.sort(np.argsort(np.abs(world.placed - middle), kind="stable")[:orders])
    now = float(world.placed[mine].max())
    chosen = np.sort(rng.permutation(len(world.on))[:couriers])
    free = np.full(len(world.on), np.inf)
    free[chosen] = now + rng.integers(0, 15, couriers)
    world = replace(world, off=np.full(len(world.on), now + 600))
    reach = metres(world.start[:, None], world.shop_at[None])
    view = View(world, now, mine, world.ready, free, reach, world.start.astype(float), rng)
    limits = Limits()
    return Snapshot(view, Book(world, limits, world.ready), limits, mine.tolist(), chosen)


def searches(data: Path, names: list[str]) -> None:
    world = load(data / "instances" / names[0])
    print("\n4. One snapshot: mean click to door, minutes (gain on greedy %, CPU s); 5 draws of couriers, pyvroom 1")
    for orders, couriers, budget in ((60, 40, 1500), (200, 100, 600)):
        table: dict[str, list[tuple[float, float]]] = {}
        for seed in range(5):
            problem = snapshot(world, orders, couriers, seed)
            age = float((problem.view.minute - world.placed[problem.orders]).sum())
            begun = time.process_time()
            greedy = problem.plan(by_ready(problem))[0]
            table.setdefault("greedy", []).append(((greedy + age) / orders, time.process_time() - begun))
            for label, search in (("genetic", genetic), ("local search", local_search)):
                begun = time.process_time()
                found = search(problem, by_ready(problem), budget, np.random.default_rng(seed))
                table.setdefault(label, []).append(((found.cost + age) / orders, time.process_time() - begun))
            if seed == 0 and (theirs := vroom_plan(problem)) is not None:
                table.setdefault("pyvroom (least travel)", []).append((theirs[0], theirs[1]))
        base = statistics.mean(cost for cost, _ in table["greedy"])
        print(f"{orders} orders, {couriers} couriers, {budget} plans a search")
        for label, values in table.items():
            cost = statistics.mean(v for v, _ in values)
            spent = statistics.mean(s for _, s in values)
            print(f"  {label:26}{cost:8.2f}  ({100 * (1 - cost / base):6.2f}, {spent:.3f})")
    if "pyvroom (least travel)" not in table:
        print("  pyvroom is not installed: left out (pip install pyvroom)")


def vroom_plan(problem: Snapshot) -> tuple[float, float] | None:
    """Mean click to door of a peer's plan, timed by our rules, and its CPU seconds; None where it is not installed.

    It may visit any restaurants on one trip, and minimises travel, not delivery time; it is asked to deliver within 90
    minutes of placement, the benchmark's maximum. What it leaves out counts 240 minutes.
    """
    try:
        import vroom
    except ImportError:
        return None
    view, world = problem.view, problem.view.world
    orders, couriers, now = problem.orders, problem.couriers.tolist(), problem.view.minute
    at = np.vstack([world.start[couriers], world.shop_at[world.shop[orders]], world.home[orders]])
    travel = world.minutes(metres(at[:, None], at[None])).astype(np.uint32)
    c, n = len(couriers), len(orders)
    task = vroom.Input()
    task.set_durations_matrix(profile="car", matrix_input=travel)
    for k, courier in enumerate(couriers):
        task.add_vehicle(vroom.Vehicle(
            k + 1, start=k, capacity=[4], time_window=vroom.TimeWindow(int(view.free[courier] - now), 600)
        ))
    for k, order in enumerate(orders):
        ready = max(0, int(world.ready[order] - now - 2))
        latest = max(ready + 20, int(world.placed[order] + 90 - now))
        task.add_shipment(
            vroom.ShipmentStep(k + 1, c + k, default_service=4, time_windows=[vroom.TimeWindow(ready, 600)]),
            vroom.ShipmentStep(k + 1, c + n + k, default_service=4, time_windows=[vroom.TimeWindow(0, latest)]),
            amount=vroom.Amount([1]),
        )
    begun = time.process_time()
    routes = task.solve(exploration_level=2, nb_threads=1).routes
    spent = time.process_time() - begun
    total = 0.0
    delivered = 0
    for k in range(c):
        here, clock = k, float(view.free[couriers[k]])
        steps = routes[(routes.vehicle_id == k + 1) & routes.type.isin(["pickup", "delivery"])]
        for kind, node, place in zip(steps.type, steps.id, steps.location_index, strict=True):
            order, place = orders[int(node) - 1], int(place)
            drive = float(travel[here, place])
            if kind == "pickup":
                # Several orders of one visit share its service.
                again = drive == 0 and c <= here < c + n
                moment = max(clock + (0 if again else drive + 2), float(world.ready[order]))
                clock = max(clock, moment + (0 if again else 2))
            else:
                clock += drive + 2
                total += clock - float(world.placed[order])
                delivered += 1
                clock += 2
            here = place
    return (total + 240.0 * (n - delivered)) / n, spent


def batches() -> None:
    print("\n5. Exact route of one batch, milliseconds of CPU (median of 30)")
    rng = np.random.default_rng(0)
    for orders in range(2, 7):
        cells = []
        for shops in (1, min(2, orders), orders):
            spent = []
            for _ in range(30):
                at = rng.uniform(0, 20, (1 + shops + orders, 2))
                travel = np.ceil(np.hypot(*(at[:, None] - at[None]).transpose(2, 0, 1))).tolist()
                ready = rng.uniform(0, 15, shops).tolist()
                begun = time.process_time()
                exact_route(travel, ready, [i % shops for i in range(orders)], 0.0, 4.0, 4.0)
                spent.append(1000 * (time.process_time() - begun))
            cells.append(f"{shops} restaurant{'s' * (shops > 1)} {statistics.median(spent):7.3f}")
        print(f"  {orders} orders: " + "   ".join(cells))


def enlarged(world: World, orders: int, couriers: int, seed: int = 0) -> World:
    """A day of another size: orders and couriers drawn again from this one, a little apart in place and time."""
    rng = np.random.default_rng(seed)
    of, who = rng.integers(0, world.orders, orders), rng.integers(0, len(world.on), couriers)
    moved = np.rint(rng.normal(0, 5, orders))
    capacity = np.full(couriers, 99)
    return replace(
        world, name=f"{orders} orders", order_id=1 + np.arange(orders),
        home=world.home[of] + rng.normal(0, 200, (orders, 2)), placed=world.placed[of] + moved,
        ready=world.ready[of] + moved, prep=world.prep[of], shop=world.shop[of], courier_id=1 + np.arange(couriers),
        start=world.start[who] + rng.normal(0, 200, (couriers, 2)), on=world.on[who], off=world.off[who],
        capacity=capacity,
    )  # fmt: skip


def sizes(world: World) -> None:
    print("\n6. Size: CPU seconds")
    day = enlarged(world, 3213, 457)
    begun = time.process_time()
    run = simulate(day, algorithm("matching_rolling_horizon"))
    spent = time.process_time() - begun
    print(f"  a day of {day.orders:,} orders, {len(day.on)} couriers: {spent:.2f}"
          f" (slowest minute {run.decisions[:, 1].max():.3f}, undelivered {100 * run.measures()['undelivered']:.2f}%)")
    problem = snapshot(enlarged(world, 2000, 500), 500, 500, 0)
    view, chosen = problem.view, algorithm("matching_rolling_horizon")
    for label, decide in (("first", 1), ("again", 5)):
        chosen.begin(view.world) if label == "first" else None
        spent = []
        for _ in range(decide):
            begun = time.process_time()
            chosen.decide(view)
            spent.append(1000 * (time.process_time() - begun))
        print(f"  a decision on 500 orders and 500 couriers, {label}: {statistics.median(spent):.1f} ms")
    bundles, shop = [problem.book.single(i) for i in problem.orders], view.world.shop[problem.orders]
    spent = []
    for _ in range(5):
        begun = time.process_time()
        chosen.match(view, bundles, problem.couriers)
        spent.append(1000 * (time.process_time() - begun))
    print(f"  of it the matching of {len(shop)} to {len(problem.couriers)}: {statistics.median(spent):.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data_option(parser)
    parser.add_argument("--quick", action="store_true", help="the smallest four instances only")
    given = parser.parse_args()
    data = folder_of(given, "mdrp")
    with (data / "anchors.csv").open(newline="") as file:
        anchors = {row["instance"]: row for row in csv.DictReader(file)}
    busy = sorted(anchors, key=lambda k: -float(anchors[k]["orders_per_courier_hour"]))
    if given.quick:
        anchors = {k: anchors[k] for k in sorted(anchors, key=lambda k: int(anchors[k]["orders"]))[:4]}
    all_instances(data, anchors)
    some = busy[: 2 if given.quick else 6]
    thinned(data, some if given.quick else [k for k in anchors if not anchors[k]["exact_ctd"]])
    estimated(data, list(anchors)[:2] if given.quick else ["0o50t75s2p100", "0o50t100s1p125", *busy[:5]])
    searches(data, busy)
    batches()
    sizes(load(data / "instances" / max(anchors, key=lambda k: int(anchors[k]["orders"]))))


if __name__ == "__main__":
    main()
