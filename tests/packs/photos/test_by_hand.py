"""Numbers of the tiny app worked out by hand, and what naive versions of them get wrong."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Any

import pytest
from pack_kit import made_of, tiny_folder

from prodsense.packs.photos.analyses import STAGES
from prodsense.warehouse import Warehouse


def value(app: Warehouse, name: str, **asked: Any) -> Any:
    (row,) = app.metric(f"photos.{name}", **asked).rows
    return row[name]


def by(app: Warehouse, name: str, dimension: str) -> dict[Any, Any]:
    return {row[dimension]: row[name] for row in app.metric(f"photos.{name}", by=dimension).rows}


def funnel(app: Warehouse, **given: Any) -> list[int]:
    return [row["count"] for row in app.analyze("photos.upload_funnel", **given).rows]


def test_success_from_initiation_and_from_the_transfer(app: Warehouse) -> None:
    # 14 uploads with events: 16 but for the tester's (u7) and u11, which only the server knows.
    # u1 u2 u5 u12 u13 u15 u16 succeed; u6 and u9 fail in or after the transfer.
    assert value(app, "upload_success_rate") == pytest.approx(7 / 14)
    assert value(app, "upload_success_rate_from_transfer") == pytest.approx(7 / 9)
    assert by(app, "upload_success_rate", "network_type") == {
        "Wi-Fi": 1.0, "3G": pytest.approx(1 / 3), "4G": pytest.approx(1 / 3), "5G": 0.5, None: pytest.approx(1 / 3),
    }


def test_times_to_seen_live(app: Warehouse) -> None:
    # u1 26.5, u2 30, u5 (no confirmation) seen in the feed after 340, u12 17, u13 86407, u15 16, u16 0.
    assert value(app, "end_to_end_upload_time") == pytest.approx(26.5)
    assert value(app, "end_to_end_upload_time_p90") == pytest.approx(340 + 0.4 * (86407 - 340))


def test_speed_is_in_bits(app: Warehouse) -> None:
    # u16 took no time, so it has no speed; u6's transfers failed.
    bits = {"u1": 2_000_000, "u2": 1_000_000, "u5": 12_000_000, "u9": 3_000_000, "u12": 4_000_000, "u13": 1_500_000,
            "u15": 800_000}  # fmt: skip
    seconds = 4 + 8 + 15 + 6 + 10 + 5 + 2
    assert value(app, "upload_speed") == pytest.approx(sum(bits.values()) * 8 / 1000 / seconds)


def test_retries(app: Warehouse) -> None:
    # Failed: u2 (retried), u6 (again by the client alone), u15 (status unknown, but another followed).
    assert value(app, "upload_retry_rate") == pytest.approx(2 / 3)
    assert value(app, "retries_per_failed_upload") == pytest.approx(3 / 3)
    assert value(app, "retry_success_rate") == pytest.approx(2 / 3)
    assert by(app, "retry_success_rate", "error_category") == {"network_timeout": 1.0, "server_error": 0.0, "other": 1.0}
    assert by(app, "upload_retry_rate", "error_category") == {
        "network_timeout": 1.0, "server_error": 0.0, "out_of_storage": 0.0, "other": 1.0,
    }


def test_errors(app: Warehouse) -> None:
    # Transfer reached by nine uploads: u2 once, u6 twice, u15 once; a row logged twice (u8) is one error.
    assert by(app, "error_rate_per_step", "step")["upload_transfer"] == pytest.approx(4 / 9)
    assert by(app, "upload_error_rate", "step")["upload_transfer"] == pytest.approx(3 / 9)
    # All but u4 reach the selection, also u16; u12 began there.
    assert by(app, "error_rate_per_step", "step")["source_selection"] == pytest.approx(1 / 13)
    rows = app.metric("photos.error_rate_per_step", by=("step", "error_category")).rows
    rates = {(row["step"], row["error_category"]): row["error_rate_per_step"] for row in rows}
    assert rates["upload_transfer", "server_error"] == pytest.approx(2 / 9)
    assert rates["upload_transfer", "permission_denied"] == 0
    assert rates["confirmation_post_upload", "other"] == pytest.approx(1 / 7)
    # Over all phases: seven errors of 14 uploads.
    assert value(app, "error_rate_per_step") == pytest.approx(7 / 14)


def test_abandonment_by_phase(app: Warehouse) -> None:
    found = by(app, "funnel_abandonment_rate", "step")
    assert found == {
        "upload_initiation": pytest.approx(1 / 14),  # u4
        "source_selection": pytest.approx(2 / 13),  # u8 u10
        "camera_experience": 0.0,
        "editing_filtering": 0.0,
        "captioning_tagging": pytest.approx(2 / 5),  # u3 u14 of u1 u3 u5 u13 u14
        "upload_transfer": pytest.approx(1 / 9),  # u6; u5 succeeded without a confirmation
        "confirmation_post_upload": pytest.approx(1 / 7),  # u9 of u1 u2 u9 u12 u13 u15 u16
    }
    assert value(app, "funnel_abandonment_rate") == pytest.approx(7 / 14)


def test_funnel(app: Warehouse) -> None:
    answer = app.analyze("photos.upload_funnel")
    assert [row["name"] for row in answer.rows] == list(STAGES)
    # Editor: u1 u3 u15 opened it, u2 u5 u6 u9 u12 u13 u14 u16 passed by; caption: all of these.
    assert [row["count"] for row in answer.rows] == [14, 13, 11, 11, 9, 7]
    assert [row["dropped"] for row in answer.rows] == [None, 1, 2, 0, 2, 2]
    assert answer.rows[-1]["of_first"] == pytest.approx(7 / 14) and answer.rows[-1]["of_step"] == pytest.approx(7 / 9)
    assert answer.extras["censored"] == 0
    stages = app.query("photos.upload_funnel_stages").rows
    assert [row["uploads"] for row in stages] == [14, 13, 11, 11, 9, 7]
    # u12 began at the selection; u5 was done without a confirmation.
    assert [row["skipped"] for row in stages] == [1, 0, 8, 6, 0, 1]


def test_funnel_of_a_segment(app: Warehouse) -> None:
    rows = app.analyze("photos.upload_funnel", by="network_type").rows
    assert [row["count"] for row in rows if row["network_type"] == "3G"] == [3, 3, 3, 3, 2, 1]  # u2 u6 u14
    assert [r["uploads"] for r in app.query("photos.upload_funnel_stages", network_type="3G").rows] == [3, 3, 3, 3, 2, 1]


def test_error_codes_and_their_categories(app: Warehouse) -> None:
    answer = app.analyze("photos.error_categorization")
    assert {row["error_code"]: (row["error_category"], row["errors"], row["uploads"]) for row in answer.rows} == {
        "HTTP_503": ("server_error", 2, 1), "NETWORK_TIMEOUT": ("network_timeout", 1, 1), "E99": ("other", 1, 1),
        "permission-denied": ("permission_denied", 1, 1), "render_bug": ("other", 1, 1),
        "OUT_OF_STORAGE": ("out_of_storage", 0, 0),
    }
    assert {row["error_category"]: row["errors"] for row in answer.extras["categories"]} == {
        "other": 3, "server_error": 2, "network_timeout": 1, "permission_denied": 1,
    }


CODES = {
    "network_timeout": ("network_timeout", "ETIMEDOUT", "Request timed out", "ECONNRESET", "connection-lost", "offline"),
    "server_error": ("server_error", "500", "HTTP_502", "http 503", "INTERNAL_ERROR", "service_unavailable"),
    "media_format_unsupported": ("media_format_unsupported", "UNSUPPORTED_CODEC", "HTTP 415", "bad-format"),
    "out_of_storage": ("out_of_storage", "ENOSPC", "No space left", "disk_full", "QUOTA_EXCEEDED"),
    "permission_denied": ("permission_denied", "403", "Unauthorized", "EACCES", "storage_permission_denied"),
    "other": ("E17", "1503x", "unknown"),
}


def test_codes_are_read_by_their_words() -> None:
    rows = [
        {"upload_id": f"u{i}", "step": "upload_transfer", "event_type": "error", "timestamp": "2024-03-01 10:00:00",
         "error_code": code}
        for i, code in enumerate(c for codes in CODES.values() for c in codes)
    ]
    own = [{"error_code": "E17", "error_category": "server_error"}]
    with made_of("photos", {"upload_events": rows, "error_codes": own}) as app:
        found = {row["error_code"]: row["error_category"] for row in app.show("photos.error_categories", limit=None).rows}
    assert found == {code: name for name, codes in CODES.items() for code in codes} | {"E17": "server_error"}


def test_sessions_of_the_app(app: Warehouse) -> None:
    # s1 (two records), s2 and s3 of u2, two without a name, s8: six; the feed's and the tester's are none of upload.
    assert value(app, "anr_rate") == pytest.approx(2 / 6)
    assert value(app, "upload_crash_rate") == pytest.approx(1 / 6)
    assert value(app, "frame_drop_rate") == pytest.approx((15 + 40 + 1 + 2) / (1500 + 400 + 200))


def test_drafts(app: Warehouse) -> None:
    # Two drafts of u13 are one upload saved; u14; one of no upload. 15 uploads.
    assert value(app, "draft_save_rate") == pytest.approx(3 / 15)
    # d1 and d6 are posted, d2 and d3 are not.
    assert value(app, "draft_to_post_conversion_rate") == pytest.approx(2 / 4)


def test_what_is_used(app: Warehouse) -> None:
    assert value(app, "filter_adoption_rate") == pytest.approx(2 / 15)
    assert value(app, "adjustment_adoption_rate") == pytest.approx(2 / 15)
    assert value(app, "caption_usage_rate") == pytest.approx(7 / 14)  # u10 is not described
    assert value(app, "people_tag_usage_rate") == pytest.approx(4 / 14)  # u1 u6 u11 u13
    # u1 3 and u2 1 and u12 7; u5 only typed; u3 and u4 did not succeed.
    assert value(app, "taps_per_completed_upload") == pytest.approx((3 + 1 + 0 + 7) / 4)


def test_the_feed(app: Warehouse) -> None:
    # Completed: u1 u2 u5 u9 u11 u12 u13 u15 u16. u2 after exactly ten seconds, u12 a microsecond later, u9 never.
    assert value(app, "feed_display_immediacy_rate") == pytest.approx(6 / 9)
    assert value(app, "feed_display_correctness_rate") == pytest.approx(6 / 9)


def test_the_limit_of_the_feed_is_a_setting(own_app: Warehouse) -> None:
    import pyarrow as pa

    own_app.ingest(pa.table({"setting": ["visible_within_seconds"], "value": [400.0]}), table="photos.settings")
    own_app.build("photos")
    assert value(own_app, "feed_display_immediacy_rate") == pytest.approx(8 / 9)


def test_monitoring_adds_up(app: Warehouse) -> None:
    rows = app.show("photos.upload_experience", limit=None).rows
    assert sum(row["uploads"] for row in rows) == 14 and sum(row["succeeded"] for row in rows) == 7
    assert sum(row["errors"] for row in rows) == 7 and sum(row["answers"] for row in rows) == 3
    assert sum(row["upload_tickets"] for row in rows) == 2 and sum(row["compression_tickets"] for row in rows) == 1
    bob = [row for row in rows if row["network_type"] == "3G" and str(row["day"]) == "2024-03-01"]
    assert [(row["uploads"], row["mean_seconds"], row["mean_ease"]) for row in bob] == [(1, 30.0, 2.0)]


# --- what may lack ------------------------------------------------------------------------------------

NEEDED = {
    "upload_events": "upload_id user_id step event_type timestamp status duration_ms error_code",
    "uploads": "upload_id file_size_bytes network_type region device has_caption people_tags has_location completed_at"
               " first_visible_at display_ok",
    "upload_attempts": "upload_id attempt_number status",
    "upload_edits": "upload_id tool",
    "app_performance": "flow dropped_frames total_frames anr crashed",
    "drafts": "draft_id saved_at posted_at",
    "ui_interactions": "upload_id interaction_type",
    "upload_subtasks": "subtask status",
    "survey_responses": "question score",
    "app_reviews": "text topic",
    "support_tickets": "category",
}  # fmt: skip


@pytest.fixture(scope="module")
def bare() -> Iterator[Warehouse]:
    """The tiny app of a team that has only what the metrics are said to need."""
    tables = {}
    for name, columns in NEEDED.items():
        rows = list(csv.DictReader((tiny_folder("photos") / f"{name}.csv").open()))
        kept = [{c: row[c] or None for c in columns.split()} for row in rows]
        tables[name] = [row for row in kept if any(row.values())]
    with made_of("photos", tables) as app:
        yield app


def test_only_what_is_needed(bare: Warehouse) -> None:
    """Nobody is known to be a tester, records of the app name no session, texts no upload."""
    assert value(bare, "upload_success_rate") == pytest.approx(8 / 15)
    assert value(bare, "upload_retry_rate") == pytest.approx(4 / 4)
    assert by(bare, "retry_success_rate", "error_category") == {"network_timeout": 1.0, "server_error": 0.0, "other": 1.0}
    assert value(bare, "frame_drop_rate") == pytest.approx((10 + 5 + 40 + 1 + 2 + 50 + 50) / (1500 + 400 + 200 + 200))
    assert value(bare, "anr_rate") == pytest.approx(4 / 9)
    assert value(bare, "draft_save_rate") == pytest.approx(6 / 16)
    assert value(bare, "draft_to_post_conversion_rate") == pytest.approx(3 / 6)
    assert value(bare, "upload_problem_ticket_rate") == pytest.approx(4 / 16)
    assert value(bare, "compression_artifact_complaint_rate") == pytest.approx(1 / 16)
    assert value(bare, "upload_problem_review_rate") == pytest.approx(3 / 5)
    assert value(bare, "subtask_success_rate") == pytest.approx(4 / 7)
    assert value(bare, "upload_ease_score") == pytest.approx((5 + 2 + 1 + 4 + 1) / 5)
    # The tool of an edit is that of the upload where it used just one: u3's filter, u15's brightness.
    assert by(bare, "edit_apply_time", "edit_tool") == {
        "filter": pytest.approx(2.5), "brightness": pytest.approx(3.1), None: pytest.approx((0.9 + 0.3) / 2),
    }


def test_what_nobody_says_is_null() -> None:
    rows = [{"upload_id": "a", "step": "upload_initiation", "event_type": "start", "timestamp": "2024-03-01 10:00:00"}]
    with made_of("photos", {"upload_events": rows, "uploads": [{"upload_id": "a"}]}) as app:
        for name in (
            "caption_usage_rate", "people_tag_usage_rate", "filter_adoption_rate", "draft_save_rate",
            "upload_problem_ticket_rate", "feed_display_immediacy_rate", "upload_ease_score", "upload_retry_rate",
            "upload_success_rate_from_transfer", "anr_rate", "upload_speed",
        ):
            assert value(app, name) is None, name
        assert value(app, "upload_success_rate") == 0.0
    with made_of("photos", {"upload_events": rows, "app_performance": [{"flow": "upload", "crashed": False}]}) as app:
        assert value(app, "anr_rate") is None and value(app, "upload_crash_rate") == 0.0


def test_a_second_try_adds_no_attempt() -> None:
    """Automatic or by hand, with its own start of the transfer each: one upload id is one attempt."""
    at = "2024-03-01 10:00:0"
    rows = [
        {"upload_id": "a", "step": "upload_initiation", "event_type": "start", "timestamp": f"{at}0", "status": None},
        *(
            {"upload_id": "a", "step": "upload_transfer", "event_type": kind, "timestamp": f"{at}{i}", "status": status}
            for i, (kind, status) in enumerate(
                [("start", None), ("error", "failed"), ("start", None), ("error", "failed"), ("start", None), ("end", "success")], 1
            )
        ),
    ]
    with made_of("photos", {"upload_events": rows}) as app:
        assert value(app, "uploads_started") == 1
        assert value(app, "upload_success_rate") == 1.0 and value(app, "upload_success_rate_from_transfer") == 1.0
        assert funnel(app) == [1, 1, 1, 1, 1, 1]


def test_camera_is_a_way_to_select_and_confirmation_is_success() -> None:
    rows = [
        {"upload_id": u, "step": step, "event_type": "start", "timestamp": f"2024-03-01 10:00:0{i}"}
        for u, steps in {
            "gallery": ("upload_initiation", "source_selection", "upload_transfer", "confirmation_post_upload"),
            "camera": ("upload_initiation", "source_selection", "camera_experience"),
        }.items()
        for i, step in enumerate(steps)
    ]
    with made_of("photos", {"upload_events": rows}) as app:
        assert funnel(app) == [2, 2, 1, 1, 1, 1]
        assert by(app, "funnel_abandonment_rate", "step") == {
            "upload_initiation": 0.0, "source_selection": 0.0, "camera_experience": 1.0, "upload_transfer": 0.0,
            "confirmation_post_upload": 0.0,
        }
