"""Who is about to leave, and whom to turn to: planted warnings are learned, risks become a list with a holdout."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest

from prodsense.errors import UsageError

from .little import at, made_of, session

_MODELS = ("session_facts", "viewers", "titles", "sessions", "subscription_log")
SERIES = [
    {"content_key": 100 + n, "content_type": "episode", "series_key": 100, "episode_number": n, "genre": "drama",
     "length_seconds": 1800}
    for n in (1, 2)
]  # fmt: skip


def platform(seed: int, warning: bool, users: int = 300) -> dict[str, list[dict[str, Any]]]:
    """120 days of users who watch every other day; who leaves, watches a fifth as often in the 21 days before."""
    rng = np.random.default_rng(seed)
    start = datetime(2024, 1, 1)
    sessions: list[dict[str, Any]] = []
    subscriptions = []
    number = 0
    for user in range(1, users + 1):
        leaves = float(rng.uniform(30, 118)) if rng.random() < 0.5 else None
        subscriptions.append({
            "user_id": str(user), "tier": ("basic", "premium")[user % 2], "started_at": datetime(2023, 1, 1),
            "ended_at": None if leaves is None else start + timedelta(days=leaves),
        })
        for day in range(120):
            if leaves is not None and day > leaves:
                break
            near = warning and leaves is not None and day > leaves - 21
            if rng.random() < (0.1 if near else 0.5):
                number += 1
                moment = start + timedelta(days=day, hours=20)
                sessions.append(session(number, user, 101 + day % 2, moment, 1500 if rng.random() < 0.7 else 600))
    return {"dim_content": SERIES, "fact_viewing_sessions": sessions, "subscriptions": subscriptions}


@pytest.mark.slow
def test_planted_warnings_are_learned() -> None:
    with made_of(platform(3, warning=True), *_MODELS) as warehouse:
        answer = warehouse.analyze("streaming.subscriber_churn_prediction", horizon=21, top=5)
        metrics = {row["model"]: row for row in answer.extras["metrics"]}
        assert metrics["logit"]["auc"] > 0.7
        assert len(answer.rows) == 5 and "leaves" not in answer.rows[0]
        assert [r["probability"] for r in answer.rows] == sorted((r["probability"] for r in answer.rows), reverse=True)
        # Only who is still subscribed is scored.
        gone = {row["user_id"] for row in platform(3, warning=True)["subscriptions"] if row["ended_at"]}
        assert answer.scores is not None and not gone & set(answer.scores["user_id"].to_pylist())
        targets = warehouse.analyze("streaming.churn_prevention_targeting", horizon=21, share=0.2)
        assert targets.extras["source"] == "subscriber_churn_prediction"
        assert targets.rows[0]["user_id"] == answer.rows[0]["user_id"]


def test_too_little_history_is_refused() -> None:
    rows = [session(1, 1, 101, at("01 10:00"), 600), session(2, 1, 101, at("30 10:00"), 600)]
    tables = {"dim_content": SERIES, "fact_viewing_sessions": rows,
              "subscriptions": [{"user_id": "1", "started_at": datetime(2023, 1, 1)}]}  # fmt: skip
    with made_of(tables, *_MODELS) as warehouse, pytest.raises(UsageError, match="no moment with four weeks"):
        warehouse.analyze("streaming.subscriber_churn_prediction")


@pytest.mark.slow
def test_a_list_by_hand() -> None:
    """Ten risks, the tenth of whom has left; a share of 0.4 of the nine is three."""
    scores = [{"user_id": f"u{n}", "risk": n / 10} for n in range(1, 11)]
    users = [{"user_key": n, "user_id": f"u{n}", "is_internal": n == 8} for n in range(1, 11)]
    paid = [
        {"user_id": f"u{n}", "started_at": datetime(2023, 1, 1), "ended_at": datetime(2024, 1, 5) if n == 10 else None}
        for n in range(1, 11)
    ]
    rows = [
        session(1, 9, 101, at("01 10:00"), 1800, completion_percentage=100),
        session(2, 7, 101, at("02 10:00"), 1800, completion_percentage=100),
        session(3, 7, 102, at("03 10:00"), 1800, completion_percentage=100),
        session(4, 1, 101, at("20 10:00"), 600, completion_percentage=10),
    ]
    tables = {"churn_scores": scores, "dim_users": users, "subscriptions": paid, "dim_content": SERIES,
              "fact_viewing_sessions": rows}  # fmt: skip
    with made_of(tables, *_MODELS) as warehouse:
        answer = warehouse.analyze("streaming.churn_prevention_targeting", share=0.4, holdout=0.0)
        told = [(r["user_id"], r["risk"], r["group"], r["offer"]) for r in answer.rows]
        # u8 is of the house. u9 has begun the series, u7 has seen all of it, u6 has watched nothing.
        assert told == [
            ("u9", 0.9, "contact", "go on with series 100"), ("u7", 0.7, "contact", "new in drama"),
            ("u6", 0.6, "contact", "what others start with"),
        ]  # fmt: skip
        assert answer.rows[0]["days_since_last_session"] == 19 and "nobody is held out" in answer.notes[1]
        assert len(warehouse.analyze("streaming.churn_prevention_targeting", share=1, min_risk=0.65).rows) == 2
        held = warehouse.analyze("streaming.churn_prevention_targeting", share=1, holdout=0.5)
        again = warehouse.analyze("streaming.churn_prevention_targeting", share=1, holdout=0.5)
        assert held.rows == again.rows and 0 < held.extras["holdout"] < 8
        other = warehouse.analyze("streaming.churn_prevention_targeting", share=1, holdout=0.5, campaign="spring")
        assert [r["group"] for r in other.rows] != [r["group"] for r in held.rows]
        with pytest.raises(UsageError, match=r"no risk is 0.95 or higher"):
            warehouse.analyze("streaming.churn_prevention_targeting", min_risk=0.95)
