"""Where a stream's events come from: NDJSON in a growing file or on stdin, and HTTP POST. For Kafka see `kafka`.

Lines that are no JSON object are counted and left out; what is wrong inside an object is counted by the stream.
"""

from __future__ import annotations

import hashlib
import json
import os
import select
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prodsense.errors import ProdsenseError, UsageError
from prodsense.realtime.decode import Intake, decode_lines, load_object, parse_lines

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from prodsense.realtime.checkpoint import Checkpointed

#: The first bytes of a file, by which it is known again.
_HEAD = 1024


def read_file(
    stream: Checkpointed,
    path: str | Path,
    *,
    batch: int = 10_000,
    follow: Callable[[], bool] | None = None,
    pause: float = 0.5,
    progress: Callable[[Intake], None] | None = None,
) -> Intake:
    """Push what an NDJSON file holds beyond the stream's position, `batch` lines a transaction.

    Returns at the end of the file; with `follow` it waits there for `pause` seconds and goes on while
    `follow()` is true. A last line without line break is taken when it is a whole object, else left for the
    next time. `progress` hears of every commit. Raises UsageError where the file is not the one that the stream
    has read so far.
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"{path} is not a file; name a file of one JSON object a line")
    total = Intake()
    with path.open("rb") as file:
        offset = _resume(stream, file, path)
        while True:
            file.seek(offset)
            lines = list(islice(file, batch))
            if lines and not lines[-1].endswith(b"\n") and load_object(lines[-1]) is None:
                lines.pop()
            if lines:
                offset += sum(map(len, lines))
                events, intake = decode_lines(lines)
                stream.push(events, {"bytes": offset, **_fingerprint(file, offset)})
                total += intake
                if progress:
                    progress(intake)
            elif follow is not None and follow():
                time.sleep(pause)
                if path.stat().st_size < offset:
                    raise UsageError(f"{path} became shorter than what was read of it; start a stream of another name")
            else:
                return total


def read_lines(
    stream: Checkpointed,
    lines: Iterable[str | bytes],
    *,
    batch: int = 10_000,
    wait: float = 1.0,
    progress: Callable[[Intake], None] | None = None,
) -> Intake:
    """Push NDJSON from something that cannot be rewound, like `sys.stdin.buffer`, up to `batch` lines a transaction.

    Of a pipe, lines that have come are pushed after `wait` seconds at the latest. There is no position to go back
    to: after a crash send the same lines again. Those that the stream has are dropped as repeats (they need an
    event_id) or as late. `progress` hears of every commit and, from a pipe, at every wait in vain.
    """
    total = Intake()
    for some in _arriving(lines, batch, wait):
        intake = Intake()
        if some:
            events, intake = decode_lines(some)
            stream.push(events)
            total += intake
        if progress:
            progress(intake)
    return total


def _arriving(lines: Iterable[str | bytes], batch: int, wait: float) -> Iterator[list[Any]]:
    """Lists of up to `batch` lines; of a pipe what has come after `wait` seconds, maybe nothing."""
    try:
        pipe = lines.fileno()  # type: ignore[attr-defined]
    except (AttributeError, OSError):
        source = iter(lines)
        while some := list(islice(source, batch)):
            yield some
        return
    rest, ready = b"", list[bytes]()
    until = time.monotonic() + wait
    while True:
        left = until - time.monotonic()
        if left <= 0 or len(ready) >= batch:
            yield ready[:batch]
            ready = ready[batch:]
            until = time.monotonic() + wait
        elif select.select([pipe], [], [], left)[0]:
            block = os.read(pipe, 1 << 18)
            if not block:
                break
            *whole, rest = (rest + block).split(b"\n")
            ready += whole
    if rest:
        ready.append(rest)
    for at in range(0, len(ready), batch):
        yield ready[at : at + batch]


def http_app(
    stream: Checkpointed, *, max_bytes: int = 8_000_000, progress: Callable[[Intake], None] | None = None
) -> Starlette:
    """An ASGI app that takes events at ``POST /events``: NDJSON, or a JSON object or array of objects.

    It answers 200 with ``{"events": n}`` after the commit. Any other answer means that none of the request was
    taken in, so send it again: repeats are dropped by their event_id, which each event therefore needs. 400: not JSON
    objects with an event_id; 413: more than `max_bytes`; 503: not now. `progress` hears of every commit.
    """
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    async def post(request: Request) -> Response:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > max_bytes:
                return JSONResponse({"error": f"more than {max_bytes} bytes; send fewer events at a time"}, 413)
        events = _body(bytes(body))
        if isinstance(events, str):
            return JSONResponse({"error": events}, 400)
        try:
            await run_in_threadpool(stream.push, events)
        except ProdsenseError as error:
            return JSONResponse({"error": error.message}, 503)
        if progress:
            progress(Intake(len(events)))
        return JSONResponse({"events": len(events)})

    return Starlette(routes=[Route("/events", post, methods=["POST"])])


def _body(body: bytes) -> list[dict[str, Any]] | str:
    """The events of a request, or what is wrong with it."""
    events: list[Any]
    try:
        whole = json.loads(body)
        events = whole if isinstance(whole, list) else [whole]
    except (ValueError, RecursionError):
        events, intake = parse_lines(body.splitlines())
        if intake.malformed:
            return f"{intake.malformed} lines are not JSON objects; send one JSON object a line"
    if not all(isinstance(event, dict) for event in events):
        return "events should be JSON objects; send an array of objects or one object a line"
    lacking = sum(event.get("event_id") in (None, "") for event in events)
    if lacking:
        return f"{lacking} events have no event_id; without it a repeated request would count twice"
    return events


def _fingerprint(file: Any, offset: int) -> dict[str, Any]:
    """How to know a file again: its first bytes, as far as they have been read."""
    file.seek(0)
    return {"head": hashlib.sha256(file.read(min(offset, _HEAD))).hexdigest()}


def _resume(stream: Checkpointed, file: Any, path: Path) -> int:
    position = stream.position
    if position is None:
        return 0
    offset = position.get("bytes") if isinstance(position, dict) else None
    if offset is None:
        raise UsageError(f"stream {stream.name} has not read a file so far; use another stream for {path}")
    file.seek(0, 2)
    if file.tell() < offset or _fingerprint(file, offset)["head"] != position["head"]:
        raise UsageError(
            f"{path} is not the file that stream {stream.name} has read so far;"
            " name that one, or start a stream of another name"
        )
    return int(offset)
