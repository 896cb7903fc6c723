"""What a page asks of a warehouse."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from prodsense.charts.fetching import PackFetch


@pytest.mark.parametrize(("page", "chart", "asked"), [
    ("a = 1 OR b = 2", None, "a = 1 OR b = 2"),
    (None, "c = 3 OR d = 4", "c = 3 OR d = 4"),
    ("a = 1 OR b = 2", "c = 3 OR d = 4", "(c = 3 OR d = 4) AND (a = 1 OR b = 2)"),
])  # fmt: skip
def test_a_charts_condition_narrows_that_of_its_page(page: str | None, chart: str | None, asked: str) -> None:
    requests: list[Any] = []
    warehouse: Any = SimpleNamespace(metric=lambda *names, **request: requests.append((names, request)))
    fetch = PackFetch(warehouse, SimpleNamespace(name="shop"), {"where": page, "tz": "UTC"} if page else {"tz": "UTC"})
    fetch.metric(["sales"], **({"where": chart} if chart else {}), grain="day")
    assert requests == [(("shop.sales",), {"tz": "UTC", "grain": "day", "where": asked})]
