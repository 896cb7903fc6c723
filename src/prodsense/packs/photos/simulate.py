"""A made-up photo app: uploads, what their clients log, and what surrounds them, with planted truths.

What is planted is listed in :class:`Effects` and comes back in `truth`; everything else is chance. With ``clean=True``
nothing is planted.
"""

from __future__ import annotations

from prodsense.packs.planted import Made, Setting, simulator

from . import simulate_voices as voices
from .simulate_flows import Effects, describe, events_table, make_flows


@simulator(Effects, days=28, of="a photo app", size="200 uploads a day by 1,500 users")
def simulate(given: Setting[Effects]) -> Made:
    streams = given.streams
    flows = make_flows(given.start, given.days, given.scale, streams, given.effects)
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
    return tables, lambda: describe(flows)
