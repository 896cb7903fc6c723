"""A stream in a warehouse neither loses nor doubles, whenever it is stopped."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from prodsense.engines import open_engine
from prodsense.errors import ProdsenseError, UsageError
from prodsense.realtime.buffers import SessionBuffer
from prodsense.realtime.checkpoint import STREAMS, Stream

NOON = datetime(2024, 5, 1, 12)


def events(number: int) -> list[dict[str, Any]]:
    """A third of the minutes end a session of five; a test user is among the users."""
    made = []
    for n in range(number):
        kind = ("view", "like", "session_end")[n % 3 if n % 7 else 0]
        moment = (NOON + timedelta(minutes=n)).isoformat()
        user = "tester" if n % 11 == 0 else f"u{n % 4}"
        made.append({"event_id": str(n), "session_id": f"s{n % 5}", "user_id": user, "event_type": kind, "timestamp": moment})
    return made


def expected(stream: list[dict[str, Any]]) -> Counter[tuple[Any, ...]]:
    single = SessionBuffer({"tester"})
    rows = [row for one in stream for row in single.add(one)] + single.flush()
    return Counter(tuple(row.values()) for row in rows)


def stored(engine: Any) -> Counter[tuple[Any, ...]]:
    rows = engine.query("SELECT session_id, started_at, ended_at, closed_by, event_type, events FROM shop.sessions").to_pylist()
    return Counter(tuple(row.values()) for row in rows)


class Crash(BaseException):
    pass


class Fragile:
    """An engine whose n-th step fails: before it is done, or (commit) after."""

    def __init__(self, engine: Any, step: int):
        self._engine, self.left = engine, step

    def _tick(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise Crash

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._engine, name)

        def call(*args: Any, **options: Any) -> Any:
            self._tick()
            found = method(*args, **options)
            self._tick()
            return found

        return call

    @contextmanager
    def transaction(self) -> Any:
        self._tick()
        with self._engine.transaction():
            yield
            self._tick()
        self._tick()


def run(engine: Any, stream: list[dict[str, Any]], size: int) -> None:
    opened = Stream(engine, "clicks", "shop.sessions", {"tester"})
    start = opened.position or 0
    for at in range(start, len(stream), size):
        opened.push(stream[at : at + size], min(at + size, len(stream)))
    opened.flush()


@pytest.mark.slow
def test_a_crash_at_any_step_neither_loses_nor_doubles() -> None:
    stream = events(40)
    wanted = expected(stream)
    crashes, step = 0, 1
    while True:
        engine = open_engine(":memory:", threads=1)
        fragile = Fragile(engine, step)
        try:
            run(fragile, stream, 20)
        except Crash:
            crashes += 1
            run(engine, stream, 20)
        assert stored(engine) == wanted, f"crash at step {step}"
        engine.close()
        if fragile.left > 0:
            break
        step += 1
    assert crashes > 30


def test_a_stream_goes_on_in_the_same_process_after_an_error() -> None:
    stream, engine = events(40), open_engine(":memory:")
    fragile = Fragile(engine, 10**9)
    opened = Stream(fragile, "clicks", "shop.sessions", {"tester"})  # type: ignore[arg-type]
    opened.push(stream[:20], 20)
    fragile.left = 5
    with pytest.raises(Crash):
        opened.push(stream[20:], 40)
    assert opened.position == 20
    opened.push(stream[20:], 40)
    opened.flush()
    assert stored(engine) == expected(stream)
    assert sum(opened.totals.values()) == sum(row[-1] * number for row, number in stored(engine).items())
    assert opened.counts["read"] == 40


def test_two_owners_of_a_stream_do_not_double() -> None:
    engine = open_engine(":memory:")
    one, two = (Stream(engine, "clicks", "shop.sessions", {"tester"}) for _ in range(2))
    one.push(events(40)[:20], 20)
    with pytest.raises(ProdsenseError, match="moved on by someone else"):
        two.push(events(40)[:20], 20)
    assert two.position == 20
    two.push(events(40)[20:], 40)
    two.flush()
    assert stored(engine) == expected(events(40))


def test_streams_live_side_by_side() -> None:
    engine = open_engine(":memory:")
    one, two = (Stream(engine, name, f"shop.{name}") for name in ("a", "b"))
    one.push(events(3), {"line": 3})
    two.push(events(2), {"line": 2})
    assert (Stream(engine, "a", "shop.a").position, Stream(engine, "b", "shop.b").position) == ({"line": 3}, {"line": 2})
    assert engine.query(f"SELECT stream FROM {STREAMS} ORDER BY stream").to_pylist() == [{"stream": "a"}, {"stream": "b"}]


def test_another_output_or_length_is_refused() -> None:
    engine = open_engine(":memory:")
    Stream(engine, "a", "shop.a").push(events(3))
    with pytest.raises(UsageError, match=r"writes to shop\.a"):
        Stream(engine, "a", "shop.b")
    with pytest.raises(UsageError, match="begun with timeout 0:30:00"):
        Stream(engine, "a", "shop.a", timeout=timedelta(hours=1))
    with pytest.raises(UsageError, match=r"like shop\.sessions"):
        Stream(engine, "a", "sessions")


SCRIPT = """
import json, sys
from prodsense.engines import open_engine
from prodsense.realtime.checkpoint import Stream
events = [json.loads(line) for line in open(sys.argv[2])]
stream = Stream(open_engine(sys.argv[1]), "clicks", "shop.sessions", {"tester"})
for at in range(stream.position or 0, len(events), 20):
    stream.push(events[at:at + 20], min(at + 20, len(events)))
stream.flush()
print("done")
"""


@pytest.mark.slow
def test_kill_at_any_moment_neither_loses_nor_doubles(tmp_path: Path) -> None:
    stream = events(6000)
    (tmp_path / "events.ndjson").write_text("\n".join(json.dumps(one) for one in stream))
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "shop.duckdb"), str(tmp_path / "events.ndjson")]
    draw, kills = random.Random(4), 0
    for attempt in range(12):
        child = subprocess.Popen(command, stdout=subprocess.PIPE)
        try:
            # Later and later, so that a slow machine gets further too.
            child.wait(timeout=draw.uniform(0.8, 2.0) + attempt * 0.3)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            kills += 1
        if b"done" in child.communicate()[0]:
            break
        time.sleep(0.01)
    else:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=300)
    engine = open_engine(str(tmp_path / "shop.duckdb"))
    assert stored(engine) == expected(stream)
    assert kills >= 2
