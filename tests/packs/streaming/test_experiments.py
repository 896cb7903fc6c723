"""The experiments find what the simulator plants, and hold where nothing is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pack_kit import simulated_file

import prodsense.warehouse
from prodsense.packs import load_pack
from prodsense.warehouse import Warehouse

from .little import at, load, made_of, session

PACK = load_pack("streaming")


def primary(warehouse: Warehouse, name: str) -> dict[str, Any]:
    readout = warehouse.experiment(f"streaming.{name}")
    return next(row for row in readout.rows if row["role"] == "primary")


@pytest.mark.slow
def test_planted_effects_are_found(planted: tuple[Warehouse, dict[str, Any]]) -> None:
    warehouse, truth = planted
    for name in PACK.experiments:
        row, effect = primary(warehouse, name), truth[name]["effect"]
        assert row["verdict"] == "better", (name, row)
        if name == "search_results_presentation_test":
            assert row["ci_low"] <= effect <= row["ci_high"]
        else:  # relative, of views; others move with it
            assert row["relative"] == pytest.approx(effect, abs=0.25)


@pytest.mark.slow
def test_nothing_is_found_where_nothing_is(tmp_path: Path) -> None:
    simulated_file("streaming", tmp_path / "clean.duckdb", days=28, scale=0.4, seed=31, clean=True)
    with prodsense.warehouse.open(tmp_path / "clean.duckdb") as warehouse:
        verdicts = [primary(warehouse, name)["verdict"] for name in PACK.experiments]
    assert verdicts.count("no difference shown") >= 2 and "worse" not in verdicts


@pytest.mark.slow
def test_a_log_without_names_counts_and_internal_users_do_not() -> None:
    users = [{"user_key": n, "user_id": f"u{n}", "is_internal": n == 7} for n in range(1, 8)]
    arms = [{"user_id": f"u{n}", "arm": "Control" if n % 2 else "new", "assigned_at": at("01 00:00")} for n in range(1, 8)]
    titles = [{"content_key": 1, "content_type": "movie", "length_seconds": 600}]
    views = [session(n, n, 1, at("02 10:00"), 600) for n in range(1, 8)]
    tables = {"dim_users": users, "dim_content": titles, "experiment_assignments": arms, "fact_viewing_sessions": views}
    with made_of(tables, "session_facts", "viewers") as warehouse:
        finds = {1: 0, 3: 1, 5: 2, 2: 1, 4: 2, 6: 3, 7: 4}
        searches = [
            {"search_id": f"{n}{k}", "user_id": f"u{n}", "query": "x", "searched_at": at("02 09:00"),
             "clicked_content_id": "1" if k < finds[n] else None}
            for n in range(1, 8) for k in range(4)
        ]  # fmt: skip
        load(warehouse, {"search_events": searches}, "session_facts")
        row = primary(warehouse, "search_results_presentation_test")
        # Of 12 searches each, users 1, 3 and 5 found in 3, users 2, 4 and 6 in 6.
        assert (row["control_mean"], row["treatment_mean"], row["effect"]) == (0.25, 0.5, 0.25)
        assert warehouse.metric("streaming.search_success_rate").rows == [{"search_success_rate": pytest.approx(9 / 24)}]
