"""Declared behaviour of the delivery pack against plain Python over its tables."""

from __future__ import annotations

import csv
import json
from collections import Counter
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from prodsense.warehouse import Warehouse

TINY = Path(__file__).parent / "tiny"
STEPS = {
    "assigned": "assigned_to_driver_at", "arrived": "driver_arrived_at_restaurant_at", "picked_up": "picked_up_at",
    "delivered": "delivered_at",
}  # fmt: skip


def rows(table: str) -> list[dict[str, Any]]:
    with (TINY / f"{table}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def orders() -> list[dict[str, Any]]:
    """Orders of customers who are not internal, each with the delivery that counts: the latest not cancelled."""
    internal = {c["customer_id"] for c in rows("dim_customers") if c["is_internal"].lower() in ("true", "1", "t")}
    by_order: dict[str, list[dict[str, Any]]] = {}
    for delivery in rows("fact_deliveries"):
        by_order.setdefault(delivery["order_id"], []).append(delivery)
    found = []
    for order in rows("fact_orders"):
        if order["customer_id"] in internal:
            continue
        last = sorted(
            by_order.get(order["order_id"], []),
            key=lambda d: (d["delivery_status"] != "cancelled", d["delivery_created_at"], int(d["delivery_id"])),
        )
        moments = {name: last[-1][column] for name, column in STEPS.items()} if last else {}
        if order["order_status"] != "delivered" and not (
            not order["order_status"] and last and last[-1]["delivery_status"] == "delivered"
        ):
            moments.pop("delivered", None)
        found.append({**order, "moments": {"placed": order["order_timestamp"], **moments}})
    return found


def test_order_steps_are_the_known_moments(city: Warehouse, orders: list[dict[str, Any]]) -> None:
    expected = {
        (int(order["order_id"]), step): datetime.fromisoformat(moment)
        for order in orders for step, moment in order["moments"].items() if moment
    }
    got = {(r["order_id"], r["step"]): r["happened_at"] for r in city.show("delivery.order_steps", limit=None).rows}
    assert got == expected and len(expected) > 20


@pytest.mark.slow
def test_order_funnel(city: Warehouse, orders: list[dict[str, Any]]) -> None:
    reached: Counter[str] = Counter()
    for order in orders:
        before = datetime.fromisoformat(order["order_timestamp"])
        limit = before + timedelta(hours=4)
        for step in ("placed", *STEPS):
            moment = order["moments"].get(step)
            if not moment or not before <= (at := datetime.fromisoformat(moment)) <= limit:
                break
            reached[step], before = reached[step] + 1, at
    found = city.analyze("delivery.order_funnel", as_of="2030-01-01")
    assert {row["name"]: row["count"] for row in found.rows} == {s: reached[s] for s in ("placed", *STEPS)}
    assert reached["delivered"] > 3
    assert found.chart() is not None
    assert {"individual", "batched"} <= {
        row["delivery_type"] for row in city.analyze("order_funnel", as_of="2030-01-01", by="delivery_type").rows
    }


def test_reorder_retention(city: Warehouse, orders: list[dict[str, Any]]) -> None:
    days: dict[str, set[date]] = {}
    for order in orders:
        days.setdefault(order["customer_id"], set()).add(datetime.fromisoformat(order["order_timestamp"]).date())
    size: Counter[date] = Counter()
    back: Counter[tuple[date, int]] = Counter()
    for active in days.values():
        first = min(active)
        week = first - timedelta(days=first.weekday())
        size[week] += 1
        back.update((week, (day - first).days) for day in active if (day - first).days <= 28)
    found = city.analyze("delivery.reorder_retention", as_of="2030-01-01")
    assert {(r["cohort"], r["day"]): (r["size"], r["retained"]) for r in found.rows} == {
        (week, n): (size[week], back[week, n]) for week in size for n in range(29)
    }
    short = city.analyze("delivery.reorder_retention", days=3, grain="all", as_of="2030-01-01")
    assert [row["day"] for row in short.rows] == [0, 1, 2, 3]


def test_they_draw_themselves_from_the_command_line(
    built_city: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from prodsense.cli.app import command

    def prodsense(*args: str) -> str:
        with pytest.raises(SystemExit) as ended:
            command().main(list(args))
        out = capsys.readouterr()
        assert ended.value.code == 0, out.err
        return out.out

    picture = tmp_path / "funnel.json"
    text = prodsense("analyze", "order_funnel", "-w", str(built_city), "--param", "as_of=2030-01-01", "--format", "json",
                     "--chart", str(picture))  # fmt: skip
    assert json.loads(text)["rows"][0]["name"] == "placed"
    assert "delivered" in picture.read_text()
    # The pack's event table needs no columns.
    rows = json.loads(prodsense("retention", "delivery", "--days", "1", "--grain", "all", "--as-of", "2030-01-01",
                                "-w", str(built_city), "--format", "json"))["rows"]  # fmt: skip
    assert [row["day"] for row in rows] == [0, 1]
