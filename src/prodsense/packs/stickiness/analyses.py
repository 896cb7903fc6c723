"""Named analyses of the stickiness pack; each loads what it computes with when it runs."""

from __future__ import annotations

from functools import partial

from prodsense.contracts.vocabulary import Param
from prodsense.packs.computed import CONFIDENCE, algorithm, as_of

_algorithm = partial(algorithm, __package__)
_AS_OF = as_of("the newest day of activity")
_GAPS = (
    Param("gap", "number", None, "Minutes without an event that end a session (setting session_gap_minutes, 30)."),
    Param("grace", "number", None, "The same after app_background (setting background_grace_minutes, 5)."),
)
_MONTH = "A month, such as 2024-01."
_SLICES = "demographics, age_group, gender, region, acquisition_source, campaign, tenure, device, parted by commas."

ANALYSES = (
    _algorithm(
        "active_days_distribution",
        "Of the users active in a month, how many and which share were so on exactly 1, 2, ... days of it; shares sum"
        " to 1, in each slice.",
        "activity_levels",
        Param("month", "text", None, _MONTH + " The newest by default."),
        Param("by", "text", None, _SLICES),
    ),
    _algorithm(
        "engagement_tiers",
        "The tier of each user in a month: Power, Core, Casual, Dormant, by active days, sessions and interactions; and"
        " who is at risk: active days fell by half. Thresholds are parameters or the table settings; rows of"
        " user_engagement_tiers go before both.",
        "activity_levels",
        Param("period", "text", None, _MONTH + " The newest by default."),
        Param(
            "tiers", "text", None, "Tiers with their least active days, best first: 'Power: 20, Core: 8, Casual: 1'."
        ),
        Param("power_sessions", "number", None, "Least sessions a day active of the best tier."),
        Param("power_interactions", "number", None, "Least interactions a day active of the best tier."),
        Param("at_risk_fall", "number", 0.5, "At risk is who lost this share of the month before's active days."),
    ),
    _algorithm(
        "engagement_tier_transitions",
        "Users moving between tiers from one period to the next: counts and shares of each row; new and lost users"
        " included.",
        "activity_levels",
        Param("period", "text", None, "The later period; the newest that is over by default."),
    ),
    _algorithm(
        "retention_cohort_analysis",
        "D1, D7 and D30 of cohorts by signup, channel and campaign, and the change of active days from the first week"
        " to the fourth; only users old enough count.",
        "cohorts",
        Param("by", "text", "acquisition_source,campaign", _SLICES),
        Param("grain", "text", "month", "day, week, month or all."),
        Param("since", "date", None, "First day of signup, inside."),
        Param("until", "date", None, "Day after the last one of signup, outside."),
        _AS_OF,
    ),
    _algorithm(
        "sessionization",
        "Sessions cut from raw events: gap, grace after app_background, sessions across platforms, clocks set right by"
        " received_at; and the frequency, time and interval that they give.",
        "sessionizing",
        *_GAPS,
        Param("across", "text", "joined", "Platforms of a user: joined, apart or together."),
        Param("join", "number", None, "Joined: minutes between sessions of two platforms that are one (the grace)."),
        _AS_OF,
        Param("tz", "text", "UTC", "Time zone of days."),
    ),
    _algorithm(
        "sessionization_edge_cases",
        "Events that came late in bursts and clocks that are off: what they would do to sessions, beside sessions by"
        " times set right by the server's receipt.",
        "sessionizing",
        *_GAPS,
        Param("late_minutes", "number", 5, "An event is late when it was received that many minutes after."),
        _AS_OF,
    ),
    _algorithm(
        "engagement_ltv_correlation",
        "Engagement metrics of four weeks, ranked by how well they tell who is active in the four weeks after, and LTV."
        " Observational.",
        "value",
        Param("days", "integer", 28, "Days over which engagement is measured."),
        Param("horizon", "integer", 28, "Days after them in which a user comes back or not."),
        CONFIDENCE,
        _AS_OF,
    ),
    _algorithm(
        "session_pattern_quality_analysis",
        "LTV and satisfaction of users with many or few, short or long sessions; many short against few long, also at"
        " equal time. Observational.",
        "value",
        Param("many", "number", None, "From how many sessions a day with any; the median by default."),
        Param("long_minutes", "number", None, "From how many minutes in the mean; the median by default."),
        Param("min_sessions", "integer", 3, "Fewest sessions of a user."),
        Param("survey", "text", "csat", "csat or nps."),
        CONFIDENCE,
        _AS_OF,
    ),
    _algorithm(
        "feature_impact_on_stickiness",
        "Do new users who adopt a feature stay longer or reach higher tiers than like users who do not? Adjusted by the"
        " propensity score, with how strong an unknown reason would have to be. Observational.",
        "effects",
        Param("features", "text", None, "Features, parted by commas; all by default."),
        Param("adoption_days", "integer", 1, "Adopters used it in the first so many days; 1 is the day of signup."),
        CONFIDENCE,
        _AS_OF,
    ),
    _algorithm(
        "creation_vs_consumption_stickiness",
        "Are users who create more active afterwards than like users who only consume, with equal chances to create?"
        " Observational.",
        "effects",
        Param("days", "integer", 28, "Days afterwards."),
        Param("chances", "integer", 5, "Newest active days before them in which a user creates or not."),
        CONFIDENCE,
        _AS_OF,
    ),
    _algorithm(
        "churn_leading_indicators",
        "Engagement metrics that fall before users churn more than they do among users who stay, strongest first.",
        "churn",
        Param("recent_weeks", "integer", 2, "Weeks before the last active day."),
        Param("baseline_weeks", "integer", 2, "Weeks before those, to compare with."),
        Param("churn_days", "integer", None, "Days without activity that make a churner (setting churn_days, 28)."),
        Param("fall", "number", 0.3, "A fall by this share counts for the lift."),
        Param("min_days", "integer", 3, "Fewest active days in the weeks to compare with."),
        CONFIDENCE,
        _AS_OF,
    ),
)
