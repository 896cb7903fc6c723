"""What surrounds the events: uploads as servers see them, attempts, edits, gestures, how the app ran, what is said."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from prodsense.simulate import Streams
from prodsense.simulate import columns as col
from prodsense.simulate.arrivals import DAY
from prodsense.simulate.users import scores

from .simulate_flows import CODES, DEVICE_AGES, DEVICES, MOST_ATTEMPTS, NETWORKS, REGIONS, TOOLS, Flows, ids

EASE = 4.1
SUBTASKS = ("apply_filter", "tag_user", "tag_location")
TICKETS = ("upload_problem", "compression_artifacts", "account", "privacy")
REVIEWS = (
    ("I love sharing my pictures here.", "praise"), ("Uploads fail again and again.", "upload_problem"),
    ("Too many ads.", "ads"), ("My photo got stuck while it was uploading.", ""),
)  # fmt: skip


def uploads_table(flows: Flows, streams: Streams) -> pa.Table:
    rng, n = streams("described"), flows.count
    done = flows.succeeded
    typed = flows.captioned & (flows.stop >= 5)
    people = np.where(typed & (rng.random(n) < 0.3), rng.integers(1, 4, n), 0)
    late = rng.random(n) < 0.04
    visible = flows.done + np.where(late, rng.uniform(60, 600, n), rng.uniform(0.5, 4.0, n))
    return pa.table({
        "upload_id": ids(np.arange(n)),
        "user_id": ids(flows.user, "u"),
        "file_size_bytes": col.integers(flows.size),
        "network_type": col.labels(flows.network, NETWORKS),
        "region": col.labels(flows.region, REGIONS),
        "device": col.labels(flows.device, DEVICES),
        "device_age_years": pa.array(DEVICE_AGES[flows.device]),
        "has_caption": col.booleans(typed & (rng.random(n) < 0.7)),
        "people_tags": pa.array(people.astype(str)),
        "has_location": col.booleans(typed & (rng.random(n) < 0.35)),
        "completed_at": col.timestamps(np.round(flows.done, 3), flows.start, ~done),
        "first_visible_at": col.timestamps(np.round(visible, 3), flows.start, ~done),
        "display_ok": col.booleans(rng.random(n) < 0.985, ~done),
    })  # fmt: skip


def attempts_table(flows: Flows) -> pa.Table:
    upload, nth = np.nonzero(np.arange(MOST_ATTEMPTS) < flows.attempts[:, None])
    failed = ~(flows.succeeded[upload] & (flows.attempts[upload] == nth + 1))
    return pa.table({
        "upload_id": ids(upload),
        "attempt_number": col.integers(nth + 1, bits=32),
        "status": col.labels(failed.astype(int), ("success", "failed")),
        "error_code": col.labels(flows.codes[upload, nth], CODES, ~failed),
        "is_automatic": col.booleans((nth > 0) & flows.automatic[upload, nth]),
        "started_at": col.timestamps(
            np.round(flows.begins[upload, 5] + nth * (flows.transfer_seconds[upload] + 1.0), 3), flows.start
        ),
    })  # fmt: skip


def edits_table(flows: Flows) -> pa.Table:
    upload, tool = np.nonzero(flows.tools)
    return pa.table({
        "edit_id": ids(np.arange(upload.size), "t"),
        "upload_id": ids(upload),
        "tool": col.labels(tool, TOOLS),
        "edited_at": col.timestamps(np.round(flows.begins[upload, 3] + 2.0 + tool, 3), flows.start),
    })  # fmt: skip


def performance_table(flows: Flows, streams: Streams) -> pa.Table:
    rng, n = streams("performance"), flows.count
    seconds = np.maximum(flows.begins[:, 4] - flows.at, 1.0)
    frames = np.rint(60 * np.minimum(seconds, 120))
    return pa.table({
        "record_id": ids(np.arange(n), "f"),
        "session_id": ids(np.arange(n), "s"),
        "upload_id": ids(np.arange(n)),
        "user_id": ids(flows.user, "u"),
        "flow": pa.array(["upload"] * n),
        "dropped_frames": col.integers(rng.binomial(frames.astype(int), 0.015)),
        "total_frames": col.integers(frames),
        "anr": col.booleans(rng.random(n) < 0.004),
        "crashed": col.booleans(rng.random(n) < 0.003),
        "recorded_at": col.timestamps(np.round(flows.at, 3), flows.start),
    })  # fmt: skip


def drafts_table(flows: Flows) -> pa.Table:
    upload = np.flatnonzero(flows.draft)
    return pa.table({
        "draft_id": ids(upload, "d"),
        "upload_id": ids(upload),
        "user_id": ids(flows.user[upload], "u"),
        "saved_at": col.timestamps(np.round(flows.begins[upload, 4] + 5, 3), flows.start),
        "posted_at": col.timestamps(np.round(flows.done[upload], 3), flows.start, ~flows.succeeded[upload]),
    })  # fmt: skip


def gestures_table(flows: Flows, streams: Streams) -> pa.Table:
    rng = streams("gestures")
    phases = np.minimum(flows.stop, 6)
    many = rng.poisson(1.2 * phases + 1.5 * flows.tools.sum(axis=1))
    upload = np.repeat(np.arange(flows.count), many)
    kind = np.searchsorted((0.75, 0.9), rng.random(upload.size), side="right")
    seconds = rng.random(upload.size) * (flows.begins[upload, 4] - flows.at[upload])
    return pa.table({
        "interaction_id": ids(np.arange(upload.size), "i"),
        "upload_id": ids(upload),
        "interaction_type": col.labels(kind, ("tap", "swipe", "typing")),
        "occurred_at": col.timestamps(np.round(flows.at[upload] + seconds, 3), flows.start),
    })  # fmt: skip


def subtasks_table(flows: Flows, streams: Streams) -> pa.Table:
    rng = streams("subtasks")
    typed = flows.captioned & (flows.stop >= 5)
    tried = np.column_stack([flows.tools[:, 0], typed & (rng.random(flows.count) < 0.3),
                             typed & (rng.random(flows.count) < 0.35)])  # fmt: skip
    upload, kind = np.nonzero(tried)
    good = rng.random(upload.size) < np.array([0.98, 0.92, 0.96])[kind]
    return pa.table({
        "subtask_id": ids(np.arange(upload.size), "k"),
        "upload_id": ids(upload),
        "subtask": col.labels(kind, SUBTASKS),
        "status": col.labels((~good).astype(int), ("success", "failed")),
        "started_at": col.timestamps(np.round(flows.at[upload] + 3, 3), flows.start),
    })  # fmt: skip


def survey_table(flows: Flows, streams: Streams) -> pa.Table:
    rng = streams("survey")
    asked = np.flatnonzero(flows.succeeded & (rng.random(flows.count) < 0.1))
    other = rng.random(asked.size) < 0.2
    return pa.table({
        "response_id": ids(np.arange(asked.size), "r"),
        "upload_id": ids(asked),
        "user_id": ids(flows.user[asked], "u"),
        "question": col.labels(other.astype(int), ("upload_ease", "app_satisfaction")),
        "score": pa.array(scores(rng, EASE - 0.5 * (flows.attempts[asked] > 1), 0.8).astype(float)),
        "responded_at": col.timestamps(np.round(flows.done[asked] + 30, 3), flows.start),
    })  # fmt: skip


def reviews_table(flows: Flows, streams: Streams) -> pa.Table:
    rng = streams("reviews")
    n = max(flows.count // 50, 10)
    said = np.searchsorted((0.55, 0.65, 0.95), rng.random(n), side="right")
    texts, topics = zip(*REVIEWS, strict=True)
    return pa.table({
        "review_id": ids(np.arange(n), "a"),
        "text": col.labels(said, texts),
        "topic": col.labels(said, topics, said == 3),
        "device": col.labels(rng.integers(0, len(DEVICES), n), DEVICES),
        "created_at": col.timestamps(np.floor(rng.random(n) * flows.days * DAY), flows.start),
    })  # fmt: skip


def tickets_table(flows: Flows, streams: Streams) -> pa.Table:
    rng = streams("tickets")
    chance = np.where(flows.stop == 6, 0.08, np.where(flows.succeeded, 0.004, 0.0))
    kind = np.where(flows.stop == 6, 0, 1)
    upload = np.flatnonzero(rng.random(flows.count) < chance)
    others = rng.integers(0, flows.count, max(flows.count // 200, 5))
    both = np.concatenate([upload, others])
    kinds = np.concatenate([kind[upload], rng.integers(2, 4, others.size)])
    about = np.concatenate([np.ones(upload.size), np.zeros(others.size)]) > 0
    order = np.argsort(flows.at[both], kind="stable")
    both, kinds, about = both[order], kinds[order], about[order]
    return pa.table({
        "ticket_id": ids(np.arange(both.size), "c"),
        "upload_id": pa.array(np.array(ids(both).to_pylist(), dtype=object), pa.string(), mask=~about),
        "user_id": ids(flows.user[both], "u"),
        "category": col.labels(kinds, TICKETS),
        "created_at": col.timestamps(np.round(flows.at[both] + 1800, 3), flows.start),
    })  # fmt: skip


def users_table(flows: Flows) -> pa.Table:
    user, first = np.unique(flows.user, return_index=True)
    return pa.table({"user_id": ids(user, "u"), "is_internal": col.booleans(flows.internal[first])})
