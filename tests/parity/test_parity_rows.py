"""The comparison itself: what counts as the same answer."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from parity_rows import differences


@pytest.mark.parametrize(("one", "other"), [
    ([{"a": 1, "b": 0.1 + 0.2}, {"a": 2, "b": None}], [{"a": 2, "b": None}, {"a": 1, "b": 0.3}]),
    ([{"a": 5}], [{"a": Decimal(5)}]),
    ([{"a": float("nan")}], [{"a": float("nan")}]),
    ([], []),
])  # fmt: skip
def test_the_same(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> None:
    assert differences(one, other) == []


@pytest.mark.parametrize(("one", "other"), [
    ({"a": 1.0}, {"a": 1.00000001}),
    ({"a": 1}, {"a": 1.0}),
    ({"a": 1}, {"a": True}),
    ({"a": None}, {"a": 0}),
    ({"a": date(2024, 1, 1)}, {"a": datetime(2024, 1, 1)}),
    ({"a": datetime(2024, 1, 1, 0, 0, 0, 1)}, {"a": datetime(2024, 1, 1)}),
    ({"a": Decimal("0.10")}, {"a": Decimal("0.11")}),
    ({"a": 1}, {"b": 1}),
])  # fmt: skip
def test_not_the_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert differences([one], [other])


def test_a_row_twice_is_not_a_row_once() -> None:
    assert differences([{"a": 1}, {"a": 1}, {"a": 2}], [{"a": 1}, {"a": 2}, {"a": 2}])
    assert differences([{"a": 1}], [{"a": 1}, {"a": 1}]) == ["1 rows against 2"]
