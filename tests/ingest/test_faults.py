"""A kill at any moment leaves nothing half; readers see a load as a whole or not at all."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from prodsense.engines import open_engine
from prodsense.errors import LockedError
from prodsense.ingest import ingest

#: Loads batches of orders with their lines until it is killed; says each that is acknowledged.
LOADER = """
import sys, pyarrow as pa
sys.path.insert(0, sys.argv[2])
from ingest_shop import TABLES
from prodsense.engines import open_engine
from prodsense.ingest import ingest
engine = open_engine(sys.argv[1])
print("open", flush=True)
start = int(sys.argv[3])
for batch in range(start, start + 1000):
    ids = list(range(batch * 1000, batch * 1000 + 1000))
    ingest(engine, TABLES, {
        "fact_orders": pa.table({"order_id": ids, "day": ["2024-01-01"] * 1000}),
        "fact_order_lines": pa.table({"order_id": ids, "line": [1] * 999 + [None], "product": ["a"] * 1000}),
    })
    print(batch, flush=True)
"""


@pytest.mark.slow
def test_kill_at_random_moments(tmp_path: Path) -> None:
    dice = random.Random(3)
    warehouse = tmp_path / "wh.duckdb"
    acknowledged: set[int] = set()
    start = 0
    for round_ in range(12):
        process = subprocess.Popen(
            [sys.executable, "-c", LOADER, str(warehouse), str(Path(__file__).parent), str(start)],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        # Every other round lets one load come to its end first, however slow the machine is.
        before = process.stdout.readline() if round_ % 2 else ""
        time.sleep(dice.uniform(0.05, 1.5))
        process.kill()
        lines = (before + process.stdout.read()).split("\n")
        process.wait()
        acknowledged |= {int(line) for line in lines[:-1]}
        engine = open_engine(warehouse)
        if "shop.fact_orders" in engine.relations():
            stored = engine.query(
                "SELECT order_id // 1000 AS batch, COUNT(*) AS n FROM shop.fact_orders GROUP BY ALL ORDER BY 1"
            ).to_pylist()
            lines_of = engine.query(
                "SELECT order_id // 1000 AS batch, COUNT(*) AS n FROM shop.fact_order_lines GROUP BY ALL"
            )
            batches = {row["batch"] for row in stored}
            assert all(row["n"] == 1000 for row in stored), "part of a load is there"
            assert {r["batch"]: r["n"] for r in lines_of.to_pylist()} == dict.fromkeys(batches, 999)
            booked = engine.query(
                "SELECT COUNT(*) AS loads, SUM(read) AS read, (SELECT COUNT(*) FROM prodsense.quarantine) AS held"
                " FROM prodsense.loads"
            ).to_pylist()[0]
            assert booked == {"loads": 2 * len(batches), "read": 2000 * len(batches), "held": len(batches)}
            assert acknowledged <= batches, "an acknowledged load is gone"
            start = max(batches) + 1
        engine.close()
    assert len(acknowledged) >= 6


def test_a_failing_load_rolls_back_and_the_next_one_works(engine: Any, tables: Any, put: Any, monkeypatch: Any) -> None:
    from prodsense.ingest import load

    path = put("fact_orders.csv", "order_id,day\n1,2024-01-01\n2,x\n")

    def fail(*args: Any, **kwargs: Any) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(load, "_record", fail)
        with pytest.raises(MemoryError):
            ingest(engine, tables, path)
    assert not engine.relations("shop")
    assert ingest(engine, tables, path).accepted == 1


def test_rows_lost_on_the_way_abort_the_load(engine: Any, tables: Any, put: Any, monkeypatch: Any) -> None:
    from prodsense.errors import EngineError
    from prodsense.ingest.merge import Batch

    def forgetful(self: Batch) -> int:
        # Takes rows out of the way without counting them.
        self._note(f"SELECT rowid AS id FROM {self.rows} LIMIT 1", -1)
        return 0

    monkeypatch.setattr(Batch, "drop_repeats", forgetful)
    with pytest.raises(EngineError, match="is not 3 read; nothing was loaded"):
        ingest(engine, tables, put("fact_orders.csv", "order_id,day\n1,2024-01-01\n1,2024-01-02\n3,2024-01-01\n"))
    assert not engine.relations("shop")


def test_readers_of_the_same_process_see_whole_loads(engine: Any, tables: Any, put: Any) -> None:
    ingest(engine, tables, put("events.csv", "at,name\n2024-01-01,a\n"))
    reader = engine.connection.cursor()
    count = "SELECT COUNT(*) FROM warehouse.shop.events"
    with engine.transaction():
        ingest(engine, tables, put("b/events.csv", "at,name\n2024-01-01,b\n"))
        assert reader.execute(count).fetchall() == [(1,)]
    assert reader.execute(count).fetchall() == [(2,)]


def test_another_process_is_told_who_has_the_warehouse(engine: Any, tmp_path: Path) -> None:
    code = "import sys; from prodsense.engines import open_engine; open_engine(sys.argv[1])"
    run = subprocess.run(
        [sys.executable, "-c", code, engine.location], capture_output=True, text=True, check=False
    )
    assert LockedError.__name__ in run.stderr
