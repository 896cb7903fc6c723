"""Behaviour: methods over any event table that has a user, a time and perhaps an event column.

Each module is one method; `events.EventTable` is how all of them see their data. A method is called like its
module, so the functions are bound here at once: importing the module first must not hide them.
"""

from __future__ import annotations

from prodsense.behavior.activity import Activity, active_users
from prodsense.behavior.cohorts import Cohort, cohort, cohorts, read_cohort
from prodsense.behavior.events import EventTable
from prodsense.behavior.feature_time import feature_time
from prodsense.behavior.funnel import funnel
from prodsense.behavior.funnel_steps import Step, optional, step
from prodsense.behavior.kept_sessions import KeptSessions
from prodsense.behavior.lifecycle import lifecycle
from prodsense.behavior.log import EventLog
from prodsense.behavior.paths import paths, step_matrix, transitions
from prodsense.behavior.result import Answer
from prodsense.behavior.retention import retention
from prodsense.behavior.rollup import Rollup
from prodsense.behavior.sessions import sessions
from prodsense.behavior.survival import survival, survival_of

__all__ = [
    "Activity", "Answer", "Cohort", "EventLog", "EventTable", "KeptSessions", "Rollup", "Step", "active_users",
    "cohort", "cohorts", "feature_time", "funnel", "lifecycle", "optional", "paths", "read_cohort", "retention",
    "sessions", "step", "step_matrix", "survival", "survival_of", "transitions",
]  # fmt: skip
