"""What the stickiness pack measures, and what it can be sliced by.

Unless a definition says otherwise: internal users are left out; a user is active on a day by the one rule of
`active_days`; numbers a day are ratios of sums over active user-days; shares are 0 to 1. Slices of a user
(demographics, channel) are as in `users`; device is that of the activity, or else that of the user's first day.
"""

from __future__ import annotations

from functools import partial

from prodsense.contracts.vocabulary import Dimension, Metric
from prodsense.packs.shapes import net_promoter_score

_OF_USERS = ("demographics", "age_group", "gender", "region", "acquisition_source", "campaign", "tenure", "device")
_OF_COHORTS = ("signup_cohort", "signup_week", "signup_month", *_OF_USERS)
_NEWEST = "active_days.activity_date"

_active = partial(Metric, source="activity", by=_OF_USERS)
_session = partial(Metric, source="session_log", by=_OF_USERS)
_view = partial(Metric, source="views", by=_OF_USERS)
_creation = partial(Metric, source="creations", by=("creation_type", *_OF_USERS))
_interaction = partial(Metric, source="interactions", by=("interaction_type", *_OF_USERS))
_adoption = partial(
    Metric, unit="share", better="up", source="adoption", focus=("activity_base", "activity_base = 'DAU'"),
    by=("activity_base", *_OF_USERS),
)
_retention = partial(Metric, unit="share", better="up", source="new_users", as_of=_NEWEST, by=_OF_COHORTS)
_adopter = partial(
    Metric, unit="share", source="feature_adopters", matures=27, as_of=_NEWEST, by=("feature_name", *_OF_COHORTS)
)
_part = partial(Metric, hidden=True, unit="count", better="none")

_USERS = "COUNT(DISTINCT user_id)"
_CREATING = "COUNT(DISTINCT CASE WHEN creations > 0 THEN {0} END)"
_INTERACTING = "COUNT(DISTINCT CASE WHEN interactions > 0 THEN {0} END)"
_SENTIMENT = "share(sentiment = 'positive') - share(sentiment = 'negative')"

_TENURE = (
    "CASE WHEN tenure_days < 0 THEN NULL WHEN tenure_days < 7 THEN '0-6 days' WHEN tenure_days < 30 THEN '7-29 days'"
    " WHEN tenure_days < 90 THEN '30-89 days' WHEN tenure_days < 365 THEN '90-364 days'"
    " WHEN tenure_days >= 365 THEN '365+ days' END"
)

# What has a device of its own; other sources take the user's.
_ON_DEVICES = (
    "activity", "creations", "interactions", "adoption", "feature_use", "views", "feed_sessions", "session_log",
    "returns_after_week", "window_returns", "network_pairs", "store_reviews",
)
_WITH_TENURE = (
    "activity", "creations", "interactions", "adoption", "feature_use", "views", "feed_sessions", "session_log",
    "new_users", "feature_adopters", "returns_after_week", "l7_levels", "window_returns", "churned_months",
    "network_members", "connection_log", "survey_answers",
)


def _of_user(name: str, says: str, label: str) -> Dimension:
    return Dimension(name, says, {"network_pairs": name, "members": name}, label)


DIMENSIONS = (
    _of_user("demographics", "Age group, gender and region in one, such as '18-24, female, north'.", "Demographics"),
    _of_user("age_group", "Age group.", "Age"),
    _of_user("gender", "Gender.", "Gender"),
    _of_user("region", "Region.", "Region"),
    _of_user("acquisition_source", "Channel that brought the user.", "Channel"),
    _of_user("campaign", "Marketing campaign that brought the user.", "Campaign"),
    Dimension(
        "tenure",
        "Time from signup to the day of the row, in bands; of cohorts and of the network, to the newest day of"
        " activity.",
        {**dict.fromkeys(_WITH_TENURE, _TENURE),
         "network_pairs": f"CASE WHEN tenure_days = -1 THEN 'mixed' ELSE {_TENURE} END"},
        "Tenure",
    ),
    Dimension(
        "device",
        "Kind of device: of the activity or session, else of the user's first day that knows one. A user on two devices"
        " counts on each.",
        {**dict.fromkeys(_ON_DEVICES, "device"), "members": "device"},
        "Device",
    ),
    Dimension(
        "creation_type", "What was created: post, comment or story.", {"creations": "creation_type"}, "Created",
    ),
    Dimension(
        "interaction_type", "How users turned to others: like, comment, share or direct_message.",
        {"interactions": "interaction_type"}, "Interaction",
    ),
    Dimension(
        "activity_base",
        "What a share is of: DAU (a user counts once a day) or MAU (once a month; ask for a month or more).",
        {"adoption": "activity_base"}, "Base",
    ),
    Dimension("signup_cohort", "Day of signup.", {"members": "signup_date"}, "Cohort"),
    Dimension(
        "signup_week", "Week of signup, by its Monday.", {"members": "period_start(signup_date, 'week')"}, "Cohort",
    ),
    Dimension(
        "signup_month", "Month of signup, by its first day.", {"members": "period_start(signup_date, 'month')"},
        "Cohort",
    ),
    Dimension(
        "feature_name", "Feature of the product.",
        {"feature_use": "feature_name", "feature_adopters": "feature_name"}, "Feature",
    ),
    Dimension("l7", "Days active of the last seven, 1 to 7.", {"l7_levels": "active_days"}, "Days of 7"),
)

METRICS = (
    # Who is there
    _active(
        "daily_active_users",
        "Distinct users active on a day. Coarser grains give the mean of their days with any activity.",
        "count", "up", _USERS, per="day", grain="day",
    ),
    _active(
        "weekly_active_users",
        "Distinct users active in a week (Monday to Sunday); by day, in the seven days that end with it. Coarser"
        " grains give the mean of their weeks.",
        "count", "up", _USERS, per="week", rolling=7, grain="week",
    ),
    _active(
        "monthly_active_users",
        "Distinct users active in a month; by day or week, in the 28 days that end with it. Coarser grains give the"
        " mean of their months.",
        "count", "up", _USERS, per="month", rolling=28, grain="month",
    ),
    _active(
        "three_day_active_users", "Distinct users active in the three days that end with a day.",
        "count", "up", _USERS, rolling=3, grain="day",
    ),
    Metric(
        "dau_mau_ratio",
        "Baseline stickiness, DAU over MAU: of a month, its mean daily active users over its distinct active users; of"
        " a day, its active users over those of the 28 days that end with it.",
        "ratio", "up", "ratio(daily_active_users, monthly_active_users)", by=_OF_USERS, grain="month",
    ),
    # How often, how long
    Metric(
        "session_frequency_per_user",
        "Sessions over distinct active users of the period: a day's by grain day, a week's by grain week.",
        "count", "up", "ratio(sessions_started, active_users)", by=_OF_USERS, grain="day",
    ),
    _part("sessions_started", "Sessions by their start.", sql="COUNT(*)", source="session_log"),
    _part("active_users", "Distinct active users of the period.", sql=_USERS, source="activity"),
    _part("active_user_days", "Active users, once a day.", sql="COUNT(DISTINCT user_day)", source="activity"),
    _session(
        "inter_session_interval",
        "Median hours from the end of a user's session to the start of the next; 0 where they overlap, and a first"
        " session has none. The mean is inter_session_interval_mean.",
        "hours", "down", "quantile(hours_since_previous, 0.5)",
    ),
    _session(
        "inter_session_interval_mean", "Mean hours from the end of a user's session to the start of the next.",
        "hours", "down", "mean(hours_since_previous)",
    ),
    Metric(
        "time_spent_per_active_user_per_day",
        "Minutes in sessions over active users, a day: ratio of sums over user-days. Read it beside a measure of"
        " quality: more time may be frustration.",
        "minutes", "up", "ratio(session_minutes, active_user_days)", by=_OF_USERS,
    ),
    _part(
        "session_minutes", "Minutes in sessions, by their start.", sql="SUM(duration_seconds) / 60.0",
        source="session_log",
    ),
    Metric(
        "l7_open_rate",
        "Of users active seven days before a day, the share active again on it. It is retention of one group; the"
        " literal ratio DAU over users active seven days ago is l7_open_rate_literal, L7 itself is l7_active_days and"
        " l7_share.",
        "ratio", "up",
        "ratio(COUNT(DISTINCT CASE WHEN came_back THEN user_day END), COUNT(DISTINCT user_day))",
        source="returns_after_week", as_of=_NEWEST, by=_OF_USERS,
    ),
    Metric(
        "l7_open_rate_literal",
        "Active users of a day over active users seven days before: two different groups, so no retention; it moves"
        " with growth and may exceed 1.",
        "ratio", "none", "ratio(daily_active_users, active_week_before)", by=_OF_USERS, grain="day",
    ),
    _part(
        "active_week_before", "Users active seven days before a day.", sql=_USERS, source="returns_after_week",
        per="day",
    ),
    Metric(
        "l7_active_days",
        "L7: mean days active of the seven that end with a day, of users active in them; over more days, the mean over"
        " users and days.",
        "days", "up", "mean(active_days)", source="l7_levels", grain="day", by=_OF_USERS,
    ),
    Metric(
        "l7_share",
        "By l7: the share of users active in the last seven days who were so on 1, 2, ... 7 of them.",
        "share", "none", "COUNT(*)", source="l7_levels", share_of=(), grain="day", by=("l7", *_OF_USERS),
    ),
    # What they look at
    _active(
        "average_posts_viewed_per_user",
        "Posts viewed over active users, a day. Per session: average_posts_viewed_per_session.",
        "count", "up", "ratio(SUM(posts_viewed), COUNT(DISTINCT user_day))",
    ),
    _active(
        "average_videos_viewed_per_user",
        "Videos viewed over active users, a day. Per session: average_videos_viewed_per_session.",
        "count", "up", "ratio(SUM(videos_viewed), COUNT(DISTINCT user_day))",
    ),
    _active(
        "average_stories_viewed_per_user",
        "Stories viewed over active users, a day. Per session: average_stories_viewed_per_session.",
        "count", "up", "ratio(SUM(stories_viewed), COUNT(DISTINCT user_day))",
    ),
    *(
        _view(
            f"average_{plural}_viewed_per_session",
            f"{plural.title()} viewed over sessions, of events that carry a session.",
            "count", "up",
            f"ratio(COUNT(CASE WHEN viewed = '{one}' THEN user_session END), COUNT(DISTINCT user_session))",
        )
        for one, plural in (("post", "posts"), ("video", "videos"), ("story", "stories"))
    ),
    Metric(
        "feed_scroll_depth",
        "Mean of how far down the feed a session got: its furthest scroll_position (items or screens, as the client"
        " counts).",
        "count", "up", "mean(depth)", source="feed_sessions", by=_OF_USERS,
    ),
    _view(
        "video_completion_rate", "Videos viewed to the end over videos started, of those where it is known.",
        "share", "up", "share(completed)", where="viewed = 'video'",
    ),
    _view(
        "story_completion_rate", "Stories viewed to the end over stories started, of those where it is known.",
        "share", "up", "share(completed)", where="viewed = 'story'",
    ),
    # What they make
    _creation(
        "dau_creating_content_pct",
        "Share of daily active users who created a post, comment or story that day; over more days, of user-days.",
        "share", "up", f"ratio({_CREATING.format('user_day')}, COUNT(DISTINCT user_day))", grain="day",
    ),
    Metric(
        "mau_creating_content_pct", "Share of monthly active users who created a post, comment or story in the month.",
        "share", "up", "ratio(creating_users_of_month, users_of_month_who_may_create)",
        by=("creation_type", *_OF_USERS), grain="month",
    ),
    _part(
        "creating_users_of_month", "Users who created in the month.", sql=_CREATING.format("user_id"),
        source="creations", per="month",
    ),
    _part("users_of_month_who_may_create", "Active users of the month.", sql=_USERS, source="creations", per="month"),
    _creation(
        "average_creations_per_creating_user",
        "Posts, comments and stories over users with at least one, in the period.",
        "count", "up", f"ratio(SUM(creations), {_CREATING.format('user_id')})",
    ),
    # How they turn to others
    _interaction(
        "dau_social_interaction_pct",
        "Share of daily active users who liked, commented, shared or sent a message that day; over more days, of"
        " user-days.",
        "share", "up", f"ratio({_INTERACTING.format('user_day')}, COUNT(DISTINCT user_day))", grain="day",
    ),
    Metric(
        "mau_social_interaction_pct",
        "Share of monthly active users who liked, commented, shared or sent a message in the month.",
        "share", "up", "ratio(interacting_users_of_month, users_of_month_who_may_interact)",
        by=("interaction_type", *_OF_USERS), grain="month",
    ),
    _part(
        "interacting_users_of_month", "Users who interacted in the month.", sql=_INTERACTING.format("user_id"),
        source="interactions", per="month",
    ),
    _part(
        "users_of_month_who_may_interact", "Active users of the month.", sql=_USERS, source="interactions", per="month",
    ),
    _interaction(
        "average_social_interactions_per_user_per_day",
        "Likes, comments, shares and direct messages over active users, a day.",
        "count", "up", "ratio(SUM(interactions), COUNT(DISTINCT user_day))",
    ),
    Metric(
        "private_to_public_interaction_ratio", "Direct messages over likes, comments and shares.",
        "ratio", "none",
        "ratio(SUM(CASE WHEN interaction_type = 'direct_message' THEN interactions ELSE 0 END),"
        " SUM(CASE WHEN interaction_type <> 'direct_message' THEN interactions ELSE 0 END))",
        source="interactions", by=_OF_USERS,
    ),
    # The network
    Metric(
        "network_density",
        "Pairs of users with a connection over all pairs, n(n-1)/2: a connection either way is one. It is a stock, as"
        " of the data; in a slice, of the users inside of it. Directed: network_density_directed.",
        "share", "up", "ratio(2 * COALESCE(connected_pairs, 0), network_users * (network_users - 1))", by=_OF_USERS,
    ),
    Metric(
        "network_density_directed", "Connections from one user to another over all n(n-1) that could be.",
        "share", "up", "ratio(COALESCE(connected_arrows, 0), network_users * (network_users - 1))", by=_OF_USERS,
    ),
    _part("connected_pairs", "Pairs with a connection.", sql="COUNT(DISTINCT pair)", source="network_pairs"),
    _part("connected_arrows", "Connections by direction.", sql="COUNT(DISTINCT arrow)", source="network_pairs"),
    _part(
        "network_users", "Users, where any connection is known.", sql="COUNT(CASE WHEN is_known THEN user_id END)",
        source="network_members",
    ),
    Metric(
        "connection_growth_rate",
        "Connections made in the period over those there at its start. Over all time there is no start: ask by period"
        " or from a day on.",
        "share", "up",
        "ratio(COALESCE(new_connections, 0), connections_made - COALESCE(new_connections, 0))",
        by=_OF_USERS, grain="month",
    ),
    _part("new_connections", "Connections made.", sql="COUNT(*)", source="connection_log"),
    _part(
        "connections_made", "Connections made up to the end of the period (twenty years).",
        sql="COUNT(DISTINCT connection)", source="connection_log", rolling=7300,
    ),
    # Features
    *(
        _adoption(
            f"{feature}_adoption_pct",
            f"Share of active users who used {what} (feature_name). By activity_base: of DAU, a user once a day, and"
            " of MAU, a user once a month; of DAU otherwise.",
            sql=f"ratio(COUNT(DISTINCT CASE WHEN used_{feature} THEN subject END), COUNT(DISTINCT subject))",
        )
        for feature, what in (
            ("feed", "the feed"), ("stories", "stories"), ("messaging", "messaging"), ("groups", "groups"),
        )
    ),
    Metric(
        "distinct_features_used_per_user",
        "Distinct features used over active users of the period: a week's by grain week, a month's by grain month.",
        "count", "up", "ratio(features_of_users, active_users)", by=_OF_USERS, grain="week",
    ),
    _part(
        "features_of_users", "Distinct features by user.", sql="COUNT(DISTINCT user_feature)", source="feature_use",
    ),
    _adopter(
        "feature_adopter_retention_lift",
        "Retention of new users who used a feature in their first week (days 0 to 6) less that of those who did not:"
        " share active in the fourth week (days 21 to 27). Over several features, of user and feature. It is a"
        " comparison of who chose to adopt, not an effect: see feature_impact_on_stickiness.",
        better="up",
        sql="share(CASE WHEN is_adopter THEN is_retained END) - share(CASE WHEN NOT is_adopter THEN is_retained END)",
    ),
    # Who comes back
    _retention(
        "d1_retention",
        "Share of new users active on day 1 after signup (day 0). Left out are users too young, and those whose day 1"
        " lies before the first activity of all.",
        sql="share(on_day_1)", matures=1,
    ),
    _retention(
        "d7_retention",
        "Share of new users active on day 7 after signup (day 0). Left out are users too young, and those whose day 7"
        " lies before the first activity of all.",
        sql="share(on_day_7)", matures=7,
    ),
    _retention(
        "d30_retention",
        "Share of new users active on day 30 after signup (day 0). Left out are users too young, and those whose day"
        " 30 lies before the first activity of all.",
        sql="share(on_day_30)", matures=30,
    ),
    Metric(
        "rolling_retention",
        "Users active in a window who are active in the next window too, over users active in it. Windows of seven"
        " days from Monday on (setting rolling_retention_days), by the first of the two; one whose next has not passed"
        " is left out. It is period over period, not active on day N or later.",
        "share", "up",
        "ratio(COUNT(DISTINCT CASE WHEN has_returned THEN user_window END), COUNT(DISTINCT user_window))",
        source="window_returns", where="known_on <= date_of(:as_of)", as_of=_NEWEST, by=_OF_USERS,
    ),
    Metric(
        "resurrection_rate",
        "Users churned at the start of a month (not active in the 28 days before it, setting churn_days, but earlier)"
        " who became active in it, over all churned then. Coarser grains pool their months.",
        "share", "up", "ratio(resurrected_users, churned_users)", by=_OF_USERS, grain="month",
    ),
    _part(
        "resurrected_users", "Churned users active again in the month.",
        sql="SUM(CASE WHEN is_resurrected THEN 1 ELSE 0 END)", source="churned_months", per="month", as_of=_NEWEST,
    ),
    _part(
        "churned_users", "Users churned at the start of the month.", sql="COUNT(*)", source="churned_months",
        per="month", as_of=_NEWEST,
    ),
    # What they say
    Metric(
        "survey_csat", "Mean score of customer satisfaction answers.", "score", "up", "mean(score)",
        source="survey_answers", where="survey_type = 'csat'", by=_OF_USERS,
    ),
    Metric(
        "survey_nps",
        "Net promoter score, -100 to 100: percent who answered 9 or 10 less percent who answered 0 to 6.",
        "score", "up", net_promoter_score(),
        source="survey_answers", where="survey_type = 'nps'", by=_OF_USERS,
    ),
    Metric(
        "app_store_rating", "Mean stars of reviews in app stores. How many reviews: app_review_volume.",
        "score", "up", "mean(rating)", source="store_reviews", by=("device",),
    ),
    Metric(
        "app_review_volume", "Reviews in app stores.", "count", "none", "COUNT(*)", source="store_reviews",
        by=("device",),
    ),
    Metric(
        "app_review_sentiment",
        "Share of positive less share of negative app store reviews, -1 to 1, of those whose sentiment is known.",
        "score", "up", _SENTIMENT, source="store_reviews", by=("device",),
    ),
    Metric(
        "social_media_sentiment",
        "Share of positive less share of negative mentions on social media, -1 to 1,"
        " of those whose sentiment is known.",
        "score", "up", _SENTIMENT, source="mentions",
    ),
)
