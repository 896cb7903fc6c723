"""Shapes of metrics, on rows small enough to count."""

from __future__ import annotations

from typing import Any

import pytest

from prodsense.engines.dialect import render
from prodsense.engines.duckdb import DuckDBEngine
from prodsense.packs.shapes import net_promoter_score, rate_by_kind, ratio_where_known, share_of_any_kind


def asked(shape: str, rows: str, by: str = "") -> list[Any]:
    """The shape over rows given as VALUES, and by a column."""
    engine = DuckDBEngine()
    try:
        end = f" GROUP BY {by} ORDER BY {by}" if by else ""
        return engine.query(render(f"SELECT {shape} AS found FROM {rows}{end}"))["found"].to_pylist()
    finally:
        engine.close()


def test_a_share_of_any_kind_counts_a_subject_once() -> None:
    """Three orders beside two kinds: one late, one late and cold; a fourth of which nothing is known."""
    rows = "(VALUES (1, 1, TRUE), (1, 2, FALSE), (2, 1, TRUE), (2, 2, TRUE), (3, 1, FALSE), (3, 2, FALSE), (4, 1, NULL)," \
        " (4, 2, NULL)) AS t (subject, kind, hit)"
    shape = share_of_any_kind("hit", "subject", "kind")
    assert asked(shape, rows) == [pytest.approx(2 / 3)]
    assert asked(shape, rows, "kind") == [pytest.approx(2 / 3), pytest.approx(1 / 3)]


def test_a_ratio_where_the_whole_is_known() -> None:
    """Two miles with 3 fares and one with 1; 5 fares of unknown miles; a mile of unknown fares counts."""
    rows = "(VALUES (3, 2), (1, 1), (5, NULL), (NULL, 1)) AS t (fares, miles)"
    assert asked(ratio_where_known("fares", "miles"), rows) == [pytest.approx(4 / 4)]
    assert asked(ratio_where_known("fares", "miles"), "(VALUES (5, CAST(NULL AS INT))) AS t (fares, miles)") == [None]


def test_net_promoter_score() -> None:
    rows = "(VALUES (10), (9), (9), (8), (7), (6), (0), (NULL)) AS t (score)"
    assert asked(net_promoter_score(), rows) == [pytest.approx(100 * (3 - 2) / 7)]


def test_a_rate_by_kind_is_out_of_all_subjects() -> None:
    """Three orders beside two kinds: one late, one late and cold; a fourth of which nothing is known."""
    rows = "(VALUES (1, 1, 1), (1, 2, 0), (2, 1, 1), (2, 2, 1), (3, 1, 0), (3, 2, 0), (4, 1, NULL), (4, 2, NULL))" \
        " AS t (subject, kind, hits)"
    assert asked(rate_by_kind("hits", "kind"), rows) == [pytest.approx(3 / 3)]
    assert asked(rate_by_kind("hits", "kind"), rows, "kind") == [pytest.approx(2 / 3), pytest.approx(1 / 3)]
