"""Forecasts of many series at once: exponential smoothing with several seasons, and the naive rules to beat.

All series of one length go through time together, as columns beside each other, each with every candidate of a small
grid of smoothing rates. A candidate's state at a moment has seen nothing later, so that one pass gives the forecasts
of all candidates from every origin of a back-test, without fitting anything again.

The model is that of Taylor 2003 in the error-correction form of De Livera, Hyndman & Snyder 2011 (BATS):

    d(t)  = y(t) - (level + φ·slope + season_1 + … + season_k)
    y(t)  = level + φ·slope + Σ season + ρ·d(t-1) + error,    level += φ·slope + α·d,  slope = φ·slope + β·d,
            season_i += γ_i·d

on the values or on their logarithms. A value that is not there leaves the state as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[np.float64]]
    Places = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Candidate:
    """A model of the grid: its name and rates; `rule` is set for those without a state."""

    name: str
    rule: str = ""
    season: int = 1
    log: bool = False
    level: float = 0.0
    slope: float = 0.0
    damping: float = 1.0
    seasons: tuple[float, ...] = ()
    memory: float = 0.0


def naive_candidates(seasons: Sequence[int]) -> list[Candidate]:
    """The rules to beat: the last value, and the last value of the same phase."""
    rules = [Candidate("naive", "last")]
    return rules + [Candidate(f"seasonal naive {m}", "last", season=m) for m in seasons]


def smoothing_candidates(seasons: Sequence[int], *, logs: bool) -> list[Candidate]:
    """The grid: without season rates of level and slope; with seasons also theirs and the memory of the last error."""
    found = []
    levels: tuple[float, ...]
    memories: tuple[float, ...]
    slopes: tuple[tuple[float, float], ...]
    rates: list[tuple[float, ...]]
    if not seasons:
        levels, memories = (0.1, 0.3, 0.6, 0.9), (0.0,)
        slopes, rates = ((0.0, 1.0), (0.1, 0.9), (0.1, 0.98), (0.3, 0.98), (0.05, 1.0), (0.2, 1.0)), [()]
    elif len(seasons) == 1:
        levels, memories = (0.02, 0.1, 0.3, 0.6), (0.0, 0.6)
        slopes, rates = ((0.0, 1.0), (0.1, 0.95), (0.05, 0.99), (0.1, 1.0)), [(0.05,), (0.2,), (0.5,)]
    else:
        levels, memories, slopes = (0.005, 0.03, 0.15), (0.0, 0.6, 0.9), ((0.0, 1.0),)
        rates = [pair + (0.05,) * (len(seasons) - 2) for pair in product((0.02, 0.15, 0.4), (0.1, 0.3, 0.6))]
    scales = (False, True) if logs else (False,)
    for log, level, slope, rate, memory in product(scales, levels, slopes, rates, memories):
        name = " + ".join(["smoothing", *(["slope"] if slope[0] else []), *(f"season {m}" for m in seasons),
                           *(["log"] if log else [])])  # fmt: skip
        found.append(Candidate(name, log=log, level=level, slope=slope[0] * level, damping=slope[1], seasons=rate,
                               memory=memory))  # fmt: skip
    return found


def rule_forecasts(y: Array, origins: Sequence[int], horizon: int, season: int) -> Array:
    """Forecasts (origins × horizon × series) by the last known value of the same phase; y is time × series."""
    filled = carried(y, season)
    out = np.empty((len(origins), horizon, y.shape[1]))
    steps = np.arange(horizon) % season
    for place, origin in enumerate(origins):
        out[place] = filled[origin - season + steps]
    return out


def carried(y: Array, season: int) -> Array:
    """y with gaps filled from the same phase a season before; leading gaps stay."""
    if np.isfinite(y).all():
        return y
    out = y.copy()
    for at in range(season, len(out)):
        missing = ~np.isfinite(out[at])
        out[at, missing] = out[at - season, missing]
    return out


def smoothing_forecasts(
    y: Array, candidates: Sequence[Candidate], seasons: Sequence[int], origins: Sequence[int], horizon: int
) -> Array:
    """Forecasts (origins × horizon × candidates × series) of candidates that share `seasons` and `log`.

    `y` is time × series, on the scale of the model; an origin is how many values have been seen.
    """
    steps, count = y.shape
    size = (len(candidates), count)
    alpha, beta, damp, memory = (
        np.array([getattr(c, name) for c in candidates])[:, None] for name in ("level", "slope", "damping", "memory")
    )
    gammas = [np.array([c.seasons[i] for c in candidates])[:, None] for i in range(len(seasons))]
    start, profiles = _start(y, seasons)
    # A slope is only kept where a candidate has one; the first is that of a line through the first values.
    sloped = bool((beta > 0).any())
    begin, rise = _line(y[: min(min(origins), max(2 * max(seasons, default=1), 20))], profiles)
    level = np.where(beta > 0, begin[None], start[None]) if sloped else np.broadcast_to(start, size).copy()
    slope, error = np.where(beta > 0, rise[None], 0.0) * np.ones(size), np.zeros(size)
    season = [np.broadcast_to(p[:, None, :], (len(p), *size)).copy() for p in profiles]
    known: Any = np.isfinite(y)
    whole = known.all(axis=1)
    wanted = {origin: place for place, origin in enumerate(origins)}
    out = np.empty((len(origins), horizon, *size))
    for at in range(max(origins) + 1):
        if at in wanted:
            out[wanted[at]] = _ahead(level, slope, season, error, damp, memory, at, horizon, sloped)
        if at >= steps or at == max(origins):
            break
        expected = level + damp * slope if sloped else level
        gap = y[at] - expected
        for table in season:
            gap -= table[at % len(table)]
        if not whole[at]:
            # What is not known teaches nothing; the last error fades.
            error = np.where(known[at], gap, memory * error)
            gap = np.where(known[at], gap, 0.0)
        else:
            error = gap
        level = expected + alpha * gap
        if sloped:
            slope = damp * slope + beta * gap
        for table, gamma in zip(season, gammas, strict=True):
            table[at % len(table)] += gamma * gap
    return out


def _start(y: Array, seasons: Sequence[int]) -> tuple[Array, list[Array]]:
    """The level and the profiles of the first two of the longest season; what is not known counts as usual."""
    longest = max(seasons, default=1)
    head = y[: 2 * longest] if longest > 1 else y[:5]
    with np.errstate(invalid="ignore"):
        known = np.isfinite(head)
        level = np.where(known, head, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        rest = np.where(known, head - level, 0.0)
    profiles = []
    for m in seasons:
        cycles = len(rest) // m
        cut = rest[: cycles * m].reshape(cycles, m, -1)
        there = known[: cycles * m].reshape(cycles, m, -1).sum(axis=0)
        profile = cut.sum(axis=0) / np.maximum(there, 1)
        profiles.append(profile)
        rest = rest - np.where(known, profile[np.arange(len(rest)) % m], 0.0)
    return level, profiles


def _line(head: Array, profiles: list[Array]) -> tuple[Array, Array]:
    """Level before the first moment and slope of a straight line through the first values less their profiles."""
    steps = np.arange(1.0, len(head) + 1)[:, None]
    known = np.isfinite(head)
    rest = np.where(known, head, 0.0)
    for profile in profiles:
        rest = rest - np.where(known, profile[np.arange(len(head)) % len(profile)], 0.0)
    count = np.maximum(known.sum(axis=0), 1)
    centre = (steps * known).sum(axis=0) / count
    middle = rest.sum(axis=0) / count
    spread = (np.square(steps - centre) * known).sum(axis=0)
    rise = ((steps - centre) * known * (rest - middle)).sum(axis=0) / np.maximum(spread, 1e-12)
    return middle - rise * centre, rise


def _ahead(
    level: Array, slope: Array, season: list[Array], error: Array, damp: Array, memory: Array, at: int, horizon: int,
    sloped: bool,
) -> Array:
    """The next `horizon` values from a state, which belongs to the moment before `at`."""
    ahead = np.arange(1, horizon + 1)[:, None, None]
    out = level[None] + memory**ahead * error[None]
    if sloped:
        fade = np.where(damp < 1, damp * (1 - damp**ahead) / np.maximum(1 - damp, 1e-9), ahead)
        out = out + fade * slope[None]
    for table in season:
        out = out + table[(at + np.arange(horizon)) % len(table)]
    return out
