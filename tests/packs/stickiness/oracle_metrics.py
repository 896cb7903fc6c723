"""Every metric of the pack as leaves over the rows of the oracle (see `oracle_kit`)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from statistics import median
from typing import Any

from oracle_kit import Leaf, Measure, Row, Value, distinct, end_of, mean, moment, nps, one, ratio, share, start_of

from .oracle import TOWARDS, Platform, read

COHORTS = ("signup_cohort", "signup_week", "signup_month")


def measures(p: Platform) -> dict[str, Measure]:
    active, events, newest = p.external(p.active), p.external(p.events), p.newest
    users = lambda rows: distinct(rows, "user")  # noqa: E731
    dau = Leaf(active, users, per="day")
    wau = Leaf(active, users, per="week", rolling=7)
    mau = Leaf(active, users, per="month", rolling=28)
    base, user_days = Leaf(active, users), Leaf(active, lambda a: distinct(a, "user", "day"))

    def counted(rows: list[Row], test: Callable[[Row], Any]) -> int:
        return sum(bool(test(e)) for row in rows for e in row["events"])

    def per_user_day(test: Callable[[Row], Any]) -> Measure:
        return one(active, lambda a: ratio(counted(a, test), distinct(a, "user", "day")))

    def crossed(name: str, kinds: tuple[str, ...], field: str) -> list[Row]:
        return [
            {**row, name: kind, "n": sum(e[field] == kind for e in row["events"])} for row in active for kind in kinds
        ]

    creations = crossed("creation_type", ("post", "comment", "story"), "created")
    towards = crossed("interaction_type", TOWARDS, "towards")
    doing = lambda rows: [r for r in rows if r["n"]]  # noqa: E731
    day_share = lambda a: ratio(distinct(doing(a), "user", "day"), distinct(a, "user", "day"))  # noqa: E731
    count = lambda rows: sum(r["n"] for r in rows)  # noqa: E731

    def month_share(rows: list[Row]) -> Measure:
        return Measure([Leaf(rows, lambda a: distinct(doing(a), "user"), per="month"), Leaf(rows, users, per="month")], ratio)

    def private(a: list[Row]) -> Value:
        return ratio(count([r for r in a if r["interaction_type"] == "direct_message"]),
                     count([r for r in a if r["interaction_type"] != "direct_message"]))

    bases = [
        {**row, "activity_base": b, "subject": (row["user"], row["day"] if b == "DAU" else start_of(row["day"], "month"))}
        for row in active for b in ("DAU", "MAU")
    ]

    def adoption(feature: str) -> Measure:
        def of(rows: list[Row]) -> Value:
            used = [r for r in rows if any(e["feature"] == feature for e in r["events"])]
            return ratio(distinct(used, "subject"), distinct(rows, "subject"))
        return one(bases, of, focus=("activity_base", "DAU"))

    views = [e for e in events if e["viewed"]]

    def per_session(kind: str) -> Measure:
        def of(rows: list[Row]) -> Value:
            told = [r for r in rows if r["session"]]
            return ratio(sum(r["viewed"] == kind for r in told), distinct(told, "user", "session"))
        return one(events, of)

    def finished(kind: str) -> Measure:
        return one([v for v in views if v["viewed"] == kind], lambda a: share(r["completed"] for r in a))

    scrolls: dict[tuple[str, str], list[Row]] = {}
    for event in events:
        if event["scroll"] is not None and event["session"]:
            scrolls.setdefault((event["user"], event["session"]), []).append(event)
    depths = [{**found[0], "depth": max(e["scroll"] for e in found)} for found in scrolls.values()]

    gaps = lambda a: [r["gap"] for r in a if r["gap"] is not None]  # noqa: E731

    # Seven days on: of each active row, whether its user was active again.
    week_on = [
        {**row, "base": row["day"], "day": row["day"] + timedelta(7), "again": row["day"] + timedelta(7) in p.days_of(row["user"]),
         "tenure": p.slices(row["user"], row["day"] + timedelta(7), None)["tenure"]}
        for row in active if row["day"] + timedelta(7) <= newest
    ]
    levels = []
    for user in {r["user"] for r in active}:
        for n in range((newest - p.first).days + 1):
            day = p.first + timedelta(n)
            days = sum(day - timedelta(7) < d <= day for d in p.days_of(user))
            if days:
                levels.append({"user": user, "day": day, "l7": days, **p.slices(user, day, p.device.get(user))})

    cohorts, adopters = [], []
    features = sorted({e["feature"] for row in p.active for e in row["events"] if e["feature"]})
    for user, row in p.users.items():
        if p.internal(user):
            continue
        signup, days = row["signup"], p.days_of(user)
        life = {"user": user, "day": signup, "signup_cohort": signup, "signup_week": start_of(signup, "week"),
                "signup_month": start_of(signup, "month"), **p.slices(user, newest, p.device.get(user)),
                "ages": {(d - signup).days for d in days}}
        cohorts.append(life)
        early = {e["feature"] for r in p.active if r["user"] == user and (r["day"] - signup).days <= 6 for e in r["events"]}
        if signup >= p.first:
            adopters += [{**life, "feature_name": f, "adopts": f in early,
                          "stays": any(21 <= a <= 27 for a in life["ages"])} for f in features]
    ripe = lambda rows, n: [r for r in rows if r["day"] + timedelta(n) <= newest]  # noqa: E731
    seen = lambda n: [r for r in ripe(cohorts, n) if r["day"] + timedelta(n) >= p.first]  # noqa: E731

    def retention(n: int) -> Measure:
        return one(seen(n), lambda a: share(n in r["ages"] for r in a), newest=newest)

    def lift(a: list[Row]) -> Value:
        with_it = share(r["stays"] for r in a if r["adopts"])
        without = share(r["stays"] for r in a if not r["adopts"])
        return None if with_it is None or without is None else with_it - without

    windows = []
    for row in active:
        start = start_of(row["day"], "week")
        if start + timedelta(13) <= newest:
            again = any(start + timedelta(7) <= d < start + timedelta(14) for d in p.days_of(row["user"]))
            windows.append({**row, "window": start, "again": again})

    churned = []
    for month in sorted({start_of(r["day"], "month") for r in active}):
        for user in {r["user"] for r in active}:
            before = [d for d in p.days_of(user) if d < month]
            if before and (month - max(before)).days > 28:
                back = any(month <= d <= end_of(month, "month") for d in p.days_of(user))
                churned.append({"user": user, "day": month, "back": back, **p.slices(user, month, p.device.get(user))})

    connections = [r for r in read("connections") if not p.internal(r["user_id"]) and not p.internal(r["connected_user_id"])]
    made = [
        {"user": r["user_id"], "day": moment(r["created_at"]).date(), "pair": (r["user_id"], r["connected_user_id"]),
         **p.slices(r["user_id"], moment(r["created_at"]).date(), p.device.get(r["user_id"]))}
        for r in connections if r["created_at"]
    ]
    names = {*p.everyone(), *(u for r in connections for u in (r["user_id"], r["connected_user_id"]))}
    people = {u: {"user": u, "day": newest, **p.slices(u, newest, p.device.get(u))} for u in names}
    edges = []
    for r in connections:
        a, b = r["user_id"], r["connected_user_id"]
        if a != b and not r["ended_at"]:
            common = {k: people[a][k] if people[a][k] == people[b][k] else "mixed" for k in people[a]}
            edges.append({**common, "day": newest, "pair": frozenset((a, b)), "arrow": (a, b)})

    def density(field: str, both: int) -> Measure:
        return Measure([Leaf(edges, lambda a: distinct(a, field)), Leaf(list(people.values()), len)],
                       lambda e, n: None if n is None else ratio(both * (e or 0), n * (n - 1)))

    answers = [
        {"kind": r["survey_type"].lower(), "score": float(r["score"]) if r["score"] else None, "day": day,
         **p.slices(r["user_id"], day, p.device.get(r["user_id"]))}
        for r in read("survey_responses") if not p.internal(r["user_id"])
        for day in [(moment(r["responded_at"]) or moment("2024-03-01 10:00:00")).date()]
    ]
    of_kind = lambda kind: [a for a in answers if a["kind"] == kind]  # noqa: E731
    scores = lambda a: [r["score"] for r in a]  # noqa: E731
    sign = {"positive": 1, "1": 1, "0.8": 1, "negative": -1, "-0.5": -1, "neutral": 0, "0.0": 0}
    reviews = [
        {"day": (moment(r["created_at"]) or moment("2024-02-13 00:00:00")).date(), "device": r["device"] or r["platform"],
         "rating": float(r["rating"]) if r["rating"] else None, "sign": sign.get((r["sentiment"] or "").lower())}
        for r in read("app_reviews")
    ]
    mentions = [
        {"day": (moment(r["mentioned_at"]) or moment("2024-01-12 00:00:00")).date(),
         "sign": sign.get((r["sentiment"] or "").lower())}
        for r in read("social_mentions")
    ]

    def balance(a: list[Row]) -> Value:
        signs = [r["sign"] for r in a if r["sign"] is not None]
        return ratio(sum(signs), len(signs))

    used = [
        {**e, "pair": (e["user"], e["feature"])} for row in p.active if not p.internal(row["user"])
        for e in row["events"] if e["feature"]
    ]
    return {
        "daily_active_users": Measure([dau]),
        "weekly_active_users": Measure([wau]),
        "monthly_active_users": Measure([mau]),
        "three_day_active_users": one(active, users, rolling=3),
        "dau_mau_ratio": Measure([dau, mau], ratio),
        "session_frequency_per_user": Measure([Leaf(p.sessions, len), base], ratio),
        "inter_session_interval": one(p.sessions, lambda a: median(gaps(a)) if gaps(a) else None),
        "inter_session_interval_mean": one(p.sessions, lambda a: mean(gaps(a))),
        "time_spent_per_active_user_per_day": Measure(
            [Leaf(p.sessions, lambda a: sum(r["seconds"] for r in a) / 60), user_days], ratio),
        "l7_open_rate": one(
            week_on, lambda a: ratio(distinct([r for r in a if r["again"]], "user", "base"), distinct(a, "user", "base"))),
        "l7_open_rate_literal": Measure([dau, Leaf(week_on, users, per="day")], ratio),
        "l7_active_days": one(levels, lambda a: mean(r["l7"] for r in a)),
        # A share of all users of its period; the tests ask for it over all, where that is every row.
        "l7_share": one(levels, lambda a: len(a) / len(levels)),
        "average_posts_viewed_per_user": per_user_day(lambda e: e["viewed"] == "post"),
        "average_videos_viewed_per_user": per_user_day(lambda e: e["viewed"] == "video"),
        "average_stories_viewed_per_user": per_user_day(lambda e: e["viewed"] == "story"),
        "average_posts_viewed_per_session": per_session("post"),
        "average_videos_viewed_per_session": per_session("video"),
        "average_stories_viewed_per_session": per_session("story"),
        "feed_scroll_depth": one(depths, lambda a: mean(r["depth"] for r in a)),
        "video_completion_rate": finished("video"),
        "story_completion_rate": finished("story"),
        "dau_creating_content_pct": one(creations, day_share),
        "mau_creating_content_pct": month_share(creations),
        "average_creations_per_creating_user": one(creations, lambda a: ratio(count(a), distinct(doing(a), "user"))),
        "dau_social_interaction_pct": one(towards, day_share),
        "mau_social_interaction_pct": month_share(towards),
        "average_social_interactions_per_user_per_day": one(
            towards, lambda a: ratio(count(a), distinct(a, "user", "day"))),
        "private_to_public_interaction_ratio": one(towards, private),
        "network_density": density("pair", 2),
        "network_density_directed": density("arrow", 1),
        "connection_growth_rate": Measure(
            [Leaf(made, len), Leaf(made, lambda a: distinct(a, "pair"), rolling=7300)],
            lambda new, held: ratio(new or 0, None if held is None else held - (new or 0))),
        "feed_adoption_pct": adoption("feed"),
        "stories_adoption_pct": adoption("stories"),
        "messaging_adoption_pct": adoption("messaging"),
        "groups_adoption_pct": adoption("groups"),
        "distinct_features_used_per_user": Measure([Leaf(used, lambda a: distinct(a, "pair")), base], ratio),
        "feature_adopter_retention_lift": one(ripe(adopters, 27), lift, newest=newest),
        "d1_retention": retention(1),
        "d7_retention": retention(7),
        "d30_retention": retention(30),
        "rolling_retention": one(windows, lambda a: ratio(
            distinct([r for r in a if r["again"]], "user", "window"), distinct(a, "user", "window"))),
        "resurrection_rate": Measure(
            [Leaf(churned, lambda a: sum(r["back"] for r in a), per="month"), Leaf(churned, len, per="month")], ratio),
        "survey_csat": one(of_kind("csat"), lambda a: mean(scores(a))),
        "survey_nps": one(of_kind("nps"), lambda a: nps(scores(a))),
        "app_store_rating": one(reviews, lambda a: mean(r["rating"] for r in a)),
        "app_review_volume": one(reviews, len),
        "app_review_sentiment": one(reviews, balance),
        "social_media_sentiment": one(mentions, balance),
    }
