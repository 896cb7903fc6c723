"""A made-up social platform: users, their events, and what surrounds them, with planted truths.

Users come from channels with different retention curves, adopt features, create or only look, leave and sometimes come
back; two tests run. Only events are made: sessions and daily activity are built from them. What is planted is listed in
:class:`Effects` and comes back in `truth`; everything else is chance. With ``clean=True`` nothing is planted.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prodsense.packs.planted import Made, Setting, simulator

from . import simulate_voices as voices
from .simulate_events import events_table, make_visits
from .simulate_people import GROUPS, SOURCES, STORIES, Effects, People, chances, make_people


#: Day-30 retention needs more than 31 days.
@simulator(Effects, days=90, of="a platform", size="2,000 users")
def simulate(given: Setting[Effects]) -> Made:
    streams = given.streams
    people = make_people(given.start, given.days, round(2000 * given.scale), streams, given.effects)
    active, visits = make_visits(people, streams)
    tables = {
        "users": voices.users_table(people),
        "user_events": events_table(people, active, visits, streams),
        "connections": voices.connections_table(people, streams),
        "survey_responses": voices.survey_table(people, streams),
        "app_reviews": voices.reviews_table(people, streams),
        "social_mentions": voices.mentions_table(people, streams),
        "user_ltv": voices.ltv_table(people, streams),
        "metric_registry": voices.registry_table(people),
        "experiment_assignments": voices.assignments_table(people),
    }
    return tables, lambda: describe(people)


def describe(people: People) -> dict[str, Any]:
    """What was planted, each with its size, unit and place. Sizes are those of the process, not of a sample."""
    effects = people.effects
    counted = ~people.internal
    day = lambda n: (people.start + timedelta(days=int(n))).isoformat()  # noqa: E731
    names = lambda mask: [f"u{i:06}" for i in np.flatnonzero(mask)]  # noqa: E731
    treated, control = people.onboarding == 1, people.onboarding == 0
    leavers = counted & (people.leaves < people.days)
    without = chances(people, lift=False)
    fourth = fourth_week(people, people.recorded)
    return {
        "retention": {
            "unit": "share of new users active on the day, expected, users old enough",
            **{
                f"d{n}": {name: on_day(people, n, counted & (people.source == i)) for i, name in enumerate(SOURCES)}
                for n in (1, 7, 30)
            },
        },
        "groups": {
            "unit": "share of new users active in days 21 to 27, expected: what adoption on day 0 adds (causal)",
            "feature": "groups", "effect": gain(people, fourth_week(people, without)),
            "adopters_minus_others": apart(people, fourth, people.adopts[:, GROUPS]),
        },
        "stories": {
            "unit": "share of new users active in days 21 to 27, expected; adopters differ by selection alone",
            "feature": "stories", "effect": 0.0,
            "adopters_minus_others": apart(people, fourth, people.adopts[:, STORIES]),
        },
        "creators": {"unit": "active days, as a fraction more", "effect": effects.creator_lift, "share": 0.25},
        "onboarding_flow_test": {
            "unit": "day-7 retention, treatment minus control, expected",
            "effect": none_minus(on_day(people, 7, counted & treated), on_day(people, 7, counted & control)),
        },
        "notification_strategy_test": {
            "unit": "sessions on an active day, as a fraction more", "effect": effects.notification_sessions,
            "from": day(people.test_from),
        },
        "tracking_loss": {
            "unit": "share of Android's user-days not recorded", "platform": "android", "effect": effects.tracking_loss,
            "days": [day(n) for n in people.loss_days],
        },
        "session_drop": {
            "unit": "sessions on an active day, from 5 to 1", "from": day(people.drop_day),
            "users": names(people.dropper == 1),
        },
        "creation_drop": {
            "unit": "creations on an active day, from 4 to 0", "from": day(people.drop_day),
            "users": names(people.dropper == 2),
        },
        "churn": {
            "unit": "users who leave", "users": names(leavers),
            "resurrected": names(leavers & (people.returns < people.days)),
            "away_days": 32, "warning_days": 14, "sessions_fall": effects.churn_warning,
        },
        "ltv": {
            "unit": "currency", "per_sociability": effects.sociable_ltv, "short_sessions": effects.short_sessions_ltv,
        },
        "csat": {"unit": "score 1-5, many short sessions minus few long ones", "effect": effects.short_sessions_csat},
        "fast_clocks": {"unit": "300 seconds ahead", "users": names(people.fast_clock)},
    }  # fmt: skip


def on_day(people: People, n: int, among: NDArray) -> float | None:
    """Expected share of new users recorded as active on day n of their life, of those old enough."""
    who = np.flatnonzero(people.new & among & (people.signup + n < people.days))
    return float(people.recorded[who, people.signup[who] + n].mean()) if who.size else None


def fourth_week(people: People, chance: NDArray) -> NDArray:
    """Probability of each user to be active on any of days 21 to 27 of life; NaN where they have not passed."""
    old = people.new & (people.signup + 27 < people.days)
    day = np.clip(people.signup[:, None] + np.arange(21, 28), 0, people.days - 1)
    return np.where(old, 1.0 - np.prod(1.0 - np.take_along_axis(chance, day, axis=1), axis=1), np.nan)


def apart(people: People, chance: NDArray, adopters: NDArray) -> float | None:
    """Mean of adopters minus mean of the others."""
    known = ~np.isnan(chance) & ~people.internal
    if not (known & adopters).any() or not (known & ~adopters).any():
        return None
    return float(chance[known & adopters].mean() - chance[known & ~adopters].mean())


def gain(people: People, without: NDArray) -> float | None:
    """What groups add to the fourth week of those who adopted them."""
    chance = fourth_week(people, people.chance)
    known = ~np.isnan(chance) & ~people.internal & people.adopts[:, GROUPS]
    return float((chance - without)[known].mean()) if known.any() else None


def none_minus(a: float | None, b: float | None) -> float | None:
    """a - b, or None where either is."""
    return None if a is None or b is None else a - b
