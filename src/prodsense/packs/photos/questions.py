"""What teams ask of the photos pack, in our own words."""

from __future__ import annotations

from prodsense.contracts.vocabulary import Question

QUESTIONS = (
    Question(
        "Q7.1.1",
        "How good is it to upload a photo, and at which step do people wait, fail or give up?",
        (
            "upload_success_rate", "upload_success_rate_from_transfer", "transfer_reach_rate", "upload_funnel",
            "upload_funnel_chart", "funnel_abandonment_rate", "end_to_end_upload_time", "gallery_load_time",
            "camera_load_time", "edit_apply_time", "data_transfer_time", "upload_speed", "upload_bottleneck_detector",
            "frame_drop_rate", "anr_rate", "upload_crash_rate", "error_rate_per_step", "upload_error_rate",
            "error_categorization", "upload_retry_rate", "retries_per_failed_upload", "retry_success_rate",
            "filter_adoption_rate", "crop_adoption_rate", "adjustment_adoption_rate", "caption_usage_rate",
            "people_tag_usage_rate", "location_tag_usage_rate", "draft_save_rate", "draft_to_post_conversion_rate",
            "draft_abandonment_detector", "taps_per_completed_upload", "subtask_success_rate", "upload_ease_score",
            "upload_problem_review_rate", "upload_problem_ticket_rate", "compression_artifact_complaint_rate",
            "feed_display_immediacy_rate", "feed_display_correctness_rate", "funnel_dropoff_friction",
            "step_error_friction", "step_duration_friction", "low_feature_adoption_friction",
            "segment_friction_correlation", "upload_experience_monitoring", "file_size_band", "network_type", "region",
            "device", "step", "error_category", "edit_tool", "subtask", "upload_initiation", "source_selection",
            "camera_experience", "editing_filtering", "captioning_tagging", "upload_transfer",
            "confirmation_post_upload", "friction_by_step", "upload_funnel_stages", "one_user_an_upload",
            "phases_are_known", "attempts_are_numbered",
        ),
        headline=(
            "upload_success_rate", "upload_success_rate_from_transfer", "end_to_end_upload_time",
            "funnel_abandonment_rate", "upload_error_rate", "retry_success_rate", "upload_ease_score",
        ),
        notes={
            "upload_usability_observations": "Numbers say where uploads stop, watching people says why. Let a handful"
            " of people post a photo on their own phone and network while thinking aloud, and write down each stumble"
            " with its phase, how many had it and how bad it was. Put the list beside friction_by_step: a stumble that"
            " many had in a phase without errors or waiting is one of design, not of engineering.",
        },
    ),
)
