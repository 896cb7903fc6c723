"""Charts and pages of the photos pack."""

from __future__ import annotations

from functools import partial

from prodsense.contracts.vocabulary import Chart, Dashboard, Section

_daily = partial(Chart, question="Q7.1.1")
_whole = partial(Chart, grain="all", form="bar", question="Q7.1.1")

CHARTS = (
    Chart(
        "upload_funnel_chart",
        "Uploads by the stage that they reached. Segments side by side: prodsense analyze upload_funnel"
        " --param by=device --chart FILE.",
        query="upload_funnel_stages",
        form="funnel",
        x="stage",
        y="uploads",
        question="Q7.1.1",
    ),
    _daily(
        "success_by_day", "Uploads completed successfully, of those initiated and of those whose transfer was begun.",
        metrics=("upload_success_rate", "upload_success_rate_from_transfer"),
    ),
    _whole(
        "success_by_network", "Uploads that got through once their transfer was begun, by network.",
        metrics=("upload_success_rate_from_transfer",), by=("network_type",),
    ),
    Chart(
        "time_by_network", "Median seconds from initiation to the post seen live, by network and week.", grain="week",
        metrics=("end_to_end_upload_time",), by=("network_type",), question="Q7.1.1",
    ),
    _whole(
        "step_time_by_network", "Mean seconds of what takes time in a phase, by network.",
        metrics=("step_time",), by=("step", "network_type"),
    ),
    _whole(
        "speed_by_network", "How fast files go out, by network.", metrics=("upload_speed",), by=("network_type",),
    ),
    Chart(
        "errors_by_step", "Errors an upload that reached the phase, by what went wrong.", form="heatmap", grain="all",
        metrics=("error_rate_per_step",), by=("step", "error_category"), question="Q7.1.1",
    ),
    _whole(
        "abandonment_by_step", "Of uploads that reached a phase, the share that went no further.",
        metrics=("funnel_abandonment_rate",), by=("step",),
    ),
    _whole(
        "retries_by_error", "Retries that succeeded, by what had gone wrong before.",
        metrics=("retry_success_rate",), by=("error_category",),
    ),
    Chart(
        "adoption_of_features", "Share of uploads that use each feature, by week.", grain="week",
        metrics=(
            "filter_adoption_rate", "crop_adoption_rate", "adjustment_adoption_rate", "caption_usage_rate",
            "people_tag_usage_rate", "location_tag_usage_rate",
        ),
        question="Q7.1.1",
    ),
)

DASHBOARDS = (
    Dashboard(
        "upload_experience",
        "How uploads go, by day and segment, and where they hurt.",
        (
            Section(
                "Do they get through?",
                ("upload_success_rate", "upload_success_rate_from_transfer", "upload_error_rate", "retry_success_rate"),
                ("upload_funnel_chart", "success_by_day", "success_by_network", "abandonment_by_step"),
                ("one_user_an_upload", "phases_are_known", "attempts_are_numbered"),
            ),
            Section(
                "How long do they take?",
                ("end_to_end_upload_time", "end_to_end_upload_time_p90", "data_transfer_time", "upload_speed"),
                ("time_by_network", "step_time_by_network", "speed_by_network"),
            ),
            Section(
                "What breaks?",
                ("anr_rate", "upload_crash_rate", "frame_drop_rate", "upload_retry_rate"),
                ("errors_by_step", "retries_by_error"),
            ),
            Section(
                "What do people use, and what do they say?",
                (
                    "upload_ease_score", "taps_per_completed_upload", "draft_to_post_conversion_rate",
                    "upload_problem_ticket_rate",
                ),
                ("adoption_of_features",),
            ),
        ),
        role="product",
        by=("network_type", "device", "region", "file_size_band"),
    ),
)
