"""What a declared dashboard asks of the warehouse, narrowed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from prodsense.errors import UsageError
from prodsense.web.boards import Narrowed


def asked(narrowed: str, window: dict[str, str], **request: Any) -> dict[str, Any]:
    """What reaches the warehouse."""
    requests: list[dict[str, Any]] = []
    warehouse: Any = SimpleNamespace(metric=lambda *names, **options: requests.append(options))
    pack: Any = SimpleNamespace(name="shop")
    Narrowed(warehouse, pack, "Europe/Berlin", window, narrowed).metric(["sales"], **request)
    return requests[0]


def test_a_condition_stands_in_brackets_beside_a_charts_own() -> None:
    found = asked("a = 1 OR b = 2", {}, where="c = 3 OR d = 4")
    assert found == {"tz": "Europe/Berlin", "where": "(c = 3 OR d = 4) AND (a = 1 OR b = 2)"}
    with pytest.raises(UsageError):
        asked("a = 1) OR (b = 2", {}, where="c = 3")


def test_a_chart_keeps_its_own_days() -> None:
    window = {"since": "2024-01-01", "until": "2024-02-01"}
    assert asked("", window) == {"tz": "Europe/Berlin", **window}
    assert asked("", window, since="2023-01-01") == {"tz": "Europe/Berlin", "since": "2023-01-01"}
