"""Pipelines of the photos pack."""

from __future__ import annotations

from prodsense.contracts.vocabulary import Pipeline

PIPELINES = (
    Pipeline(
        "upload_experience_monitoring",
        "Folds each upload into one row and keeps its numbers by day and segment beside what users say in surveys and"
        " tickets. Run it as data come in, then the detectors.",
        models=("event_log", "error_categories", "upload_facts", "upload_steps", "attempt_log", "upload_experience"),
        fresh_hours=1,
        late_days=1,
    ),
)
