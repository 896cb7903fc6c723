"""The made-up app keeps its contract, is the same for the same seed, and holds what it says it plants."""

from __future__ import annotations

from typing import Any

import pyarrow.compute as pc
import pytest

from prodsense.packs import load_pack
from prodsense.packs.photos.simulate_flows import Effects
from prodsense.warehouse import Warehouse

PACK = load_pack("photos")


def simulate(**options: Any) -> Any:
    return PACK.simulate(**{"days": 20, "scale": 0.2, "seed": 3, **options})


def test_truth_tells_each_effect() -> None:
    assert simulate(clean=True, effects={"hidden_crop": 0.5}).truth["hidden_crop"]["effect"] == 0.5
    assert set(simulate().truth) == set(vars(Effects()))


def test_each_effect_alone_moves_what_it_names() -> None:
    """The same seed with one effect, against none: the draws are the same, so only the effect differs."""
    clean = simulate(clean=True).tables
    planted = {name: simulate(clean=True, effects={name: size}).tables for name, size in vars(Effects()).items()}
    slow = planted["slow_network"]["upload_events"].filter(pc.field("step") == "upload_transfer")["duration_ms"]
    assert pc.max(slow).as_py() > 5 * pc.max(clean["upload_events"].filter(pc.field("step") == "upload_transfer")["duration_ms"]).as_py()
    crops = [t["upload_edits"].filter(pc.field("tool") == "crop").num_rows for t in (clean, planted["hidden_crop"])]
    assert crops[1] < 0.2 * crops[0]
    denied = [t["upload_events"].filter(pc.field("step") == "source_selection").filter(pc.field("event_type") == "error").num_rows
              for t in (clean, planted["permission_errors"])]  # fmt: skip
    assert denied[1] > 5 * denied[0]
    left = [t["upload_events"].filter(pc.field("step") == "captioning_tagging").filter(pc.field("event_type") == "exit").num_rows
            for t in (clean, planted["caption_wall"])]  # fmt: skip
    assert left[1] > 1.5 * left[0]
    assert planted["draft_hoarding"]["drafts"].num_rows > 1.5 * clean["drafts"].num_rows
    assert planted["fragile_segment"]["upload_attempts"].num_rows > clean["upload_attempts"].num_rows


def test_times_of_an_upload_go_forward() -> None:
    events = simulate().tables["upload_events"]
    last: dict[str, Any] = {}
    phases = list(PACK.events)
    for row in events.select(["upload_id", "step", "timestamp"]).to_pylist():
        place = (row["timestamp"], phases.index(row["step"]))
        assert last.get(row["upload_id"], place)[1] <= place[1]
        last[row["upload_id"]] = place


@pytest.mark.slow
def test_an_explanation_splits_before_and_after_the_transfer(planted: tuple[Warehouse, dict[str, Any]]) -> None:
    app, _ = planted
    found = app.explain("photos.upload_success_rate", "2024-01-01..2024-01-14", "2024-01-15..2024-01-28")
    assert "transfer_reach_rate" in str(found) and "upload_success_rate_from_transfer" in str(found)
