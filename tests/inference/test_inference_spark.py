"""Detectors and explanations give on Spark what they give on DuckDB."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import inference_shop as data
import numpy as np
import pytest

from prodsense.inference import detectors as ready

LAST = data.DAYS - 1


def plant(c: dict[str, Any], rng: np.random.Generator) -> Any:
    """A city's orders fall in the last week, some customers fall silent, a platform appears."""
    c["customer_id"] %= 20
    c["amount"][(c["day"] > LAST - 7) & (c["customer_id"] == 7)] /= 4
    fell = (c["day"] > LAST - 7) & (c["city"] == 1) & (rng.random(len(c["day"])) < 0.7)
    silent = (c["day"] > LAST - 7) & (c["customer_id"] < 5)
    return ~(fell | silent) & ((c["platform"] != 2) | (c["day"] > LAST - 7))


RULES = (
    ready.metric_anomaly("orders_anomaly", "X.", metric="orders", by="city"),
    ready.volume("rows", "X.", table="orders", by="city"),
    ready.new_value("fresh", "X.", table="orders", column="platform"),
    ready.freshness("lag", "X.", tables="orders", within_hours=0.001),
    *(
        ready.own_history(f"own_{measure}", "X.", table="orders", subject="customer_id", drop=0.2, threshold=1.0,
                          measure=measure, value="amount" if measure in ("sum", "mean", "distinct") else "")  # type: ignore[arg-type]
        for measure in ("count", "mean", "distinct")
    ),
)  # fmt: skip


def asked(wh: data.Shop) -> list[Any]:
    found = wh.detect(*RULES, pack="shop", as_of=data.on(LAST))
    before, after = f"{data.on(LAST - 13)}..{data.on(LAST - 7)}", f"{data.on(LAST - 6)}..{data.on(LAST)}"
    why = [wh.explain(name, before, after) for name in ("orders", "done_rate")]
    rows = [(r["detector"], r["subject"], r["period"], r["value"], r["score"]) for r in found.rows]
    return [sorted(rows), [[(r["slice"], r["effect"]) for r in w.rows] for w in why], [w.extras["after"] for w in why]]


@pytest.mark.slow
@pytest.mark.spark
def test_spark_says_what_duckdb_says(spark_session: Any, tmp_path: Path) -> None:
    from prodsense.engines.spark import SparkEngine

    orders = data.rows(plant, a_day=60)
    with data.shop(orders) as wh:
        wanted = asked(wh)
    assert {d.split(".")[1] for d, *_ in wanted[0]} >= {"fresh", "lag", "own_count", "own_mean", "own_distinct"}
    engine = SparkEngine(tmp_path / "lake", session=spark_session)
    with data.shop(orders, engine=engine) as wh:
        got = asked(wh)
        assert wh.detect(RULES[2], pack="shop", as_of=data.on(LAST), queue=True).rows[0]["queue"] == "new"
        assert len(wh.findings()) == 1
    assert [row[:3] for row in got[0]] == [row[:3] for row in wanted[0]]
    assert [row[3:] for row in got[0]] == [pytest.approx(row[3:], rel=1e-9) for row in wanted[0]]
    assert [[s for s, _ in w] for w in got[1]] == [[s for s, _ in w] for w in wanted[1]]
    assert got[2] == pytest.approx(wanted[2])
