"""When will the food be ready? Learned on other days, and told as the quantile that dispatches best.

The start is the restaurant's own statement, mended by what its kitchen needed on the training days and earlier today; a
ridge regression corrects it by the kitchen's queue, the city's load and the hour. Dispatch does not want the mean: a
courier who comes early waits, food that is early gets cold. So a quantile of the residuals is added, and which one is
found by dispatching training days with models that have not seen them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prodsense.errors import UsageError
from prodsense.packs.delivery.dispatch.engine import Limits, simulate
from prodsense.packs.delivery.dispatch.matching import Matching
from prodsense.packs.delivery.dispatch.measures import censored_minutes
from prodsense.packs.delivery.dispatch.world import World

#: Minutes after which a dispatcher has seen at the pickup how long a kitchen took.
SEEN_AFTER = 10.0
#: Minutes that count as a kitchen's or a city's recent load.
RECENT = 30.0
#: Orders that a restaurant's own mean must have to weigh as much as that of all.
SHRINK = 5.0
RIDGE = 0.05
QUANTILES = (0.1, 0.2, 0.35, 0.5)


@dataclass(frozen=True)
class ReadyModel:
    """A fitted model. `kitchens` are mean errors of statements by restaurant id; RMSEs are of days left out of the fit.

    `residuals` are actual less predicted minutes of those days, `shift` their `quantile`.
    """

    weights: NDArray
    centre: NDArray
    scale: NDArray
    base: float
    kitchens: dict[int, float]
    trained_on: tuple[str, ...]
    shift: float = 0.0
    quantile: float = 0.5
    rmse: float = float("nan")
    rmse_running_mean: float = float("nan")
    rmse_stated: float = float("nan")
    residuals: NDArray = field(repr=False, default_factory=lambda: np.zeros(0))

    def ready(self, world: World) -> NDArray:
        """Believed ready times of a day's orders, each as of its placement."""
        return world.placed + np.maximum(self.minutes(world) + self.shift, 1.0)

    def minutes(self, world: World) -> NDArray:
        """Mean preparation minutes."""
        start, x = _known(world, self.kitchens)
        return start + self.base + (x - self.centre) / self.scale @ self.weights


def stated_minutes(world: World) -> NDArray:
    """What the restaurant states at placement, else 15."""
    return np.where(np.isnan(world.prep), 15.0, world.prep)


def running_mean(world: World, expected: NDArray) -> NDArray:
    """`expected` minutes, mended by what today's orders seen before each placement took beyond it.

    The error of the restaurant's own orders is shrunk to that of the whole city, and that one to none.
    """
    error = world.ready - world.placed - expected
    seen = world.ready + SEEN_AFTER
    found = np.zeros(world.orders)

    def means(mine: NDArray, prior: NDArray, weight: float) -> NDArray:
        by = mine[np.argsort(seen[mine], kind="stable")]
        sums = np.concatenate([[0.0], np.cumsum(error[by])])
        count = np.searchsorted(seen[by], world.placed[mine], side="right")
        return (sums[count] + weight * prior) / (count + weight)

    city = means(np.arange(world.orders), found, 4 * SHRINK)
    for shop in np.unique(world.shop):
        mine = np.flatnonzero(world.shop == shop)
        found[mine] = means(mine, city[mine], SHRINK)
    return expected + found


def _recent(moments: NDArray, at: NDArray) -> NDArray:
    """How many of the sorted moments lie in the `RECENT` minutes before each of `at`."""
    return np.searchsorted(moments, at, side="left") - np.searchsorted(moments, at - RECENT, side="left")


def _known(world: World, kitchens: dict[int, float]) -> tuple[NDArray, NDArray]:
    """The running mean that starts from statements and kitchens' history, and what may correct it (orders, 5)."""
    stated = stated_minutes(world)
    history = np.array([kitchens.get(int(i), 0.0) for i in world.shop_id])[world.shop]
    queue = np.zeros(world.orders)
    for shop in np.unique(world.shop):
        mine = np.flatnonzero(world.shop == shop)
        queue[mine] = _recent(np.sort(world.placed[mine]), world.placed[mine])
    city = _recent(np.sort(world.placed), world.placed)
    hour = 2 * np.pi * world.placed / 1440.0
    return running_mean(world, stated + history), np.column_stack(
        [stated, queue, np.log1p(city), np.sin(hour), np.cos(hour)]
    )


def _kitchens(worlds: Sequence[World]) -> dict[int, float]:
    """Mean minutes beyond the statement by restaurant, shrunk to 0, over days of one city."""
    sums: dict[int, list[float]] = {}
    for world in worlds:
        errors = world.ready - world.placed - stated_minutes(world)
        for shop, error in zip(world.shop_id[world.shop].tolist(), errors.tolist(), strict=True):
            sums.setdefault(int(shop), []).append(error)
    return {shop: sum(errors) / (len(errors) + SHRINK) for shop, errors in sums.items()}


def _fit(worlds: Sequence[World], one_city: bool) -> ReadyModel:
    # A restaurant's mean over other days tells only if it has other days; a day's own must not tell on itself.
    parts = [
        _known(world, _kitchens([w for w in worlds if w is not world]) if one_city else {}) for world in worlds
    ]
    x = np.vstack([known for _, known in parts])
    y = np.concatenate([w.ready - w.placed - start for w, (start, _) in zip(worlds, parts, strict=True)])
    centre, scale = x.mean(axis=0), x.std(axis=0)
    scale = np.where(scale > 1e-9, scale, 1.0)
    z = (x - centre) / scale
    weights = np.linalg.solve(z.T @ z + len(y) * RIDGE * np.eye(z.shape[1]), z.T @ (y - y.mean()))
    return ReadyModel(
        weights, centre, scale, float(y.mean()), _kitchens(worlds) if one_city else {},
        tuple(w.origin for w in worlds),
    )


def learn(worlds: Sequence[World], *, one_city: bool) -> ReadyModel:
    """Fit on the days; each of them, left out in turn, gives residuals and is dispatched to choose the quantile.

    `one_city` says that restaurant ids mean the same on every day.

    Raises:
        UsageError: fewer than two days.
    """
    if len(worlds) < 2:
        raise UsageError(
            f"ml_optimized learns on at least two other days and found {len(worlds)}: give days that have days before"
            " them, or an instance in a folder with those of other cities"
        )
    left = [_fit([w for w in worlds if w is not held], one_city) for held in worlds]
    actual = [w.ready - w.placed for w in worlds]
    residuals = np.concatenate([a - m.minutes(w) for a, m, w in zip(actual, left, worlds, strict=True)])
    shifts = [float(np.quantile(residuals, q)) for q in QUANTILES]
    costs = [
        sum(
            float(censored_minutes(simulate(w.uncertain(), MLOptimized(model=replace(m, shift=shift)))).sum())
            for m, w in zip(left, worlds, strict=True)
        )
        for shift in shifts
    ]
    best = int(np.argmin(costs))

    def rmse(errors: Sequence[NDArray]) -> float:
        return float(np.sqrt(np.mean(np.concatenate(errors) ** 2)))

    return replace(
        _fit(worlds, one_city), shift=shifts[best], quantile=QUANTILES[best], residuals=residuals,
        rmse=rmse([residuals]), rmse_stated=rmse([a - stated_minutes(w) for a, w in zip(actual, worlds, strict=True)]),
        rmse_running_mean=rmse(
            [a - running_mean(w, stated_minutes(w)) for a, w in zip(actual, worlds, strict=True)]
        ),
    )


@dataclass
class MLOptimized(Matching):
    """The matching with learned ready times in place of announced or stated ones."""

    name: str = "ml_optimized"
    version: str = "v2.0"
    says: str = "Learns a quantile of when food is ready on other days, then bundles and matches every minute."
    objectives: tuple[str, ...] = ("minimize_lateness", "minimize_delivery_time")
    limits: Limits = field(default_factory=Limits)
    model: ReadyModel | None = None

    def believe(self, world: World) -> NDArray | None:
        if self.model is None:
            raise UsageError("ml_optimized has learned nothing yet: give it a model (dispatch.learn.learn)")
        if world.origin in self.model.trained_on:
            raise UsageError(f"ml_optimized was trained on {world.name}, so it cannot be judged on it")
        return self.model.ready(world)


@dataclass
class RunningMean(Matching):
    """The matching with the running mean of each kitchen: what learning has to beat."""

    name: str = "matching_running_mean"
    says: str = "The same matching, food expected after the running mean of its kitchen: what learning has to beat."

    def believe(self, world: World) -> NDArray | None:
        return world.placed + running_mean(world, stated_minutes(world))


def summary(model: ReadyModel) -> dict[str, Any]:
    """What to tell about a model."""
    return {
        "trained_on": list(model.trained_on), "quantile": model.quantile,
        "shift_minutes": model.shift, "rmse": model.rmse, "rmse_running_mean": model.rmse_running_mean,
        "rmse_stated": model.rmse_stated,
    }
