"""What clients log during an upload: the same fields in each of its seven phases, under one upload id."""

from __future__ import annotations

from prodsense.contracts.vocabulary import Event, EventSource, Field

#: Uploads are what goes through the funnel: an upload is its "user", a stage its event.
EVENTS_TABLE = EventSource(
    "upload_stages", user="upload_id", time="reached_at", event="stage",
    dimensions=("file_size_band", "network_type", "region", "device", "device_age"),
)

_EVERY = (
    Field("upload_id", "VARCHAR", True, "Upload: one attempt to post, however often it is retried or resumed."),
    Field("user_id", "VARCHAR", True, "Who uploads."),
    Field("step", "VARCHAR", True, "The phase: the name of the event."),
    Field("event_type", "VARCHAR", True, "start, end, error or exit."),
    Field("timestamp", "TIMESTAMP", True, "When.", "UTC"),
    Field("event_id", "VARCHAR", False, "Event; the same id twice is a duplicate."),
    Field("status", "VARCHAR", False, "How it went: success or failed."),
    Field("error_code", "VARCHAR", False, "Code of an error."),
    Field("attributes", "JSON", False, "Further attributes."),
)


def _phase(number: int, name: str, says: str, took: str = "", *fields: Field) -> Event:
    timed = (Field("duration_ms", "DOUBLE", False, f"Time of {took}.", "ms"),) if took else ()
    whole = f"Phase {number} of 7: {says} Start, end, error and exit are logged."
    return Event(name, whole, (*_EVERY, *timed, *fields))


EVENTS = (
    _phase(1, "upload_initiation", "the user begins, by a tap on + for example."),
    _phase(2, "source_selection", "gallery or camera is chosen.", "loading the gallery"),
    _phase(3, "camera_experience", "the camera is used, where it was chosen.", "loading the camera"),
    _phase(
        4, "editing_filtering", "the editor and its filters; may be skipped. Each edit that is applied is an end too.",
        "applying an edit", Field("edit_tool", "VARCHAR", False, "Tool of the edit."),
    ),
    _phase(5, "captioning_tagging", "caption and tags; may be skipped."),
    _phase(6, "upload_transfer", "the data are sent; each retry is a start.", "the transmission"),
    _phase(7, "confirmation_post_upload", "the post is seen live."),
)
