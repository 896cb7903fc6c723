"""Spark on this machine: the same SQL on Parquet."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from peers.sql import SPARK, TOLD, questions

MISSING = ""
if not importlib.util.find_spec("pyspark"):
    MISSING = "pyspark is not installed"
elif shutil.which("java") is None:
    MISSING = "there is no Java"
TITLE = "Spark local"


def open_(folder: Path, question: str, last: date) -> tuple[Callable[[], Any], Callable[[Any], Any]]:
    os.environ["PYSPARK_PYTHON"] = sys.executable
    from pyspark.sql import SparkSession

    spark = (
        SparkSession.builder.master(f"local[{os.cpu_count()}]").config("spark.sql.session.timeZone", "UTC")
        .config("spark.driver.memory", "6g").config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "8").config("spark.sql.timestampType", "TIMESTAMP_LTZ")
        .config("spark.log.level", "ERROR").config("spark.local.dir", str(folder)).getOrCreate()
    )  # fmt: skip
    # DuckDB writes times without a zone, which Spark's clock functions do not take.
    spark.read.parquet(str(folder / "events.parquet")).createOrReplaceTempView("stored")
    spark.sql(
        "CREATE OR REPLACE TEMP VIEW events AS SELECT CAST(ts AS TIMESTAMP) AS ts, user_id, event, country, platform,"
        " amount FROM stored"
    )
    sql = questions(SPARK, last)[question]
    if question == "sessions":
        into = str(folder / "spark-sessions")

        def work() -> Any:
            spark.sql(sql).write.mode("overwrite").parquet(into)

        def told(_: Any) -> Any:
            spark.read.parquet(into).createOrReplaceTempView("told")
            return [tuple(row) for row in spark.sql(TOLD.format(table="told")).collect()]

        return work, told
    return (lambda: spark.sql(sql).collect()), (lambda found: [tuple(row) for row in found])


def helper() -> int:
    """The process that does the work."""
    from pyspark.sql import SparkSession

    session = SparkSession.getActiveSession()
    assert session is not None
    return int(session._jvm.java.lang.ProcessHandle.current().pid())
