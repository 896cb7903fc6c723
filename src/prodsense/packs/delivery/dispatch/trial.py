"""Which experiment tells the truth about a dispatcher? Designs tried on days whose truth is known.

Orders compete for couriers, so an arm changes what the other meets: a split by order reports a part of the effect, or
its wrong sign, with a small error. Here both arms dispatch whole days with the same orders (paired: the truth), then
each live design runs on the same days with arms drawn at random. Outcomes are click-to-door minutes of all orders, at
most 120, which undelivered ones count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from prodsense.behavior.result import Answer
from prodsense.errors import UsageError
from prodsense.inference.paired import Difference, bootstrap_mean, interval, paired
from prodsense.packs.delivery.dispatch.algorithms import algorithm
from prodsense.packs.delivery.dispatch.engine import Algorithm, Job, Limits, View, simulate
from prodsense.packs.delivery.dispatch.measures import censored_minutes
from prodsense.packs.delivery.dispatch.world import World

if TYPE_CHECKING:
    from prodsense.warehouse import Warehouse

#: Least minutes of a switchback's windows, and of what is dropped at the start of each.
LEAST_WINDOW, LEAST_BURN_IN = 120.0, 30.0
#: A design is off when it misses this share of the truth, by more than two errors of its own mean.
TOLERATED = 0.25

Draw = Callable[[World, np.random.Generator], tuple[NDArray, NDArray]]


@dataclass
class Mixed:
    """Two algorithms with one fleet: `arm` says whose an order is, or, `by_minute`, whose a minute is."""

    control: Algorithm
    treatment: Algorithm
    arm: NDArray
    by_minute: bool
    name: str = "mixed"
    version: str = "v1.0"
    says: str = "Two algorithms that share a fleet in an experiment."
    objectives: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)

    def begin(self, world: World) -> None:
        for one in (self.control, self.treatment):
            one.begin(world)
            if one.believe(world) is not None:
                raise UsageError(f"{one.name} estimates ready times of its own; a shared fleet has one estimate")
        self.limits = looser(self.control.limits, self.treatment.limits)

    def believe(self, world: World) -> NDArray | None:
        return None

    def decide(self, view: View) -> list[Job]:
        both = (self.control, self.treatment)
        if self.by_minute:
            return both[int(self.arm[min(int(view.minute), len(self.arm) - 1)])].decide(view)
        jobs: list[Job] = []
        # Who chooses first takes turns.
        for k in (0, 1) if int(view.minute) % 2 else (1, 0):
            mine = view.open[self.arm[view.open] == k]
            if mine.size:
                jobs += both[k].decide(view.only(mine, [job.courier for job in jobs]))
        return jobs


def looser(a: Limits, b: Limits) -> Limits:
    """Limits that trips of either keep; each algorithm keeps its own."""
    numbers = {
        name: max(getattr(a, name), getattr(b, name))
        for name in a.__dataclass_fields__ if name != "allow_cross_zone_batching"
    }
    return replace(a, **numbers, allow_cross_zone_batching=a.allow_cross_zone_batching or b.allow_cross_zone_batching)


def paired_days(worlds: Sequence[World], control: Algorithm, treatment: Algorithm, seed: int = 0) -> NDArray:
    """Difference of mean minutes by day: the same orders, couriers and seed under both. A/A is exactly 0."""
    return np.array([
        censored_minutes(simulate(world, treatment, seed)).mean()
        - censored_minutes(simulate(world, control, seed)).mean()
        for world in worlds
    ])


def _welch(a: NDArray, b: NDArray, confidence: float) -> Difference:
    """As if orders were units that leave each other alone: what a naive readout does."""
    from scipy import stats

    found = stats.ttest_ind(b, a, equal_var=False)
    low, high = found.confidence_interval(confidence)
    se = float(np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b)))
    return Difference(float(b.mean() - a.mean()), se, float(low), float(high), float(found.pvalue), len(a) + len(b))


def order_split(worlds: Sequence[World], a: Algorithm, b: Algorithm, seed: int, confidence: float) -> Difference:
    """A coin for every order; both arms share the couriers."""
    rng = np.random.default_rng(seed)
    parts: tuple[list[NDArray], list[NDArray]] = ([], [])
    for world in worlds:
        arm = rng.integers(0, 2, world.orders)
        took = censored_minutes(simulate(world, Mixed(a, b, arm, False), seed))
        for k in (0, 1):
            parts[k].append(took[arm == k])
    return _welch(np.concatenate(parts[0]), np.concatenate(parts[1]), confidence)


def switchback(
    worlds: Sequence[World], a: Algorithm, b: Algorithm, seed: int, confidence: float, window: float, burn_in: float
) -> Difference:
    """A coin for every window of every day; orders placed in its first minutes are dropped."""
    rng = np.random.default_rng(seed)
    cells: list[tuple[float, float, bool]] = []
    for world in worlds:
        first, end = float(world.placed.min()), float(world.off.max())
        count = int((end - first) // window) + 1
        coins = rng.integers(0, 2, count)
        minutes = np.arange(int(end) + 2)
        of_minute = np.clip((minutes - first) // window, 0, count - 1).astype(np.int64)
        took = censored_minutes(simulate(world, Mixed(a, b, coins[of_minute], True), seed))
        place = np.clip((world.placed - first) // window, 0, count - 1).astype(np.int64)
        counted = (world.placed - first) - place * window >= burn_in
        for k in range(count):
            mine = counted & (place == k)
            if mine.any():
                cells.append((float(took[mine].sum()), float(mine.sum()), bool(coins[k])))
    return _by_cluster(cells, confidence)


def day_split(worlds: Sequence[World], a: Algorithm, b: Algorithm, seed: int, confidence: float) -> Difference:
    """Half of the days (each a region's) under each arm, drawn at random."""
    rng = np.random.default_rng(seed)
    arm = rng.permutation(np.arange(len(worlds)) % 2)
    cells = []
    for world, k in zip(worlds, arm.tolist(), strict=True):
        took = censored_minutes(simulate(world, b if k else a, seed))
        cells.append((float(took.sum()), float(took.size), bool(k)))
    return _by_cluster(cells, confidence)


def _by_cluster(cells: Sequence[tuple[float, float, bool]], confidence: float) -> Difference:
    """Effect on the mean with each cell a cluster (`inference.designs`, CR2)."""
    from prodsense.inference.designs import Clusters, cluster_effect

    total, weight, treated = (np.array(column) for column in zip(*cells, strict=True))
    fit = cluster_effect(Clusters(total.astype(float), weight.astype(float), treated, (), int(weight.sum())))
    return interval(
        float(fit.beta[0]), float(fit.se[0]), max(float(fit.freedom[0]), 1.0), fit.clusters, confidence
    )


def dispatch_trial(
    warehouse: Warehouse | None, instance: str | None = None, day: date | None = None, days: int = 1,
    control: str = "no_batching", treatment: str = "matching_rolling_horizon", window: float = 120.0,
    burn_in: float = 30.0, repeats: int = 5, couriers: float = 1.0, ready: str = "", seed: int = 0,
    confidence: float = 0.95,
) -> Answer:
    """Rows by design: its mean estimate over `repeats` draws of the arms, their spread beside the claimed error, and
    the bias against the paired truth. A design is flagged where interference spoils it: always where arms share
    couriers at one time, else where it misses the truth here by more than its noise.
    """
    import pyarrow as pa

    from prodsense.packs.delivery.dispatch.compare import worlds

    if not 0.5 <= confidence < 1:
        raise UsageError(f"confidence should be from 0.5 to below 1, not {confidence}")
    if not 0 <= burn_in < window:
        raise UsageError(f"burn_in should be from 0 to below the window of {window:g} minutes, not {burn_in:g}")
    if not 1 <= repeats <= 100:
        raise UsageError(f"repeats should be from 1 to 100, not {repeats}")
    a, b = algorithm(control), algorithm(treatment)
    judged = worlds(warehouse, instance, day, days, couriers, ready, seed)
    differences = paired_days(judged, a, b, seed)
    truth = paired(differences, confidence)
    low, high = bootstrap_mean(differences, confidence, seed) if len(judged) > 1 else (None, None)
    rows: list[dict[str, Any]] = [_row("paired days", [truth], truth, "sound: both arms meet the same orders")]
    early = "the queue of one arm outlasts the start of the next window"
    short = window < LEAST_WINDOW or burn_in < LEAST_BURN_IN
    designs: list[tuple[str, Callable[[int], Difference], str]] = [
        (
            f"switchback of {window:g} minutes, {burn_in:g} burn-in",
            lambda s: switchback(judged, a, b, s, confidence, window, burn_in),
            f"flagged: {early}; take windows of at least {LEAST_WINDOW:g} minutes and drop at least the first"
            f" {LEAST_BURN_IN:g}" if short else f"sound here|flagged: {early}; take longer windows, or whole days",
        ),
        (
            "split by order", lambda s: order_split(judged, a, b, s, confidence),
            "flagged: both arms share the couriers, so each changes what the other meets; do not use",
        ),
    ]
    notes = [f"{sum(w.orders for w in judged):,} orders on {len(judged)} days; minutes, treatment less control"]
    if len(judged) >= 4:
        designs.insert(0, (
            "day by region", lambda s: day_split(judged, a, b, s, confidence),
            "sound: whole days of a region are the units|flagged: too few days",
        ))
    else:
        notes.append(f"day by region needs at least 4 days, here are {len(judged)}")
    for name, run, verdict in designs:
        rows.append(_row(name, [run(seed + 1 + k) for k in range(repeats)], truth, verdict))
    return Answer(
        arrow=pa.Table.from_pylist(rows), title="dispatch_trial", method="dispatch_trial",
        units=dict.fromkeys(("estimate", "bias", "claimed_error", "spread", "ci_low", "ci_high"), "minutes"),
        notes=tuple(notes), picture=_picture,
        extras={
            "control": control, "treatment": treatment, "measure": "click_to_door_censored",
            "truth": truth.estimate, "bootstrap": [low, high], "obtained": "simulated; arms drawn at random",
            "days": [
                {"name": w.name, "difference": float(d)} for w, d in zip(judged, differences, strict=True)
            ],
        },
    )  # fmt: skip


def _row(name: str, found: Sequence[Difference], truth: Difference, verdict: str) -> dict[str, Any]:
    estimates = np.array([e.estimate for e in found])
    first = found[0]

    def known(value: float) -> float | None:
        return float(value) if np.isfinite(value) else None

    mean = float(estimates.mean())
    if "|" in verdict:
        noise = 2 * float(estimates.std(ddof=1)) / np.sqrt(len(found)) if len(found) > 1 else 2 * found[0].se
        off = abs(mean - truth.estimate) > max(noise, TOLERATED * abs(truth.estimate))
        verdict = verdict.split("|")[int(off)]
    return {
        "design": name, "estimate": mean, "bias": mean - truth.estimate,
        "claimed_error": known(float(np.mean([e.se for e in found]))),
        "spread": float(estimates.std(ddof=1)) if len(found) > 1 else None,
        # Of one draw, as one live experiment would have it.
        "ci_low": known(first.low), "ci_high": known(first.high), "p_value": first.p_value, "units": first.units,
        "draws": len(found), "verdict": verdict,
    }


def _picture(answer: Answer, width: int = 520, **_: Any) -> Any:
    """Estimates by design against the truth."""
    import altair as alt

    rows = [
        {"design": r["design"], "estimate": r["estimate"], "sound": r["verdict"].split(":")[0],
         "low": r["estimate"] - 2 * (r["spread"] or r["claimed_error"] or 0.0),
         "high": r["estimate"] + 2 * (r["spread"] or r["claimed_error"] or 0.0)}
        for r in answer.rows
    ]  # fmt: skip
    base = alt.Chart(
        alt.Data(values=rows),
        title=f"{answer.extras['treatment']} less {answer.extras['control']}: click to door by design; line: truth",
    ).encode(y=alt.Y("design:N", sort=[r["design"] for r in rows], title=None, axis=alt.Axis(labelLimit=260)))
    colour = alt.Color(
        "sound:N", title=None, scale=alt.Scale(domain=["sound", "flagged"], range=["#1f77b4", "#d62728"])
    )
    bars = base.mark_rule(strokeWidth=2).encode(
        x=alt.X("low:Q", title="minutes, two standard deviations of the draws"), x2="high:Q", color=colour)
    points = base.mark_point(filled=True, size=80).encode(x="estimate:Q", color=colour)
    line = alt.Chart(alt.Data(values=[{"truth": answer.extras["truth"]}])).mark_rule(strokeDash=[4, 4]).encode(
        x="truth:Q")
    return (line + bars + points).properties(width=width, height=34 * len(rows))
