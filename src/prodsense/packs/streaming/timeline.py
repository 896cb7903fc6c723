"""One viewing session, event by event: what was played, paused, skipped, and the measures that follow.

The rules are those of the model `session_folds`, told one event at a time instead of in windows over all sessions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from prodsense.errors import UsageError

from .common import PACK

if TYPE_CHECKING:
    from prodsense.metrics.result import Rows
    from prodsense.warehouse import Warehouse

#: `step` of playback_log.
START, PROGRESS, SEEK, PAUSE, RESUME, COMPLETE, STOP = 1, 2, 3, 7, 8, 9, 10
#: What goes on after these is playback.
_PLAYS = (START, PROGRESS, RESUME, COMPLETE, STOP)
#: Where a seek leads that does not say.
NOWHERE = 1_000_000_000

_EVENTS = """
SELECT occurred_at, step, position, seek_to, quality, autoplay, content_id
FROM streaming.playback_log
WHERE session_key = :session
ORDER BY content_id, occurred_at, step, position
"""
_TITLE = """
SELECT content_name, length_seconds, credits_start_seconds
FROM streaming.dim_content
WHERE COALESCE(content_id, text_of(content_key)) = :content
"""


@dataclass
class Timeline:
    """A session as it is rebuilt; `rows` are its stretches and moments in order."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    pauses: int = 0
    rewinds: int = 0
    forwards: int = 0
    paused: timedelta = timedelta()
    furthest: float | None = None
    stopped: float | None = None
    quality: int | None = None
    autoplay: bool | None = None
    last_step: int = 0


def rebuild(events: Iterable[Mapping[str, Any]]) -> Timeline:
    """The timeline of one session's events, which may be in any order and told twice."""
    line = Timeline()
    before: Mapping[str, Any] | None = None
    is_paused = False
    # A position that is not known is last, as in the engine.
    for event in sorted(events, key=lambda e: (e["occurred_at"], e["step"], e["position"] is None, e["position"] or 0)):
        at, step, position = event["occurred_at"], event["step"], event["position"]
        if before is not None:
            base = before["seek_to"] if before["seek_to"] is not None else before["position"]
            if is_paused:
                line.paused += at - before["occurred_at"]
                _stretch(line, "paused", before["occurred_at"], at, position, position)
            if position is not None and (base is None or position > base):
                line.furthest = position if line.furthest is None else max(line.furthest, position)
                _stretch(line, "played", before["occurred_at"], at, base, position)
        if event["seek_to"] is not None and not _same_seek(before, event):
            _seek(line, at, position, event["seek_to"])
        if step == PAUSE and not is_paused:
            line.pauses += 1
            is_paused = True
        elif step in _PLAYS:
            is_paused = False
        level = quality_level(event["quality"])
        if level is not None:
            if level != line.quality:
                line.rows.append(_row("quality", at, at, position, position, detail=event["quality"]))
            line.quality = level if line.quality is None else max(line.quality, level)
        if event["autoplay"] is not None:
            line.autoplay = bool(line.autoplay) or event["autoplay"]
        target = event["seek_to"]
        line.stopped = target if target not in (None, NOWHERE) else position
        line.last_step = step
        before = event
    return line


def _same_seek(before: Mapping[str, Any] | None, event: Mapping[str, Any]) -> bool:
    """The seek before, told again."""
    return (
        before is not None and before["seek_to"] == event["seek_to"] and before["occurred_at"] == event["occurred_at"]
    )


def _seek(line: Timeline, at: datetime, position: float | None, target: float) -> None:
    if position is None or target == NOWHERE:
        line.rows.append(_row("seek", at, at, position, None, detail="direction not known"))
    elif target < position:
        line.rewinds += 1
        line.rows.append(_row("rewind", at, at, position, target))
    elif target > position:
        line.forwards += 1
        line.rows.append(_row("forward", at, at, position, target))


def _stretch(
    line: Timeline, kind: str, start: datetime, end: datetime, low: float | None, high: float | None
) -> None:
    """Add a stretch, or make the one before longer where this goes on from it."""
    last = line.rows[-1] if line.rows else None
    if last and last["what"] == kind and last["until"] == start and (kind == "paused" or last["to_position"] == low):
        last |= {"until": end, "to_position": high, "seconds": (end - last["since"]).total_seconds()}
    else:
        line.rows.append(_row(kind, start, end, low, high))


def _row(
    what: str, start: datetime, end: datetime, low: float | None, high: float | None, detail: str | None = None
) -> dict[str, Any]:
    return {
        "what": what, "since": start, "until": end, "seconds": (end - start).total_seconds(), "from_position": low,
        "to_position": high, "detail": detail,
    }  # fmt: skip


def quality_level(name: str | None) -> int | None:
    """Lines of a quality by name: SD, HD, FHD, 4K, 8K, or a number as in 720p."""
    if name is None:
        return None
    named = {"SD": 480, "HD": 720, "FHD": 1080, "FULL HD": 1080, "UHD": 2160, "4K": 2160, "8K": 4320}
    if name.upper() in named:
        return named[name.upper()]
    digits = name.lower().removesuffix("p")
    return int(digits) if digits.isdigit() and 2 <= len(digits) <= 4 else None


def reconstruct_viewing_session(warehouse: Warehouse, session_id: str, content_id: str | None = None) -> Rows:
    """The timeline of one session: stretches played and paused, seeks, changes of quality; and every summary measure.

    Rows: ``what`` (played, paused, rewind, forward, seek, quality), ``since``, ``until`` (UTC), ``seconds``,
    ``from_position``, ``to_position`` (seconds). Extras: the measures of fact_viewing_sessions under their names. A
    session of several titles needs `content_id`.
    """
    from prodsense.metrics.result import Rows

    warehouse.ready(PACK, ["playback_log", "dim_content"])
    engine = warehouse.engine
    events = engine.query(_EVENTS, {"session": str(session_id)}).to_pylist()
    titles = list(dict.fromkeys(event["content_id"] for event in events))
    if content_id is not None:
        events = [event for event in events if event["content_id"] == content_id]
    elif len(titles) > 1:
        raise UsageError(f"session {session_id} is of {len(titles)} titles; say which (content_id): {titles}")
    if not events:
        raise UsageError(f"no playback event of session {session_id}" + (f" and {content_id}" if content_id else ""))
    line = rebuild(events)
    title = engine.query(_TITLE, {"content": events[0]["content_id"]}).to_pylist() or [{}]
    return Rows(
        arrow=Rows.from_rows(line.rows or [_row("started", events[0]["occurred_at"], events[0]["occurred_at"],
                                                events[0]["position"], events[0]["position"])]).arrow,
        title=f"Session {session_id}", extras=measures(line, events, title[0]),
        units=dict.fromkeys(("seconds", "from_position", "to_position"), "seconds"),
        statements=((_EVENTS, {"session": str(session_id)}),), dialect=engine.dialect,
    )  # fmt: skip


def measures(line: Timeline, events: list[dict[str, Any]], title: Mapping[str, Any]) -> dict[str, Any]:
    """The measures of one session by their names in fact_viewing_sessions."""
    start = min(event["occurred_at"] for event in events)
    end = max(event["occurred_at"] for event in events)
    length, furthest = title.get("length_seconds"), line.furthest
    credits = title.get("credits_start_seconds")
    elapsed, paused = round((end - start).total_seconds()), round(line.paused.total_seconds())
    return {
        "content_name": title.get("content_name"),
        "session_start_timestamp": start, "session_end_timestamp": end,
        "has_end": line.last_step >= COMPLETE,
        "session_duration_seconds": elapsed,
        "total_pause_duration_seconds": paused,
        "view_duration_seconds": max(elapsed - paused, 0),
        "number_of_pauses": line.pauses, "number_of_rewinds": line.rewinds, "number_of_forwards": line.forwards,
        "playback_position_seconds": line.stopped,
        "furthest_position_seconds": furthest,
        "total_content_length_seconds": length,
        "completion_percentage": min(100 * (furthest or 0) / length, 100.0) if length else None,
        "watched_credits": None if credits is None else (furthest or 0) > credits,
        "max_playback_quality": line.quality, "autoplay_enabled": line.autoplay,
    }  # fmt: skip
