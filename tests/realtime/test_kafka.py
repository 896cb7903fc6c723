"""Kafka as a source, on the mock cluster inside librdkafka: offsets move with the output, whatever fails."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from prodsense.engines import open_engine
from prodsense.errors import ProdsenseError, UnsupportedError, UsageError
from prodsense.realtime.checkpoint import FixedStream, Stream
from prodsense.realtime.kafka import _Topic, read_kafka, read_settings
from prodsense.realtime.microbatch import MicroBatch
from prodsense.realtime.sources import Intake

kafka = pytest.importorskip("confluent_kafka", reason="Kafka needs the extra: pip install 'prodsense[kafka]'")

NOON = datetime(2024, 5, 1, 12)
PARTITIONS = 4  # of a topic that the mock cluster makes


class Cluster:
    """Brokers inside a producer; `send` waits until they have the message."""

    def __init__(self) -> None:
        self._producer = kafka.Producer({"test.mock.num.brokers": 2, "log_level": 0})
        self.servers = ",".join(f"{b.host}:{b.port}" for b in self._producer.list_topics(timeout=10).brokers.values())

    def send(self, topic: str, values: list[tuple[int, Any]]) -> None:
        for partition, value in values:
            body = json.dumps(value).encode() if isinstance(value, dict) else value
            self._producer.produce(topic, body, partition=partition)
        assert self._producer.flush(20) == 0


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    yield Cluster()


@pytest.fixture
def engine() -> Any:
    return open_engine(":memory:", threads=1)


def opened(engine: Any, name: str = "clicks") -> Stream:
    return Stream(engine, name, "shop.sessions", {"tester"})


def read(cluster: Cluster, stream: Any, topic: str, **options: Any) -> Intake:
    return read_kafka(stream, cluster.servers, topic, pause=0.1, settings={"fetch.wait.max.ms": 20}, **options)


def clicks(number: int) -> list[dict[str, Any]]:
    """Over hours, far longer than the lateness; sessions of several users, now and then a test user's."""
    draw = random.Random(7)
    return [
        {
            "event_id": n, "session_id": f"s{draw.randrange(6)}", "user_id": draw.choice(["u", "v", "tester"]),
            "event_type": draw.choice(["view", "view", "like", "session_end"]),
            "timestamp": (NOON + timedelta(minutes=n)).isoformat(),
        }
        for n in range(number)
    ]  # fmt: skip


def at_once(events: list[dict[str, Any]]) -> Counter[tuple[Any, ...]]:
    """The batch path: all events, in order of time, in one batch."""
    whole = MicroBatch({"tester"})
    rows = whole.add_events(events).to_pylist() + whole.flush().to_pylist()
    return Counter(tuple(row.values()) for row in rows)


def stored(engine: Any) -> Counter[tuple[Any, ...]]:
    rows = engine.query("SELECT session_id, started_at, ended_at, closed_by, event_type, events FROM shop.sessions").to_pylist()
    return Counter(tuple(row.values()) for row in rows)


def scattered(events: list[dict[str, Any]]) -> list[tuple[int, Any]]:
    """Each to a partition by chance; three of four go to two of them, one partition stays empty."""
    draw = random.Random(1)
    return [(draw.choice([0, 0, 0, 1, 1, 2]), event) for event in events]


def test_partitions_are_merged_in_order_of_time(cluster: Cluster, engine: Any) -> None:
    events = clicks(400)
    by_partition = sorted(scattered(events), key=lambda pair: pair[0])  # a backlog comes partition by partition
    cluster.send("merged", by_partition)
    stream = opened(engine)
    assert read(cluster, stream, "merged", batch=50) == Intake(400, 0)
    stream.flush()
    assert stored(engine) == at_once(events)
    assert (stream.counts["late"], stream.counts["duplicate"]) == (0, 0)
    offsets = Counter(partition for partition, _ in by_partition)
    assert stream.position["offsets"] == {str(p): n for p, n in sorted(offsets.items())}


class Crash(BaseException):
    pass


@pytest.mark.slow
@pytest.mark.parametrize("where", ["before the commit", "after the commit", "inside the commit"])
def test_a_crash_and_a_replay_neither_lose_nor_double(cluster: Cluster, engine: Any, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    events = clicks(300)
    topic = where.replace(" ", "-")
    cluster.send(topic, scattered(events))
    crashes = 0

    def fail(*_: Any) -> Any:
        nonlocal crashes
        crashes += 1
        raise Crash

    for commits in range(1, 100):
        stream = opened(engine)
        done = 0

        def count(_: Intake, last: int = commits % 3) -> None:
            nonlocal done
            done += 1
            if done > last:
                fail()

        with monkeypatch.context() as broken:
            if where == "before the commit" and crashes < 4:
                broken.setattr(stream, "push", fail)
            if where == "inside the commit" and crashes < 4:
                broken.setattr(engine, "append" if crashes % 2 else "delete", fail)
            try:
                read(cluster, stream, topic, batch=40, progress=count if where == "after the commit" else None)
                break
            except Crash:
                pass
    assert crashes >= 3
    stream = opened(engine)
    stream.flush()
    assert stored(engine) == at_once(events)
    assert (stream.counts["read"], stream.counts["duplicate"]) == (300, 0)  # nothing was even read twice


def test_what_comes_later_is_read_on(cluster: Cluster, engine: Any) -> None:
    events = clicks(60)
    cluster.send("grows", scattered(events[:30]))
    assert read(cluster, opened(engine), "grows") == Intake(30, 0)
    assert read(cluster, opened(engine), "grows") == Intake(0, 0)
    rest, came = iter([events[30:45], events[45:]]), Intake()

    def follow() -> bool:
        if some := next(rest, None):
            cluster.send("grows", scattered(some))
        return came.lines < 30

    def progress(intake: Intake) -> None:
        nonlocal came
        came += intake

    assert read(cluster, opened(engine), "grows", follow=follow, progress=progress) == came == Intake(30, 0)
    stream = opened(engine)
    stream.flush()
    assert stored(engine) == at_once(events)


def test_partitions_that_are_added_are_read_from_their_beginning(cluster: Cluster, engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mock cluster adds none to a topic; here the first look does not see them all."""
    events = clicks(40)
    cluster.send("wider", scattered(events))
    look, looks, came = _Topic._metadata, [0], Intake()

    def narrow(topic: Any) -> tuple[list[int], str]:
        numbers, identity = look(topic)
        looks[0] += 1
        return numbers[: looks[0]], identity

    def progress(intake: Intake) -> None:
        nonlocal came
        came += intake

    monkeypatch.setattr(_Topic, "_metadata", narrow)
    monkeypatch.setattr("prodsense.realtime.kafka._REFRESH", 0.0)
    stream = Stream(engine, "clicks", "shop.sessions", {"tester"}, lateness=timedelta(hours=1))
    assert read(cluster, stream, "wider", follow=lambda: came.lines < 40, progress=progress) == Intake(40, 0)
    stream.flush()
    assert stored(engine) == at_once(events)


def test_a_partition_far_ahead_waits_without_filling_the_memory(cluster: Cluster, engine: Any) -> None:
    events = clicks(500)
    # The first partition holds the last events only and is read first.
    cluster.send("ahead", [(0, e) for e in events[100:]] + [(1, e) for e in events[:100]])
    stream = opened(engine)
    assert read(cluster, stream, "ahead", batch=20) == Intake(500, 0)
    stream.flush()
    assert stored(engine) == at_once(events)


def test_what_is_no_event_is_counted_and_passed(cluster: Cluster, engine: Any) -> None:
    pretty = json.dumps(clicks(1)[0], indent=1).encode()
    cluster.send("odd", [(0, b"{"), (0, b"[1]"), (1, None), (1, b" "), (2, pretty), (2, b"\xff"), (3, b'{"session_id": 1}')])
    stream = opened(engine)
    assert read(cluster, stream, "odd") == Intake(2, 5)
    assert (stream.counts["read"], stream.counts["ignored"]) == (2, 1)
    assert read(cluster, opened(engine), "odd") == Intake(0, 0)


def test_the_slower_of_two_owners_is_refused_and_goes_on_from_the_other(cluster: Cluster, engine: Any) -> None:
    events = clicks(80)
    cluster.send("shared", scattered(events))
    slow = opened(engine)
    push = slow.push

    def overtaken(*arguments: Any) -> pa.Table:
        slow.push = push  # type: ignore[method-assign]
        read(cluster, opened(engine), "shared")
        return push(*arguments)

    slow.push = overtaken  # type: ignore[assignment, method-assign]
    with pytest.raises(ProdsenseError, match="moved on by someone else"):
        read(cluster, slow, "shared")
    assert read(cluster, slow, "shared") == Intake(0, 0)
    slow.flush()
    assert stored(engine) == at_once(events)


def test_a_fixed_buffer_reads_topics_too(cluster: Cluster, engine: Any) -> None:
    events = [{"event_id": n, "user_id": "u", "event_type": "view", "post_id": n % 3, "view_duration_seconds": n} for n in range(40)]
    cluster.send("posts", [(n % PARTITIONS, e) for n, e in enumerate(events)])
    stream = FixedStream(engine, "posts", "shop.posts", size=5)
    assert read(cluster, stream, "posts", batch=7) == Intake(40, 0)
    stream.flush()
    assert stream.totals == {"engagements": 0, "view_seconds": sum(range(40))}


def test_another_topic_or_source_is_refused(cluster: Cluster, engine: Any) -> None:
    cluster.send("one", [(0, clicks(1)[0])])
    cluster.send("two", [(0, clicks(1)[0])])
    read(cluster, opened(engine), "one")
    with pytest.raises(UsageError, match="has read topic one of cluster"):
        read(cluster, opened(engine), "two")
    other = Cluster()
    other.send("one", [(0, clicks(1)[0])])
    with pytest.raises(UsageError, match="has read topic one of cluster"):
        read(other, opened(engine), "one")
    with pytest.raises(UsageError, match="no topic nowhere at"):
        read(cluster, opened(engine), "nowhere")
    opened(engine, "file").push([], {"bytes": 3, "head": ""})
    with pytest.raises(UsageError, match="has not read Kafka so far"):
        read(cluster, opened(engine, "file"), "one")


def test_what_the_topic_no_longer_holds_is_no_silent_gap(cluster: Cluster, engine: Any) -> None:
    cluster.send("short", [(0, clicks(1)[0])])
    read(cluster, opened(engine), "short")
    stream = opened(engine)
    stream.push([], {**stream.position, "offsets": {"0": 900}})
    with pytest.raises(ProdsenseError, match="no longer holds what stream clicks has not read"):
        read(cluster, opened(engine), "short")


def test_without_servers_or_the_package_the_error_says_what_to_do(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prodsense.realtime.kafka._METADATA_SECONDS", 0.5)
    with pytest.raises(ProdsenseError, match=r"Kafka at 127\.0\.0\.1:1 does not answer"):
        read_kafka(opened(engine), "127.0.0.1:1", "clicks")
    with pytest.raises(UsageError, match="Kafka refuses the settings"):
        read_kafka(opened(engine), "127.0.0.1:1", "clicks", settings={"no.such.setting": 1})
    monkeypatch.setitem(__import__("sys").modules, "confluent_kafka", None)
    with pytest.raises(UnsupportedError, match=r"prodsense\[kafka\]"):
        read_kafka(opened(engine), "127.0.0.1:1", "clicks")


def test_settings_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "kafka.properties"
    file.write_text("# who we are\nsasl.password = a=b\n\nsecurity.protocol=SASL_SSL\n")
    assert read_settings(file) == {"sasl.password": "a=b", "security.protocol": "SASL_SSL"}
    file.write_text("security.protocol\n")
    with pytest.raises(UsageError, match="line 1: write it as name=value"):
        read_settings(file)
