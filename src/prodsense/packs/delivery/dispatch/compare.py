"""`compare_algorithms`: the same orders and couriers, dispatched by each algorithm."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from prodsense.behavior.result import Answer
from prodsense.errors import UsageError
from prodsense.packs.delivery.dispatch.algorithms import ALGORITHMS, ESTIMATING, algorithm
from prodsense.packs.delivery.dispatch.engine import Algorithm, Run, simulate
from prodsense.packs.delivery.dispatch.learn import MLOptimized, ReadyModel, learn, summary
from prodsense.packs.delivery.dispatch.measures import UNITS, measures
from prodsense.packs.delivery.dispatch.world import World, from_instance, from_warehouse

if TYPE_CHECKING:
    from prodsense.warehouse import Warehouse

#: Most days that are dispatched in one call.
MOST_DAYS = 28
#: Days that ml_optimized learns on at most.
TRAINING_DAYS = 7
#: Trips on the map, and how long the map looks.
MAP_TRIPS, MAP_MINUTES = 40, 60.0


@dataclass(frozen=True)
class Guard:
    """A measure of one perspective: which way is better, and what loss against the control is allowed (None: any).

    The loss is in the measure's own unit, or a share of the control's value where `relative`.
    """

    perspective: str
    measure: str
    better: str
    margin: float | None = None
    relative: bool = False


#: The scorecard. Margins are ours, as those of the pack's guardrail policies.
SCORECARD = (
    Guard("customer", "undelivered", "down", 0.01),
    Guard("customer", "click_to_door_censored", "down", 2.0),
    Guard("customer", "on_time", "up"),
    Guard("customer", "ready_to_pickup", "down"),
    Guard("driver", "pay_per_hour", "up", 0.05, True),
    Guard("driver", "utilisation", "up"),
    Guard("driver", "miles_per_delivery", "down"),
    Guard("platform", "cost_per_order", "down", 0.05, True),
    Guard("platform", "orders_per_batch", "up"),
    Guard("platform", "slowest_decision_seconds", "down", 30.0),
)


def split(names: str) -> list[str]:
    """Names parted by commas; UsageError for one that is no algorithm."""
    found = [n.strip() for n in names.split(",") if n.strip()]
    for name in found:
        algorithm(name)
    return found


def chosen(names: str, first: str, announced: bool, teach: Callable[[], ReadyModel]) -> tuple[list[Algorithm], str]:
    """The algorithms of a list of names (all that apply if empty), the control `first`, and what is to be said.

    `teach` is asked for a model when one of them learns.
    """
    named, said = split(names), ""
    if not named:
        named = [name for name in ALGORITHMS if not (announced and name in ESTIMATING)]
        if announced:
            said = (
                f"{' and '.join(ESTIMATING)} are left out: ready times are announced, so there is nothing to estimate"
                " (ready=estimated judges them)"
            )
    listed: list[Algorithm] = []
    for name in dict.fromkeys([first, *named]):
        if name != "ml_optimized":
            listed.append(algorithm(name))
            continue
        try:
            listed.append(algorithm(name, model=teach()))
        except UsageError as error:
            if names:
                raise
            said = f"ml_optimized is left out: {error}"
    return listed, said


def teacher(
    warehouse: Warehouse | None, instance: str | None, judged: Sequence[World]
) -> Callable[[], ReadyModel]:
    """Learns on days other than those judged: other cities beside an instance, or the days before in a warehouse."""

    def teach() -> ReadyModel:
        if instance:
            own = {seed_of(world.origin) for world in judged}
            place = folders(instance)[0].resolve()
            others: dict[str, Path] = {}
            for folder in sorted(place.parent.iterdir(), key=lambda f: (_size(f / "orders.txt"), f.name)):
                # One day of each other city: variants of a city are the same day. The smallest teaches soonest.
                if (folder / "orders.txt").is_file() and seed_of(folder.name) not in own:
                    others.setdefault(seed_of(folder.name), folder)
            return learn([load(folder) for folder in list(others.values())[:TRAINING_DAYS]], one_city=False)
        assert warehouse is not None
        first = min(world.day for world in judged)
        days = [first - timedelta(days=back) for back in range(TRAINING_DAYS, 0, -1)]
        found = []
        for day in days:
            try:
                found.append(from_warehouse(warehouse, day))
            except UsageError:
                continue  # a day without orders or couriers teaches nothing
        return learn(found, one_city=True)

    return teach


def worlds(
    warehouse: Warehouse | None, instance: str | None, day: date | None, days: int, couriers: float, ready: str,
    seed: int,
) -> list[World]:
    """The days to dispatch: those of an instance's folder, or of the warehouse up to `day` (its newest by default)."""
    if ready not in ("", "known", "estimated"):
        raise UsageError(f"ready should be known or estimated, not {ready}")
    if not 0 < couriers <= 1:
        raise UsageError(f"couriers, the share of them kept, should be above 0 and at most 1, not {couriers:g}")
    if not 1 <= days <= MOST_DAYS:
        raise UsageError(f"days should be from 1 to {MOST_DAYS}, not {days}")
    if instance:
        if day is not None or days != 1:
            raise UsageError("an instance is one day: leave out day and days")
        found = [load(folder) for folder in folders(instance)]
    else:
        assert warehouse is not None
        found = list(_days(warehouse, day, days))
    announced = {"known": True, "estimated": False}
    if ready:
        found = [_announced(world, announced[ready]) for world in found]
    return [world.thinned(couriers, seed) for world in found]


def folders(instance: str | Path) -> list[Path]:
    """The instance's own folder, or the folders of all instances in it."""
    place = Path(instance)
    if (place / "orders.txt").is_file() or not place.is_dir():
        return [place]
    return sorted(f for f in place.iterdir() if (f / "orders.txt").is_file()) or [place]


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def load(folder: str | Path) -> World:
    """The world of an instance's folder."""
    from prodsense.packs.delivery.mdrp import read_instance

    return from_instance(read_instance(folder))


def _announced(world: World, announced: bool) -> World:
    from dataclasses import replace

    return replace(world, announced=announced)


def _days(warehouse: Warehouse, day: date | None, days: int) -> Iterator[World]:
    last = day or newest_day(warehouse)
    for back in range(days - 1, -1, -1):
        yield from_warehouse(warehouse, last - timedelta(days=back))


def newest_day(warehouse: Warehouse) -> date:
    """The newest day with orders whose couriers' online sessions have ended."""
    found = warehouse.engine.query(
        "SELECT MAX(o.date_partition) AS day FROM delivery.fact_orders AS o JOIN (SELECT DISTINCT date_of(online_at) AS"
        " day FROM delivery.driver_online_sessions WHERE offline_at IS NOT NULL) AS s ON s.day = o.date_partition",
        {},
    ).to_pylist()[0]["day"]
    if found is None:
        raise UsageError(
            "no day has both orders and finished online sessions; name a benchmark's folder as instance, or load both"
        )
    return found


def compare_algorithms(
    warehouse: Warehouse | None, instance: str | None = None, day: date | None = None, days: int = 1,
    algorithms: str = "", control: str = "no_batching", couriers: float = 1.0, ready: str = "", seed: int = 0,
    tables: str | None = None,
) -> Answer:
    """Dispatch the same days by each algorithm; rows by algorithm, the control first.

    Extras: `scorecard`, one entry per algorithm and measure with its guardrail; `routes`, stops of trips in the busiest
    hour of the first day under the last algorithm; `worlds`, what was dispatched.
    """
    import pyarrow as pa

    split(f"{algorithms},{control}")
    days_ = worlds(warehouse, instance, day, days, couriers, ready, seed)
    listed, said = chosen(algorithms, control, days_[0].announced, teacher(warehouse, instance, days_))
    notes = [
        f"{sum(w.orders for w in days_):,} orders, {sum(len(w.on) for w in days_):,} couriers"
        f" ({sum(w.hours for w in days_):,.0f} hours) of {', '.join(w.name for w in days_[:3])}"
        + (f" and {len(days_) - 3} more" if len(days_) > 3 else ""),
        "the same orders, couriers and kitchens under each algorithm; seconds are of this machine",
        *([said] if said else []),
    ]
    runs = {a.name: [simulate(world, a, seed) for world in days_] for a in listed}
    base = measures(*runs[control])
    rows: list[dict[str, Any]] = []
    score: list[dict[str, Any]] = []
    for a in listed:
        found = measures(*runs[a.name])
        rows.append({"algorithm": a.name, "version": a.version, **found, "orders": int(found["orders"] or 0)})
        if a.name != control:
            score += scorecard(a.name, found, base)
    if tables:
        notes.append(write_tables(runs, Path(tables)))
    wins = {
        a.name: [p for p in ("customer", "driver", "platform") if _wins(score, a.name, p)]
        for a in listed if a.name != control
    }
    return Answer(
        arrow=pa.Table.from_pylist(rows), title="compare_algorithms", method="compare_algorithms",
        units=dict(UNITS), notes=tuple(notes), picture=_picture,
        extras={
            "control": control, "scorecard": score, "wins": wins,
            "learned": next((summary(a.model) for a in listed if isinstance(a, MLOptimized) and a.model), None),
            "routes": routes(runs[listed[-1].name][0]), "obtained": "simulated on the same orders",
            "worlds": [
                {"name": w.name, "orders": w.orders, "couriers": len(w.on), "courier_hours": w.hours,
                 "ready_times": "known" if w.announced else "estimated"}
                for w in days_
            ],
        },
    )  # fmt: skip


def scorecard(name: str, found: dict[str, float | None], base: dict[str, float | None]) -> list[dict[str, Any]]:
    """One entry a measure: value, control's, gain (above 0 is better), and whether its guardrail holds."""
    entries: list[dict[str, Any]] = []
    for guard in SCORECARD:
        value, control = found[guard.measure], base[guard.measure]
        gain = state = allowed = None
        if value is not None and control is not None:
            gain = value - control if guard.better == "up" else control - value
            if guard.margin is not None:
                allowed = guard.margin * abs(control) if guard.relative else guard.margin
                # A tie to the last digit is no breach.
                state = "holds" if gain >= -allowed - 1e-9 else "breached"
        entries.append({
            "algorithm": name, "perspective": guard.perspective, "measure": guard.measure, "value": value,
            "control": control, "gain": gain, "allowed_loss": allowed, "guardrail": state,
        })
    return entries


#: The measure by which a perspective is won.
_LEADING = {"customer": "click_to_door_censored", "driver": "pay_per_hour", "platform": "cost_per_order"}


def _wins(score: Sequence[dict[str, Any]], name: str, perspective: str) -> bool:
    """Better on the leading measure, and no guardrail of the perspective breached."""
    mine = [e for e in score if e["algorithm"] == name and e["perspective"] == perspective]
    leading = next(e for e in mine if e["measure"] == _LEADING[perspective])
    return (leading["gain"] or 0.0) > 1e-9 and all(e["guardrail"] != "breached" for e in mine)


def write_tables(runs: dict[str, list[Run]], folder: Path) -> str:
    """Write every day under every algorithm as the pack's tables; says what to do with them."""
    import pyarrow.parquet as pq

    from prodsense.packs.delivery.dispatch.record import to_tables

    folder.mkdir(parents=True, exist_ok=True)
    for name, table in to_tables(*(run for days in runs.values() for run in days)).items():
        pq.write_table(table, folder / f"{name}.parquet")
    return f"tables written: prodsense ingest {folder} --pack delivery"


def routes(run: Run) -> list[dict[str, Any]]:
    """Stops of the trips that start in the busiest hour, in kilometres east and north, in their sequence."""
    if not run.trips:
        return []
    begun = np.array([trip.assigned for trip in run.trips])
    starts = np.sort(begun)
    busiest = starts[np.argmax(np.searchsorted(starts, starts + MAP_MINUTES) - np.arange(starts.size))]
    shown = [k for k in np.argsort(begun, kind="stable").tolist() if busiest <= begun[k] < busiest + MAP_MINUTES]
    # Trips with several orders first: they are what batching is about.
    shown.sort(key=lambda k: -len(run.trips[k].orders))
    world, rows = run.world, []
    for k in sorted(shown[:MAP_TRIPS]):
        trip = run.trips[k]
        places = [("start", trip.origin, trip.assigned)] + [
            ("drop-off", world.home[s], t) if s >= 0 else ("pickup", world.shop_at[-1 - s], t)
            for s, t in zip(trip.stops, trip.done.tolist(), strict=True)
        ]
        rows += [
            {"trip": k + 1, "courier": int(world.courier_id[trip.courier]), "orders": len(trip.orders), "place": i,
             "stop": kind, "east_km": float(at[0]) / 1000, "north_km": float(at[1]) / 1000, "minute": float(minute)}
            for i, (kind, at, minute) in enumerate(places)
        ]  # fmt: skip
    return rows


def _picture(answer: Answer, **options: Any) -> Any:
    from prodsense.packs.delivery.dispatch.pictures import comparison

    return comparison(answer, **options)


def seed_of(name: str) -> str:
    """The city of a benchmark's instance: the number that its name begins with; other names are their own."""
    found = re.match(r"\d+", name)
    return found.group() if found else name
