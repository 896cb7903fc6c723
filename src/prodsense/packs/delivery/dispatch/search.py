"""Searches over sequences of orders: a genetic algorithm, and the local search that it has to beat.

Both spend the same number of evaluated plans, begin with the greedy sequence and never end worse than it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from prodsense.packs.delivery.dispatch.bundles import Book
from prodsense.packs.delivery.dispatch.engine import Job, Limits, View
from prodsense.packs.delivery.dispatch.snapshot import Found, Snapshot, by_ready
from prodsense.packs.delivery.dispatch.world import World

Search = Callable[[Snapshot, list[int], int, np.random.Generator], Found]


def local_search(snapshot: Snapshot, start: list[int], budget: int, rng: np.random.Generator) -> Found:
    """(1+1): move one order to another place in the sequence; keep what is no worse."""
    best = list(start)
    cost, trips = snapshot.plan(best)
    greedy = cost
    for _ in range(budget - 1):
        tried = _moved(best, rng)
        value, made = snapshot.plan(tried)
        if value <= cost:
            best, cost, trips = tried, value, made
    return Found(best, cost, greedy, trips, budget)


def genetic(snapshot: Snapshot, start: list[int], budget: int, rng: np.random.Generator) -> Found:
    """Steady state: two parents by tournament, order crossover, a few moves; the child replaces the worst if better.

    The population begins with the greedy sequence and light disturbances of it: random sequences would cost most of the
    budget to come near it.
    """
    size = max(4, min(16, budget // 6))
    greedy, trips = snapshot.plan(start)
    people = [(greedy, list(start))]
    best = (greedy, list(start), trips)
    spent = 1
    while len(people) < size and spent < budget:
        child = list(start)
        for _ in range(1 + len(people) // 4):
            child = _moved(child, rng)
        value, trips = snapshot.plan(child)
        spent += 1
        people.append((value, child))
        if value < best[0]:
            best = (value, child, trips)
    while spent < budget:
        mother, father = _tournament(people, rng), _tournament(people, rng)
        child = _crossed(mother, father, rng)
        for _ in range(int(rng.integers(1, 3))):
            child = _moved(child, rng)
        value, trips = snapshot.plan(child)
        spent += 1
        worst = max(range(len(people)), key=lambda k: people[k][0])
        if value <= people[worst][0] and all(child != other for _, other in people):
            people[worst] = (value, child)
        if value < best[0]:
            best = (value, child, trips)
    return Found(best[1], best[0], greedy, best[2], spent)


def _moved(sequence: list[int], rng: np.random.Generator) -> list[int]:
    """One order taken out and put in near another place."""
    child = list(sequence)
    if len(child) < 2:
        return child
    order = child.pop(int(rng.integers(len(child))))
    child.insert(int(rng.integers(len(child) + 1)), order)
    return child


def _tournament(people: list[tuple[float, list[int]]], rng: np.random.Generator) -> list[int]:
    a, b = rng.integers(len(people), size=2).tolist()
    return min(people[a], people[b], key=lambda p: p[0])[1]


def _crossed(mother: list[int], father: list[int], rng: np.random.Generator) -> list[int]:
    """Order crossover (Davis 1985): a piece of one parent in its place, the rest in the other's order."""
    low, high = sorted(rng.integers(len(mother) + 1, size=2).tolist())
    kept = mother[low:high]
    inside = set(kept)
    rest = [i for i in father if i not in inside]
    return [*rest[:low], *kept, *rest[low:]]


@dataclass
class Searching:
    """Plans all open orders anew every minute by a search, and sends only who must leave."""

    search: Search
    name: str
    version: str
    says: str
    objectives: tuple[str, ...] = ("minimize_delivery_time",)
    limits: Limits = field(default_factory=Limits)
    horizon: float = 30.0
    #: Plans evaluated a minute.
    budget: int = 24
    #: Orders planned at once, the first to be ready; the others wait for a later minute.
    most: int = 80

    def begin(self, world: World) -> None:
        self._book: Book | None = None

    def believe(self, world: World) -> NDArray | None:
        return None

    def decide(self, view: View) -> list[Job]:
        if self._book is None:
            self._book = Book(view.world, self.limits, view.ready)
        soon = view.open[view.ready[view.open] <= view.minute + self.horizon]
        orders = soon[np.lexsort((soon, view.ready[soon]))][: self.most].tolist()
        couriers = np.flatnonzero((view.free <= view.minute + self.horizon) & (view.world.off > view.minute))
        if not orders or not (view.free[couriers] <= view.minute).any():
            return []
        snapshot = Snapshot(view, self._book, self.limits, orders, couriers)
        start = by_ready(snapshot)
        found = self.search(snapshot, start, self.budget if len(start) > 1 else 1, view.rng)
        return snapshot.jobs(found.trips)
