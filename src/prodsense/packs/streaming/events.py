"""The events that players of a streaming platform report: the same names and fields on every client."""

from __future__ import annotations

from prodsense.contracts.vocabulary import Event, EventSource, Field

#: Users act when they start to watch; internal and test users are left out.
EVENTS_TABLE = EventSource("sessions", user="user_key", time="started_at", dimensions=("view_source",))

_EVERY = (
    Field("user_id", "VARCHAR", True, "Who watches."),
    Field("profile_id", "VARCHAR", False, "Profile of the account."),
    Field("content_id", "VARCHAR", True, "Title, or a version of it."),
    Field("session_id", "VARCHAR", True, "Session of the player."),
    Field("device_id", "VARCHAR", False, "Device."),
    Field("timestamp", "TIMESTAMP", True, "When, by the player's clock.", "UTC"),
    Field("current_playback_position", "DOUBLE", True, "Position in the title; of a seek, where it starts.", "seconds"),
    Field("event_id", "VARCHAR", False, "Event; the same id twice is a duplicate."),
    Field("received_at", "TIMESTAMP", False, "When the server got it.", "UTC"),
    Field("playback_quality", "VARCHAR", False, "Quality, such as HD."),
    Field("autoplay_enabled", "BOOLEAN", False, "Autoplay is on."),
)


def _event(name: str, says: str, *fields: Field) -> Event:
    return Event(name, says, (*_EVERY, *fields))


EVENTS = (
    _event(
        "playback_start", "Playback begins.",
        Field("discovery_source", "VARCHAR", False, "How the title was reached:"
        " search, browse, recommendation, external."),
    ),
    _event("playback_pause", "Playback is paused."),
    _event("playback_resume", "Playback continues after a pause."),
    _event("playback_progress", "Playback goes on: a heartbeat, every so many seconds or at milestones."),
    _event(
        "playback_seek", "A jump to another position: lower is a rewind, higher a forward.",
        Field("seek_to_position", "DOUBLE", False, "Where it leads to;"
        " without it, its direction is not known.", "seconds"),
    ),
    _event("playback_complete", "The title was played to its end."),
    _event("playback_error", "Playback failed."),
)
