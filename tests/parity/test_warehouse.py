"""The verbs of a warehouse on Spark: incremental builds, faults, restatement, and how it is opened."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from parity_rows import differences

import prodsense as ps
from prodsense.build import build, restate, verify
from prodsense.contracts.tables import read_schema
from prodsense.engines.duckdb import DuckDBEngine
from prodsense.errors import EngineError, UnsupportedError, UsageError
from prodsense.ingest import ingest
from prodsense.packs.pack import read_model

SCHEMA = """
-- One row per sale.
-- partition: day
CREATE TABLE sales (
    id BIGINT PRIMARY KEY,  -- Sale.
    day DATE NOT NULL,      -- Day of the sale.
    amount INT              -- What was paid. [cents]
);
"""
MODELS = {
    "shop.daily": "-- Sales a day.\n-- key: day\n-- partition: day\nSELECT day, COUNT(*) AS n, SUM(amount) AS total"
                  " FROM sales GROUP BY day",
    "shop.rising": "-- Sales a day against the day before.\n-- key: day\n-- partition: day\n-- spread: 1 day\nSELECT a.day,"
                   " a.total - b.total AS gain FROM daily AS a LEFT JOIN daily AS b ON b.day = add_days(a.day, -1)",
    "shop.big": "-- Sales above one euro.\n-- kind: view\nSELECT id, day, amount FROM sales WHERE amount > 100",
}  # fmt: skip


class Shop:
    """One table and three models on an engine."""

    def __init__(self, engine: Any):
        self.engine = engine
        self.tables = {t.relation: t for t in read_schema(SCHEMA, "shop", "shop/schema.sql").values()}
        self.models = {name: read_model(name.split(".")[1], text, f"{name}.sql") for name, text in MODELS.items()}

    def load(self, rows: list[tuple[int, int, int | None]]) -> None:
        ids, days, amounts = zip(*rows, strict=True)
        data = pa.table({"id": ids, "day": [date(2024, 1, d) for d in days], "amount": pa.array(amounts, pa.int32())})
        ingest(self.engine, self.tables, data, "shop.sales")

    def build(self, **options: Any) -> Any:
        return build(self.engine, self.models, self.tables, **options)

    def rows(self, name: str) -> list[dict[str, Any]]:
        return self.engine.query(f"SELECT * FROM shop.{name}").to_pylist()


FIRST: list[tuple[int, int, int | None]] = [(1, 1, 100), (2, 1, 250), (3, 2, None), (4, 3, 30), (5, 5, 700)]
#: A new day, a late row of day 2, and sale 1 corrected.
SECOND: list[tuple[int, int, int | None]] = [(6, 6, 10), (7, 2, 55), (1, 1, 101)]


@pytest.fixture
def shop(spark_session: Any, tmp_path: Path) -> Iterator[Shop]:
    from prodsense.engines.spark import SparkEngine

    engine = SparkEngine(tmp_path / "lake", session=spark_session)
    yield Shop(engine)
    engine.close()


@pytest.mark.spark
def test_incremental_equals_full_and_equals_duckdb(shop: Shop) -> None:
    duck = Shop(DuckDBEngine())
    for one in (shop, duck):
        one.load(FIRST)
        assert one.build().ok
        one.load(SECOND)
        report = {m.model: m for m in one.build().models}
        assert report["shop.daily"].mode == "incremental"
        assert report["shop.daily"].partitions == ("2024-01-01", "2024-01-02", "2024-01-06")
        assert report["shop.daily"].late == ("2024-01-01", "2024-01-02")
        assert report["shop.rising"].mode == "incremental"
    assert verify(shop.engine, shop.models, shop.tables) == {}
    for name in ("sales", "daily", "rising", "big"):
        assert differences(shop.rows(name), duck.rows(name)) == []
    # By hand: 101 + 250 on day 1; the late 55 on day 2, where the other amount is not known.
    totals = {row["day"].day: (row["n"], int(row["total"])) for row in shop.rows("daily")}
    assert totals == {1: (2, 351), 2: (2, 55), 3: (1, 30), 5: (1, 700), 6: (1, 10)}
    assert {m.mode for m in shop.build().models} == {"unchanged", "view"}
    duck.engine.close()


@pytest.mark.spark
def test_a_write_that_is_not_published_leaves_the_old_version(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, spark_session: Any
) -> None:
    from prodsense.engines.lake import Lake
    from prodsense.engines.spark import SparkEngine

    shop.load(FIRST)
    assert shop.build().ok
    before = shop.rows("daily")
    shop.load(SECOND)

    def killed(lake: Lake) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Lake, "publish", killed)
        shop.build()
    assert differences(shop.rows("daily"), before) == []
    reader = SparkEngine(shop.engine.location, session=spark_session, read_only=True)
    assert differences(reader.query("SELECT * FROM shop.daily").to_pylist(), before) == []
    assert shop.build().ok
    assert verify(shop.engine, shop.models, shop.tables) == {}


@pytest.mark.spark
def test_restatement_says_what_changed(shop: Shop) -> None:
    shop.load(FIRST)
    assert shop.build().ok
    shop.engine.overwrite("shop.sales", pa.table({"id": [1], "day": [date(2024, 1, 1)], "amount": pa.array([1], pa.int32())}))
    report = restate(shop.engine, shop.models, shop.tables, "shop.daily", "2024-01-01", "2024-01-02")
    changed = {entry.model: (entry.before, entry.after, entry.changed) for entry in report.models}
    assert changed["shop.daily"] == (1, 1, 1)
    assert {row["day"].day: int(row["total"] or 0) for row in shop.rows("daily")} == {1: 1, 2: 0, 3: 30, 5: 700}


@pytest.mark.spark
def test_an_existing_session_is_taken_and_left_running(spark_session: Any, tmp_path: Path) -> None:
    with ps.open(spark_session, lake=tmp_path / "own") as warehouse:
        warehouse.engine.replace("shop.t", "SELECT 1 AS x")
    assert (tmp_path / "own" / "manifest.json").exists()
    assert spark_session.sql("SELECT 1 AS x").collect()[0].x == 1
    with ps.open(spark_session, lake=tmp_path / "own", read_only=True) as warehouse:
        assert warehouse.show("shop.t").rows == [{"x": 1}]


@pytest.mark.spark
def test_what_spark_does_not_run_says_what_to_use_instead(shop: Shop) -> None:
    shop.load(FIRST)
    with pytest.raises(UnsupportedError, match="engine's own methods"):
        shop.engine.execute("UPDATE shop.sales SET amount = 1")
    with pytest.raises(EngineError, match="no table shop\\.nothing"):
        shop.engine.query("SELECT 1 AS x FROM shop.nothing")
    with pytest.raises(EngineError, match="no column colour"):
        shop.engine.insert("shop.sales", "SELECT 1 AS colour")


def test_a_lake_goes_with_a_session_only(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="spark:///folder"):
        ps.open(tmp_path / "x.duckdb", lake=tmp_path)


@pytest.mark.spark
def test_spark_connect_needs_a_lake_and_its_packages(tmp_path: Path) -> None:
    pytest.importorskip("pyspark", reason="Spark needs the extra: pip install 'prodsense[spark]'")
    with pytest.raises(UsageError, match=r"sc://host:15002/\?lake=/folder"):
        ps.open("sc://host:15002/")
    code = (
        "import sys; sys.modules['grpc'] = None\nimport prodsense as ps\n"
        "try:\n    ps.open('sc://127.0.0.1:1/?lake=/nowhere')\n"
        "except ps.ProdsenseError as error:\n    print(type(error).__name__, error)"
    )
    # From a file: PySpark takes a program without one for a doctest.
    (tmp_path / "program.py").write_text(code)
    done = subprocess.run([sys.executable, tmp_path / "program.py"], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.startswith("UnsupportedError Spark Connect needs more packages"), done.stderr[-500:]
    assert "pyspark[connect]" in done.stdout


@pytest.mark.spark
def test_without_java_the_error_says_so(tmp_path: Path) -> None:
    pytest.importorskip("pyspark", reason="Spark needs the extra: pip install 'prodsense[spark]'")
    code = (
        "import sys, prodsense as ps\n"
        "try:\n    ps.open('spark://' + sys.argv[1])\n"
        "except ps.ProdsenseError as error:\n    print(type(error).__name__, error)"
    )
    environment = {k: v for k, v in os.environ.items() if k != "JAVA_HOME"} | {"JAVA_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "lake")], capture_output=True, text=True, timeout=60, check=False,
        env=environment,
    )
    assert done.stdout.startswith("UnsupportedError Spark did not start"), done.stderr[-500:]
    assert "Java 17" in done.stdout


@pytest.mark.spark
def test_the_command_line_on_a_lake(
    spark_session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each verb once, as it is typed; the session is the tests' own, so that it need not start anew."""
    from prodsense.cli import main
    from prodsense.engines import spark
    from prodsense.packs import load_pack
    from prodsense.simulate import write

    monkeypatch.setattr(spark, "start_session", lambda options: spark_session.newSession())
    monkeypatch.setattr(spark.SparkEngine, "close", lambda self: self._lake.close())
    monkeypatch.chdir(tmp_path)
    write(load_pack("delivery").simulate(days=3, scale=0.03, seed=3), tmp_path / "data")

    def run(*words: str) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([*words, "-w", f"spark://{tmp_path / 'lake'}"])
        out, err = capsys.readouterr()
        assert ended.value.code in (0, None), (words, out[-300:], err[-300:])
        return out

    run("ingest", str(tmp_path / "data"), "--pack", "delivery")
    run("build", "--pack", "delivery")
    metric = json.loads(run("metric", "delivery.actual_delivery_time", "--format", "json"))
    assert metric["rows"][0]["actual_delivery_time"] > 0
    assert json.loads(run("query", "delivery.batch_state_counts", "--format", "json"))["rows"]
    assert "holds" in run("policies", "delivery.delivery_minutes_match_timestamps")
    assert "algorithm" in run("show", "delivery.dim_batching_algorithms")
