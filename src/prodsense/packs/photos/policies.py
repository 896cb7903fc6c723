"""Rules that the data behind the upload metrics must keep, each with the query that proves it."""

from __future__ import annotations

from prodsense.contracts.vocabulary import Policy

POLICIES = (
    Policy(
        "one_user_an_upload",
        "One attempt is one upload id: all of its events are of one user, so that an id is never used twice.",
    ),
    Policy("phases_are_known", "Each event names one of the seven phases; what does not is in no number by phase."),
    Policy(
        "attempts_are_numbered",
        "Attempts of an upload are numbered from 1 without a gap, so that retries are counted right.",
    ),
)
