"""Detectors name the step and the segment of what is planted, say nothing where nothing is, and refuse too little."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from prodsense.errors import UsageError
from prodsense.packs import load_pack
from prodsense.warehouse import Warehouse

from .conftest import made

PACK = load_pack("photos")


def found(app: Warehouse, name: str, **given: Any) -> list[dict[str, Any]]:
    return app.detect(f"photos.{name}", **given).rows


def subjects(app: Warehouse, name: str, **given: Any) -> set[str]:
    return {row["subject"] for row in found(app, name, **given)}


def state(app: Warehouse, name: str) -> tuple[str, str]:
    (checked,) = app.detect(f"photos.{name}").extras["checked"]
    return checked["state"], checked["reason"]


# --- what the simulator plants ------------------------------------------------------------------------


@pytest.mark.slow
def test_what_is_planted_is_found(planted: tuple[Warehouse, dict[str, Any]]) -> None:
    app, truth = planted
    slow, edits, fragile = truth["slow_network"], truth["slow_edits"], truth["fragile_segment"]
    segment = f"network_type={fragile['network_type']}, device={fragile['device']}"
    by_network, by_device = f"network_type={slow['network_type']}", f"device={edits['device']}"
    assert {f"{by_network}, step={slow['step']}", f"{by_device}, step={edits['step']}"} <= subjects(
        app, "upload_bottleneck_detector"
    )
    assert subjects(app, "step_duration_friction") == {
        f"step={slow['step']}, {by_network}", f"step={edits['step']}, {by_device}",
    }
    (drop,) = found(app, "funnel_dropoff_friction")
    assert drop["step"] == truth["caption_wall"]["step"] and drop["stage"] == "Caption Screen"
    (errors,) = found(app, "step_error_friction")
    assert errors["step"] == truth["permission_errors"]["step"]
    assert errors["error_category"] == truth["permission_errors"]["error_category"]
    (unused,) = found(app, "low_feature_adoption_friction")
    assert unused["feature"] == truth["hidden_crop"]["feature"]
    (drafts,) = found(app, "draft_abandonment_detector")
    assert drafts["value"] < 0.3
    (suffers,) = found(app, "segment_friction_correlation")
    assert suffers["subject"] == segment and suffers["q_value"] < 0.01


@pytest.mark.slow
def test_clean_apps_are_silent() -> None:
    fired = []
    for seed in range(20):
        with made(PACK.simulate(days=14, scale=0.3, seed=100 + seed, clean=True).tables) as app:
            for entry in app.detect(pack="photos").extras["checked"]:
                assert entry["state"] != "refused", entry
                if entry["state"] == "fired":
                    fired.append((entry["detector"], seed))
    assert fired == []


# --- by hand ------------------------------------------------------------------------------------------


def uploads(*groups: tuple[int, dict[str, Any]]) -> dict[str, Any]:
    """Tables of groups of like uploads, by hour: `reach` phases, `ok`, `took` (phase → ms), `errors` (phase → code)."""
    events, described, edits, drafts = [], [], [], []
    number = 0
    for count, like in groups:
        for _ in range(count):
            upload, at = f"u{number}", f"2024-03-01 {number % 24:02}:{number // 24:02}"
            number += 1
            second = 0
            for step, name in enumerate(PACK.events, 1):
                if step > like.get("reach", 7):
                    break
                row = {"upload_id": upload, "step": name, "status": None, "duration_ms": None, "error_code": None}
                events.append({**row, "event_type": "start", "timestamp": f"{at}:{second:02}"})
                if step in like.get("errors", {}):
                    events.append({**row, "event_type": "error", "timestamp": f"{at}:{second + 1:02}",
                                   "error_code": like["errors"][step]})
                if step < like.get("reach", 7) or step == 7:
                    events.append({**row, "event_type": "end", "timestamp": f"{at}:{second + 2:02}",
                                   "duration_ms": like.get("took", {}).get(step)})
                second += 3
            described.append({"upload_id": upload, "network_type": like.get("network"), "device": like.get("device"),
                              "has_caption": like.get("caption", True), "people_tags": "1", "has_location": True})
            edits += [{"upload_id": upload, "tool": tool} for tool in like.get("tools", ("filter", "crop", "adjustment"))]
            if "draft" in like:
                drafts.append({"draft_id": f"d{number}", "upload_id": upload, "saved_at": f"{at}:30",
                               "posted_at": f"{at}:50" if like["draft"] else None})
    return {"upload_events": events, "uploads": described, "upload_edits": edits, **({"drafts": drafts} if drafts else {})}


QUICK = {2: 500, 4: 800, 6: 900}


def test_a_bottleneck_is_named_by_segment() -> None:
    slow_network = {"network": "3G", "took": {2: 500, 4: 1000, 6: 9000}}
    slow_filters = {"network": "Wi-Fi", "device": "old", "took": {2: 500, 4: 8000, 6: 1000}}
    fine = {"network": "Wi-Fi", "device": "new", "took": QUICK}
    with made(uploads((6, slow_network), (6, slow_filters), (20, fine))) as app:
        rows = {row["subject"]: row for row in found(app, "upload_bottleneck_detector")}
        # 6 * 9 s of 6 * 10.5 s; over all nothing takes half of 6 * 10.5 + 6 * 9.5 + 20 * 2.2 for three seconds each.
        assert set(rows) == {"network_type=3G, step=upload_transfer", "device=old, step=editing_filtering"}
        slow = rows["network_type=3G, step=upload_transfer"]
        assert slow["value"] == pytest.approx(9 / 10.5) and slow["score"] == pytest.approx(9)
        assert "slow networks" in slow["action"]
        assert subjects(app, "upload_bottleneck_detector", by="device") == {"device=old, step=editing_filtering"}
        assert subjects(app, "upload_bottleneck_detector", min_uploads=7) == set()
        assert subjects(app, "step_duration_friction") == {
            "step=upload_transfer, network_type=3G", "step=editing_filtering, device=old",
        }
        assert subjects(app, "step_duration_friction", max_seconds=8.5) == {"step=upload_transfer, network_type=3G"}


def test_quick_steps_are_no_bottleneck() -> None:
    """The longest of quick steps may take most of the time: nobody waits for it."""
    with made(uploads((20, {"took": {2: 100, 6: 900}}))) as app:
        assert found(app, "upload_bottleneck_detector") == [] and found(app, "step_duration_friction") == []


def test_a_sharp_fall_is_named_by_stage() -> None:
    lost_at = [(1, 1), (1, 2), (1, 4), (9, 5), (1, 6), (10, 7)]
    with made(uploads(*((count, {"reach": reach}) for count, reach in lost_at))) as app:
        (row,) = found(app, "funnel_dropoff_friction")
        # 23 22 21 20 11 10: the others lose 1/23, 1/22, 1/21, 1/11.
        assert row["subject"] == "step=captioning_tagging" and row["next_stage"] == "Upload Started"
        assert row["value"] == pytest.approx(9 / 20) and row["expected"] == pytest.approx((1 / 22 + 1 / 21) / 2)
        assert found(app, "funnel_dropoff_friction", drop=0.5) == []
    # Where each stage loses as much, none is sharp.
    with made(uploads(*((count, {"reach": reach}) for count, reach in [(25, 1), (19, 2), (14, 4), (11, 5), (8, 6), (24, 7)]))) as app:
        assert found(app, "funnel_dropoff_friction") == []


def test_a_failing_step_is_named_with_its_errors() -> None:
    broken = {"reach": 6, "errors": {6: "HTTP_500"}}
    with made(uploads((3, broken), (1, {"errors": {6: "ETIMEDOUT"}}), (16, {}))) as app:
        (row,) = found(app, "step_error_friction")
        assert row["subject"] == "step=upload_transfer" and row["error_category"] == "server_error"
        assert row["value"] == pytest.approx(4 / 20)
        assert found(app, "step_error_friction", limit=0.21) == []


def test_an_unused_feature_is_named() -> None:
    with made(uploads((1, {}), (19, {"tools": ("filter", "adjustment"), "caption": True}))) as app:
        (row,) = found(app, "low_feature_adoption_friction")
        assert row["subject"] == "feature=crop" and row["value"] == pytest.approx(1 / 20)


def test_hoarded_drafts() -> None:
    hoarded = uploads((8, {"draft": False, "reach": 5}), (2, {"draft": True}), (10, {}))
    with made(hoarded) as app:
        (row,) = found(app, "draft_abandonment_detector")
        assert row["value"] == pytest.approx(2 / 10) and "50% of uploads" in row["reason"]
    with made(uploads((3, {"draft": False, "reach": 5}), (7, {"draft": True}), (10, {}))) as app:
        assert found(app, "draft_abandonment_detector") == []  # most are posted
    with made(uploads((8, {"draft": False, "reach": 5}), (2, {"draft": True}), (90, {}))) as app:
        assert found(app, "draft_abandonment_detector") == []  # few are saved


def test_bad_outcomes_go_with_a_segment() -> None:
    def group(network: str, device: str, lost: int, of: int) -> Iterable[tuple[int, dict[str, Any]]]:
        like = {"network": network, "device": device}
        return ((lost, {**like, "reach": 6}), (of - lost, like))

    crossed = [*group("3G", "old", 9, 12), *group("3G", "new", 1, 20), *group("4G", "old", 1, 20), *group("4G", "new", 1, 30)]
    with made(uploads(*crossed)) as app:
        (row,) = found(app, "segment_friction_correlation")
        # Neither old devices nor 3G are bad by themselves.
        assert row["subject"] == "network_type=3G, device=old"
        assert row["value"] == pytest.approx(9 / 12) and row["expected"] == pytest.approx(3 / 70)
    single = [*group("3G", "old", 10, 15), *group("3G", "new", 10, 15), *group("4G", "old", 1, 30), *group("4G", "new", 1, 30)]
    with made(uploads(*single)) as app:
        assert subjects(app, "segment_friction_correlation") == {"network_type=3G"}
        assert subjects(app, "segment_friction_correlation", by="device") == set()


def test_too_little_is_refused() -> None:
    with made(uploads((2, {"took": QUICK}))) as app:
        for name in PACK.detectors:
            assert state(app, name)[0] == "refused", name
        with pytest.raises(UsageError, match="at least"):
            found(app, "step_error_friction", days=0)
    with made({"users": [{"user_id": "a"}]}) as app:
        for name in PACK.detectors:
            assert state(app, name) == ("refused", "there are no uploads yet"), name


def test_what_is_old_is_not_looked_at() -> None:
    tables = uploads((3, {"reach": 6, "errors": {6: "HTTP_500"}}), (17, {}))
    later = [{**row, "upload_id": f"v{row['upload_id']}", "timestamp": row["timestamp"].replace("2024-03", "2024-05")}
             for row in uploads((20, {}))["upload_events"]]
    with made({**tables, "upload_events": tables["upload_events"] + later}) as app:
        assert found(app, "step_error_friction") == []
        assert len(found(app, "step_error_friction", as_of="2024-03-20")) == 1
        assert found(app, "step_error_friction", days=90) == []  # 3 of 40
