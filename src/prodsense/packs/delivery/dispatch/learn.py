"""When will the food be ready? Learned on other days, and told as the quantile that dispatches best.

A ridge regression of preparation minutes on what is known at placement: the restaurant's own statement, what its
kitchen needed earlier today and on the training days, its queue, the city's load and the hour. Dispatch does not want
the mean: a courier who comes early waits, food that is early gets cold. So a quantile of the residuals is added, and
which one is found by dispatching a training day that the regression has not seen.
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
from prodsense.packs.delivery.dispatch.world import World

#: Minutes after which a dispatcher has seen at the pickup how long a kitchen took.
SEEN_AFTER = 10.0
#: Minutes that count as a kitchen's or a city's recent load.
RECENT = 30.0
#: Orders that a restaurant's own mean must have to weigh as much as that of all.
SHRINK = 5.0
QUANTILES = (0.2, 0.35, 0.5, 0.65)


@dataclass(frozen=True)
class ReadyModel:
    """A fitted model. `kitchens` are mean errors of statements by restaurant id; RMSEs are of the day held out."""

    weights: NDArray
    centre: NDArray
    scale: NDArray
    base: float
    kitchens: dict[int, float]
    shift: float
    quantile: float
    trained_on: tuple[str, ...]
    validated_on: str
    rmse: float
    rmse_running_mean: float
    rmse_stated: float
    residuals: NDArray = field(repr=False, default_factory=lambda: np.zeros(0))

    def ready(self, world: World) -> NDArray:
        """Believed ready times of a day's orders, each as of its placement."""
        return world.placed + np.maximum(self.minutes(world) + self.shift, 1.0)

    def minutes(self, world: World) -> NDArray:
        """Mean preparation minutes."""
        x = (features(world, self.kitchens) - self.centre) / self.scale
        return self.base + x @ self.weights


def running_mean(world: World, stated: NDArray) -> NDArray:
    """Mean preparation minutes of the restaurant's orders seen before each placement, shrunk to what is stated."""
    prep = world.ready - world.placed
    found = stated.astype(float).copy()
    seen = world.ready + SEEN_AFTER
    for shop in np.unique(world.shop):
        mine = np.flatnonzero(world.shop == shop)
        by = mine[np.argsort(seen[mine], kind="stable")]
        sums = np.concatenate([[0.0], np.cumsum((prep - stated)[by])])
        count = np.searchsorted(seen[by], world.placed[mine], side="right")
        found[mine] += sums[count] / (count + SHRINK)
    return found


def _recent(moments: NDArray, at: NDArray) -> NDArray:
    """How many of the sorted moments lie in the `RECENT` minutes before each of `at`."""
    return np.searchsorted(moments, at, side="left") - np.searchsorted(moments, at - RECENT, side="left")


def features(world: World, kitchens: dict[int, float]) -> NDArray:
    """What is known of each order at its placement, shape (orders, 7)."""
    stated = np.where(np.isnan(world.prep), 15.0, world.prep)
    placed = np.sort(world.placed)
    queue = np.zeros(world.orders)
    for shop in np.unique(world.shop):
        mine = np.flatnonzero(world.shop == shop)
        queue[mine] = _recent(np.sort(world.placed[mine]), world.placed[mine])
    city = _recent(placed, world.placed)
    hour = 2 * np.pi * world.placed / 1440.0
    known = np.array([kitchens.get(int(world.shop_id[s]), 0.0) for s in world.shop])
    return np.column_stack([
        stated, running_mean(world, stated) - stated, queue, np.log1p(city), np.sin(hour), np.cos(hour), known,
    ])  # fmt: skip


def _kitchens(worlds: Sequence[World]) -> dict[int, float]:
    """Mean minutes beyond the statement by restaurant, shrunk to 0, over days of one city."""
    sums: dict[int, list[float]] = {}
    for world in worlds:
        stated = np.where(np.isnan(world.prep), 15.0, world.prep)
        for shop, error in zip(world.shop_id[world.shop].tolist(), world.ready - world.placed - stated, strict=True):
            sums.setdefault(int(shop), []).append(float(error))
    return {shop: sum(errors) / (len(errors) + SHRINK) for shop, errors in sums.items()}


def _fit(worlds: Sequence[World], one_city: bool) -> ReadyModel:
    # A restaurant's mean over other days tells only if it has other days; a day's own must not tell on itself.
    parts = [
        features(world, _kitchens([w for w in worlds if w is not world]) if one_city else {}) for world in worlds
    ]
    x, y = np.vstack(parts), np.concatenate([w.ready - w.placed for w in worlds])
    centre, scale = x.mean(axis=0), x.std(axis=0)
    scale = np.where(scale > 1e-9, scale, 1.0)
    z = (x - centre) / scale
    weights = np.linalg.solve(z.T @ z + len(y) * 0.01 * np.eye(z.shape[1]), z.T @ (y - y.mean()))
    return ReadyModel(
        weights, centre, scale, float(y.mean()), _kitchens(worlds) if one_city else {}, 0.0, 0.5,
        tuple(w.origin for w in worlds), "", float("nan"), float("nan"), float("nan"),
    )


def learn(worlds: Sequence[World], *, one_city: bool) -> ReadyModel:
    """Fit on all of the days but the last, choose the quantile by dispatching that one, then fit on all.

    `one_city` says that restaurant ids mean the same on every day.

    Raises:
        UsageError: fewer than two days.
    """
    if len(worlds) < 2:
        raise UsageError(
            f"ml_optimized learns on at least two other days and found {len(worlds)}: give days that have days before"
            " them, or an instance in a folder with those of other cities"
        )
    *train, held = worlds
    model = _fit(train, one_city)
    residuals = held.ready - held.placed - model.minutes(held)
    stated = np.where(np.isnan(held.prep), 15.0, held.prep)
    actual = held.ready - held.placed
    judged = held.uncertain()
    best: tuple[float, float, float] | None = None
    for quantile in QUANTILES:
        shift = float(np.quantile(residuals, quantile))
        run = simulate(judged, MLOptimized(model=replace(model, shift=shift)))
        found = run.measures()["click_to_door_censored"]
        assert found is not None
        if best is None or found < best[0]:
            best = (found, quantile, shift)
    assert best is not None
    return replace(
        _fit(worlds, one_city), shift=best[2], quantile=best[1], trained_on=tuple(w.origin for w in worlds),
        validated_on=held.origin, rmse=float(np.sqrt(np.mean(residuals**2))),
        rmse_running_mean=float(np.sqrt(np.mean((actual - running_mean(held, stated)) ** 2))),
        rmse_stated=float(np.sqrt(np.mean((actual - stated) ** 2))), residuals=residuals,
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
        return world.placed + running_mean(world, np.where(np.isnan(world.prep), 15.0, world.prep))


def summary(model: ReadyModel) -> dict[str, Any]:
    """What to tell about a model."""
    return {
        "trained_on": list(model.trained_on), "validated_on": model.validated_on, "quantile": model.quantile,
        "shift_minutes": model.shift, "rmse": model.rmse, "rmse_running_mean": model.rmse_running_mean,
        "rmse_stated": model.rmse_stated,
    }
