"""Experiments on dispatchers: paired days are exact, a split by order is not, and says so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from dispatch_checker import raw_of, replay
from test_dispatch import small_world

from prodsense.errors import UsageError
from prodsense.inference.paired import paired
from prodsense.packs.delivery.dispatch import World, algorithm, simulate
from prodsense.packs.delivery.dispatch import compare as compare_module
from prodsense.packs.delivery.dispatch.measures import censored_minutes
from prodsense.packs.delivery.dispatch.trial import Mixed, dispatch_trial, paired_days, switchback


def days(count: int = 4) -> list[World]:
    return [replace(small_world(seed, couriers=6), name=f"town {seed}") for seed in range(count)]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["no_batching", "matching_rolling_horizon", "genetic_algorithm"])
def test_a_against_a_is_exactly_nothing(name: str) -> None:
    differences = paired_days(days(2), algorithm(name), algorithm(name), seed=3)
    assert (differences == 0).all()
    assert paired(differences).estimate == 0.0
    assert paired(differences).p_value == 1.0


def test_a_switchback_of_one_algorithm_is_that_algorithm() -> None:
    """Switching between two of the same changes nothing: outcomes are those of the whole day."""
    world = days(1)[0]
    both = Mixed(algorithm("no_batching"), algorithm("no_batching"), np.arange(2000) % 2, by_minute=True)
    assert np.array_equal(censored_minutes(simulate(world, both)),
                          censored_minutes(simulate(world, algorithm("no_batching"))))


@pytest.mark.parametrize("by_minute", [True, False])
def test_shared_fleets_stay_feasible(by_minute: bool) -> None:
    world = days(1)[0]
    arm = np.random.default_rng(0).integers(0, 2, 2000 if by_minute else world.orders)
    mixed = Mixed(algorithm("no_batching"), algorithm("matching_rolling_horizon"), arm, by_minute)
    run = simulate(world, mixed)
    done = replay(raw_of(world), run.trips, limits=mixed.limits)
    assert len(done) == int((run.courier >= 0).sum()) > 30


@pytest.mark.slow
def test_the_trial_finds_the_effect_and_flags_the_split(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare_module, "worlds", lambda *_: days(6))
    answer = dispatch_trial(None, instance="here", repeats=2)
    rows = {row["design"]: row for row in answer.rows}
    truth = answer.extras["truth"]
    assert truth < -5
    assert rows["paired days"]["bias"] == 0.0
    assert rows["paired days"]["ci_high"] < 0
    split = rows["split by order"]
    assert split["verdict"].startswith("flagged")
    assert abs(split["bias"]) > 0.25 * abs(truth)
    # Its interval, as a naive readout would give it, leaves the truth out.
    assert not split["ci_low"] <= truth <= split["ci_high"]
    assert rows["day by region"]["units"] == 6
    assert "truth" in str(answer.chart().to_dict())


def test_short_windows_are_flagged_and_wrong_ones_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare_module, "worlds", lambda *_: days(2))
    answer = dispatch_trial(None, instance="here", repeats=1, window=30.0, burn_in=0.0)
    rows = {row["design"].split(" of ")[0]: row for row in answer.rows}
    assert rows["switchback"]["verdict"].startswith("flagged")
    assert "day by region" not in rows
    for wrong in ({"burn_in": 200.0}, {"repeats": 0}, {"confidence": 1.0}):
        with pytest.raises(UsageError):
            dispatch_trial(None, instance="here", **wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="of its own"):
        switchback(days(1), algorithm("no_batching"), algorithm("matching_running_mean"), 0, 0.95, 120.0, 30.0)
