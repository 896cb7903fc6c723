"""A metric in focus is about the rows of its focus, until the request slices by that dimension or filters on it."""

from __future__ import annotations

from typing import Any

import metrics_shop as shop
import pytest

from prodsense.contracts.vocabulary import Metric
from prodsense.engines.duckdb import DuckDBEngine
from prodsense.metrics import Request, run
from prodsense.metrics.observations import counting

DONE = ("status", "status = 'done'")
METRICS = [
    Metric("basket_done", "Mean amount.", "currency", "up", "mean(amount)", source="orders", focus=DONE),
    Metric("big_done", "Large orders.", "count", "up", "count(*)", source="orders", where="amount > 50 OR amount < 6",
           focus=DONE),
    Metric("buyers_done", "Buyers of a week.", "count", "up", "count(distinct customer_id)", source="orders", focus=DONE,
           rolling=7),
    Metric("over", "Twice the basket.", "currency", "up", "2 * basket_done"),
]  # fmt: skip


@pytest.fixture(scope="module")
def asked(engine: DuckDBEngine) -> Any:
    known = shop.scope(engine.columns, metrics={m.name: m for m in (*shop.METRICS, *METRICS)})
    return lambda *names, **options: run(engine, Request(names, **options), known).rows


def amounts(rows: list[tuple[Any, ...]], status: str) -> list[float]:
    return [o[7] for o in rows if o[6] == status and o[7] is not None]


def test_focus_stands_until_it_is_sliced_by(asked: Any, rows: dict[str, list[tuple[Any, ...]]]) -> None:
    of = {status: amounts(rows["orders"], status) for status in ("done", "cancelled")}
    means = {status: pytest.approx(sum(a) / len(a)) for status, a in of.items()}
    large = {status: sum(a > 50 or a < 6 for a in known) for status, known in of.items()}
    assert asked("basket_done", "over", "big_done", grain="all") == [
        {"basket_done": means["done"], "over": pytest.approx(2 * sum(of["done"]) / len(of["done"])), "big_done": large["done"]}
    ]
    sliced = {row["status"]: row for row in asked("basket_done", "big_done", by="status", grain="all")}
    assert {k: (v["basket_done"], v["big_done"]) for k, v in sliced.items()} == {k: (means[k], large[k]) for k in of}
    (row,) = asked("basket_done", where="status = 'cancelled'", grain="all")
    assert row["basket_done"] == means["cancelled"]


def test_focus_stands_in_other_slices_and_windows(asked: Any, rows: dict[str, list[tuple[Any, ...]]]) -> None:
    for row in asked("basket_done", by="big", grain="all"):
        known = [o[7] for o in rows["orders"] if o[6] == "done" and o[7] is not None and (o[7] > 50) == row["big"]]
        assert row["basket_done"] == (pytest.approx(sum(known) / len(known)) if row["big"] is not None else None)
    last = max(o[5] for o in rows["orders"])
    week = [o for o in rows["orders"] if (last - o[5]).days < 7]
    done = {o[1] for o in week if o[6] == "done"} - {None}
    everyone = {status: len({o[1] for o in week if o[6] == status} - {None}) for status in ("done", "cancelled")}
    assert asked("buyers_done", grain="day", since=last)[-1]["buyers_done"] == len(done)
    sliced = asked("buyers_done", by="status", grain="day", since=last)
    assert {r["status"]: r["buyers_done"] for r in sliced if r["period"] == last} == everyone


def test_metrics_with_and_without_focus_share_a_request(asked: Any) -> None:
    (row,) = asked("orders", "done_orders", "basket_done", grain="all")
    (alone,) = asked("basket_done", grain="all")
    assert row["basket_done"] == alone["basket_done"] and row["orders"] > row["done_orders"]


def test_what_is_counted_behind_a_metric_is_in_focus_too(
    engine: DuckDBEngine, rows: dict[str, list[tuple[Any, ...]]]
) -> None:
    """Small groups are hidden by these counts: rows out of focus would make a group look larger than it is."""
    counts = [counting(metric, "COUNT(*)", f"behind_{metric.name}") for metric in METRICS[:2]]
    known = shop.scope(engine.columns, metrics={m.name: m for m in counts})
    done = [o for o in rows["orders"] if o[6] == "done"]
    (row,) = run(engine, Request([m.name for m in counts], grain="all"), known).rows
    assert row["behind_basket_done"] == len(done) < len(rows["orders"])
    assert row["behind_big_done"] == sum(o[7] is not None and (o[7] > 50 or o[7] < 6) for o in done)
