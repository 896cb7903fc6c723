"""What the photos pack measures, and what it can be sliced by.

One attempt is one upload id, however often it is retried or resumed. Unless a definition says otherwise uploads are
dated by when they began and internal users are left out; shares are 0 to 1; what an upload does not say of itself (a
caption, a place in the feed) counts as no, unless no upload says it.
"""

from __future__ import annotations

from functools import partial

from prodsense.contracts.vocabulary import Dimension, Metric, MetricTree

_SEGMENTS = ("file_size_band", "network_type", "region", "device", "device_age")

_of_uploads = partial(Metric, source="upload_log", by=_SEGMENTS)
_attempt = partial(Metric, source="upload_log", where="is_logged", by=_SEGMENTS)
_usage = partial(Metric, unit="share", better="up", source="upload_log", by=_SEGMENTS)
_session = partial(Metric, unit="share", better="down", source="upload_sessions", by=_SEGMENTS)
_by_step = partial(Metric, unit="share", better="down", by=("step", *_SEGMENTS))
_failure = partial(Metric, source="failed_attempts", by=("error_category", *_SEGMENTS))
_part = partial(Metric, hidden=True, source="step_timings", by=("step", *_SEGMENTS))
_voice = partial(Metric, unit="share", better="down", source="support_log", by=_SEGMENTS)

_QUANTILES = (("median", 0.5, "Median"), ("p90", 0.9, "90th percentile"), ("p99", 0.99, "99th percentile"))
_TIMINGS = (
    ("gallery_load_time", "source_selection", "loading the gallery", ()),
    ("camera_load_time", "camera_experience", "loading the camera", ()),
    ("edit_apply_time", "editing_filtering", "applying a filter or another edit on the device", ("edit_tool",)),
    ("data_transfer_time", "upload_transfer", "the data transmission itself", ()),
)
_STOPS = "ratio(COUNT(DISTINCT CASE WHEN {0} THEN upload_id END), COUNT(DISTINCT upload_id))"


def _of_upload(name: str, says: str, label: str, *own: str) -> Dimension:
    return Dimension(name, says, {**dict.fromkeys(own, name), "upload_facts": name}, label)


DIMENSIONS = (
    _of_upload(
        "file_size_band", "Size of the file: under 1 MB, 1-3 MB, 3-10 MB, over 10 MB (of a million bytes).", "File size"
    ),
    _of_upload("network_type", "Network: Wi-Fi, 3G, 4G, 5G.", "Network", "upload_sessions"),
    _of_upload("region", "Region.", "Region", "upload_sessions"),
    _of_upload("device", "Device model.", "Device", "upload_sessions", "store_reviews"),
    _of_upload("device_age", "Age of the device: under 2, 2-4, over 4 years since it came out.", "Device age"),
    Dimension(
        "step", "Phase of the upload, by its name.",
        dict.fromkeys(("upload_steps", "step_errors", "step_timings"), "step"), "Phase",
    ),
    Dimension(
        "error_category",
        "What went wrong: network_timeout, server_error, media_format_unsupported, out_of_storage, permission_denied or"
        " other. Of a retry, why the attempt before had failed.",
        dict.fromkeys(("step_errors", "failed_attempts", "retries"), "error_category"), "Error",
    ),
    Dimension("edit_tool", "Tool of an edit.", {"step_timings": "edit_tool"}, "Tool"),
    Dimension("subtask", "Small job inside of an upload.", {"subtask_log": "subtask"}, "Sub-task"),
)

METRICS = (
    # Do uploads get through?
    _attempt(
        "upload_success_rate",
        "Uploads completed successfully over uploads initiated; retries add no attempt. From the start of the transfer:"
        " upload_success_rate_from_transfer.",
        "share", "up", "share(is_success)",
    ),
    Metric(
        "upload_success_rate_from_transfer",
        "Uploads completed successfully over uploads whose transfer was begun; retries add no attempt.",
        "share", "up", "share(is_success)", source="upload_log", where="is_logged AND is_transferred", by=_SEGMENTS,
    ),
    _attempt("uploads_started", "Uploads initiated.", "count", "up", "COUNT(*)"),
    _attempt(
        "transfer_reach_rate", "Uploads whose transfer was begun over uploads initiated.", "share", "up",
        "share(is_transferred)",
    ),
    *(
        _attempt(
            name, says, "count", "none", f"COUNT(CASE WHEN {test} THEN 1 END)", hidden=True,
        )
        for name, says, test in (
            ("transfers_begun", "Uploads whose transfer was begun.", "is_transferred"),
            ("transfers_lost", "Of them, those that did not succeed.", "is_transferred AND NOT is_success"),
        )
    ),
    _attempt(
        "uploads_lost", "Uploads that did not succeed.", "count", "down", "COUNT(CASE WHEN NOT is_success THEN 1 END)",
        hidden=True,
    ),
    _of_uploads("uploads_known", "Uploads of which anything is known.", "count", "none", "COUNT(*)", hidden=True),
    Metric(
        "uploads_in_step", "Uploads that reached a phase.", "count", "none", "COUNT(DISTINCT upload_id)",
        source="step_errors", by=("step", *_SEGMENTS), hidden=True,
    ),
    _by_step(
        "funnel_abandonment_rate",
        "Of uploads that reached a phase, the share that went no further and did not succeed; over all phases, of all"
        " uploads. A phase that may be skipped is reached by those who entered it.",
        source="upload_steps", sql=_STOPS.format("is_stop"),
    ),
    # How long do they take?
    _of_uploads(
        "end_to_end_upload_time", "Median seconds from initiation to the post seen live, of successful uploads.",
        "seconds", "down", "quantile(end_to_end_seconds, 0.5)",
    ),
    *(
        _of_uploads(
            f"end_to_end_upload_time_{name}", f"{what} of seconds from initiation to the post seen live.",
            "seconds", "down", f"quantile(end_to_end_seconds, {q})",
        )
        for name, q, what in _QUANTILES[1:]
    ),
    *(
        Metric(
            f"{metric}_{name}" if name else metric, f"{what} of seconds for {doing}; what failed is left out.",
            "seconds", "down", sql, source="step_timings", where=f"step = '{step}'", by=(*own, *_SEGMENTS),
        )
        for metric, step, doing, own in _TIMINGS
        for name, sql, what in (
            ("", "mean(seconds)", "Mean"), *((name, f"quantile(seconds, {q})", what) for name, q, what in _QUANTILES),
        )
    ),
    *(
        Metric(
            f"step_time_{name}" if name else "step_time",
            f"{what} of seconds of what takes time in a phase: loading gallery or camera, an edit, the transfer.",
            "seconds", "down", sql, source="step_timings", by=("step", *_SEGMENTS),
        )
        for name, sql, what in (("", "mean(seconds)", "Mean"), ("median", "quantile(seconds, 0.5)", "Median"))
    ),
    _of_uploads(
        "upload_speed", "Bits sent over the time of their transfer, of uploads whose size and time are known.",
        "kbps", "up", "ratio(SUM(kilobits), SUM(transfer_seconds))",
    ),
    _part("measured_seconds", "Seconds of what takes time in uploads.", "seconds", "none", "SUM(seconds)"),
    _part("measured_uploads", "Uploads with any of it.", "count", "none", "COUNT(DISTINCT upload_id)"),
    # What breaks?
    _session(
        "frame_drop_rate", "Dropped frames over frames during upload.",
        sql="ratio(SUM(dropped_frames), SUM(total_frames))",
    ),
    _session(
        "anr_rate", "Upload sessions in which the app did not respond over upload sessions.", sql="share(has_anr)"
    ),
    _session(
        "upload_crash_rate", "Upload sessions in which the app crashed over upload sessions.", sql="share(has_crash)"
    ),
    Metric(
        "error_rate_per_step",
        "Errors in a phase over uploads that reached it; over all phases, errors over uploads. One upload may have"
        " several: the share of uploads with any is upload_error_rate.",
        "share", "down", "ratio(SUM(errors), COUNT(DISTINCT upload_id))", source="step_errors",
        by=("step", "error_category", *_SEGMENTS),
    ),
    Metric(
        "upload_error_rate",
        "Uploads with an error in a phase over uploads that reached it; over all phases, of uploads.",
        "share", "down", _STOPS.format("errors > 0"), source="step_errors", by=("step", "error_category", *_SEGMENTS),
    ),
    _failure(
        "upload_retry_rate",
        "Failed uploads that the user tried again over uploads with a failed attempt. In a category, of those that"
        " failed so. How often: retries_per_failed_upload.",
        "share", "none", _STOPS.format("is_retried_by_user"),
    ),
    _failure(
        "retries_per_failed_upload", "Retries, by the user or by the client, over uploads with a failed attempt.",
        "count", "none", "ratio(COUNT(CASE WHEN is_followed THEN 1 END), COUNT(DISTINCT upload_id))",
    ),
    Metric(
        "retry_success_rate", "Retries that succeeded over retries. In a category, after a failure of it.",
        "share", "up", "share(is_ok)", source="retries", by=("error_category", *_SEGMENTS),
    ),
    # What do people use?
    _usage("filter_adoption_rate", "Uploads with a filter over uploads.", sql="share(uses_filter)"),
    _usage("crop_adoption_rate", "Uploads that were cropped over uploads.", sql="share(uses_crop)"),
    _usage(
        "adjustment_adoption_rate", "Uploads with an adjustment (brightness, contrast and the like) over uploads.",
        sql="share(uses_adjustment)",
    ),
    _usage("caption_usage_rate", "Uploads with a caption over uploads.", sql="share(has_caption)"),
    _usage("people_tag_usage_rate", "Uploads with people tagged over uploads.", sql="share(has_people_tags)"),
    _usage("location_tag_usage_rate", "Uploads with a location tag over uploads.", sql="share(has_location)"),
    Metric(
        "draft_save_rate", "Uploads saved as a draft over uploads; null where no draft was ever saved.",
        "share", "none", "ratio(COUNT(DISTINCT draft), COUNT(DISTINCT upload_id))", source="draft_saves", by=_SEGMENTS,
    ),
    Metric("drafts_saved", "Drafts saved.", "count", "none", "COUNT(*)", source="draft_log", by=_SEGMENTS, hidden=True),
    Metric(
        "draft_to_post_conversion_rate", "Drafts posted later over drafts saved, by when they were saved.",
        "share", "up", "share(is_posted)", source="draft_log", by=_SEGMENTS,
    ),
    # How hard is it, and what do people say?
    _of_uploads(
        "taps_per_completed_upload", "Taps and clicks over successful uploads of which interactions are known.",
        "count", "down", "mean(taps)", where="is_success",
    ),
    Metric(
        "subtask_success_rate", "Sub-tasks done over sub-tasks begun, such as tagging a user.",
        "share", "up", "share(is_ok)", source="subtask_log", by=("subtask", *_SEGMENTS),
    ),
    Metric(
        "upload_ease_score", "Mean answer to how easy the upload was.", "score", "up", "mean(score)",
        source="ease_answers", by=_SEGMENTS,
    ),
    Metric(
        "upload_problem_review_rate", "App store reviews that mention upload problems over reviews.",
        "share", "down", "share(is_upload_problem)", source="store_reviews", by=("device",),
    ),
    _voice(
        "upload_problem_ticket_rate",
        "Support tickets about upload problems over uploads. Of all tickets: upload_problem_share_of_tickets.",
        sql="ratio(COUNT(CASE WHEN is_upload_problem THEN 1 END), SUM(uploads))",
    ),
    _voice(
        "upload_problem_share_of_tickets", "Support tickets about upload problems over support tickets.",
        sql="ratio(COUNT(CASE WHEN is_upload_problem THEN 1 END), SUM(tickets))",
    ),
    _voice(
        "compression_artifact_complaint_rate", "Tickets about compression artefacts over uploads.",
        sql="ratio(COUNT(CASE WHEN is_compression THEN 1 END), SUM(uploads))",
    ),
    # Is the post there?
    _usage(
        "feed_display_immediacy_rate",
        "Completed uploads seen in the feed within ten seconds (setting visible_within_seconds) over completed ones.",
        sql="share(is_visible_at_once)",
    ),
    _usage(
        "feed_display_correctness_rate", "Completed uploads shown as they should be over completed uploads.",
        sql="share(is_shown_correctly)",
    ),
)

TREES = (
    MetricTree(
        "success_before_and_after_the_transfer",
        "Uploads that succeed are those that get to the transfer, times those of them that get through.",
        metric="upload_success_rate",
        sql="transfer_reach_rate * upload_success_rate_from_transfer",
    ),
)
