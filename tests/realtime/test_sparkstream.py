"""Structured Streaming over files: equal to the batch path in any order within the watermark and after any crash."""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from prodsense.errors import ProdsenseError, UsageError
from prodsense.realtime.microbatch import MicroBatch

pytestmark = [pytest.mark.spark, pytest.mark.slow]

NOON = datetime(2024, 5, 1, 12)


def clicks(number: int) -> list[dict[str, Any]]:
    draw = random.Random(3)
    return [
        {
            "event_id": n, "session_id": f"s{draw.randrange(4)}", "user_id": draw.choice(["u", "v", "tester"]),
            "event_type": draw.choice(["view", "view", "like", "session_end"]),
            "timestamp": (NOON + timedelta(minutes=4 * n, microseconds=n)).isoformat() + "Z",
        }
        for n in range(number)
    ]  # fmt: skip


class CrashError(Exception):
    pass


def test_files_in_any_order_and_crashes_at_any_moment_give_the_totals_of_the_batch_path(
    spark_session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prodsense.engines.spark import SparkEngine
    from prodsense.realtime.sparkstream import SparkStream, ndjson_folder

    events = clicks(60)
    draw = random.Random(9)
    # Up to half an hour late, a fifth sent twice.
    sent = sorted(events + draw.sample(events, 12), key=lambda e: (e["event_id"] * 4 + draw.uniform(0, 30)))
    inbox = tmp_path / "inbox"
    inbox.mkdir()

    def put(number: int, some: list[dict[str, Any]], more: str = "") -> None:
        staged = tmp_path / "staged"
        staged.write_text("".join(json.dumps(e) + "\n" for e in some) + more)
        staged.rename(inbox / f"{number}.json")

    engine = SparkEngine(tmp_path / "lake", session=spark_session)

    def opened() -> SparkStream:
        frame = ndjson_folder(engine, inbox, files=1)
        return SparkStream(engine, frame, "clicks", "shop.sessions", {"tester"}, lateness=timedelta(minutes=31))

    put(1, sent[:20], "{not json\n")
    opened().run()

    # A crash inside the transaction: what was written of it is not seen, and the batch comes again.
    put(2, sent[20:40])
    before = engine.query("SELECT * FROM shop.sessions").num_rows
    with monkeypatch.context() as broken:
        broken.setattr(engine, "append", lambda *_: (_ for _ in ()).throw(CrashError))
        with pytest.raises(CrashError):
            opened().run()
    assert engine.query("SELECT * FROM shop.sessions").num_rows == before

    # A crash between our commit and Spark's: the batch comes again and is known.
    with monkeypatch.context() as broken:
        take = SparkStream._take

        def fail(*args: Any) -> None:
            take(*args)
            raise CrashError

        broken.setattr(SparkStream, "_take", fail)
        with pytest.raises(CrashError):
            opened().run()
    put(3, sent[40:])
    stream = opened()
    stream.run()
    stream.flush()

    whole = MicroBatch({"tester"}, lateness=timedelta(minutes=31))
    expected = whole.add_events(events).to_pylist() + whole.flush().to_pylist()
    rows = engine.query("SELECT session_id, started_at, ended_at, closed_by, event_type, events FROM shop.sessions").to_pylist()
    assert Counter(tuple(row.values()) for row in rows) == Counter(tuple(row.values()) for row in expected)
    assert stream.totals == whole.totals
    assert (stream.counts["read"], stream.counts["ignored"], stream.counts["late"], stream.counts["duplicate"]) == (73, 1, 0, 12)

    shutil.rmtree(tmp_path / "lake" / "streams")
    with pytest.raises(ProdsenseError, match="has no checkpoint at"):
        opened().run()
    with pytest.raises(UsageError, match="no column session_id"):
        SparkStream(engine, ndjson_folder(engine, inbox).drop("session_id"), "other", "shop.other").run()
    with pytest.raises(UsageError, match="is not a folder"):
        ndjson_folder(engine, tmp_path / "nowhere")
    engine.close()
