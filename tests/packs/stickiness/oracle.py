"""The tiny platform in plain Python, read from its CSV files: an oracle that shares no code with the pack.

Everything that metrics count is a list of rows; a row is a dict with its `day`, its user's slices and its own values.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from functools import partial
from typing import Any

from oracle_kit import Row, moment, read_tiny

RECEIVED = {"notification_sent"}
PASSIVE = {"session_end", "app_background", *RECEIVED}
CREATES = {"post_creation": "post", "story_creation": "story", "comment": "comment"}
TOWARDS = ("like", "comment", "share", "direct_message")
USER_SLICES = ("demographics", "age_group", "gender", "region", "acquisition_source", "campaign")
read = partial(read_tiny, "stickiness")


def band(signup: date | None, day: date) -> str | None:
    if signup is None or day < signup:
        return None
    age = (day - signup).days
    for limit, label in ((7, "0-6 days"), (30, "7-29 days"), (90, "30-89 days"), (365, "90-364 days")):
        if age < limit:
            return label
    return "365+ days"


class Platform:
    def __init__(self) -> None:
        self.users = {row["user_id"]: row for row in read("users")}
        for row in self.users.values():
            row["signup"] = date.fromisoformat(row["signup_date"])
            parts = (row["age_group"], row["gender"], row["region"])
            row["demographics"] = ", ".join(p or "?" for p in parts) if any(parts) else None
        self.events = self._events()
        self.active = self._active()
        self.newest = max(row["day"] for row in self.active)
        self.first = min(row["day"] for row in self.active)
        self.device = self._devices()
        for row in (*self.active, *self.events):
            row.update(self.slices(row["user"], row["day"], row["device"]))
        self.sessions = self._sessions()

    # -- people --------------------------------------------------------------------------------------

    def internal(self, user: str | None) -> bool:
        return self.users.get(user, {}).get("is_internal") == "true"

    def signup(self, user: str | None) -> date | None:
        return self.users.get(user, {}).get("signup")

    def slices(self, user: str | None, day: date, device: str | None) -> Row:
        found = {name: self.users.get(user, {}).get(name) for name in USER_SLICES}
        return {**found, "tenure": band(self.signup(user), day), "device": device}

    def everyone(self) -> list[str]:
        return sorted(u for u in {*self.users, *(r["user"] for r in self.active)} if not self.internal(u))

    def _devices(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for row in sorted(self.active, key=lambda r: (r["day"], r["device"] or "~")):
            if row["device"]:
                found.setdefault(row["user"], row["device"])
        return found

    # -- what happened -------------------------------------------------------------------------------

    def _events(self) -> list[Row]:
        passive = PASSIVE | {r["event_type"] for r in read("active_event_types") if r["qualifies"] == "false"}
        found = []
        for row in {r["event_id"]: r for r in read("user_events")}.values():
            shown, got = moment(row["timestamp"]), moment(row["received_at"])
            at = min(shown, got) if got else shown
            kind = row["event_type"].lower()
            creation = CREATES.get(kind)
            if creation == "post" and row["content_type"] == "story":
                creation = "story"
            found.append({
                "user": row["user_id"], "session": row["session_id"], "at": at, "day": at.date(), "kind": kind,
                "device": row["device"], "feature": row["feature_name"], "qualifies": kind not in passive,
                "created": creation, "towards": kind if kind in TOWARDS else None,
                "viewed": row["content_type"] if kind == "content_view" else None,
                "completed": {"true": True, "false": False, None: None}[row["completed"]],
                "scroll": float(row["scroll_position"]) if row["scroll_position"] else None,
            })
        return found

    def _active(self) -> list[Row]:
        """One row per active user, day and device, with the day's events on it."""
        listed = read("daily_user_activity")
        known = {r["activity_date"] for r in listed}
        own = [(r["user_id"], moment(r["started_at"]).date(), r["device"]) for r in read("sessions")]
        active = {(r["user_id"], date.fromisoformat(r["activity_date"])) for r in listed if r["is_active"] != "false"}
        for user, day in [(e["user"], e["day"]) for e in self.events if e["qualifies"]] + [o[:2] for o in own]:
            if day.isoformat() not in known:
                active.add((user, day))
        seen: dict[tuple[str, date], list[tuple[str | None, Row | None]]] = defaultdict(list)
        for event in self.events:
            seen[event["user"], event["day"]].append((event["device"], event))
        for user, day, device in own:
            seen[user, day].append((device, None))
        for row in listed:
            if row["is_active"] != "false":
                seen[row["user_id"], date.fromisoformat(row["activity_date"])].append((row["device"], None))
        found = []
        for user, day in sorted(active):
            usual = min((d for d, _ in seen[user, day] if d), default=None)
            on: dict[str | None, list[Row]] = defaultdict(list)
            for device, event in seen[user, day]:
                on[device or usual].extend([event] if event else [])
            found += [{"user": user, "day": day, "device": d, "events": events} for d, events in on.items()]
        return found

    def _sessions(self) -> list[Row]:
        rows = read("sessions")
        known = {moment(r["started_at"]).date() for r in rows}
        found = []
        for row in rows:
            start, end = moment(row["started_at"]), moment(row["ended_at"])
            seconds = float(row["duration_seconds"]) if row["duration_seconds"] else (end - start).total_seconds()
            found.append((row["user_id"], row["session_id"], start, end or start + timedelta(seconds=seconds), seconds,
                          row["device"]))
        runs: dict[Any, list[Row]] = defaultdict(list)
        for event in self.events:
            if event["session"] and event["kind"] not in RECEIVED:
                runs[event["user"], event["session"], None].append(event)
        loose: dict[Any, list[Row]] = defaultdict(list)
        for event in self.events:
            if not event["session"] and event["kind"] not in RECEIVED:
                loose[event["user"], event["device"]].append(event)
        for (user, device), events in loose.items():
            events.sort(key=lambda e: e["at"])
            number, before = 0, None
            for event in events:
                if before is not None:
                    gap = event["at"] - before["at"]
                    away = before["kind"] == "app_background" and gap >= timedelta(minutes=5)
                    number += gap >= timedelta(minutes=30) or away
                runs[user, f"{device} {number}", device].append(event)
                before = event
        for (user, session, _), events in runs.items():
            start, end = min(e["at"] for e in events), max(e["at"] for e in events)
            if start.date() not in known and any(e["qualifies"] for e in events):
                devices = [e["device"] for e in events if e["device"]]
                found.append((user, session, start, end, (end - start).total_seconds(), min(devices, default=None)))
        rows_out, ends = [], defaultdict(list)
        for user, _, start, end, seconds, device in sorted(found, key=lambda s: (s[2], s[1])):
            if self.internal(user):
                continue
            before = max(ends[user], default=None)
            gap = None if before is None else max((start - before).total_seconds() / 3600, 0)
            ends[user].append(end)
            rows_out.append({"user": user, "at": start, "day": start.date(), "seconds": seconds, "gap": gap,
                             **self.slices(user, start.date(), device)})
        return rows_out

    def external(self, rows: list[Row]) -> list[Row]:
        return [row for row in rows if not self.internal(row["user"])]

    def days_of(self, user: str) -> set[date]:
        return {row["day"] for row in self.active if row["user"] == user}
