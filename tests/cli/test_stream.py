"""Events as they come: files, pipes, requests and Kafka, stopped and gone on with."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from .conftest import Cli

NOON = datetime(2024, 5, 1, 12)


def event(minute: float, kind: str, **more: Any) -> dict[str, Any]:
    moment = (NOON + timedelta(minutes=minute)).isoformat()
    return {"event_id": f"{minute}{kind}", "session_id": "s", "user_id": "u", "event_type": kind, "timestamp": moment, **more}


#: Two likes and a view in a session that ends, a test user's like, and a session that stays open.
EVENTS = [
    event(0, "view"), event(1, "like"), event(2, "like", user_id="qa"), event(3, "like"), event(4, "session_end"),
    event(60, "save"),
]  # fmt: skip


def write(path: Path, events: list[Any], mode: str = "w") -> Path:
    with path.open(mode) as file:
        file.writelines((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in events)
    return path


def start(folder: Path, *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "prodsense", "stream", *args], cwd=folder, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_a_file_is_counted_and_read_on(cli: Cli, tmp_path: Path) -> None:
    file = write(tmp_path / "clicks.ndjson", [*EVENTS[:4], "not json"])
    run = cli("stream", file, "--into", "shop.sessions", "--test-user", "qa,other")
    assert (run.code, run.err) == (0, "note: 1 line is no JSON object and left out\n")
    assert "4 events read" in run.out and "not counted yet: 4 events; --flush counts what waits" in run.out
    write(file, EVENTS[4:], "a")
    found = json.loads(cli("stream", file, "--into", "shop.sessions", "--test-user", "qa", "--format", "json").out)
    assert found["rows"] == [{"event_type": "like", "events": 2}, {"event_type": "view", "events": 1}]
    assert found["counts"] == {"read": 6, "ignored": 0, "late": 0, "duplicate": 0, "test": 1, "end": 1, "unmatched_end": 0}
    assert (found["waiting"], found["position"]["bytes"]) == ({"events": 1, "sessions": 0}, file.stat().st_size)
    again = cli("stream", file, "--into", "shop.sessions", "--test-user", "qa", "--flush", "--format", "csv")
    assert again.out == "event_type,events\nlike,2\nsave,1\nview,1\n"
    rows = json.loads(cli("show", "shop.sessions", "--format", "json").out)["rows"]
    assert sorted((row["closed_by"], row["event_type"], row["events"]) for row in rows) == [
        ("end", "like", 2), ("end", "view", 1), ("flush", "save", 1),
    ]  # fmt: skip


def test_a_fixed_buffer_counts_what_it_displaces(cli: Cli, tmp_path: Path) -> None:
    posts = [event(n, kind, post_id=n % 2, view_duration_seconds=1.5) for n, kind in enumerate(["view", "like", "view", "share"])]
    file = write(tmp_path / "posts.ndjson", posts)
    found = json.loads(cli("stream", file, "--into", "shop.posts", "--size", "1", "--format", "json").out)
    assert (found["rows"], found["waiting"]) == ([{"engagements": 1, "view_seconds": 3.0}], {"events": 1})
    found = json.loads(cli("stream", file, "--into", "shop.posts", "--size", "1", "--flush", "--format", "json").out)
    assert found["rows"] == [{"engagements": 2, "view_seconds": 3.0}]


def test_users_from_a_file_and_lengths(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "qa.txt").write_text("qa\n\nother\n")
    file = write(tmp_path / "clicks.ndjson", [event(0, "view"), event(3, "like", user_id="qa"), event(20, "save")])
    run = cli("stream", file, "--into", "shop.sessions", "--test-users", tmp_path / "qa.txt", "--timeout", "10m", "--lateness", "0", "--format", "json")
    assert json.loads(run.out)["rows"] == [{"event_type": "view", "events": 1}]
    other = cli("stream", file, "--into", "shop.sessions", "--timeout", "9m")
    assert (other.code, other.err) == (2, "error: stream shop.sessions was begun with timeout 0:10:00 and lateness 0:00:00; open it with that or use another name\n")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["nowhere.ndjson", "--into", "a.b"], "nowhere.ndjson is not a file; name a file of one JSON object a line"),
        (["-", "--into", "sessions"], "a stream's output should be a relation like shop.sessions, not sessions"),
        (["-", "--into", "prodsense.x"], "a stream's output should be a relation"),
        (["-", "--into", "a.b", "--follow"], "--follow is for a file or Kafka"),
        (["ftp://x/y", "--into", "a.b"], "ftp://x/y is no source of events; name a file, -, http"),
        (["http://localhost", "--into", "a.b"], "name the address to listen on"),
        (["http://localhost:99999", "--into", "a.b"], "name the address to listen on"),
        (["kafka://host", "--into", "a.b"], "write it as kafka://HOST:PORT/TOPIC"),
        (["-", "--into", "a.b", "--size", "0"], "a buffer's size should be 1 or more"),
        (["-", "--into", "a.b", "--size", "5", "--timeout", "3m"], "are of sessions"),
        (["-", "--into", "a.b", "--timeout", "soon"], "--timeout should be a length of time like"),
        (["-", "--into", "a.b", "--kafka-config", "x"], "--kafka-config is for"),
    ],
)
def test_wrong_usage_is_one_line(cli: Cli, args: list[str], says: str) -> None:
    run = cli("stream", *args)
    assert (run.code, run.out) == (2, "")
    assert run.err.startswith("error: ") and says in run.err and run.err.count("\n") == 1


def lines_until(process: subprocess.Popen[str], pattern: str) -> re.Match[str]:
    assert process.stderr
    for line in process.stderr:
        if found := re.search(pattern, line):
            return found
    raise AssertionError(f"no {pattern} on stderr")


@pytest.mark.slow
def test_a_pipe_is_committed_while_it_is_open(tmp_path: Path) -> None:
    process = start(tmp_path, "-", "--into", "shop.sessions", "--test-user", "qa", "--format", "json")
    assert process.stdin
    process.stdin.writelines(json.dumps(one) + "\n" for one in EVENTS)
    process.stdin.write("{\n")
    process.stdin.flush()
    lines_until(process, "1 line is no JSON object")  # told after the commit, though the pipe is open
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert json.loads(out)["rows"] == [{"event_type": "like", "events": 2}, {"event_type": "view", "events": 1}]


@pytest.mark.slow
def test_a_followed_file_ends_cleanly_on_ctrl_c(tmp_path: Path) -> None:
    file = write(tmp_path / "clicks.ndjson", [*EVENTS[:3], "{"])
    process = start(tmp_path, "clicks.ndjson", "--into", "shop.sessions", "--test-user", "qa", "--follow", "--format", "json")
    lines_until(process, "1 line is no JSON object")
    write(file, [*EVENTS[3:], "{"], "a")
    lines_until(process, "1 line is no JSON object")
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert json.loads(out)["rows"] == [{"event_type": "like", "events": 2}, {"event_type": "view", "events": 1}]


@pytest.mark.slow
def test_posts_are_taken_while_it_listens(tmp_path: Path, cli: Cli) -> None:
    process = start(tmp_path, "http://127.0.0.1:0", "--into", "shop.sessions", "--test-user", "qa", "--format", "json", "--flush")
    address = lines_until(process, r"POST (http://127\.0\.0\.1:(\d+)/events)")

    def post(body: str) -> tuple[int, Any]:
        try:
            with urllib.request.urlopen(urllib.request.Request(address[1], body.encode(), method="POST"), timeout=30) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    body = "\n".join(json.dumps(one) for one in EVENTS)
    assert post(body) == post(body) == (200, {"events": 6})
    assert post("{")[0] == 400
    other = cli("stream", f"http://127.0.0.1:{address[2]}", "--into", "a.b", "-w", "other.duckdb")
    assert (other.code, other.out) == (1, "") and f"cannot listen on 127.0.0.1:{address[2]}: Address already in use" in other.err
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    found = json.loads(out)
    assert found["rows"] == [{"event_type": "like", "events": 2}, {"event_type": "save", "events": 1}, {"event_type": "view", "events": 1}]
    # The last event moved time on by an hour: sent again, the others are late, it is known by its id.
    assert (found["counts"]["late"], found["counts"]["duplicate"]) == (5, 1)


@pytest.mark.slow
def test_a_topic_is_read_on(cli: Cli) -> None:
    kafka = pytest.importorskip("confluent_kafka", reason="Kafka needs the extra: pip install 'prodsense[kafka]'")
    cluster = kafka.Producer({"test.mock.num.brokers": 1, "log_level": 0})
    (broker,) = cluster.list_topics(timeout=10).brokers.values()
    source = f"kafka://{broker.host}:{broker.port}/clicks"
    for number, one in enumerate(EVENTS):
        cluster.produce("clicks", json.dumps(one), partition=number % 3)
    assert cluster.flush(20) == 0
    Path("kafka.properties").write_text("# as Java writes them\nclient.id=prodsense\n")
    args = ["stream", source, "--into", "shop.sessions", "--test-user", "qa", "--kafka-config", "kafka.properties", "--format", "json"]
    first, again = json.loads(cli(*args).out), json.loads(cli(*args).out)
    assert first == again
    assert first["rows"] == [{"event_type": "like", "events": 2}, {"event_type": "view", "events": 1}]
    assert first["position"]["offsets"] == {"0": 2, "1": 2, "2": 2}


@pytest.mark.slow
def test_kills_and_starts_neither_lose_nor_double(tmp_path: Path, cli: Cli) -> None:
    draw = random.Random(5)
    events = [event(n, draw.choice(["view", "like"]), session_id=f"s{n % 9}", event_id=n) for n in range(8_000)]
    write(tmp_path / "clicks.ndjson", events)
    args = ["clicks.ndjson", "--into", "shop.sessions", "--batch", "100", "--flush", "--format", "json"]
    kills = 0
    for attempt in range(4):
        process = start(tmp_path, *args)
        try:
            process.wait(timeout=1.0 + attempt * 0.5)
            break
        except subprocess.TimeoutExpired:
            process.send_signal(draw.choice([signal.SIGKILL, signal.SIGINT]))
            kills += 1
        process.communicate()
        time.sleep(0.01)
    found = json.loads(cli("stream", *args).out)
    assert kills
    assert {row["event_type"]: row["events"] for row in found["rows"]} == {
        kind: sum(one["event_type"] == kind for one in events) for kind in ("like", "view")
    }
    assert (found["counts"]["read"], found["counts"]["duplicate"], found["counts"]["late"]) == (8_000, 0, 0)
