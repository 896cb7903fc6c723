"""The pack's pages come whole."""

from __future__ import annotations

from typing import Any

import pytest
from pack_kit import errors

from prodsense.packs import load_pack
from prodsense.warehouse import Warehouse

PACK = load_pack("streaming")


@pytest.mark.slow
def test_pages_without_an_error(planted: tuple[Warehouse, dict[str, Any]]) -> None:
    warehouse, _ = planted
    for page in (
        *(warehouse.dashboard(f"streaming.{name}") for name in PACK.dashboards),
        *(warehouse.answer(name) for name in PACK.questions),
    ):
        assert errors(page) == []
    assert [(r.name, r.violations.rows[:3]) for r in warehouse.policies(pack="streaming") if not r.holds] == []
