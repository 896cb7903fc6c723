"""The events that clients of a social platform log: the same names and fields on every client."""

from __future__ import annotations

from prodsense.contracts.vocabulary import Event, EventSource, Field

#: Users act on the days that the active rule makes so; internal users are left out. One row a user, day and device.
EVENTS_TABLE = EventSource("activity", user="user_id", time="activity_date")

_EVERY = (
    Field("user_id", "VARCHAR", True, "Who did it."),
    Field("session_id", "VARCHAR", False, "Session of the client; without one, sessions are cut by inactivity."),
    Field("timestamp", "TIMESTAMP", True, "When, by the client's clock.", "UTC"),
    Field("event_id", "VARCHAR", False, "Event; the same id twice is a duplicate."),
    Field("received_at", "TIMESTAMP", False, "When the server got it.", "UTC"),
    Field("platform", "VARCHAR", False, "Client: ios, android, web."),
    Field("device", "VARCHAR", False, "Kind of device: phone, tablet, desktop."),
    Field("attributes", "JSON", False, "Further attributes."),
)
_CONTENT = Field("content_type", "VARCHAR", False, "What it is about: post, video or story.")


def _event(name: str, says: str, *fields: Field) -> Event:
    return Event(name, says, (*_EVERY, *fields))


EVENTS = (
    _event("app_open", "The app was opened."),
    _event(
        "content_view", "Content was viewed.",
        Field("content_type", "VARCHAR", True, "What was viewed: post, video or story."),
        Field("completed", "BOOLEAN", False, "The view reached the end; of videos and stories."),
        Field("scroll_position", "DOUBLE", False, "How far down the feed it stood.", "items"),
        Field("feature_name", "VARCHAR", False, "Where it was viewed, such as feed."),
    ),
    _event("like", "Content was liked.", _CONTENT),
    _event("comment", "A comment was made.", _CONTENT),
    _event("share", "Content was shared.", _CONTENT),
    _event("direct_message", "A direct message was sent."),
    _event(
        "post_creation", "A post was made; with content_type 'story', a story.", _CONTENT,
    ),
    _event("story_creation", "A story was made."),
    _event(
        "feature_usage", "A feature was used.",
        Field("feature_name", "VARCHAR", True, "The feature: feed, stories, messaging, groups, or other."),
    ),
    _event("session_start", "A session begins."),
    _event("session_end", "A session ends. It makes nobody active."),
    _event(
        "app_background",
        "The app went to the background; five minutes later its session is over. It makes nobody active.",
    ),
)
