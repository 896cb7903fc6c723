"""Compare what two engines answer: row by row, whatever their order, exactly but for the last digits of floats."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from prodsense.packs.pack import Pack
from prodsense.warehouse import Warehouse

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Pair:
    """One pack on both engines, models built."""

    pack: Pack
    duckdb: Warehouse
    spark: Warehouse


def kind(value: Any) -> str:
    """What a value is; integers and decimals are both exact numbers."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | Decimal):
        return "exact"
    if isinstance(value, datetime):
        return "moment"
    return "day" if isinstance(value, date) else type(value).__name__


def equal(one: Any, other: Any) -> bool:
    """Equal values of one kind; floats to nine digits."""
    if one is None or other is None:
        return one is other
    if kind(one) != kind(other):
        return False
    if isinstance(one, float):
        return (math.isnan(one) and math.isnan(other)) or math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    return bool(one == other)


def _order(row: Row) -> tuple[Any, ...]:
    """Floats last and NULL first, so that rows which differ in the last digits still meet."""
    def key(value: Any) -> tuple[bool, str, Any]:
        return (value is not None, kind(value), str(value) if not isinstance(value, float | int | Decimal) else value)

    exact = [key(value) for value in row.values() if not isinstance(value, float)]
    floats = [key(value) for value in row.values() if isinstance(value, float)]
    return (*exact, *floats)


def differences(one: Iterable[Row], other: Iterable[Row]) -> list[str]:
    """What differs between two answers, the first few in words; nothing when they are the same multiset."""
    left, right = sorted(one, key=_order), sorted(other, key=_order)
    if len(left) != len(right):
        return [f"{len(left)} rows against {len(right)}"]
    found = []
    for a, b in zip(left, right, strict=True):
        if list(a) != list(b):
            return [f"columns {list(a)} against {list(b)}"]
        wrong = [name for name in a if not equal(a[name], b[name])]
        if wrong:
            found.append("; ".join(f"{name}: {a[name]!r} against {b[name]!r}" for name in wrong[:3]))
    return found if len(found) <= 3 else [*found[:3], f"and {len(found) - 3} more of {len(left)} rows"]


def named(artefact: str, found: Sequence[str]) -> list[str]:
    return [f"{artefact}: {line}" for line in found]
