"""The eight questions, and in what form every side gives its answer so that all can be compared.

An answer is a list of tuples of integers and texts in one order; a sessions table, which has millions of rows, is
told by sums over it.
"""

from __future__ import annotations

#: Name → what is asked.
QUESTIONS = {
    "rolling": "DAU, WAU and 28-day MAU of each day",
    "l28": "users by active days of the last 28",
    "retention": "day-N retention triangle, N from 0 to 30",
    "lifecycle": "new, retained, resurrected, churned, dormant of each day",
    "funnel": "view, cart, checkout, pay within 7 days, each user's best way",
    "sessions": "table of sessions: user, start, end, events",
    "named": "the same with stable ids and days, in order of start (this project only)",
    "transitions": "how often each event follows each other in sessions",
    "metrics": "ten metrics by day, country and platform",
}
#: Questions that only some are asked.
ONLY = {"named": ("project",)}
STEPS = ("view", "cart", "checkout", "pay")
WINDOW_US = 7 * 86_400_000_000
GAP_US = 30 * 60_000_000
#: Counted by name in `metrics`: events of each, and users of `pay`.
COUNTED = ("view", "search", "cart", "checkout", "pay")
METRICS = ("events", "users", *COUNTED, "payers", "revenue", "revenue_per_user")
