"""The tiny app in plain Python: every metric over rows read from the CSV files, in loops. Nothing here knows of SQL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache, partial
from statistics import median
from typing import Any

from oracle_kit import Measure, Of, Row, Value, mean, moment, one, quantile, ratio, read_tiny

SLICES = ("file_size_band", "network_type", "region", "device", "device_age")
STEPS = (
    "upload_initiation", "source_selection", "camera_experience", "editing_filtering", "captioning_tagging",
    "upload_transfer", "confirmation_post_upload",
)
MUST = {1, 2, 6, 7}
CATEGORIES = {
    "NETWORK_TIMEOUT": "network_timeout", "HTTP_503": "server_error", "permission-denied": "permission_denied",
    "OUT_OF_STORAGE": "out_of_storage",
}
ALL_CATEGORIES = (
    "network_timeout", "server_error", "media_format_unsupported", "out_of_storage", "permission_denied", "other",
)
read = partial(read_tiny, "photos")


def good(status: str | None) -> bool | None:
    status = (status or "").lower()
    return True if status in ("success", "completed") else False if status in ("failed", "abandoned") else None


def band(size: int | None) -> str | None:
    if size is None:
        return None
    return "under 1 MB" if size < 10**6 else "1-3 MB" if size < 3 * 10**6 else "3-10 MB" if size < 10**7 else "over 10 MB"


def age(years: float | None) -> str | None:
    if years is None:
        return None
    return "under 2 years" if years < 2 else "2-4 years" if years < 4 else "over 4 years"


class App:
    """The files, put together by hand-written rules."""

    def __init__(self) -> None:
        self.internal_users = {r["user_id"] for r in read("users") if r["is_internal"] == "true"}
        self.described = {r["upload_id"]: r for r in read("uploads")}
        self.events = self._events()
        self.newest = max(e["at"] for e in self.events)
        self.uploads = {u: self._upload(u) for u in sorted({e["upload"] for e in self.events} | set(self.described))}

    def _events(self) -> list[Row]:
        seen, found = set(), []
        for row in read("upload_events"):
            if tuple(row.values()) in seen:
                continue
            seen.add(tuple(row.values()))
            name = row["step"].lower().replace("-", "_").replace(" ", "_")
            phase = STEPS.index(name) + 1 if name in STEPS else None
            kind, code = row["event_type"].lower(), row["error_code"]
            error = kind == "error" or code is not None
            found.append({
                "upload": row["upload_id"], "user": row["user_id"], "phase": phase, "kind": kind, "error": error,
                "at": moment(row["timestamp"]), "ok": good(row["status"]), "tool": (row["edit_tool"] or "").lower() or None,
                "category": CATEGORIES.get(code, "other") if error else None,
                "seconds": float(row["duration_ms"]) / 1000 if row["duration_ms"] else None,
            })
        return found

    def _upload(self, upload: str) -> Row:
        own = sorted((e for e in self.events if e["upload"] == upload), key=lambda e: e["at"])
        said = self.described.get(upload, {})
        phases = {e["phase"] for e in own if e["phase"]}
        words = []  # (moment, good before bad, what)
        for e in own:
            if (e["phase"] == 6 and e["kind"] == "end" and e["ok"]) or (
                e["phase"] == 7 and e["kind"] in ("start", "end") and e["ok"] is not False
            ):
                words.append((e["at"], 1, True))
            if e["phase"] in (6, 7) and e["kind"] in ("end", "error") and e["ok"] is False:
                words.append((e["at"], 0, False))
        success = max(words)[2] if words else False
        completed, seen = moment(said.get("completed_at")), moment(said.get("first_visible_at"))
        if not own:
            success = completed is not None
        user = own[0]["user"] if own else said.get("user_id")
        size = int(said["file_size_bytes"]) if said.get("file_size_bytes") else None
        live = [e["at"] for e in own if e["phase"] == 7 and e["kind"] == "end"] or [
            e["at"] for e in own if e["phase"] == 7 and e["kind"] == "start"] or ([seen] if seen else [])
        begun = [e["at"] for e in own if e["phase"] == 1] or [e["at"] for e in own]
        sent = [e["seconds"] for e in own if e["phase"] == 6 and e["kind"] in ("start", "end")
                and e["ok"] is not False and e["seconds"] is not None]
        done = success or completed is not None
        return {
            "upload": upload, "internal": user in self.internal_users, "at": own[0]["at"] if own else completed,
            "logged": bool(own), "phases": phases, "success": success, "described": bool(said), "done": done,
            "end_to_end": (live[0] - begun[0]).total_seconds() if success and live and begun else None,
            "transfer": sum(sent) or None, "size": size,
            "caption": said.get("has_caption") == "true", "place": said.get("has_location") == "true",
            "people": (said.get("people_tags") or "0") not in ("0", "[]"),
            "at_once": bool(completed and seen and (seen - completed) <= timedelta(seconds=10)),
            "shown": said.get("display_ok") == "true",
            "file_size_band": band(size), "network_type": said.get("network_type"), "region": said.get("region"),
            "device": said.get("device"),
            "device_age": age(float(said["device_age_years"]) if said.get("device_age_years") else None),
        }  # fmt: skip

    def counted(self) -> list[Row]:
        return [u for u in self.uploads.values() if not u["internal"]]

    def slices(self, upload: str | None) -> Row:
        known = self.uploads.get(upload or "")
        return {name: known[name] if known else None for name in SLICES}

    def kept(self, upload: str | None, user: str | None = None) -> bool:
        known = self.uploads.get(upload or "")
        return not (known and known["internal"]) and user not in self.internal_users

    def dated(self, text: str | None, upload: str | None) -> datetime:
        known = self.uploads.get(upload or "")
        return moment(text) or (known["at"] if known else max(u["at"] for u in self.uploads.values()))

    def reached(self) -> list[Row]:
        """One row an upload and phase that it reached."""
        found = []
        for u in self.counted():
            for phase in range(1, max(u["phases"], default=0) + 1):
                if phase not in u["phases"] and phase not in MUST:
                    continue
                own = [e for e in self.events if e["upload"] == u["upload"] and e["phase"] == phase and e["error"]]
                found.append({**u, "step": STEPS[phase - 1], "stop": phase == max(u["phases"]) and not u["success"],
                              "errors": own})
        return found

    def step_errors(self) -> list[Row]:
        return [
            {**row, "error_category": c, "n": sum(e["category"] == c for e in row["errors"])}
            for row in self.reached() for c in ALL_CATEGORIES
        ]

    def timings(self) -> list[Row]:
        tools = {u: {(r["tool"] or "").lower() for r in read("upload_edits") if r["upload_id"] == u and r["tool"]}
                 for u in self.uploads}
        found = []
        for e in self.events:
            one = tools[e["upload"]]
            went_well = not e["error"] and e["kind"] != "exit" and e["ok"] is not False
            if e["phase"] and e["seconds"] is not None and went_well and self.kept(e["upload"]):
                tool = e["tool"] or (next(iter(one)) if len(one) == 1 else None)
                found.append({"at": e["at"], "step": STEPS[e["phase"] - 1], "seconds": e["seconds"],
                              "edit_tool": tool if e["phase"] == 4 else None, **self.slices(e["upload"])})
        return found

    def attempts(self) -> list[Row]:
        rows = [r for r in read("upload_attempts") if self.kept(r["upload_id"])]
        found = []
        for r in rows:
            number = int(r["attempt_number"])
            later = [o for o in rows if o["upload_id"] == r["upload_id"] and int(o["attempt_number"]) > number]
            errors = sorted((e["at"], e["category"]) for e in self.events
                            if e["upload"] == r["upload_id"] and e["phase"] == 6 and e["error"])
            why = "other"
            if r["error_code"]:
                why = CATEGORIES.get(r["error_code"], "other")
            elif errors:
                why = errors[min(number, len(errors)) - 1][1]
            ok = good(r["status"])
            failed = not ok if ok is not None else bool(later)
            found.append({"upload": r["upload_id"], "number": number, "ok": bool(ok), "failed": failed,
                          "at": self.dated(r["started_at"], r["upload_id"]), "followed": bool(later),
                          "by_user": any(o["is_automatic"] != "true" for o in later), "why": why if failed else None,
                          **self.slices(r["upload_id"])})
        return found

    def sessions(self) -> list[Row]:
        groups: dict[Any, list[Row]] = {}
        for i, r in enumerate(read("app_performance")):
            if "upload" in r["flow"].lower() and self.kept(r["upload_id"], r["user_id"]):
                key = (r["session_id"], r["upload_id"]) if r["session_id"] or r["upload_id"] else i
                groups.setdefault(key, []).append(r)
        found = []
        for rows in groups.values():
            upload, both = rows[0]["upload_id"], [r for r in rows if r["dropped_frames"] and r["total_frames"]]
            own = {n: min((r[n] for r in rows if r[n]), default=None) for n in ("network_type", "region", "device")}
            found.append({
                "at": self.dated(min((r["recorded_at"] for r in rows if r["recorded_at"]), default=None), upload),
                "dropped": sum(int(r["dropped_frames"]) for r in both), "total": sum(int(r["total_frames"]) for r in both),
                "anr": any(r["anr"] == "true" for r in rows), "crash": any(r["crashed"] == "true" for r in rows),
                **self.slices(upload), **{n: v for n, v in own.items() if v},
            })
        return found

    def drafts(self) -> list[Row]:
        return [
            {"draft": r["draft_id"], "upload": r["upload_id"], "at": moment(r["saved_at"]), "posted": r["posted_at"] is not None,
             **self.slices(r["upload_id"])}
            for r in read("drafts") if r["saved_at"] and self.kept(r["upload_id"], r["user_id"])
        ]

    def saves(self) -> list[Row]:
        """Uploads, each with whether it was saved, and drafts of no upload."""
        saved = {d["upload"] for d in self.drafts()}
        alone = [{**d, "one": 0, "saved": 1} for d in self.drafts() if d["upload"] not in self.uploads]
        return [{**u, "one": 1, "saved": int(u["upload"] in saved)} for u in self.counted()] + alone

    def tickets(self) -> list[Row]:
        found = [{**u, "one": 1, "ticket": 0, "upload_problem": 0, "compression": 0} for u in self.counted()]
        for r in read("support_tickets"):
            if self.kept(r["upload_id"], r["user_id"]):
                what = (r["category"] or "").lower()
                found.append({"at": self.dated(r["created_at"], r["upload_id"]), "one": 0, "ticket": 1,
                              "upload_problem": int("upload" in what), "compression": int("compression" in what),
                              **self.slices(r["upload_id"])})
        return found


def measured(rows: list[Row], of: Of) -> Measure:
    """A metric of rows by the day of their moment."""
    return one([{**row, "day": row["at"].date()} for row in rows], of)


def share(name: str) -> Of:
    return lambda rows: ratio(sum(bool(r[name]) for r in rows), len(rows))


def uploads_with(name: str) -> Of:
    """Uploads with a row of which something holds, over uploads."""
    return lambda rows: ratio(len({r["upload"] for r in rows if r[name]}), len({r["upload"] for r in rows}))


def timed(step: str | None, of: Callable[[list[float]], Value], app: App) -> Measure:
    rows = [r for r in app.timings() if step in (None, r["step"])]
    return measured(rows, lambda rows: of([r["seconds"] for r in rows]))


def over(a: str, b: str) -> Of:
    return lambda rows: ratio(sum(r[a] for r in rows), sum(r[b] for r in rows))


@cache
def measures() -> dict[str, Measure]:
    """Metric → how to compute it."""
    app = App()
    counted = app.counted()
    logged = [u for u in counted if u["logged"]]
    described = [u for u in counted if u["described"]]
    completed = [u for u in described if u["done"]]
    edits = {u: {(r["tool"] or "").lower() for r in read("upload_edits") if r["upload_id"] == u} for u in app.uploads}
    for u in counted:
        u["filter"], u["crop"] = "filter" in edits[u["upload"]], "crop" in edits[u["upload"]]
        u["adjustment"] = bool(edits[u["upload"]] & {"brightness", "auto_adjust"})
        u["gestures"] = [r["interaction_type"].lower() for r in read("ui_interactions") if r["upload_id"] == u["upload"]]
    tapped = [{**u, "taps": sum("tap" in g or "click" in g for g in u["gestures"])} for u in counted
              if u["success"] and u["gestures"]]  # fmt: skip
    fast = [{**u, "kbit": u["size"] * 8 / 1000} for u in counted if u["size"] is not None and u["transfer"]]
    failed = [{**a, "error_category": a["why"]} for a in app.attempts() if a["failed"]]
    before = {(a["upload"], a["number"]): a["why"] for a in app.attempts()}
    retries = [{**a, "error_category": before[a["upload"], a["number"] - 1]} for a in app.attempts() if a["number"] > 1]
    subtasks = [{"at": app.dated(r["started_at"], r["upload_id"]), "subtask": r["subtask"], "ok": bool(good(r["status"])),
                 **app.slices(r["upload_id"])} for r in read("upload_subtasks") if app.kept(r["upload_id"])]  # fmt: skip
    answers = [{"at": app.dated(r["responded_at"], r["upload_id"]), "score": float(r["score"]) if r["score"] else None,
                **app.slices(r["upload_id"])} for r in read("survey_responses")
               if app.kept(r["upload_id"], r["user_id"]) and r["question"] != "Please rate the app"]  # fmt: skip
    last = max(r["created_at"] for r in read("app_reviews") if r["created_at"])
    reviews = [{"at": moment(r["created_at"] or last), "device": r["device"], "hit": r["review_id"] in ("r1", "r3", "r6")}
               for r in read("app_reviews")]  # fmt: skip
    seconds = {"gallery_load_time": STEPS[1], "camera_load_time": STEPS[2], "edit_apply_time": STEPS[3],
               "data_transfer_time": STEPS[5], "step_time": None}  # fmt: skip
    told = {
        "upload_success_rate": measured(logged, share("success")),
        "upload_success_rate_from_transfer": measured([u for u in logged if max(u["phases"]) >= 6], share("success")),
        "transfer_reach_rate": measured(
            logged, lambda rows: ratio(sum(max(r["phases"]) >= 6 for r in rows), len(rows))
        ),
        "uploads_started": measured(logged, lambda rows: float(len(rows))),
        "funnel_abandonment_rate": measured(app.reached(), uploads_with("stop")),
        "upload_speed": measured(fast, over("kbit", "transfer")),
        "frame_drop_rate": measured(app.sessions(), over("dropped", "total")),
        "anr_rate": measured(app.sessions(), share("anr")),
        "upload_crash_rate": measured(app.sessions(), share("crash")),
        "error_rate_per_step": measured(
            app.step_errors(), lambda rows: ratio(sum(r["n"] for r in rows), len({r["upload"] for r in rows}))
        ),
        "upload_error_rate": measured(app.step_errors(), uploads_with("n")),
        "upload_retry_rate": measured(failed, uploads_with("by_user")),
        "retries_per_failed_upload": measured(
            failed, lambda rows: ratio(sum(r["followed"] for r in rows), len({r["upload"] for r in rows}))
        ),
        "retry_success_rate": measured(retries, share("ok")),
        "filter_adoption_rate": measured(counted, share("filter")),
        "crop_adoption_rate": measured(counted, share("crop")),
        "adjustment_adoption_rate": measured(counted, share("adjustment")),
        "caption_usage_rate": measured(described, share("caption")),
        "people_tag_usage_rate": measured(described, share("people")),
        "location_tag_usage_rate": measured(described, share("place")),
        "draft_save_rate": measured(app.saves(), over("saved", "one")),
        "draft_to_post_conversion_rate": measured(app.drafts(), share("posted")),
        "taps_per_completed_upload": measured(tapped, lambda rows: mean(r["taps"] for r in rows)),
        "subtask_success_rate": measured(subtasks, share("ok")),
        "upload_ease_score": measured(answers, lambda rows: mean(r["score"] for r in rows)),
        "upload_problem_review_rate": measured(reviews, share("hit")),
        "upload_problem_ticket_rate": measured(app.tickets(), over("upload_problem", "one")),
        "upload_problem_share_of_tickets": measured(app.tickets(), over("upload_problem", "ticket")),
        "compression_artifact_complaint_rate": measured(app.tickets(), over("compression", "one")),
        "feed_display_immediacy_rate": measured(completed, share("at_once")),
        "feed_display_correctness_rate": measured(completed, share("shown")),
    }
    waits = lambda rows: [r["end_to_end"] for r in rows if r["end_to_end"] is not None]  # noqa: E731
    told["end_to_end_upload_time"] = measured(counted, lambda rows: median(waits(rows)) if waits(rows) else None)
    for name, q in (("p90", 0.9), ("p99", 0.99)):
        told[f"end_to_end_upload_time_{name}"] = measured(counted, lambda rows, q=q: quantile(waits(rows), q))
    for name, step in seconds.items():
        told[name] = timed(step, mean, app)
        told[f"{name}_median"] = timed(step, lambda values: median(values) if values else None, app)
        if step:
            for suffix, q in (("p90", 0.9), ("p99", 0.99)):
                told[f"{name}_{suffix}"] = timed(step, lambda values, q=q: quantile(values, q), app)
    return told
