"""Detectors name the step and the segment of what is planted, say nothing where nothing is, and refuse too little."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from pack_kit import clean_products, made_of

from prodsense.errors import UsageError
from prodsense.packs import load_pack
from prodsense.warehouse import Warehouse

PACK = load_pack("photos")


def found(app: Warehouse, name: str, **given: Any) -> list[dict[str, Any]]:
    return app.detect(f"photos.{name}", **given).rows


def subjects(app: Warehouse, name: str, **given: Any) -> set[str]:
    return {row["subject"] for row in found(app, name, **given)}


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
    for seed, app in clean_products("photos", 100, days=14, scale=0.3):
        for entry in app.detect(pack="photos").extras["checked"]:
            assert entry["state"] != "refused", entry
            if entry["state"] == "fired":
                fired.append((entry["detector"], seed))
    assert fired == []


# --- by hand ------------------------------------------------------------------------------------------

Group = tuple[int, dict[str, Any]]
QUICK = {2: 500, 4: 800, 6: 900}
LOST, FINE = {"reach": 6}, {}


def of_segment(network: str, device: str, lost: int, of: int) -> list[Group]:
    like = {"network": network, "device": device}
    return [(lost, {**like, "reach": 6}), (of - lost, like)]


#: Case → groups of like uploads: how many, and of each `reach` (the last phase), `took` (phase → ms), `errors` (phase →
#: code), `tools`, `draft` (saved; true: and posted), `network`, `device`. Each case has a month of its own.
CASES: dict[str, list[Group]] = {
    "bottlenecks": [
        (6, {"network": "3G", "took": {2: 500, 4: 1000, 6: 9000}}),
        (6, {"network": "Wi-Fi", "device": "old", "took": {2: 500, 4: 8000, 6: 1000}}),
        (20, {"network": "Wi-Fi", "device": "new", "took": QUICK}),
    ],
    "quick": [(20, {"took": {2: 100, 6: 900}})],
    "sharp fall": [(n, {"reach": reach}) for n, reach in [(1, 1), (1, 2), (1, 4), (9, 5), (1, 6), (10, 7)]],
    "even fall": [(n, {"reach": reach}) for n, reach in [(25, 1), (19, 2), (14, 4), (11, 5), (8, 6), (24, 7)]],
    "errors": [(3, {"reach": 6, "errors": {6: "HTTP_500"}}), (1, {"errors": {6: "ETIMEDOUT"}}), (16, FINE)],
    "no crop": [(1, FINE), (19, {"tools": ("filter", "adjustment")})],
    "hoarded": [(8, {"draft": False, "reach": 5}), (2, {"draft": True}), (10, FINE)],
    "posted": [(3, {"draft": False, "reach": 5}), (7, {"draft": True}), (10, FINE)],
    "few saved": [(8, {"draft": False, "reach": 5}), (2, {"draft": True}), (90, FINE)],
    "crossed": [
        *of_segment("3G", "old", 9, 12), *of_segment("3G", "new", 1, 20), *of_segment("4G", "old", 1, 20),
        *of_segment("4G", "new", 1, 30),
    ],
    "one network": [
        *of_segment("3G", "old", 10, 15), *of_segment("3G", "new", 10, 15), *of_segment("4G", "old", 1, 30),
        *of_segment("4G", "new", 1, 30),
    ],
    "two uploads": [(2, {"took": QUICK})],
}  # fmt: skip


def first_day(case: str) -> date:
    return date(2024, 1 + list(CASES).index(case), 1)


def uploads(case: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Rows of a case, each with its table."""
    likes = [like for count, like in CASES[case] for _ in range(count)]
    for number, like in enumerate(likes):
        upload, reach = f"{case} {number}", like.get("reach", 7)
        at = f"{first_day(case)} {number % 24:02}:{number // 24:02}"
        for step, name in enumerate(list(PACK.events)[:reach], 1):
            row = {"upload_id": upload, "step": name, "duration_ms": None, "error_code": None}
            second = 3 * (step - 1)
            yield "upload_events", {**row, "event_type": "start", "timestamp": f"{at}:{second:02}"}
            if code := like.get("errors", {}).get(step):
                yield "upload_events", {
                    **row, "event_type": "error", "timestamp": f"{at}:{second + 1:02}", "error_code": code,
                }
            if step < reach or step == 7:
                took = like.get("took", {}).get(step)
                yield "upload_events", {
                    **row, "event_type": "end", "timestamp": f"{at}:{second + 2:02}", "duration_ms": took,
                }
        yield "uploads", {
            "upload_id": upload, "network_type": like.get("network"), "device": like.get("device"), "has_caption": True,
            "people_tags": "1", "has_location": True,
        }
        for tool in like.get("tools", ("filter", "crop", "adjustment")):
            yield "upload_edits", {"upload_id": upload, "tool": tool}
        if "draft" in like:
            posted = f"{at}:50" if like["draft"] else None
            yield "drafts", {"draft_id": upload, "upload_id": upload, "saved_at": f"{at}:30", "posted_at": posted}


@pytest.fixture(scope="module")
def cases() -> Iterator[Warehouse]:
    tables: dict[str, list[dict[str, Any]]] = {}
    for case in CASES:
        for table, row in uploads(case):
            tables.setdefault(table, []).append(row)
    with made_of("photos", tables) as app:
        yield app


def at(case: str) -> dict[str, Any]:
    """Looks at the four weeks that begin with a case."""
    return {"as_of": first_day(case) + timedelta(27)}


def test_a_bottleneck_is_named_by_segment(cases: Warehouse) -> None:
    when = at("bottlenecks")
    rows = {row["subject"]: row for row in found(cases, "upload_bottleneck_detector", **when)}
    # 6 * 9 s of 6 * 10.5 s; over all nothing takes half of 6 * 10.5 + 6 * 9.5 + 20 * 2.2 for three seconds each.
    assert set(rows) == {"network_type=3G, step=upload_transfer", "device=old, step=editing_filtering"}
    slow = rows["network_type=3G, step=upload_transfer"]
    assert slow["value"] == pytest.approx(9 / 10.5) and slow["score"] == pytest.approx(9)
    assert "slow networks" in slow["action"]
    by_device = subjects(cases, "upload_bottleneck_detector", by="device", **when)
    assert by_device == {"device=old, step=editing_filtering"}
    assert subjects(cases, "upload_bottleneck_detector", min_uploads=7, **when) == set()


def test_a_slow_step_is_named_by_segment(cases: Warehouse) -> None:
    when = at("bottlenecks")
    of_3g, of_old = "step=upload_transfer, network_type=3G", "step=editing_filtering, device=old"
    assert subjects(cases, "step_duration_friction", **when) == {of_3g, of_old}
    assert subjects(cases, "step_duration_friction", max_seconds=8.5, **when) == {of_3g}


def test_quick_steps_are_no_bottleneck(cases: Warehouse) -> None:
    """The longest of quick steps may take most of the time: nobody waits for it."""
    assert found(cases, "upload_bottleneck_detector", **at("quick")) == []
    assert found(cases, "step_duration_friction", **at("quick")) == []


def test_a_sharp_fall_is_named_by_stage(cases: Warehouse) -> None:
    (row,) = found(cases, "funnel_dropoff_friction", **at("sharp fall"))
    # 23 22 21 20 11 10: the others lose 1/23, 1/22, 1/21, 1/11.
    assert row["subject"] == "step=captioning_tagging" and row["next_stage"] == "Upload Started"
    assert row["value"] == pytest.approx(9 / 20) and row["expected"] == pytest.approx((1 / 22 + 1 / 21) / 2)
    assert found(cases, "funnel_dropoff_friction", drop=0.5, **at("sharp fall")) == []
    # Where each stage loses as much, none is sharp.
    assert found(cases, "funnel_dropoff_friction", **at("even fall")) == []


def test_a_failing_step_is_named_with_its_errors(cases: Warehouse) -> None:
    (row,) = found(cases, "step_error_friction", **at("errors"))
    assert row["subject"] == "step=upload_transfer" and row["error_category"] == "server_error"
    assert row["value"] == pytest.approx(4 / 20)
    assert found(cases, "step_error_friction", limit=0.21, **at("errors")) == []


def test_an_unused_feature_is_named(cases: Warehouse) -> None:
    (row,) = found(cases, "low_feature_adoption_friction", **at("no crop"))
    assert row["subject"] == "feature=crop" and row["value"] == pytest.approx(1 / 20)


def test_hoarded_drafts(cases: Warehouse) -> None:
    (row,) = found(cases, "draft_abandonment_detector", **at("hoarded"))
    assert row["value"] == pytest.approx(2 / 10) and "50% of uploads" in row["reason"]
    assert found(cases, "draft_abandonment_detector", **at("posted")) == []
    assert found(cases, "draft_abandonment_detector", **at("few saved")) == []


def test_bad_outcomes_go_with_a_segment(cases: Warehouse) -> None:
    (row,) = found(cases, "segment_friction_correlation", **at("crossed"))
    # Neither old devices nor 3G are bad by themselves.
    assert row["subject"] == "network_type=3G, device=old"
    assert row["value"] == pytest.approx(9 / 12) and row["expected"] == pytest.approx(3 / 70)
    when = at("one network")
    assert subjects(cases, "segment_friction_correlation", **when) == {"network_type=3G"}
    assert subjects(cases, "segment_friction_correlation", by="device", **when) == set()


def test_only_so_many_days_are_looked_at(cases: Warehouse) -> None:
    later = {"as_of": first_day("no crop") + timedelta(10)}
    assert found(cases, "step_error_friction", **later) == []
    # Errors of 4 among the 20 of their own month and the 20 of the next.
    (row,) = found(cases, "step_error_friction", days=45, limit=0.05, **later)
    assert row["value"] == pytest.approx(4 / 40)


def test_too_little_is_refused(cases: Warehouse) -> None:
    when = at("two uploads")
    for name in PACK.detectors:
        (checked,) = cases.detect(f"photos.{name}", **when).extras["checked"]
        assert checked["state"] == "refused", checked
    with pytest.raises(UsageError, match="at least"):
        found(cases, "step_error_friction", days=0)
    with made_of("photos", {"users": [{"user_id": "a"}]}) as app:
        for entry in app.detect(pack="photos").extras["checked"]:
            assert (entry["state"], entry["reason"]) == ("refused", "there are no uploads yet"), entry
