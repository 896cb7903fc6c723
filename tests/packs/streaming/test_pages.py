"""The pack's pages come whole, and what they name exists."""

from __future__ import annotations

from typing import Any

import pytest

from prodsense.packs import load_pack
from prodsense.warehouse import Warehouse

PACK = load_pack("streaming")


def errors(page: Any) -> list[str]:
    return [
        f"{section.title}: {view.title}: {view.error}" for section in page.sections for view in section.charts if view.error
    ] + [f"{view.name}: {view.error}" for section in page.sections for view in section.policies if view.error]


@pytest.mark.slow
def test_pages_without_an_error(planted: tuple[Warehouse, dict[str, Any]]) -> None:
    warehouse, _ = planted
    for page in (
        *(warehouse.dashboard(f"streaming.{name}") for name in PACK.dashboards),
        *(warehouse.answer(name) for name in PACK.questions),
    ):
        assert errors(page) == []
    assert [(r.name, r.violations.rows[:3]) for r in warehouse.policies(pack="streaming") if not r.holds] == []


def test_what_pages_and_questions_name_is_declared() -> None:
    named = {entry["name"] for entry in PACK.catalogue()}
    for question in PACK.questions.values():
        assert [name for name in question.answers if name not in named] == []
        assert set(question.headline) <= set(PACK.metrics)
    assert {name for d in PACK.dashboards.values() for s in d.sections for name in s.charts} <= set(PACK.charts)
    assert {c.query for c in PACK.charts.values() if c.query} <= set(PACK.queries)
    assert {m for c in PACK.charts.values() for m in c.metrics} <= set(PACK.metrics)
