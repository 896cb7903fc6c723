"""A made-up streaming platform: its catalogue, people and what they watch, with planted truths.

Only playback events are made, as players send them: late, doubled, out of order. Sessions are folded from them. What is
planted is listed in :class:`Effects` and comes back in `truth`; everything else is chance. With ``clean=True`` nothing
is planted.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np

from prodsense.packs.planted import Made, Setting, simulator

from .simulate_around import around_tables
from .simulate_viewing import make_sessions, playback_table
from .simulate_world import (
    DROP_MOVIE,
    DROP_SECONDS,
    EXPERIMENTS,
    FLOP_MOVIE,
    GENRES,
    MOVIES,
    PROMOTED,
    WARNING_DAYS,
    WEAK_SERIES,
    Effects,
    World,
    account_tables,
    catalogue_tables,
    make_world,
)


@simulator(Effects, days=42, of="a platform", size="1,000 users")
def simulate(given: Setting[Effects]) -> Made:
    streams = given.streams
    world = make_world(given.start, given.days, round(1000 * given.scale), streams, given.effects)
    sessions = make_sessions(world, streams)
    tables = {
        **catalogue_tables(world),
        **account_tables(world, streams),
        "playback_events": playback_table(world, sessions, streams),
        **around_tables(world, sessions, streams),
    }
    return tables, lambda: describe(world)


def describe(world: World) -> dict[str, Any]:
    """What was planted, each with its size, unit and place."""
    effects = world.effects
    day = lambda n: (world.start + timedelta(days=int(n))).isoformat()  # noqa: E731
    first, last = world.promoted
    return {
        "drop_off": {
            "unit": "share of viewers who leave there", "effect": effects.drop_off, "content_id": f"c{DROP_MOVIE:04}",
            "content_key": DROP_MOVIE + 1, "seconds": DROP_SECONDS,
        },
        "weak_pilot": {
            "unit": "completion of the pilot, less by", "effect": effects.weak_pilot, "series_key": WEAK_SERIES + 1,
        },
        EXPERIMENTS[0]: {"unit": "views through browsing, relative", "effect": effects.layout_lift},
        EXPERIMENTS[1]: {"unit": "share of searches that end in a click, more by", "effect": effects.search_lift},
        EXPERIMENTS[2]: {"unit": "views through recommendations, relative", "effect": effects.display_lift},
        "binge": {
            "unit": "daily risk to cancel of bingers, relative", "effect": -effects.binge_stay,
            "users": [f"u{i:06}" for i in np.flatnonzero(world.binger)],
        },
        "churn": {
            "unit": "chance to watch on a day before a cancellation, relative", "effect": -effects.churn_warning,
            "days": WARNING_DAYS,
            "users": [f"u{i:06}" for i in np.flatnonzero((world.leaves < world.days) & world.converted)],
        },
        "promotions": {
            "unit": "views on top of the usual, times", "during": effects.promotion, "after": effects.sustained,
            "first_day": day(first), "last_day": day(max(last - 1, first)),
            "lasting": f"c{PROMOTED[0]:04}", "fading": f"c{PROMOTED[1]:04}",
        },
        "recommended": {
            "unit": "watched part of an unfinished title, relative", "effect": effects.recommended_time,
            "csat_points": effects.recommended_csat,
        },
        "genre_gap": {
            "unit": "share of searches for a genre with one title", "effect": effects.genre_gap, "genre": GENRES[5],
        },
        "flop": {"unit": "currency", "content_id": f"c{FLOP_MOVIE:04}", "effect": effects.flop},
        "unwatched": {"unit": "titles", "content_ids": [f"c{t:04}" for t in range(MOVIES - 4, MOVIES)]},
        "heavy": {"unit": "unevenness of use", "effect": effects.heavy},
    }  # fmt: skip
