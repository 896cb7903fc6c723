"""A Kafka topic as a source: offsets live in the stream's checkpoint, in the transaction of the output.

All partitions are read by the one owner of the stream, by assignment: a consumer group would hand partitions to
others in the middle of a session, and its committed offsets would be a second truth. Nothing is committed to
Kafka. Two owners at once are told apart by the checkpoint: the slower one's commit is refused, and it goes on
from the offsets of the other.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from heapq import heapify, heappop, heapreplace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prodsense.errors import ProdsenseError, UnsupportedError, UsageError
from prodsense.realtime.decode import Intake, parse_lines
from prodsense.realtime.state import moment

if TYPE_CHECKING:
    from prodsense.realtime.checkpoint import Checkpointed

#: Before every time there is.
_NEVER = -(2**62)

#: Seconds without an answer after which reading to the end is given up; between two looks for new partitions.
_PATIENCE, _REFRESH = 30.0, 30.0
_METADATA_SECONDS = 10.0


def read_kafka(
    stream: Checkpointed,
    servers: str,
    topic: str,
    *,
    batch: int = 10_000,
    follow: Callable[[], bool] | None = None,
    pause: float = 0.5,
    settings: Mapping[str, Any] | None = None,
    progress: Callable[[Intake], None] | None = None,
) -> Intake:
    """Push what a topic holds beyond the stream's offsets, up to `batch` messages a transaction.

    A message is one JSON object; others are counted as malformed. Returns at the end of all partitions; with
    `follow` it waits for more, up to `pause` seconds at a time, while `follow()` is true, and notices new partitions.
    `servers` is ``host:port,…``; `settings` are those of librdkafka (security). `progress` hears of every commit.

    Partitions are merged by the events' times: one that is ahead waits for the others, so that an event is late
    only where it is late in its own partition. A partition without new messages is not waited for.

    Raises UsageError where the topic is not the one that the stream has read so far or is not there,
    UnsupportedError without confluent-kafka, and ProdsenseError where the servers do not answer or the topic no
    longer holds what the stream has not read.
    """
    told: list[str] = []
    total = Intake()
    with _consumer(stream, servers, dict(settings or {}), told) as consumer:
        topics = _Topic(consumer, topic, stream, servers)
        heard = looked = time.monotonic()
        full = False
        while True:
            # What waits to be released is no reason to wait for more.
            messages = consumer.consume(batch, 0 if full else pause)
            now = time.monotonic()
            if messages:
                heard = now
                topics.receive(messages, stay=follow is not None)
            events, intake = topics.release(batch)
            full = intake.lines + intake.malformed == batch
            if events or intake.malformed:
                stream.push(events, topics.position())
                total += intake
                if progress:
                    progress(intake)
            elif not messages:
                if follow is None and topics.done():
                    return total
                if follow is not None and not follow():
                    return total
                if follow is None and now - heard > _PATIENCE:
                    raise ProdsenseError(
                        f"{servers} sent nothing for {_PATIENCE:.0f} s{_last(told)}; nothing is lost: run it again"
                    )
            if follow is not None and now - looked > _REFRESH:
                looked = now
                topics.grow()


def read_settings(path: str | Path) -> dict[str, str]:
    """Settings of librdkafka from a file of ``name=value`` lines; ``#`` begins a comment line."""
    found = {}
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals:
            raise UsageError(f"{path}, line {number}: write it as name=value, like security.protocol=SASL_SSL")
        found[name.strip()] = value.strip()
    return found


@contextmanager
def _consumer(stream: Checkpointed, servers: str, settings: dict[str, Any], told: list[str]) -> Iterator[Any]:
    try:
        from confluent_kafka import Consumer, KafkaException
    except ImportError:
        raise UnsupportedError("Kafka needs the extra: pip install 'prodsense[kafka]'") from None
    # What librdkafka logs is told in our errors, where it matters.
    logger = logging.getLogger("prodsense.kafka")
    logger.addHandler(logging.NullHandler())
    ours = {
        "bootstrap.servers": servers,
        "group.id": f"prodsense-{stream.name}",  # asked for by the client; no group is joined
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "error",  # never a silent gap
        "allow.auto.create.topics": False,
        "error_cb": lambda error: told.append(error.str()),
    }
    try:
        consumer = Consumer({**settings, **ours}, logger=logger)
    except KafkaException as error:
        raise UsageError(f"Kafka refuses the settings: {error.args[0].str()}") from None
    try:
        yield consumer
    except KafkaException as error:
        raise ProdsenseError(f"Kafka at {servers}: {error.args[0].str()}{_last(told)}; run it again") from None
    finally:
        consumer.close()


def _last(told: list[str]) -> str:
    return f" ({told[-1]})" if told else ""


@dataclass
class _Partition:
    """`queue`: (newest time so far, event or None where malformed, next offset); `offset`: next after the released."""

    offset: int | None
    high: int = _NEVER
    queue: deque[tuple[int, dict[str, Any] | None, int]] = field(default_factory=deque)
    at_end: bool = False
    ended: bool = False
    paused: bool = False


class _Topic:
    """The partitions of a topic: what was received of each and may be passed on."""

    def __init__(self, consumer: Any, topic: str, stream: Checkpointed, servers: str):
        self._consumer, self._topic, self._servers, self._name = consumer, topic, servers, stream.name
        self._parts: dict[int, _Partition] = {}
        numbers, self._cluster = self._metadata()
        stored = stream.position
        if stored is not None:
            if not isinstance(stored, dict) or "kafka" not in stored:
                raise UsageError(f"stream {stream.name} has not read Kafka so far; use another stream for {topic}")
            if stored["kafka"] != topic or stored["cluster"] != self._cluster:
                raise UsageError(
                    f"stream {stream.name} has read topic {stored['kafka']} of cluster {stored['cluster']}, not {topic}"
                    f" of {self._cluster}; name that one, or start a stream of another name"
                )
        self._begin(numbers, {int(number): offset for number, offset in (stored or {"offsets": {}})["offsets"].items()})

    def grow(self) -> None:
        """Read partitions that were added to the topic."""
        numbers, _ = self._metadata()
        self._begin([number for number in numbers if number not in self._parts], {})

    def receive(self, messages: list[Any], stay: bool) -> None:
        """Take messages in; without `stay` a partition is left alone when its end was reached."""
        from confluent_kafka import KafkaError, KafkaException

        for message in messages:
            error = message.error()
            if error is not None and error.code() == KafkaError._AUTO_OFFSET_RESET:
                raise ProdsenseError(
                    f"topic {self._topic} no longer holds what stream {self._name} has not read (partition"
                    f" {message.partition()}: {error.str()}); start a stream of another name to read what is there"
                )
            if error is not None and error.code() != KafkaError._PARTITION_EOF:
                if error.retriable():
                    continue
                raise KafkaException(error)
            part = self._parts[message.partition()]
            if error is not None:
                part.at_end = part.ended = True
                if not stay:
                    self._hold(message.partition(), part)
                continue
            part.at_end = not stay and part.ended
            events, _ = parse_lines([_one_line(message.value())])
            event = events[0] if events else None
            at = moment(event.get("timestamp")) if event else None
            if at is not None and at > part.high:
                part.high = at
            part.queue.append((part.high, event, message.offset() + 1))

    def release(self, batch: int) -> tuple[list[dict[str, Any]], Intake]:
        """Up to `batch` events that no partition can come before any more, merged by time; a partition whose queue is
        long is read on when it has become shorter."""
        bound = min((part.high for part in self._parts.values() if not part.at_end), default=2**62)
        heads = [(p.queue[0][0], n) for n, p in self._parts.items() if p.queue and p.queue[0][0] <= bound]
        heapify(heads)
        events: list[dict[str, Any]] = []
        malformed = 0
        while heads and len(events) + malformed < batch:
            number = heads[0][1]
            part = self._parts[number]
            _, event, part.offset = part.queue.popleft()
            if event is None:
                malformed += 1
            else:
                events.append(event)
            if part.queue and part.queue[0][0] <= bound:
                heapreplace(heads, (part.queue[0][0], number))
            else:
                heappop(heads)
        for number, part in self._parts.items():
            if len(part.queue) > 2 * batch:
                self._hold(number, part)
            elif part.paused and not part.ended:
                self._resume(number, part)
        return events, Intake(len(events), malformed)

    def done(self) -> bool:
        """Whether the end of all partitions was reached and passed on."""
        return all(part.ended and not part.queue for part in self._parts.values())

    def position(self) -> dict[str, Any]:
        """Where the stream stands behind what was released."""
        offsets = {str(number): part.offset for number, part in self._parts.items() if part.offset is not None}
        return {"kafka": self._topic, "cluster": self._cluster, "offsets": offsets}

    def _metadata(self) -> tuple[list[int], str]:
        from confluent_kafka import KafkaException

        try:
            found = self._consumer.list_topics(self._topic, timeout=_METADATA_SECONDS)
        except KafkaException as error:
            raise ProdsenseError(
                f"Kafka at {self._servers} does not answer: {error.args[0].str()}; name its host and port"
            ) from None
        one = found.topics.get(self._topic)
        if one is None or one.error is not None or not one.partitions:
            why = f" ({one.error.str()})" if one and one.error else ""
            raise UsageError(f"no topic {self._topic} at {self._servers}{why}; name one that is there")
        return sorted(one.partitions), str(found.cluster_id)

    def _begin(self, numbers: list[int], offsets: Mapping[int, int]) -> None:
        from confluent_kafka import OFFSET_BEGINNING, TopicPartition

        if numbers:
            self._parts |= {number: _Partition(offsets.get(number)) for number in numbers}
            self._consumer.incremental_assign(
                [TopicPartition(self._topic, n, offsets.get(n, OFFSET_BEGINNING)) for n in numbers]
            )

    def _hold(self, number: int, part: _Partition) -> None:
        from confluent_kafka import TopicPartition

        if not part.paused:
            self._consumer.pause([TopicPartition(self._topic, number)])
            part.paused = True

    def _resume(self, number: int, part: _Partition) -> None:
        from confluent_kafka import TopicPartition

        self._consumer.resume([TopicPartition(self._topic, number)])
        part.paused = False


def _one_line(value: bytes | None) -> bytes:
    """A message as a line; one without a value (a tombstone) or only of spaces is no event."""
    return value if value and value.strip() else b"null"
