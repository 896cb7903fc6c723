"""Sources: files that grow, lines that break, requests that are sent again."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import pytest

from prodsense.engines import open_engine
from prodsense.errors import UsageError
from prodsense.realtime.checkpoint import Stream
from prodsense.realtime.sources import Intake, http_app, read_file, read_lines


def line(number: int, kind: str = "like") -> str:
    return json.dumps({"event_id": number, "session_id": "s", "user_id": 1, "event_type": kind, "timestamp": f"2024-05-01T12:00:{number:02}Z"})


@pytest.fixture
def engine() -> Any:
    return open_engine(":memory:", threads=1)


def opened(engine: Any, name: str = "clicks") -> Stream:
    return Stream(engine, name, "shop.sessions")


def test_a_file_is_read_on_from_where_it_was_left(engine: Any, tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    file.write_text(f"{line(1)}\n\nnot json\n[1]\n{line(2)}\n{line(3)[:20]}")
    assert read_file(opened(engine), file, batch=2) == Intake(2, 2)
    file.write_text(f"{line(1)}\n\nnot json\n[1]\n{line(2)}\n{line(3)}\n{line(4)}")  # the last line has no break
    assert read_file(opened(engine), file) == Intake(2, 0)
    with file.open("a") as more:
        more.write(f"\n{line(5)}\n")
    assert read_file(opened(engine), file) == Intake(1, 0)
    stream = opened(engine)
    assert stream.position["bytes"] == file.stat().st_size
    stream.flush()
    assert stream.totals == {"like": 5}


def test_a_file_is_followed_while_asked(engine: Any, tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    file.write_text(line(1) + "\n")
    grow = iter([line(2) + "\n" + line(3)[:9], line(3)[9:] + "\n"])

    def follow() -> bool:
        more = next(grow, None)
        if more is not None:
            with file.open("a") as end:
                end.write(more)
        return more is not None

    assert read_file(opened(engine), file, follow=follow, pause=0) == Intake(3, 0)


def test_another_file_is_refused(engine: Any, tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    file.write_text(line(1) + "\n")
    read_file(opened(engine), file)
    file.write_text(line(2) + "\n" + line(3) + "\n")
    with pytest.raises(UsageError, match="not the file that stream clicks has read"):
        read_file(opened(engine), file)
    file.write_text("")
    with pytest.raises(UsageError, match="not the file that stream clicks has read"):
        read_file(opened(engine), file)
    with pytest.raises(UsageError, match="is not a file"):
        read_file(opened(engine), tmp_path)
    opened(engine, "other").push([], 7)
    with pytest.raises(UsageError, match="has not read a file"):
        read_file(opened(engine, "other"), file)


def test_lines_sent_again_count_once(engine: Any) -> None:
    lines = "\n".join([line(1), "{", line(2)]).encode()
    assert read_lines(opened(engine), io.BytesIO(lines), batch=1) == Intake(2, 1)
    assert read_lines(opened(engine), io.BytesIO(lines)) == Intake(2, 1)
    stream = opened(engine)
    stream.flush()
    assert stream.totals == {"like": 2}


def test_hostile_text_does_not_block_the_stream(engine: Any) -> None:
    wanted = {"event_type": "li\x00ke\ud800", "session_id": ["'; DROP TABLE x"], "user_id": {"a": 1}, "timestamp": "2024-05-01"}
    assert read_lines(opened(engine), [json.dumps(wanted), json.dumps({**wanted, "timestamp": "0001-01-01T00:00:00+14:00"})]) == Intake(2, 0)
    stream = opened(engine)
    stream.flush()
    assert stream.totals == {"li\x00ke?": 1}
    assert stream.counts["ignored"] == 1


def post(app: Any, *chunks: str, path: str = "/events", method: str = "POST") -> tuple[int, Any]:
    """One request to an ASGI app, body in chunks; status and JSON (or text) of the answer."""
    sent: list[Any] = []
    parts = [{"type": "http.request", "body": c.encode(), "more_body": n < len(chunks) - 1} for n, c in enumerate(chunks)]
    scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"", "headers": [], "http_version": "1.1", "scheme": "http", "root_path": ""}

    async def receive() -> Any:
        return parts.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    body = b"".join(m.get("body", b"") for m in sent[1:])
    return sent[0]["status"], json.loads(body) if body.startswith(b"{") else body.decode()


def test_posted_events_are_taken_once(engine: Any) -> None:
    stream = opened(engine)
    app = http_app(stream)
    ndjson = f"{line(1)}\n{line(2)}\n"
    assert post(app, ndjson[:30], ndjson[30:]) == (200, {"events": 2})
    assert post(app, ndjson) == (200, {"events": 2})  # the client saw no answer and sends again
    assert post(app, f"[{line(3)}, {line(4, 'view')}]") == (200, {"events": 2})
    assert post(app, line(5)) == (200, {"events": 1})
    assert post(app, "") == (200, {"events": 0})
    stream.flush()
    assert stream.totals == {"like": 4, "view": 1}
    assert stream.counts["duplicate"] == 2


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ("{", 400, "1 lines are not JSON objects"),
        ("[1, 2]", 400, "should be JSON objects"),
        (line(1) + "\n" + '{"session_id": "s"}', 400, "1 events have no event_id"),
        ("\n".join([line(1)] * 20), 413, "more than 1000 bytes"),
    ],
    ids=["broken", "numbers", "no id", "large"],
)
def test_a_refused_request_takes_nothing_in(engine: Any, body: str, status: int, says: str) -> None:
    stream = opened(engine)
    found, answer = post(http_app(stream, max_bytes=1000), body)
    assert (found, stream.counts["read"]) == (status, 0)
    assert says in answer["error"]


def test_only_posts_are_taken(engine: Any) -> None:
    assert post(http_app(opened(engine)), "", method="GET")[0] == 405
