"""Every metric of the pack over the rows of the oracle, at any grain and in any slice."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

from oracle_kit import Leaf, Measure, Row, Value, distinct, mean, moment, nps, one, ratio, share

from .oracle import Platform, number, read

EVER = 36_500


def gini(values: list[float]) -> Value:
    """Mean difference of all pairs over twice the mean."""
    total = sum(values)
    if not total:
        return None
    return sum(abs(a - b) for a in values for b in values) / (2 * len(values) * total)


def start(row: Row) -> datetime:
    return row["start"]


class Log:
    """What surrounds the sessions of the platform, as rows with slices."""

    def __init__(self, p: Platform) -> None:
        self.p = p
        self.subs = [
            {**p.slices(p.user(r["user_id"]), None, moment(r["started_at"]) or moment(r["trial_started_at"])), **r,
             "subscription_tier": r["tier"].lower(), "churn_reason": (r["churn_reason"] or "unknown").lower(),
             "id": r["subscription_id"] or r["user_id"]}
            for r in read("subscriptions") if not p.internal(p.user(r["user_id"]))
        ]
        self.activity = [{**s, "feature": None} for s in p.external] + [
            {**p.slices(p.user(r["user_id"]), None, moment(r["event_timestamp"])), "feature": r["feature_name"].lower()}
            for r in read("feature_usage") if not p.internal(p.user(r["user_id"]))
        ]
        self.answers = self._dated("survey_responses", "responded_at")
        self.items = self._dated("watchlist_items", "added_at")
        for item in self.items:
            item["added"] = moment(item["added_at"])
            item["viewed"] = min((s["start"] for s in p.views if s["user_key"] == item["user_key"]
                                  and s["content_key"] == item["content_key"] and s["start"] >= item["added"]), default=None)
        self.shown = self._dated("recommendation_events", "shown_at", "clicked_at")
        self.searches = self._dated("search_events", "searched_at")
        self.ratings = self._dated("title_ratings", "rated_at")
        self.reviews = self._dated("title_reviews", "created_at")
        self.feedback = self._dated("title_feedback", "given_at")
        self.by_show = self._shows()
        self.months = self._months()

    def _dated(self, table: str, *columns: str) -> list[Row]:
        """External rows of a table with slices; an undated one counts at the newest moment of the table."""
        rows = read(table)
        newest = max(r[c] for r in rows for c in columns if r[c])
        return [
            {**r, **self.p.slices(self.p.user(r["user_id"]), self.p.title(r.get("content_id")),
                                  moment(next((r[c] for c in columns if r[c]), newest)))}
            for r in rows if not self.p.internal(self.p.user(r["user_id"]))
        ]

    def _shows(self) -> list[Row]:
        """A row a user and movie or series."""
        p = self.p
        catalogue = Counter(t["series_key"] for t in p.titles.values() if t["series_key"])
        groups: dict[Any, list[Row]] = defaultdict(list)
        for s in p.external:
            if s["user_key"] and s["trailer_of"] is None and (s["is_movie"] or s["show"]):
                groups[s["user_key"], s["show"] or f"movie {s['content_key']}"].append(s)
        rows = []
        for (user, _), sessions in groups.items():
            first = min(sessions, key=start)
            rows.append({
                **p.slices(user, first["content_key"], first["day"]), "content_type": "series" if first["show"] else "movie",
                "parts": catalogue[str(first["series_key"])] if first["show"] else 1,
                "viewed": len({s["content_key"] for s in sessions if s["is_view"]}),
                "completed": len({s["content_key"] for s in sessions if s["is_completed"]}),
            })
        return rows

    def _months(self) -> list[Row]:
        """A row a user and month with viewing."""
        p = self.p
        groups: dict[Any, list[Row]] = defaultdict(list)
        for s in p.external:
            if s["user_key"]:
                groups[s["user_key"], s["day"].replace(day=1)].append(s)
        rows = []
        for (user, month), sessions in sorted(groups.items()):
            seconds: Counter[str] = Counter()
            for s in sessions:
                if s["device_type"]:
                    seconds[s["device_type"]] += s["watched"] or 0
            hours = sum(s["watched"] or 0 for s in sessions) / 3600
            by_click = any(
                s["is_view"] and r["user_key"] == user and r["clicked_at"] and moment(r["clicked_at"]) <= s["start"]
                and r["content_key"] == s["content_key"] for s in sessions for r in self.shown
            )
            by_source = any(s["is_view"] and s["view_source"] == "recommendation" for s in sessions)
            said = [a for a in self.answers if a["user_key"] == user and a["survey_type"].lower() == "csat"
                    and a["score"] and a["day"].replace(day=1) == month]
            rows.append({
                **p.slices(user, None, month), "hours": hours,
                "device_type": min(seconds, key=lambda d: (-seconds[d], d)) if seconds else None,
                "recommended": by_click or by_source, "answers": len(said),
                "satisfied": sum(float(a["score"]) >= 4 for a in said),
            })
        return rows


def episodes_before(p: Platform) -> list[Row]:
    """Each first view of an episode with the hours since that of the one before."""
    firsts: dict[Any, Row] = {}
    for s in sorted(p.views, key=start):
        if s["user_key"] and s["show"] and s["episode"] is not None:
            firsts.setdefault((s["user_key"], s["series_key"], s["season"], s["episode"]), s)
    rows = []
    for (user, series, season, episode), s in firsts.items():
        before = firsts.get((user, series, season, episode - 1))
        if episode == 1:
            earlier = [key for key in firsts if key[:3] == (user, series, season - 1)]
            before = firsts[max(earlier)] if earlier else None
        gap = (s["start"] - before["start"]).total_seconds() / 3600 if before else None
        rows.append({**s, "gap": gap if gap is None or gap >= 0 else None})
    return rows


def binges(p: Platform) -> list[Row]:
    """Sets of views that hang together by windows of 24 hours with three distinct episodes, by brute force."""
    groups: dict[Any, list[Row]] = defaultdict(list)
    for s in sorted(p.views, key=start):
        if s["user_key"] and s["show"] and s["trailer_of"] is None:
            groups[s["user_key"], s["series_key"]].append(s)
    rows = []
    for (user, _), views in groups.items():
        clusters: list[set[int]] = []
        for i, first in enumerate(views):
            inside = {j for j in range(i, len(views)) if views[j]["start"] - first["start"] <= timedelta(hours=24)}
            if len({views[j]["content_key"] for j in inside}) >= 3:
                joined = [c for c in clusters if c & inside]
                clusters = [c for c in clusters if not c & inside] + [inside.union(*joined)]
        for cluster in clusters:
            first = views[min(cluster)]
            rows.append({**p.slices(user, first["content_key"], first["day"]),
                         "episodes": len({views[j]["content_key"] for j in cluster})})
    return rows


def scene_rows(p: Platform) -> list[Row]:
    scenes: dict[Any, list[tuple[str, float, float]]] = defaultdict(list)
    for key, t in p.titles.items():
        if t["intro_end_seconds"]:
            scenes[key].append(("intro", float(t["intro_start_seconds"]), float(t["intro_end_seconds"])))
    for r in read("scenes"):
        scenes[p.title(r["content_id"])].append((r["scene"], float(r["start_seconds"]), float(r["end_seconds"])))
    rows = []
    for s in p.views:
        for scene, low, high in scenes[s["content_key"]] or [("title", 0.0, float("inf"))]:
            jumps = [(e["position"], e["to"]) for e in s["seeks"] if e["to"] is not None and e["to"] != e["position"]]
            over = [1 for a, b in jumps if b > a and a < high and b > low]
            back = [1 for a, b in jumps if b < a and low <= b < high]
            if over or back or ((s["furthest"] or 0) >= low and (s["begin"] or 0) < high):
                for direction, seeks in (("forward", over), ("backward", back)):
                    rows.append({**s, "scene": scene, "seek_direction": direction, "seeks": len(seeks),
                                 "view": (s["name"], scene), "skipped": any(a < high <= b for a, b in jumps)})
    return rows


def library(p: Platform) -> list[Row]:
    days = [s["day"] for s in p.external]
    seen = {(s["content_key"], s["day"]) for s in p.external}
    rows = []
    for n in range((max(days) - min(days)).days + 1):
        day = min(days) + timedelta(n)
        for r in read("content_availability"):
            if (r["available_from"] or "") <= day.isoformat() <= (r["available_to"] or "9"):
                title = p.title(r["content_id"])
                rows.append({**p.slices(None, title, day), "seen": (title, day) in seen})
    return rows


def promotions(p: Platform) -> list[Row]:
    newest = max(s["day"] for s in p.external)
    promoted = {p.title(r["content_id"]) for r in read("promotions")}
    rows = []
    for r in read("promotions"):
        first, last = date.fromisoformat(r["start_date"]), date.fromisoformat(r["end_date"])
        end = min(last + timedelta(28), newest)
        if last >= newest:
            continue  # no day after it is over
        for title in [p.title(r["content_id"]), *(t for t in p.titles if t not in promoted)]:
            days = [s["day"] for s in p.views if s["content_key"] == title]
            rows.append({
                "day": first, "promoted": title in promoted,
                "during": sum(first <= d <= last for d in days) / ((last - first).days + 1),
                "after": sum(last < d <= end for d in days) / (end - last).days,
            })
    return rows


def again(p: Platform) -> list[Row]:
    done: set[Any] = set()
    rows = []
    for s in sorted((s for s in p.views if s["user_key"] and s["content_key"]), key=start):
        pair = (s["user_key"], s["content_key"])
        rows.append({**s, "pair": pair, "again": pair in done})
        if s["is_completed"]:
            done.add(pair)
    return rows


def trailers(p: Platform) -> list[Row]:
    rows: dict[Any, Row] = {}
    for s in sorted(p.views, key=start):
        if s["user_key"] and s["trailer_of"] and (s["user_key"], s["trailer_of"]) not in rows:
            later = any(v["user_key"] == s["user_key"] and v["content_key"] == s["trailer_of"] and v["start"] > s["start"]
                        for v in p.views)
            rows[s["user_key"], s["trailer_of"]] = {**p.slices(s["user_key"], s["trailer_of"], s["day"]), "later": later}
    return list(rows.values())


def promoted_ratio(rows: list[Row]) -> Value:
    own = [r for r in rows if r["promoted"]] or rows
    return ratio(sum(r["after"] for r in own), sum(r["during"] for r in own))


def lift(log: Log, value: str, of: str) -> Callable[[list[Row]], Value]:
    """Weighted mean of who views recommended titles over that of the others, less 1; strata by brute force."""
    everyone = {(m["user_key"], m["time_period"]): m for m in log.months}

    def stratum(m: Row) -> tuple[Any, ...]:
        before = everyone.get((m["user_key"], (m["time_period"] - timedelta(1)).replace(day=1)))
        hours = None if before is None else before["hours"]
        band = "none" if hours is None else "some" if hours < 5 else "more" if hours < 20 else "most"
        return (m["time_period"], band)

    def amount(m: Row) -> float:
        return 1.0 if of == "1" else m[of]

    def answer(rows: list[Row]) -> Value:
        sums = {True: [0.0, 0.0], False: [0.0, 0.0]}
        for m in rows:
            peers = [o for o in log.months if stratum(o) == stratum(m)]
            sizes = {who: sum(amount(o) for o in peers if o["recommended"] == who) for who in (True, False)}
            if sizes[True] and sizes[False]:
                weight = 1.0 if m["recommended"] else sizes[True] / sizes[False]
                sums[m["recommended"]][0] += weight * m[value]
                sums[m["recommended"]][1] += weight * amount(m)
        compared = ratio(ratio(*sums[True]), ratio(*sums[False]))
        return None if compared is None else compared - 1

    return answer


def at(rows: list[Row], column: str) -> list[Row]:
    """Rows dated by another moment of theirs."""
    return [{**r, "day": moment(r[column]).date(), "time_period": moment(r[column]).date().replace(day=1)}
            for r in rows if r[column]]


def measures(p: Platform) -> dict[str, Measure]:
    log, now = Log(p), p.newest
    sessions, views = p.external, p.views
    users = lambda rows: distinct([r for r in rows if r["user_key"]], "user_key")  # noqa: E731
    total = lambda name: lambda rows: sum(r[name] for r in rows if r[name] is not None)  # noqa: E731
    per_user = lambda rows, of: one(rows, lambda a: ratio(of(a), users(a)))  # noqa: E731
    mean_of = lambda rows, name: one(rows, lambda a: mean(r[name] for r in a))  # noqa: E731
    dau, mau = Leaf(sessions, users, per="day"), Leaf(sessions, users, per="month", rolling=28)
    ended = at(log.subs, "ended_at")
    subscriptions = [
        Leaf(log.subs, lambda a: distinct(a, "id")), Leaf(ended, lambda a: distinct(a, "id")),
        Leaf(log.subs, lambda a: distinct(a, "id"), rolling=EVER), Leaf(ended, lambda a: distinct(a, "id"), rolling=EVER),
    ]

    def before(new: Value, lost: Value, begun: Value, over: Value) -> float:
        return (begun or 0) - (new or 0) - ((over or 0) - (lost or 0))

    pilots = [s for s in sessions if s["season"] == 1 and s["episode"] == 1]
    scenes = scene_rows(p)
    spells = []
    by_user: dict[Any, set[date]] = defaultdict(set)
    for s in sessions:
        by_user[s["user_key"]].add(s["day"])
    for user, days in by_user.items():
        if user:
            spells += [{**p.slices(user, None, d), "last": d == max(days), "date": d} for d in sorted(days)]
    last_days = [r for r in spells if r["last"]]
    trials = [r for r in at(log.subs, "trial_started_at") if moment(r["trial_ends_at"]) <= now]
    # A count is 0 where there are rows, and none that counts; so it is over all rows of its source.
    counted = lambda rows, test: one(rows, lambda a: sum(bool(test(r)) for r in a))  # noqa: E731
    viewers = lambda rows, test: one(rows, lambda a: users([r for r in a if test(r)]))  # noqa: E731
    opinions = [{**r, "kind": kind} for kind, rows in (("rating", log.ratings), ("review", log.reviews)) for r in rows]
    opinions += [{**r, "kind": r["feedback_type"].lower()} for r in log.feedback]

    def is_stale(item: Row) -> bool:
        there = not (item["removed_at"] and moment(item["removed_at"]) <= now)
        return there and item["viewed"] is None and (now.date() - item["added"].date()).days > 30

    rewatched, score_views = again(p), again(p)
    seen_by = lambda rows, name: distinct([r for r in rows if r[name]], "user_key", name)  # noqa: E731

    def adoption(feature: str) -> Measure:
        return one(log.activity, lambda a: ratio(users([r for r in a if r["feature"] == feature]), users(a)))

    def score(completed: Value, rewatch: Value, rating: Value) -> Value:
        if completed is None or rewatch is None:
            return None
        parts = [completed, rewatch] + ([] if rating is None else [rating / 5])
        return 100 * sum(parts) / len(parts)

    return {
        "daily_active_users": Measure([dau]),
        "monthly_active_users": Measure([mau]),
        "dau_mau_ratio": Measure([dau, mau], ratio),
        "total_streaming_hours": one(sessions, lambda a: total("watched")(a) / 3600),
        "streaming_hours_concentration": one(log.months, lambda a: gini([m["hours"] for m in a])),
        "average_session_duration": one(sessions, lambda a: ratio(mean(
            s["elapsed"] for s in a if not s["is_open"]), 60)),
        "sessions_per_user": per_user(sessions, len),
        "average_watch_time_per_user": per_user(sessions, lambda a: total("watched")(a) / 60),
        "active_profiles_per_account": one(sessions, lambda a: ratio(
            distinct(a, "account", "profile"), distinct(a, "account"))),
        "last_active_date": one(spells, lambda a: max(r["date"] for r in a)),
        "days_since_last_active": one(last_days, lambda a: mean((now.date() - r["date"]).days for r in a)),
        "primary_streaming_device": one(log.months, lambda a: min(
            (c := Counter(m["device_type"] for m in a if m["device_type"])), key=lambda d: (-c[d], d), default=None)),
        "primary_device_share": one(log.months, lambda a: None),
        "concurrent_viewers": viewers(sessions, lambda s: s["is_open"] or (s["end"] and s["end"] > now)),
        "content_library_utilization_rate": one(library(p), lambda a: ratio(
            distinct([r for r in a if r["seen"]], "content_key"), distinct(a, "content_key"))),
        "unique_shows_watched_per_user": per_user(views, lambda a: seen_by(a, "show")),
        "unique_movies_watched_per_user": per_user(views, lambda a: seen_by([r for r in a if r["is_movie"]], "content_key")),
        "unique_genres_watched_per_user": per_user(views, lambda a: seen_by(a, "genre")),
        "binge_session_frequency": Measure(
            [Leaf(binges(p), len), Leaf(sessions, users)], lambda n, of: ratio(n or 0, of) if of else None),
        "average_binge_length": mean_of(binges(p), "episodes"),
        "user_title_completion_rate": one(log.by_show, lambda a: share(r["completed"] >= r["parts"] for r in a)),
        # series_watched_pct is 75 here
        "user_series_completion_rate": one([r for r in log.by_show if r["content_type"] == "series"],
                                           lambda a: share(r["viewed"] > 0.75 * r["parts"] for r in a)),
        "series_completion_rate": one([r for r in log.by_show if r["content_type"] == "series"],
                                      lambda a: ratio(total("completed")(a), total("parts")(a))),
        "inter_episode_viewing_gap": mean_of(episodes_before(p), "gap"),
        "hook_rate": one(pilots, lambda a: ratio(
            distinct([s for s in a if s["is_completed"]], "user_key", "content_key"), distinct(a, "user_key", "content_key"))),
        "trailer_to_full_view_conversion_rate": one(trailers(p), lambda a: share(r["later"] for r in a)),
        "total_views": counted(sessions, lambda s: s["is_view"]),
        "unique_viewers": viewers(sessions, lambda s: s["is_view"]),
        "average_view_duration": one(views, lambda a: ratio(total("watched")(a) / 60, len(a))),
        "percentage_completion": one([s for s in views if s["length"]],
                                     lambda a: ratio(total("watched")(a), total("length")(a))),
        "rewatch_rate": one(rewatched, lambda a: ratio(distinct([r for r in a if r["again"]], "pair"), distinct(a, "pair"))),
        "content_engagement_score": Measure([
            Leaf(score_views, lambda a: share(r["is_completed"] for r in a)),
            Leaf(score_views, lambda a: ratio(distinct([r for r in a if r["again"]], "pair"), distinct(a, "pair"))),
            Leaf(log.ratings, lambda a: mean(float(r["rating"]) for r in a)),
        ], score),
        "intro_skip_rate": one([r for r in scenes if r["scene"] == "intro" and r["seek_direction"] == "forward"],
                               lambda a: share(r["skipped"] for r in a)),
        "credits_skip_rate": one([s for s in views if s["reached_credits"]],
                                 lambda a: share(None if s["watched_credits"] is None else not s["watched_credits"]
                                                 for s in a)),
        "scene_seek_rate": one(scenes, lambda a: ratio(total("seeks")(a), distinct(a, "view"))),
        "content_discovery_mix": one([s for s in views if s["view_source"] in ("browse", "search", "recommendation")], len),
        "view_source_mix": one(views, len),
        "new_subscribers": Measure(subscriptions[:1]),
        "churned_subscribers": Measure(subscriptions[1:2]),
        "subscription_growth_rate": Measure(
            subscriptions, lambda *n: ratio((n[0] or 0) - (n[1] or 0), before(*n))),
        "subscriber_churn_rate": Measure(
            subscriptions, lambda *n: ratio(n[1] or 0, before(*n)) if before(*n) > 0 else None),
        "churn_reason_breakdown": one(ended, len),
        "trial_to_paid_conversion_rate": one(trials, lambda a: share(bool(r["converted_to_paid_at"]) for r in a)),
        "profiles_adoption_rate": adoption("profiles"),
        "downloads_adoption_rate": adoption("downloads"),
        "watchlist_adoption_rate": adoption("watchlist"),
        "parental_controls_adoption_rate": adoption("parental_controls"),
        "watchlist_items_added": per_user(log.items, len),
        "watchlist_to_view_conversion_rate": one(log.items, lambda a: share(i["viewed"] is not None for i in a)),
        "stale_watchlist_items": counted(log.items, is_stale),
        "watchlist_adds_from_content_page": counted(log.items, lambda i: i["added_from"] == "content_page"),
        "browsed_views": counted(sessions, lambda s: s["is_view"] and s["view_source"] == "browse"),
        "recommended_views": counted(sessions, lambda s: s["is_view"] and s["view_source"] == "recommendation"),
        "search_success_rate": one(log.searches, lambda a: share(bool(r["clicked_content_id"]) for r in a)),
        "recommendation_ctr": one(log.shown, lambda a: share(bool(r["clicked_at"]) for r in a)),
        "recommended_viewing_watch_time_lift": one(log.months, lift(log, "hours", "1")),
        "recommended_viewing_satisfaction_lift": one(log.months, lift(log, "satisfied", "answers")),
        "promotion_sustained_engagement_ratio": one(promotions(p), promoted_ratio),
        "platform_csat": one([a for a in log.answers if a["survey_type"].lower() == "csat"],
                             lambda a: share(None if not r["score"] else float(r["score"]) >= 4 for r in a)),
        "platform_nps": one(
            [a for a in log.answers if a["survey_type"] == "nps"], lambda a: nps(number(r["score"]) for r in a)),
        "rating_activity_frequency": per_user(log.ratings, len),
        "review_activity_frequency": per_user(log.reviews, len),
        "title_likes": counted(opinions, lambda r: r["kind"] == "like"),
        "title_dislikes": counted(opinions, lambda r: r["kind"] == "dislike"),
        "title_shares": counted(opinions, lambda r: r["kind"] == "share"),
        "session_duration_seconds": mean_of([{**s, "elapsed": None if s["is_open"] else s["elapsed"]} for s in sessions],
                                            "elapsed"),
        "total_content_length_seconds": mean_of(sessions, "length"),
        "playback_position_seconds": mean_of(sessions, "stop"),
        "completion_percentage": mean_of(sessions, "completion"),
        "total_pause_duration_seconds": mean_of(sessions, "paused"),
        "number_of_pauses": mean_of(sessions, "pauses"),
        "number_of_rewinds": mean_of(sessions, "rewinds"),
        "number_of_forwards": mean_of(sessions, "forwards"),
        "watched_credits": one([s for s in sessions if not s["is_open"]], lambda a: share(s["watched_credits"] for s in a)),
        "max_playback_quality": one(sessions, lambda a: min(
            (c := Counter(s["quality"] for s in a if s["quality"] is not None)), key=lambda q: (-c[q], q), default=None)),
        "autoplay_enabled": one([s for s in sessions if not s["is_open"]], lambda a: share(s["autoplay"] for s in a)),
    }

