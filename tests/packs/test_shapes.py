"""Shapes of metrics, on rows small enough to count."""

from __future__ import annotations

import pytest

from prodsense.engines.dialect import render
from prodsense.engines.duckdb import DuckDBEngine
from prodsense.packs.shapes import rate_by_kind


def test_a_rate_by_kind_is_out_of_all_subjects() -> None:
    """Three orders beside two kinds: one late, one late and cold; a fourth of which nothing is known."""
    rows = "(VALUES (1, 1, 1), (1, 2, 0), (2, 1, 1), (2, 2, 1), (3, 1, 0), (3, 2, 0), (4, 1, NULL), (4, 2, NULL))"
    sql = render(f"SELECT {rate_by_kind('hits', 'kind')} AS rate FROM {rows} AS t (subject, kind, hits)")
    by = render(f"SELECT kind, {rate_by_kind('hits', 'kind')} AS rate FROM {rows} AS t (s, kind, hits) GROUP BY 1 ORDER BY 1")
    engine = DuckDBEngine()
    assert engine.query(sql).to_pylist()[0]["rate"] == pytest.approx(3 / 3)
    assert [row["rate"] for row in engine.query(by).to_pylist()] == [pytest.approx(2 / 3), pytest.approx(1 / 3)]
    engine.close()
