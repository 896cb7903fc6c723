"""A made-up photo app: uploads, what their clients log, and what surrounds them, with planted truths.

What is planted is listed in :class:`Effects` and comes back in `truth`; everything else is chance. With ``clean=True``
nothing is planted.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from prodsense.packs.planted import check_size
from prodsense.simulate import Simulation, Streams

from . import simulate_voices as voices
from .simulate_flows import Effects, describe, events_table, make_flows


def simulate(
    days: int = 28,
    scale: float = 1.0,
    seed: int = 7,
    start: date = date(2024, 1, 1),
    effects: Mapping[str, float] | None = None,
    clean: bool = False,
) -> Simulation:
    """Make the tables of a photo app for `days` days from `start`.

    Args:
        days: length in days, at least 1.
        scale: size; 1 is 200 uploads a day by 1,500 users.
        seed: same seed, same tables.
        start: first day; all times are UTC.
        effects: planted sizes other than those of `Effects`, by name.
        clean: plant nothing (`effects` then adds to nothing).

    Raises:
        UsageError: a size that makes no app, or an effect that does not exist.
    """
    check_size(days, scale)
    planted = Effects.chosen(effects, clean)
    streams = Streams(seed)
    flows = make_flows(start, days, scale, streams, planted)
    tables = {
        "users": voices.users_table(flows),
        "uploads": voices.uploads_table(flows, streams),
        "upload_events": events_table(flows),
        "upload_attempts": voices.attempts_table(flows),
        "upload_edits": voices.edits_table(flows),
        "app_performance": voices.performance_table(flows, streams),
        "drafts": voices.drafts_table(flows),
        "ui_interactions": voices.gestures_table(flows, streams),
        "upload_subtasks": voices.subtasks_table(flows, streams),
        "survey_responses": voices.survey_table(flows, streams),
        "app_reviews": voices.reviews_table(flows, streams),
        "support_tickets": voices.tickets_table(flows, streams),
    }
    return Simulation(tables, {} if planted == Effects.none() else describe(flows))
