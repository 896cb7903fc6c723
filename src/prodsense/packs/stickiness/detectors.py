"""What to look into: users whose own use falls, and days on which activity is off."""

from __future__ import annotations

from prodsense.contracts.vocabulary import Detector, Param
from prodsense.inference.detectors import own_history_drop
from prodsense.packs.computed import PackFunction, back_from

DETECTORS = (
    own_history_drop(
        "session_frequency_drop_detector",
        "A user who was there often has far fewer sessions in the last week than in the weeks before.",
        table="session_log", subject="user_id", days=7, windows=4, drop=0.7, threshold=1.2, min_level=14,
        action="Ask, or win back, while they still come at all.",
    ),
    own_history_drop(
        "content_creation_drop_detector",
        "A user who created much has created far less in the last week than in the weeks before.",
        table="creations", subject="user_id", value="creations", measure="sum", days=7, windows=4, drop=0.8,
        threshold=1.2, min_level=8,
        action="Look what their last creations met with.",
    ),
    Detector(
        "dau_anomaly_detector",
        "Daily active users, or events of a platform, are far from their seasonal baseline; a fall is also checked as a"
        " possible tracking bug, by event volume and platform.",
        run=PackFunction(__package__, "dau_anomaly", "dau_anomalies"),
        params=(
            back_from("the newest in the data"),
            Param("threshold", "number", 4.0, "Spreads away from the baseline."),
            Param("min_change", "number", 0.05, "Smallest change, as a share of what was expected."),
        ),
        severity="critical", metric="daily_active_users", cooldown=1,
        action="See whether something happened that day: a launch, an outage, a holiday.",
    ),
)
