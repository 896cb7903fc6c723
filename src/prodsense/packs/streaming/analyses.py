"""Named analyses of the streaming pack; each loads what it computes with when it runs."""

from __future__ import annotations

from functools import partial

from prodsense.contracts.vocabulary import REQUIRED, Param
from prodsense.packs.computed import CONFIDENCE, WINDOW, algorithm, as_of

_algorithm = partial(algorithm, __package__)
_AS_OF = as_of("the newest session")
_DAYS = Param("days", "integer", 28, "Days back.")
_EPISODES = Param("episodes", "integer", 3, "Fewest different episodes of a series that make a binge.")
_HOURS = Param("hours", "number", 24.0, "Within so many hours.")
_SLICES = Param("by", "text", None, "Slices, parted by commas: genre, region, age_group, experiment_arm, ...")
_WHERE = Param("where", "text", None, "Which sessions count, such as region = 'north'.")

ANALYSES = (
    _algorithm(
        "viewing_breadth_classification",
        "Users by the variety of what they watch: exploring or narrow, from the different shows, movies and genres of"
        " the last days; cut points are parameters.",
        "habits",
        _DAYS,
        Param("genres", "integer", 3, "Exploring from so many genres on, and"),
        Param("titles", "integer", 5, "so many shows and movies together."),
        Param("min_views", "integer", 3, "Fewest views to tell a narrow user from one who hardly watches."),
        _AS_OF,
    ),
    _algorithm(
        "binge_session_identification",
        "Binges: one user watches 3 or more episodes of one series within 24 hours;"
        " each with its start, end and episodes.",
        "habits",
        _EPISODES, _HOURS, *WINDOW, _AS_OF,
    ),
    _algorithm(
        "audience_retention_curve",
        "How many of those who started a title were still watching at each point of it, at each hundredth, second or"
        " milestone; where the curve falls unusually is marked.",
        "audience",
        Param("content_key", "integer", None, "The title; that with most viewers by default."),
        Param("points", "text", "percent", "percent, seconds or milestones."),
        Param("step_seconds", "number", None, "With seconds: a point every so many."),
        _SLICES, _WHERE, _AS_OF,
    ),
    _algorithm(
        "trend_and_seasonality_analysis",
        "A metric's series split into trend, season and rest (STL), with how"
        " strong each is; for any metric of the pack.",
        "seasons",
        Param("metric", "text", "total_streaming_hours", "A metric of this pack."),
        Param("grain", "text", "day", "day, week or month."),
        Param("period", "integer", None, "So many grains make a season: 7 days, 52 weeks, 12 months by default."),
        Param("robust", "boolean", True, "Give outliers little weight."),
        Param("since", "date", None, "First day, inside."),
        Param("until", "date", None, "Day after the last one, outside."),
        _WHERE, _AS_OF,
    ),
    _algorithm(
        "binge_driver_analysis",
        "Which characteristics of titles and of users go with bingeing: shares of users and series that are binged,"
        " each beside the others, and adjusted for all other characteristics. Observational.",
        "binges",
        _EPISODES, _HOURS,
        Param("days", "integer", 56, "Days back."),
        CONFIDENCE, _AS_OF,
    ),
    _algorithm(
        "binge_retention_impact",
        "Do users who binge stay subscribed longer than like users who do not? Adjusted for how much they watched"
        " before and who they are (doubly robust). Observational.",
        "binges",
        _EPISODES, _HOURS,
        Param("days", "integer", 28, "Days in which a user binges or not; what they are compared by comes before."),
        Param("horizon", "integer", 28, "Days afterwards in which they stay or not."),
        CONFIDENCE, _AS_OF,
    ),
    _algorithm(
        "content_roi_model",
        "Return on titles with a known cost: payments of their viewers, shared by watched"
        " time, against it. Attribution, not effect.",
        "titles",
        Param("monthly_price", "number", None, "Price of a month where a subscription has none."),
        _AS_OF,
    ),
    _algorithm(
        "content_gap_analysis",
        "Gaps of the library: genres that are viewed and searched for more than their share of titles, and searches for"
        " what it lacks.",
        "titles",
        _DAYS,
        Param("min_gap", "number", 1.5, "Demand over supply from which on a genre is a gap."),
        Param("min_users", "integer", 2, "Fewest users of a search that is not found."),
        _AS_OF,
    ),
    _algorithm(
        "subscriber_churn_prediction",
        "Each subscriber's risk to leave, from falling watch time, fewer active days, series left unfinished; judged on"
        " a later time than it is learned from, beside the base rate and one plain rule.",
        "churn",
        Param("horizon", "integer", 28, "Risk to leave within so many days."),
        Param("cutoffs", "integer", 3, "So many past moments to learn from, a horizon apart."),
        Param("learner", "text", "logit", "logit or boosting."),
        Param("top", "integer", 20, "So many users, the likeliest first."),
        _AS_OF,
    ),
    _algorithm(
        "churn_prevention_targeting",
        "Whom to turn to before they leave: users by risk (churn_scores, or as predicted), with what to offer them and"
        " a group at random to leave alone, so that the campaign can be judged.",
        "churn",
        Param("share", "number", 0.1, "Of the subscribers at most this share, the highest risks first."),
        Param("min_risk", "number", 0.0, "And none whose risk is lower."),
        Param("holdout", "number", 0.1, "Share of them to leave alone."),
        Param("horizon", "integer", 28, "Where risks are predicted: within so many days."),
        Param("campaign", "text", "churn_prevention", "Another name draws another holdout."),
        _AS_OF,
    ),
    _algorithm(
        "show_unique_viewers_dedup",
        "Viewers of a show over all its episodes and profiles, each counted once, by account and by profile;"
        " beside what summing episodes would tell.",
        "audience",
        Param("series_key", "integer", None, "One series; all by default."),
        *WINDOW, _AS_OF,
    ),
    _algorithm(
        "reconstruct_viewing_session",
        "The timeline of one session from its events in the order of their times: played intervals, pauses, seeks,"
        " changes of quality, and every summary measure.",
        "timeline",
        Param("session_id", "text", REQUIRED, "The session."),
        Param("content_id", "text", None, "Of a session of several titles, which."),
        kind="function",
    ),
)
