"""What the streaming pack measures, and what it can be sliced by.

Unless a definition says otherwise: internal and test users are left out; a session belongs to the day of its start;
watched time is elapsed time less pauses; a view is a session that is over with more than 30 s watched (of a title that
short: half of it; setting view_seconds, table view_rules); numbers a user are over the distinct users of the metric's
own rows in the period; shares are 0 to 1. Slices of a user are those of now: the tier of the newest subscription, the
arm of the newest assignment to an experiment (name one with ``--where "experiment_id = ..."``). A title has one genre,
the first that is listed, so that genres add up.
"""

from __future__ import annotations

from functools import partial

from prodsense.contracts.vocabulary import Dimension, Metric, MetricTree
from prodsense.packs.shapes import net_promoter_score

_OF_TITLES = ("genre", "content_age", "production_type")
_OF_USERS = ("age_group", "region", "subscription_tier", "time_period", "experiment_arm")
_ALL = (*_OF_TITLES, *_OF_USERS)
_KEYS = ("user_key", "content_key", "device_key", "date_key", "time_key", "completion_status_key")
_NEWEST = "clock.moment"

_session = partial(Metric, source="sessions", by=_ALL)
_view = partial(Metric, source="sessions", where="is_view", by=_ALL)
_measure = partial(Metric, source="sessions", by=_KEYS)
_subscription = partial(Metric, source="subscription_log", by=_OF_USERS)
_month = partial(Metric, source="user_months", grain="month", as_of=_NEWEST)
_opinion = partial(Metric, unit="count", source="opinions", by=_ALL)
_part = partial(Metric, hidden=True, unit="count", better="none")

_USERS = "COUNT(DISTINCT user_key)"
#: Longer than any product lasts: a running total up to the end of a period.
_EVER = 36_500

#: Views with a title's age at their own moment.
_WITH_AGE = (
    "sessions", "watchlist_log", "recommendation_log", "opinions", "binges", "episode_views", "user_shows",
    "title_views", "trailer_viewers", "scene_views", "promoted_titles", "library_days",
)
_AGE = "CASE WHEN title_age_days <= 90 THEN 'new release' WHEN title_age_days > 90 THEN 'library' END"


def _compared(value: str, weight: str, of: str = "1") -> str:
    """Weighted mean of `value` over `of` of those who view recommended titles, over that of the others, less 1."""
    means = (
        f"ratio(SUM(CASE WHEN {who} THEN {weight} * {value} END), SUM(CASE WHEN {who} THEN {weight} * {of} END))"
        for who in ("is_recommended", "NOT is_recommended")
    )
    return f"ratio({', '.join(means)}) - 1"


def _key(name: str, says: str, home: str, sql: str = "", label: str = "") -> Dimension:
    return Dimension(name, says, {home: sql or name}, label)


DIMENSIONS = (
    _key("genre", "Genre of the title, its main one: the first that is listed.", "titles", label="Genre"),
    Dimension(
        "content_age", "New release (out for 90 days or less, or not yet) or library, at the moment of the row.",
        dict.fromkeys(_WITH_AGE, _AGE), "Age of title",
    ),
    _key("production_type", "Original or licensed.", "titles", label="Production"),
    Dimension(
        "content_type", "Kind of title: movie, episode, trailer; of user_title_completion_rate, movie or series.",
        {"user_shows": "kind", "titles": "content_type"}, "Kind of title",
    ),
    _key("age_group", "Age band of the user, where known and allowed.", "viewers", label="Age"),
    _key("region", "Region of the user, where known and allowed.", "viewers", label="Region"),
    Dimension(
        "subscription_tier", "Tier of the user's newest subscription; of subscriptions, their own.",
        {"subscription_log": "tier", "viewers": "subscription_tier"}, "Tier",
    ),
    Dimension("time_period", "Month of the row, by its first day.", {"*": "period_start(time, 'month')"}, "Month"),
    _key("experiment_arm", "Arm of the experiment that the user was last assigned to.", "viewers", label="Arm"),
    _key("experiment_id", "Experiment that the user was last assigned to.", "viewers", label="Experiment"),
    _key(
        "view_source", "How the title was reached: search, browse, recommendation, external.", "sessions",
        label="Source",
    ),
    _key("seek_direction", "forward or backward.", "scene_views", label="Direction"),
    _key("scene", "Scene of a title: intro, a name of the table scenes, or title for the whole.", "scene_views"),
    _key(
        "churn_reason", "Captured reason of a cancellation; unknown where there is none.", "subscription_log",
        label="Reason",
    ),
    _key("promoted", "Promoted titles, or those compared with.", "promoted_titles", label="Promoted"),
    _key("user_key", "User.", "viewers"),
    Dimension("user_id", "User, by the id in events.", dict.fromkeys(("sessions", "viewers"), "user_id"), "User"),
    _key("profile_id", "Profile of the account.", "sessions"),
    _key("content_key", "Title.", "titles"),
    Dimension(
        "content_id", "Title, by the id in events.", dict.fromkeys(("sessions", "titles"), "content_id"), "Title",
    ),
    _key("content_name", "Name of the title; two may share one.", "titles"),
    _key("version_id", "Version of the title, where an event named one.", "sessions"),
    Dimension(
        "series_key", "Series.",
        dict.fromkeys(("sessions", "user_shows", "binges", "titles"), "series_key"), "Series",
    ),
    _key("device_key", "Device.", "dim_devices"),
    _key("device_id", "Device, by the id in events.", "sessions"),
    Dimension(
        "device_type", "Kind of device; of user_months, the one with most watched time.",
        {"user_months": "device_type", "dim_devices": "LOWER(device_type)"}, "Device",
    ),
    _key("date_key", "Day of a session's start, as a key.", "sessions"),
    _key("time_key", "Time of day of a session's start, as a key.", "sessions"),
    _key("completion_status_key", "How a session ended; NULL while open.", "sessions"),
)

METRICS = (
    # Who is there
    _session(
        "daily_active_users",
        "Distinct users with a session on a day, open and short ones inside. Coarser grains"
        " give the mean of their days with any.",
        "count", "up", _USERS, per="day", grain="day",
    ),
    _session(
        "monthly_active_users",
        "Distinct users with a session in a calendar month; by day or week, in the 28 days that end with it. Coarser"
        " grains give the mean of their months.",
        "count", "up", _USERS, per="month", rolling=28, grain="month",
    ),
    Metric(
        "dau_mau_ratio",
        "Stickiness, DAU over MAU: of a month, its mean daily over its distinct active users; of a day, its active"
        " users over those of the 28 days that end with it.",
        "ratio", "up", "ratio(daily_active_users, monthly_active_users)", by=_ALL, grain="month",
    ),
    _session("total_streaming_hours", "Watched time.", "hours", "up", "SUM(watched_hours)"),
    _month(
        "streaming_hours_concentration",
        "Gini coefficient of a month's watched hours over its users: 0 where all watch alike, near 1 where few watch"
        " all. Coarser grains give the mean of their months.",
        "share", "none", "gini(hours)", per="month", by=_OF_USERS,
    ),
    _session(
        "average_session_duration", "Mean elapsed time of a session, pauses inside; open ones have none.",
        "minutes", "up", "mean(elapsed_minutes)",
    ),
    _session(
        "sessions_per_user", "Sessions over distinct active users of the period.",
        "count", "up", f"ratio(COUNT(*), {_USERS})",
    ),
    _session(
        "average_watch_time_per_user", "Watched time over distinct viewers of the period.",
        "minutes", "up", f"ratio(SUM(watched_minutes), {_USERS})",
    ),
    _session(
        "active_profiles_per_account", "Distinct profiles with viewing over accounts with viewing.",
        "count", "up", "ratio(COUNT(DISTINCT account_profile), COUNT(DISTINCT account_id))",
    ),
    Metric(
        "last_active_date", "Day of the newest session; by user_key, of each user.",
        "date", "up", "MAX(activity_date)", source="active_days", by=("user_key", *_OF_USERS),
    ),
    Metric(
        "days_since_last_active",
        "Mean over users of the days from their newest session to the day of as_of.",
        "days", "down", "mean(days_between(activity_date, date_of(:as_of)))", source="active_days", as_of=_NEWEST,
        where="activity_date <= date_of(:as_of) AND (next_date IS NULL OR next_date > date_of(:as_of))", by=_OF_USERS,
    ),
    _month(
        "primary_streaming_device",
        "The kind of device on which most users watch most: of each user's month, that with most watched time; of"
        " those, the most frequent. Its distribution is primary_device_share.",
        "category", "none", "most_common(device_type)", by=_OF_USERS,
    ),
    _month(
        "primary_device_share", "Share of users (of a month) whose most used kind of device it is.",
        "share", "none", "COUNT(device_type)", share_of=_OF_USERS, by=("device_type", *_OF_USERS),
    ),
    Metric(
        "concurrent_viewers",
        "Distinct users with open playback at the moment of as_of (the newest event unless given): started by then,"
        " and not ended by then.",
        "count", "up", _USERS, source="sessions", as_of="session_facts.ended_at",
        where="started_at <= :as_of AND (is_open OR ended_at > :as_of)", by=("content_id", "region", "device_id"),
    ),
    # What they watch
    Metric(
        "content_library_utilization_rate",
        "Titles with a session while they were available over titles available, in the period.",
        "share", "up",
        "ratio(COUNT(DISTINCT CASE WHEN sessions > 0 THEN content_key END), COUNT(DISTINCT content_key))",
        source="library_days", by=(*_OF_TITLES, "time_period"),
    ),
    _view(
        "unique_shows_watched_per_user", "Distinct shows with a view, a viewer.",
        "count", "none", f"ratio(COUNT(DISTINCT user_show), {_USERS})",
    ),
    _view(
        "unique_movies_watched_per_user", "Distinct movies with a view, a viewer.",
        "count", "none", f"ratio(COUNT(DISTINCT CASE WHEN is_movie THEN user_title END), {_USERS})",
    ),
    _view(
        "unique_genres_watched_per_user", "Distinct main genres with a view, a viewer.",
        "count", "none", f"ratio(COUNT(DISTINCT user_genre), {_USERS})",
    ),
    Metric(
        "binge_session_frequency",
        "Binge sessions (3 or more episodes of one series viewed within 24 hours)"
        " over distinct active users of the period.",
        "count", "none", "ratio(CASE WHEN active_viewers > 0 THEN COALESCE(binge_sessions, 0) END, active_viewers)",
        by=_ALL,
    ),
    _part("binge_sessions", "Binge sessions.", sql="COUNT(*)", source="binges"),
    _part("watched_hours_per_session", "Watched hours of a session.", unit="hours",
          sql="ratio(SUM(watched_hours), COUNT(*))", source="sessions"),
    _part("active_viewers", "Distinct users with a session.", sql=_USERS, source="sessions"),
    Metric("average_binge_length", "Mean episodes of a binge session.", "count", "none", "mean(episodes)",
           source="binges", by=_ALL),
    Metric(
        "user_title_completion_rate",
        "Movies and series finished over those started, by user and title: by the start of the first session, finished"
        " by now. A series is finished with all of its episodes completed.",
        "share", "up", "share(parts_completed >= parts)", source="user_shows", by=("content_type", *_ALL),
    ),
    Metric(
        "user_series_completion_rate",
        "Series of which the user viewed more than 80 percent of the episodes (setting series_watched_pct) over series"
        " started, by user and series.",
        "share", "up", "share(100 * parts_viewed > watched_pct * parts)", source="user_shows", where="kind = 'series'",
        by=_ALL,
    ),
    Metric(
        "series_completion_rate", "Episodes completed over episodes of the series, of users who started it.",
        "share", "up", "ratio(SUM(parts_completed), SUM(parts))", source="user_shows", where="kind = 'series'",
        by=("series_key",),
    ),
    Metric(
        "inter_episode_viewing_gap",
        "Mean hours from a user's first view of an episode to that of the next. The time from first to last episode is"
        " another quantity.",
        "hours", "down", "mean(gap_hours)", source="episode_views", by=_ALL,
    ),
    _session(
        "hook_rate", "Users who complete the pilot (first episode of the first"
        " season) over users who start it, by series.",
        "share", "up", "ratio(COUNT(DISTINCT CASE WHEN is_completed THEN user_title END), COUNT(DISTINCT user_title))",
        where="season_number = 1 AND episode_number = 1",
    ),
    Metric(
        "trailer_to_full_view_conversion_rate",
        "Users with a view of a title after one of its trailer over users with a view of its trailer.",
        "share", "up", "share(has_viewed_title)", source="trailer_viewers", by=_ALL,
    ),
    _view("total_views", "Views.", "count", "up", "COUNT(*)", by=("view_source", *_ALL)),
    _view("unique_viewers", "Distinct users with a view.", "count", "up", _USERS, by=("view_source", *_ALL)),
    _view(
        "average_view_duration", "Watched time of views over views.",
        "minutes", "up", "ratio(SUM(watched_minutes), COUNT(*))",
    ),
    _session(
        "percentage_completion",
        "Average view duration over the length of the title: watched time of views over the lengths of what was"
        " viewed. Parts watched twice count twice.",
        "share", "up", "ratio(SUM(watched_seconds), SUM(length_seconds))", where="is_view AND length_seconds > 0",
    ),
    Metric(
        "rewatch_rate",
        "Viewers who viewed a title again after they had completed it over viewers of the title. To go on with what"
        " was left open is no rewatch.",
        "share", "up", "ratio(COUNT(DISTINCT CASE WHEN is_again THEN user_title END), COUNT(DISTINCT user_title))",
        source="title_views", by=_ALL,
    ),
    Metric(
        "content_engagement_score",
        "0 to 100: weighted mean of the share of views that complete the title, its rewatch rate and its mean rating"
        " over 5; without a rating, of the other two. Weights are settings (score_weight_completion, _rewatch,"
        " _rating), 1 each. Of a title: by content_key.",
        "score", "up",
        "100 * ratio(weight_of_completion * view_completion_rate + weight_of_rewatch * rewatch_rate +"
        " COALESCE(weight_of_rating * mean_rating / 5, 0), weight_of_completion + weight_of_rewatch + CASE WHEN"
        " mean_rating IS NULL THEN 0 ELSE weight_of_rating END)",
        by=_OF_TITLES,
    ),
    *(
        _part(f"weight_of_{what}", f"Weight of {what}.", sql=f"MAX(weight_{what})", source="title_views")
        for what in ("completion", "rewatch", "rating")
    ),
    _part("view_completion_rate", "Share of views that complete the title.", sql="share(is_completed)",
          source="title_views"),
    _part("mean_rating", "Mean stars.", sql="mean(rating)", source="opinions", where="kind = 'rating'"),
    Metric(
        "intro_skip_rate",
        "Views in which a seek led from before the end of the intro beyond it over views that reached the intro.",
        "share", "none", "share(is_skipped)", source="scene_views",
        where="scene = 'intro' AND seek_direction = 'forward'", by=_ALL,
    ),
    _session(
        "credits_skip_rate", "Views that got to the end credits without watching"
        " half of them over views that got there.",
        "share", "none", "share(NOT has_credits_watched)", where="is_view AND reached_credits",
    ),
    Metric(
        "scene_seek_rate",
        "Seeks over a scene or back to it over views reaching it; forward and backward apart by seek_direction. Scenes"
        " are those of the table scenes and intros, else the whole title.",
        "share", "none", "ratio(SUM(seeks), COUNT(DISTINCT view_scene))", source="scene_views",
        by=("seek_direction", *_ALL),
    ),
    _session(
        "content_discovery_mix",
        "Share of views reached by browse, by search and by recommendation, of those three. Of a user: by user_key.",
        "share", "none", "COUNT(*)", share_of=(*_ALL, "user_key"),
        where="is_view AND view_source IN ('browse', 'search', 'recommendation')", by=("view_source", *_ALL),
    ),
    _view(
        "view_source_mix", "Share of views by source: search, browse, recommendation,"
        " external. Of a title: by content_key.",
        "share", "none", "COUNT(*)", share_of=(*_ALL, "content_key"), by=("view_source", *_ALL),
    ),
    # Subscriptions
    _subscription("new_subscribers", "Subscriptions started.", "count", "up", "COUNT(DISTINCT subscription_key)"),
    _subscription(
        "churned_subscribers", "Subscriptions ended.", "count", "down", "COUNT(DISTINCT subscription_key)",
        time="ended_at", where="ended_at IS NOT NULL",
    ),
    Metric(
        "subscription_growth_rate",
        "New less churned over subscribers at the start of the period. Over all time there is no start: ask by period"
        " or from a day on.",
        "share", "up", "ratio(COALESCE(new_subscribers, 0) - COALESCE(churned_subscribers, 0), subscribers_at_start)",
        by=_OF_USERS, grain="month",
    ),
    Metric(
        "subscriber_churn_rate",
        "Subscriptions ended over subscribers at the start of the period. Over all time there is no start: ask by"
        " period or from a day on.",
        "share", "down",
        "ratio(CASE WHEN subscribers_at_start > 0 THEN COALESCE(churned_subscribers, 0) END, subscribers_at_start)",
        by=_OF_USERS, grain="month",
    ),
    _part(
        "subscribers_at_start", "Subscriptions that last when the period begins.",
        sql="COALESCE(subscriptions_started, 0) - COALESCE(new_subscribers, 0)"
            " - (COALESCE(subscriptions_ended, 0) - COALESCE(churned_subscribers, 0))",
    ),
    _part(
        "subscriptions_started", "Subscriptions started up to the end of the period.",
        sql="COUNT(DISTINCT subscription_key)", source="subscription_log", rolling=_EVER,
    ),
    _part(
        "subscriptions_ended", "Subscriptions ended up to the end of the period.",
        sql="COUNT(DISTINCT subscription_key)", source="subscription_log", time="ended_at", rolling=_EVER,
    ),
    _subscription(
        "churn_reason_breakdown", "Share of churned subscriptions by reason of the"
        " cancellation; unknown where none is captured.",
        "share", "none", "COUNT(*)", time="ended_at", where="ended_at IS NOT NULL", share_of=_OF_USERS,
        by=("churn_reason", *_OF_USERS),
    ),
    _subscription(
        "trial_to_paid_conversion_rate",
        "Trials that became paid over trials that have reached their end at as_of, by the start of the trial.",
        "share", "up", "share(converted_to_paid_at IS NOT NULL AND converted_to_paid_at <= :as_of)",
        time="trial_started_at", where="trial_ends_at <= :as_of", as_of=_NEWEST,
    ),
    # Features
    *(
        Metric(
            f"{feature}_adoption_rate",
            f"Users who used {what} over users active in the period, by viewing or any feature.",
            "share", "up", f"ratio(COUNT(DISTINCT CASE WHEN feature = '{feature}' THEN user_key END), {_USERS})",
            source="activity", by=_OF_USERS,
        )
        for feature, what in (
            ("profiles", "multiple profiles"), ("downloads", "offline downloads"), ("watchlist", "the watchlist"),
            ("parental_controls", "parental controls"),
        )
    ),
    Metric(
        "watchlist_items_added", "Items put on watchlists over users who did, in the period.",
        "count", "up", f"ratio(COUNT(*), {_USERS})", source="watchlist_log", by=_ALL,
    ),
    Metric(
        "watchlist_to_view_conversion_rate",
        "Watchlist items viewed after they were added over items added, by when they were added.",
        "share", "up", "share(viewed_at IS NOT NULL AND viewed_at <= :as_of)", source="watchlist_log", as_of=_NEWEST,
        by=_ALL,
    ),
    Metric(
        "stale_watchlist_items",
        "Watchlist items still there at as_of, not viewed since they were added, and older than 30 days (setting"
        " stale_watchlist_days), by when they were added.",
        "count", "down", "COUNT(*)", source="watchlist_log", as_of=_NEWEST, by=_ALL,
        where="(removed_at IS NULL OR removed_at > :as_of) AND (viewed_at IS NULL OR viewed_at > :as_of)"
              " AND days_between(added_at, date_of(:as_of)) > stale_days",
    ),
    Metric(
        "watchlist_adds_from_content_page", "Items put on watchlists on the title's own page.",
        "count", "up", "COUNT(*)", source="watchlist_log", by=_ALL,
        where="added_from IN ('content_page', 'content page', 'title_page', 'title page', 'detail_page', 'details')",
    ),
    # Recommendations
    # How titles are found
    *(
        _view(f"{source}_views", f"Views reached by {how}.", "count", "up", "COUNT(*)",
              where=f"is_view AND view_source = '{how}'")
        for source, how in (("browsed", "browse"), ("recommended", "recommendation"))
    ),
    Metric(
        "search_success_rate", "Searches in which a title was chosen over searches.",
        "share", "up", "share(is_found)", source="search_log", by=_OF_USERS,
    ),
    Metric(
        "recommendation_ctr", "Impressions of recommended titles that were clicked over impressions.",
        "share", "up", "share(clicked_at IS NOT NULL)", source="recommendation_log", by=_ALL,
    ),
    _month(
        "recommended_viewing_watch_time_lift",
        "Watched time of users who view recommended titles over that of users who do not, less 1; by month, the others"
        " weighted to have watched as much in the month before. It compares who chose to, and is no effect: that takes"
        " recommendation_display_test.",
        "share", "up", _compared("hours", "weight"), by=("experiment_arm",),
    ),
    _month(
        "recommended_viewing_satisfaction_lift",
        "Share of satisfied csat answers of users who view recommended titles over that of users who do"
        " not, less 1; by month, the others weighted to have watched as much in the month before. It"
        " compares who chose to, and is no effect.",
        "share", "up", _compared("satisfied", "answer_weight", "answers"), by=("experiment_arm",),
    ),
    Metric(
        "promotion_sustained_engagement_ratio",
        "Views a day of a promoted title in the 28 days after its promotion (setting promotion_after_days) over those"
        " while it ran, by the promotion's start; promotions of which a day after is over. By promoted: also of titles"
        " never promoted, on the same days.",
        "ratio", "up",
        "CASE WHEN COUNT(*) FILTER (WHERE promoted) > 0 THEN ratio(SUM(CASE WHEN promoted THEN views_a_day_after END),"
        " SUM(CASE WHEN promoted THEN views_a_day END)) ELSE ratio(SUM(views_a_day_after), SUM(views_a_day)) END",
        source="promoted_titles", where="views_a_day_after IS NOT NULL", as_of="sessions.started_at", by=("promoted",),
    ),
    # What they say
    Metric(
        "platform_csat", "Share of csat answers that are 4 or 5.", "score", "up", "share(score >= 4)",
        source="survey_answers", where="survey_type = 'csat'", by=_OF_USERS,
    ),
    Metric(
        "platform_nps", "Net promoter score, -100 to 100: percent who answered 9"
        " or 10 less percent who answered 0 to 6.",
        "score", "up", net_promoter_score(),
        source="survey_answers", where="survey_type = 'nps'", by=_OF_USERS,
    ),
    _opinion(
        "rating_activity_frequency", "Ratings over users who rate, in the period.", better="up",
        sql=f"ratio(COUNT(*), {_USERS})", where="kind = 'rating'",
    ),
    _opinion(
        "review_activity_frequency", "Reviews over users who review, in the period.", better="up",
        sql=f"ratio(COUNT(*), {_USERS})", where="kind = 'review'",
    ),
    _opinion("title_likes", "Likes of titles.", better="up", sql="COUNT(*)", where="kind = 'like'"),
    _opinion("title_dislikes", "Dislikes of titles.", better="down", sql="COUNT(*)", where="kind = 'dislike'"),
    _opinion("title_shares", "Shares of titles.", better="up", sql="COUNT(*)", where="kind = 'share'"),
    # Measures of a session
    _measure("session_duration_seconds", "Mean elapsed time of a session that is over.", "seconds", "up",
             "mean(elapsed_seconds)"),
    _measure("total_content_length_seconds", "Mean length of the title, a session.", "seconds", "none",
             "mean(length_seconds)"),
    _measure("playback_position_seconds", "Mean position at which a session stopped.", "seconds", "up",
             "mean(stop_position)"),
    _measure(
        "completion_percentage", "Mean over sessions of the furthest position played over the length, 0 to 100.",
        "percent", "up", "mean(completion)",
    ),
    _measure("total_pause_duration_seconds", "Mean time paused, a session.", "seconds", "none", "mean(paused_seconds)"),
    _measure("number_of_pauses", "Mean pauses a session.", "count", "none", "mean(pauses)"),
    _measure("number_of_rewinds", "Mean seeks backward, a session.", "count", "none", "mean(rewinds)"),
    _measure("number_of_forwards", "Mean seeks forward, a session.", "count", "none", "mean(forwards)"),
    _measure(
        "watched_credits", "Share of ended sessions in which the end credits were watched.", "share", "none",
        "share(has_credits_watched)", where="NOT is_open",
    ),
    _measure(
        "max_playback_quality", "Best quality reached, of most sessions (dim_playback_quality has its label); of"
        " several as frequent, the lowest.",
        "level", "up", "most_common(quality)",
    ),
    _measure(
        "autoplay_enabled", "Share of ended sessions with autoplay on.", "share", "none", "share(has_autoplay)",
        where="NOT is_open",
    ),
)

TREES = (
    MetricTree(
        "streaming_hours_tree", "Watched hours: how many watch, how often, and how long a session is watched.",
        "total_streaming_hours", "active_viewers * sessions_per_user * watched_hours_per_session",
    ),
)
