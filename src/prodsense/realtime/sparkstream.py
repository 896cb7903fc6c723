"""Streams on Spark: Structured Streaming reads and decodes, SQL on the cluster carries the sessions on.

Spark's own session windows know no session_end, and what they hold lives in Spark's checkpoint, apart from the
output. Here each of Spark's batches is one transaction of the lake: output, state and the batch's number. Spark
offers a batch again after a crash until it is done; the number tells whether it was.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prodsense.errors import ProdsenseError, UnsupportedError, UsageError
from prodsense.realtime.microbatch import FIELDS
from prodsense.realtime.tablestream import TableStream

if TYPE_CHECKING:
    from prodsense.engines.spark import SparkEngine

_VIEW = "prodsense_stream_batch"


def ndjson_folder(engine: SparkEngine, folder: str | Path, *, files: int = 100) -> Any:
    """The events of a folder of NDJSON files, as a streaming frame of text columns; `files` are read in one batch.

    A file has to appear whole (write it elsewhere, then rename it). Lines that are no JSON object have nulls.
    """
    if not Path(folder).is_dir():
        raise UsageError(f"{folder} is not a folder; name one that files of one JSON object a line are put into")
    schema = ", ".join(f"`{name}` STRING" for name in FIELDS)
    return engine.session.readStream.schema(schema).option("maxFilesPerTrigger", files).json(str(folder))


class SparkStream:
    """Sessions of a streaming frame in the lake of `engine`, by the rules of `MicroBatch`, exactly once.

    `events` has the columns of `prodsense.realtime.microbatch.FIELDS`: ids of any type that reads as text,
    `timestamp` a timestamp or ISO text (UTC where it has no zone). Spark's checkpoint lies in the lake, below
    ``streams/<name>``. A batch has no order inside: an event is late where it lies below the watermark of
    the batches before. The other arguments and errors are those of `TableStream`.
    """

    def __init__(
        self, engine: SparkEngine, events: Any, name: str, output: str, test_users: Iterable[Any] = (), *,
        timeout: timedelta = timedelta(minutes=30), lateness: timedelta = timedelta(minutes=5),
    ):  # fmt: skip
        if not hasattr(engine.session, "_jsparkSession"):
            raise UnsupportedError("Spark Connect runs no code of a stream's batches; open the lake as spark:///folder")
        if not name or "/" in name or name.startswith("."):
            raise UsageError(f"a stream's name is that of a folder of the lake too; {name!r} cannot be")
        self._engine, self._events = engine, events
        self._state = TableStream(engine, name, output, test_users, timeout=timeout, lateness=lateness)
        self._checkpoint = Path(engine.location.removeprefix("file://")).absolute() / "streams" / name

    @property
    def totals(self) -> dict[str, int]:
        """Event type → number in closed sessions."""
        return self._state.totals

    @property
    def counts(self) -> dict[str, int]:
        """Where events ended; see `prodsense.realtime.state.SessionState`."""
        return self._state.counts

    def run(self) -> None:
        """Take in all that is there now and return. A batch that fails has written nothing."""
        self._drive(availableNow=True)

    def follow(self, every: str = "10 seconds") -> None:
        """Take in what comes, a batch as often as `every` says, until interrupted."""
        self._drive(processingTime=every)

    def flush(self) -> None:
        """The stream is over: take in all that waits, close all sessions."""
        self._state.flush()

    def _drive(self, **trigger: Any) -> None:
        from pyspark.errors import StreamingQueryException

        failures: list[BaseException] = []

        def take(frame: Any, batch: int) -> None:
            try:
                self._take(frame, batch)
            except BaseException as error:
                failures.append(error)  # Spark would tell it as the text of a Java exception
                raise

        self._check_checkpoint()
        query = (
            self._events.select(*self._columns())
            .writeStream.foreachBatch(take)
            .option("checkpointLocation", str(self._checkpoint))
            .trigger(**trigger)
            .start()
        )
        try:
            query.awaitTermination()
        except StreamingQueryException as error:
            if failures:
                raise failures[0] from None
            first = next((line for line in str(error).splitlines() if line.strip()), "it failed")
            raise ProdsenseError(f"stream {self._state.name}: {first}") from None
        finally:
            query.stop()

    def _columns(self) -> list[Any]:
        from pyspark.sql import functions as f

        known = set(self._events.columns)
        lacking = [name for name in FIELDS[:4] if name not in known]
        if lacking:
            raise UsageError(f"the events have no column {', '.join(lacking)}; name them {', '.join(FIELDS)}")
        return [
            (f.col(name) if name in known else f.lit(None)).cast("string").alias(name)
            for name in FIELDS
            if name != "timestamp"
        ] + [f.col("timestamp").try_cast("timestamp").alias("timestamp")]

    def _take(self, frame: Any, batch: int) -> None:
        """One of Spark's batches, unless it was done before the crash after which it is offered again."""
        place = {"batch": batch, "query": self._query()}
        done = self._state.position
        if done is not None:
            if done["query"] != place["query"] or batch > done["batch"] + 1:
                raise ProdsenseError(
                    f"stream {self._state.name} stands at batch {done['batch']} of another checkpoint than"
                    f" {self._checkpoint}; put that back, or start a stream of another name"
                )
            if batch <= done["batch"]:
                return
        # The engine works in a session of its own; what is cached is seen by all, and decoded once.
        frame = frame.persist()
        try:
            frame.createOrReplaceGlobalTempView(_VIEW)
            self._engine.session.table(f"global_temp.{_VIEW}").createOrReplaceTempView(_VIEW)
            self._state.push(_VIEW, place)
        finally:
            self._engine.session.catalog.dropTempView(_VIEW)
            self._engine.session.catalog.dropGlobalTempView(_VIEW)
            frame.unpersist()

    def _query(self) -> str:
        """The id that Spark gave to the checkpoint."""
        return str(json.loads((self._checkpoint / "metadata").read_text())["id"])

    def _check_checkpoint(self) -> None:
        if self._state.position is not None and not (self._checkpoint / "metadata").exists():
            raise ProdsenseError(
                f"stream {self._state.name} has no checkpoint at {self._checkpoint}; put it back, or start a stream of"
                " another name"
            )
