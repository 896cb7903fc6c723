"""The tiny platform in plain Python, read from its CSV files: an oracle that shares no code with the pack.

Sessions are folded event by event, as a player's state would be. Everything that metrics count is a list of rows; a row is
a dict with its `day`, its slices and its own values.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

from oracle_kit import Row, moment, read_tiny

LINES = {"SD": 480, "HD": 720, "FHD": 1080, "4K": 2160, "480p": 480}
USER_SLICES = ("age_group", "region", "subscription_tier", "experiment_arm")
TITLE_SLICES = ("genre", "content_age", "production_type")
read = partial(read_tiny, "streaming")


def number(text: str | None) -> float | None:
    return float(text) if text else None


def key_of(text: str | None) -> int | None:
    """A key for an id without a row in its dimension: itself where it is a number, else 52 bits of its MD5."""
    if not text:
        return None
    return int(text) if text.isdigit() else int(hashlib.md5(text.encode()).hexdigest()[:13], 16)


def fold(events: list[Row]) -> Row:
    """One session by its events, as they happened."""
    order = ["start", "progress", "seek", "other", "quality_change", "error", "pause", "resume", "complete", "stop"]
    events = sorted(events, key=lambda e: (e["at"], order.index(e["kind"])))
    seen: list[Row] = []
    for event in events:
        if not any(all(event[n] == other[n] for n in ("at", "kind", "position", "to")) for other in seen):
            seen.append(event)
    paused, since, pauses, stands, jumped = 0.0, None, 0, None, False
    furthest = None
    rewinds = forwards = 0
    played_out = False
    for event in seen:
        at, kind, position = event["at"], event["kind"], event["position"]
        if event is not seen[0] and position is not None and (stands is None or position > stands):
            furthest = max(furthest or 0.0, position)
        if kind == "complete":
            played_out = not jumped or position > stands
        if kind == "pause" and since is None:
            since, pauses = at, pauses + 1
        elif kind in ("start", "progress", "resume", "complete", "stop") and since is not None:
            paused, since = paused + (at - since).total_seconds(), None
        jumped = kind == "seek"
        if jumped:
            if event["to"] is not None:
                rewinds += event["to"] < position
                forwards += event["to"] > position
            stands = event["to"] if event["to"] is not None else float("inf")
        else:
            stands = position
    first, last = seen[0], seen[-1]
    if since is not None:
        paused += (last["at"] - since).total_seconds()
    levels = [LINES[e["quality"]] for e in seen if e["quality"]]
    autoplay = [e["autoplay"] for e in seen if e["autoplay"] is not None]
    return {
        "start": first["at"], "last": last["at"], "ended": last["kind"] in ("complete", "stop"), "played_out": played_out,
        "paused": paused, "pauses": pauses, "rewinds": rewinds, "forwards": forwards, "begin": first["position"],
        "stop": last["position"], "furthest": furthest or 0.0, "quality": max(levels, default=None),
        "autoplay": any(autoplay) if autoplay else None,
        "source": next((e["source"] for e in seen if e["source"]), None), "seeks": [e for e in seen if e["kind"] == "seek"],
        **{n: first[n] for n in ("user", "profile", "content", "device")},
    }


class Platform:
    def __init__(self) -> None:
        self.users = {int(r["user_key"]): r for r in read("dim_users")}
        self.key_by_id = {r["user_id"] or r["user_key"]: key for key, r in self.users.items()}
        self.titles = {int(r["content_key"]): r for r in read("dim_content")}
        self.title_by_id = {r["content_id"] or r["content_key"]: key for key, r in self.titles.items()}
        self.versions = {r["version_id"]: r["content_id"] for r in read("content_versions")}
        self.devices = {int(r["device_key"]): r for r in read("dim_devices")}
        self.device_by_id = {r["device_id"] or r["device_key"]: key for key, r in self.devices.items()}
        self.accounts = {r["profile_id"]: r["account_id"] for r in read("profiles")}
        self.tiers = self._newest("subscriptions", "tier", "started_at")
        self.arms = self._newest("experiment_assignments", "arm", "assigned_at")
        self.sessions = self._sessions()
        self.newest = max(s["end"] for s in self.sessions if s["end"])
        self._settle()
        self.external = [s for s in self.sessions if not self.internal(s["user_key"])]
        self.views = [s for s in self.external if s["is_view"]]

    # -- people and titles ----------------------------------------------------------------------------

    @staticmethod
    def _newest(table: str, column: str, dated: str) -> dict[str | None, str | None]:
        rows = sorted(read(table), key=lambda r: r[dated] or "")
        return {r["user_id"]: r[column] for r in rows}

    def user(self, user_id: str | None) -> int | None:
        return self.key_by_id.get(user_id, key_of(user_id))

    def title(self, content_id: str | None) -> int | None:
        return self.title_by_id.get(content_id, key_of(content_id))

    def internal(self, user_key: int | None) -> bool:
        return self.users.get(user_key, {}).get("is_internal") == "true"

    def of_user(self, user_key: int | None) -> Row:
        row = self.users.get(user_key, {})
        ids = {key: user_id for user_id, key in self.key_by_id.items()}
        user_id = ids.get(user_key) or next((u for u in (*self.tiers, *self.arms) if key_of(u) == user_key), None)
        tier = self.tiers.get(user_id)
        return {
            "age_group": row.get("age_group"), "region": row.get("region"), "subscription_tier": tier and tier.lower(),
            "experiment_arm": self.arms.get(user_id), "user_key": user_key,
        }

    def of_title(self, content_key: int | None, day: date) -> Row:
        row = self.titles.get(content_key, {})
        genres = (row.get("genre") or "").replace("|", ",").split(",")
        released = row.get("release_date")
        age = None if not released else (day - date.fromisoformat(released)).days
        return {
            "genre": genres[0].strip().lower() or None, "content_age": None if age is None else
            "new release" if age <= 90 else "library",
            "production_type": (row.get("production_type") or "").lower() or None,
            "content_type": (row.get("content_type") or "").lower() or None, "content_key": content_key,
            "content_id": row.get("content_id"), "series_key": int(row["series_key"]) if row.get("series_key") else None,
        }

    def slices(self, user_key: int | None, content_key: int | None, at: datetime | date) -> Row:
        day = at.date() if isinstance(at, datetime) else at
        return {"day": day, "time_period": day.replace(day=1), **self.of_title(content_key, day), **self.of_user(user_key)}

    # -- sessions -------------------------------------------------------------------------------------

    def _events(self) -> dict[Any, list[Row]]:
        kinds = {"playback_start": "start", "play": "start"}
        groups: dict[Any, list[Row]] = defaultdict(list)
        loose: dict[Any, list[Row]] = defaultdict(list)
        for r in read("playback_events"):
            kind = kinds.get(r["event_type"], r["event_type"].removeprefix("playback_"))
            event = {
                "at": moment(r["timestamp"]), "kind": kind, "position": number(r["current_playback_position"]),
                "to": number(r["seek_to_position"]), "quality": r["playback_quality"], "source":
                r["discovery_source"] and r["discovery_source"].lower(), "user": r["user_id"], "profile": r["profile_id"],
                "content": r["content_id"], "device": r["device_id"],
                "autoplay": {"true": True, "false": False, None: None}[r["autoplay_enabled"]],
            }
            if r["session_id"]:
                groups[r["session_id"], r["content_id"]].append(event)
            else:
                loose[r["user_id"], r["content_id"], r["device_id"]].append(event)
        for person, events in loose.items():
            begun = before = None
            for event in sorted(events, key=lambda e: e["at"]):
                if before is None or event["at"] - before >= timedelta(minutes=30):
                    begun = event["at"]
                before = event["at"]
                groups[f"{person} {begun}", person[1]].append(event)
        told = {key for key, _ in groups}
        names = {"play": "start"}
        for r in read("fact_viewing_events"):
            if r["session_id"] in told:
                continue
            extra = {} if not r["event_metadata"] else json.loads(r["event_metadata"])
            kind = r["event_type"].lower()
            groups[r["session_id"], None].append({
                "at": moment(r["event_timestamp"]), "kind": names.get(kind, kind), "position":
                float(extra.get("from", r["playback_position_seconds"])), "to": extra.get("to"),
                "quality": extra.get("quality"), "source": None, "user": None, "profile": None, "content": None,
                "device": None, "autoplay": None,
            })
        return groups

    def _sessions(self) -> list[Row]:
        folded: dict[Any, Row] = {}
        given = {r["session_id"]: r for r in read("fact_viewing_sessions")}
        for (session, content), events in self._events().items():
            folded[session if session in given else (session, content)] = fold(events)
        days = {r["date_key"]: r["full_date"] for r in read("dim_date")}
        statuses = {r["completion_status_key"]: r["completion_status"].lower() for r in read("dim_completion_status")}
        rows = []
        for name in [*given, *(k for k in folded if k not in given)]:
            told, f = given.get(name, {}), folded.get(name, {})

            def known(column: str, other: Any, told: Row = told) -> Any:
                return float(told[column]) if told.get(column) else other

            content = self.versions.get(f.get("content"), f.get("content"))
            user = int(known("user_key", self.user(f.get("user")) or 0)) or None
            title = int(known("content_key", self.title(content) or 0)) or None
            facts = self.titles.get(title, {})
            start = moment(told.get("session_start_timestamp")) or f.get("start")
            day = start.date() if start else date.fromisoformat(days[told["date_key"]])
            end = moment(told.get("session_end_timestamp")) or f.get("last")
            elapsed = known("session_duration_seconds", (end - start).total_seconds() if end else None)
            paused = known("total_pause_duration_seconds", f.get("paused"))
            stop = known("playback_position_seconds", f.get("stop"))
            furthest = f["furthest"] if f else stop
            length = known("total_content_length_seconds", number(facts.get("length_seconds")))
            if f.get("played_out"):
                furthest = max(length or 0.0, furthest)
            credits = number(facts.get("credits_start_seconds"))
            if told.get("completion_status_key"):
                completed = statuses[told["completion_status_key"]] == "completed"
            elif f:
                completed = f["played_out"] or (credits is not None and furthest >= credits)
            else:
                ends = [x for x in (credits, length) if x is not None]
                completed = bool(furthest is not None and ends and furthest >= min(ends))
            watched_credits = {"true": True, "false": False}.get(told.get("watched_credits") or "")
            if watched_credits is None and credits is not None and furthest is not None:
                watched_credits = furthest >= credits + (length - credits) / 2
            profile = told.get("profile_key") or f.get("profile")
            users_row = self.users.get(user, {})
            ids = {key: user_id for user_id, key in self.key_by_id.items()}
            account = self.accounts.get(profile) or users_row.get("account_id") or ids.get(user) or f.get("user") or str(user)
            autoplay = {"true": True, "false": False}.get(told.get("autoplay_enabled") or "", f.get("autoplay"))
            rows.append({
                **self.slices(user, title, day), "name": name, "start": start or datetime.combine(day, datetime.min.time()),
                "end": end, "has_end": bool(told.get("session_duration_seconds")) or f.get("ended", False),
                "elapsed": elapsed, "paused": paused,
                "watched": None if elapsed is None else max(elapsed - (paused or 0), 0), "is_completed": completed,
                "stop": stop, "begin": f.get("begin"), "furthest": furthest, "length": length,
                "completion": known("completion_percentage",
                                    min(100 * furthest / length, 100) if length and furthest is not None else None),
                "pauses": known("number_of_pauses", f.get("pauses")), "rewinds": known("number_of_rewinds", f.get("rewinds")),
                "forwards": known("number_of_forwards", f.get("forwards")),
                "quality": known("max_playback_quality", f.get("quality")), "watched_credits": watched_credits,
                "reached_credits": True if watched_credits else None if credits is None or furthest is None else max(
                    x for x in (furthest, stop) if x is not None) >= credits,
                "autoplay": autoplay, "view_source": f.get("source"), "profile": profile, "account": account,
                "device_key": int(known("device_key", self.device_by_id.get(f.get("device"), key_of(f.get("device"))) or 0))
                or None, "told_status": told.get("completion_status_key"), "seen_device": f.get("device"), "seeks": f.get("seeks", []),
                "date_key": int(told.get("date_key") or day.strftime("%Y%m%d")),
                "time_key": int(known("time_key", start.hour * 60 + start.minute if start else -1)),
            })
            rows[-1]["time_key"] = None if rows[-1]["time_key"] < 0 else rows[-1]["time_key"]
        return rows

    def _settle(self) -> None:
        """Decide which sessions are open, and what follows from it."""
        for s in self.sessions:
            silent = s["end"] is not None and self.newest - s["end"] >= timedelta(minutes=30)
            s["is_open"] = not s["has_end"] and not silent
            limit = s["length"] / 2 if s["length"] is not None and s["length"] <= 30 else 30
            s["is_view"] = not s["is_open"] and (s["watched"] or 0) > limit
            if s["told_status"]:
                s["completion_status_key"] = int(s["told_status"])
            else:
                s["completion_status_key"] = None if s["is_open"] else 5 if s["is_completed"] else 6
            title = self.titles.get(s["content_key"], {})
            s["is_movie"] = s["content_type"] == "movie"
            s["show"] = None if s["series_key"] is None else f"series {s['series_key']}"
            s["season"], s["episode"] = int(title.get("season_number") or 1), number(title.get("episode_number"))
            s["trailer_of"] = int(title["trailer_of_content_key"]) if title.get("trailer_of_content_key") else None
            told = self.devices.get(s["device_key"], {}).get("device_id") or s["seen_device"]
            s["device_id"] = told or (str(s["device_key"]) if s["device_key"] else None)
            kind = (self.devices.get(s["device_key"]) or {}).get("device_type")
            s["device_type"] = kind and kind.lower()
