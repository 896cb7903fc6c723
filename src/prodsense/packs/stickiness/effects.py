"""Does a feature, does creating make people stay: comparisons of who chose it, adjusted for who they are.

Nobody was assigned to a feature, so each number is observational. Selection is handled in three ways: what counts as
adoption ends before what counts as staying begins; adopters are compared with like users by the propensity score
(doubly robust) given what was known before or on the first day; and the finding says how strong an unknown reason to
adopt would have to be to explain it away (E-value; VanderWeele & Ding 2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from prodsense.errors import UsageError
from prodsense.inference.causal_result import OBSERVATIONAL
from prodsense.inference.like_users import LEAST, compared, covariate_columns
from prodsense.packs.computed import floats

from .people import PACK, last_whole_day, span_of_activity

if TYPE_CHECKING:
    import pyarrow as pa

    from prodsense.metrics.result import Rows
    from prodsense.warehouse import Warehouse

#: What users are compared by, as known at signup: what decides most first, should there be room for some only.
_SELVES = ("acquisition_source", "device", "age_group", "region", "gender", "campaign")
OUTCOMES = ("retained_in_fourth_week", "active_days_in_fourth_week", "in_higher_tier")
_SHARES = ("retained_in_fourth_week", "in_higher_tier")


def feature_impact_on_stickiness(
    warehouse: Warehouse,
    features: str | None = None,
    adoption_days: int = 1,
    confidence: float = 0.95,
    as_of: Any = None,
) -> Rows:
    """For each feature: do new users who adopt it stay longer, or reach higher tiers, than like users who do not?

    Adopters used it within the first `adoption_days` (1: on the day of signup). Users whose first 28 days have passed
    count. Outcomes: active on any of days 21 to 27 (share), active days among them, and being Core or Power in the
    month after that of signup (once it is over). Compared by demographics, channel, campaign, device, week of signup,
    and sessions, interactions and creations of day 0; with more than one day of adoption also by days active in it,
    since who is there more often has more chances to adopt.

    Rows by feature and outcome: rates of both, their plain difference, the adjusted one with interval and p-value
    (Benjamini and Hochberg over all), the E-value, and the finding.
    """
    import numpy as np

    from prodsense.inference.multiplicity import adjust
    from prodsense.metrics.result import Rows

    if not 1 <= adoption_days <= 14:
        raise UsageError(f"adoption_days is from 1 to 14, before the fourth week; not {adoption_days}")
    warehouse.ready(
        PACK, ["members", "active_days", "feature_days", "session_facts", "user_tiers", "user_engagement_tiers"]
    )
    first, newest = span_of_activity(warehouse)
    last = last_whole_day(as_of, newest)
    params = {"first": first, "last": last, "days": adoption_days}
    people = warehouse.engine.query(_NEW_USERS, params)
    if people.num_rows < 2 * LEAST:
        raise UsageError(
            f"{people.num_rows} users signed up since {first} and have had 28 days by {last}; {2 * LEAST} are needed"
        )
    used = warehouse.engine.query(_ADOPTIONS, params)
    named = [name.strip().lower() for name in (features or "").split(",") if name.strip()]
    known = sorted(set(used["feature_name"].to_pylist()))
    for name in named:
        if name not in known:
            raise UsageError(
                f"nobody used {name} in the first {adoption_days} days; used: {', '.join(known) or 'nothing'}"
            )
    if not known:
        raise UsageError("no event of these users names a feature (feature_name)")
    users = people["user_id"].to_numpy(zero_copy_only=False)
    by_feature = used["feature_name"].to_numpy(zero_copy_only=False)
    adopters_of = {name: np.isin(users, used["user_id"].to_numpy(zero_copy_only=False)[by_feature == name])
                   for name in named or known}
    early = ["days_while_adopting"] if adoption_days > 1 else []
    covariates = [
        *early, "signup_week", "sessions_on_day_0", "interactions_on_day_0", "creations_on_day_0", *_SELVES,
    ]
    rows, balance = [], []
    for name, adopted in adopters_of.items():
        for outcome in OUTCOMES:
            row, lines = compared(
                people, adopted, outcome, covariates, confidence, sides=("adopters", "others"),
                share=outcome in _SHARES,
            )
            rows.append({"feature": name, "outcome": outcome, **row})
            balance += [{"feature": name, "outcome": outcome, **line} for line in lines]
    adjusted = adjust([row["p_value"] for row in rows], "bh")
    for row, p in zip(rows, adjusted, strict=True):
        row["p_adjusted"] = p
        row["finding"] = row["reason"] or _finding(row, 1 - confidence)
    rows = [{key: value for key, value in row.items() if key != "reason"} for row in rows]
    told = [
        f"{r['feature']}, {r['outcome'].replace('_', ' ')}: {r['finding']}" for r in rows if r["outcome"] == OUTCOMES[0]
    ]
    return Rows(
        arrow=_table(rows), title="Features and stickiness",
        extras={
            "obtained": OBSERVATIONAL, "users": people.num_rows, "covariates": covariates, "balance": balance,
            "correction": "bh", "confidence": confidence,
        },
        notes=(f"{OBSERVATIONAL}: nobody was assigned to a feature; a test would settle it", *told),
        statements=((_NEW_USERS, params), (_ADOPTIONS, params)), dialect=warehouse.engine.dialect,
    )  # fmt: skip


#: New users whose first 28 days lie within the data, with what was known of them on day 0 and what they did later.
_NEW_USERS = """
WITH people AS (
    SELECT user_id, signup_date, age_group, gender, region, acquisition_source, campaign, device,
           period_start(signup_date, 'month') AS month
    FROM stickiness.members
    WHERE NOT is_internal AND signup_date >= CAST(:first AS DATE)
        AND days_between(signup_date, CAST(:last AS DATE)) >= 27
),
acts AS (
    SELECT p.user_id, days_between(p.signup_date, a.activity_date) AS day_n,
           SUM(a.likes + a.comments_made + a.shares + a.direct_messages) AS interactions,
           SUM(a.posts_created + a.comments_made + a.stories_created) AS creations
    FROM people AS p JOIN stickiness.active_days AS a ON a.user_id = p.user_id
    WHERE a.activity_date BETWEEN p.signup_date AND CAST(:last AS DATE)
    GROUP BY p.user_id, days_between(p.signup_date, a.activity_date)
),
lives AS (
    SELECT user_id,
           SUM(CASE WHEN day_n BETWEEN 21 AND 27 THEN 1 ELSE 0 END) AS later,
           SUM(CASE WHEN day_n < :days THEN 1 ELSE 0 END) AS early,
           SUM(CASE WHEN day_n = 0 THEN interactions ELSE 0 END) AS interactions,
           SUM(CASE WHEN day_n = 0 THEN creations ELSE 0 END) AS creations
    FROM acts GROUP BY user_id
),
visits AS (
    SELECT p.user_id, COUNT(*) AS sessions
    FROM people AS p JOIN stickiness.session_facts AS s ON s.user_id = p.user_id AND s.session_date = p.signup_date
    GROUP BY p.user_id
),
tiers AS (
    SELECT user_id, SUBSTR(period, 1, 7) AS month, MAX(CASE WHEN tier IN ('Power', 'Core') THEN 1 ELSE 0 END) AS is_high
    FROM stickiness.user_tiers GROUP BY user_id, SUBSTR(period, 1, 7)
)
SELECT p.user_id, p.age_group, p.gender, p.region, p.acquisition_source, p.campaign, p.device,
       CAST(FLOOR(ratio(days_between(CAST(:first AS DATE), p.signup_date), 7)) AS DOUBLE) AS signup_week,
       CAST(COALESCE(v.sessions, 0) AS DOUBLE) AS sessions_on_day_0,
       CAST(COALESCE(l.interactions, 0) AS DOUBLE) AS interactions_on_day_0,
       CAST(COALESCE(l.creations, 0) AS DOUBLE) AS creations_on_day_0,
       CAST(COALESCE(l.early, 0) AS DOUBLE) AS days_while_adopting,
       CASE WHEN l.later > 0 THEN 1.0 ELSE 0.0 END AS retained_in_fourth_week,
       CAST(COALESCE(l.later, 0) AS DOUBLE) AS active_days_in_fourth_week,
       CASE WHEN add_days(period_start(add_days(p.month, 62), 'month'), -1) <= CAST(:last AS DATE)
            THEN CAST(t.is_high AS DOUBLE) END AS in_higher_tier
FROM people AS p
LEFT JOIN lives AS l ON l.user_id = p.user_id
LEFT JOIN visits AS v ON v.user_id = p.user_id
LEFT JOIN tiers AS t
    ON t.user_id = p.user_id AND t.month = SUBSTR(text_of(period_start(add_days(p.month, 31), 'month')), 1, 7)
ORDER BY p.user_id
"""

_ADOPTIONS = """
SELECT DISTINCT f.user_id, f.feature_name
FROM stickiness.feature_days AS f
JOIN stickiness.members AS m ON m.user_id = f.user_id
WHERE NOT m.is_internal AND m.signup_date >= CAST(:first AS DATE)
  AND days_between(m.signup_date, CAST(:last AS DATE)) >= 27
  AND days_between(m.signup_date, f.activity_date) BETWEEN 0 AND :days - 1
"""


def _finding(row: dict[str, Any], alpha: float) -> str:
    """What a row says, in words: after correction, and beside the plain difference."""
    effect, plain = row["effect"], row["difference"]
    if row["p_adjusted"] is not None and row["p_adjusted"] < alpha:
        return f"adopters do {'better' if effect > 0 else 'worse'} than like users"
    if row["difference_low"] is not None and not row["difference_low"] <= 0 <= row["difference_high"]:
        if effect * plain <= 0 or abs(effect) < abs(plain) / 2:
            return "explained by who adopts: like users do nearly the same"
        return "not sure: a difference remains, but chance may make it"
    return "no difference seen"


def _table(rows: Sequence[dict[str, Any]]) -> pa.Table:
    from prodsense.metrics.result import Rows

    return Rows.from_rows(rows).arrow


# -- creating and consuming ---------------------------------------------------------------------------


def creation_vs_consumption_stickiness(
    warehouse: Warehouse, days: int = 28, chances: int = 5, confidence: float = 0.95, as_of: Any = None,
) -> Rows:
    """Are users who create more active afterwards than like users who only consume?

    The last `days` days are what comes afterwards. Before them, everyone's newest `chances` active days (within as
    many days before) are looked at, so that nobody has more chances to create for being there more often: creators
    made a post, comment or story at least every other of these days (in number), consumers none, occasional creators
    lie between. Stickiness is active days afterwards over `days`.

    Rows: the three groups. Extras: creators against consumers, plain and adjusted for demographics, channel, device
    and time since signup (doubly robust); observational.
    """
    import numpy as np
    import pyarrow as pa

    from prodsense.errors import ProdsenseError
    from prodsense.inference.causal_propensity import propensity
    from prodsense.inference.causal_result import numbers
    from prodsense.metrics.result import Rows

    if days < 1 or chances < 1:
        raise UsageError("days and chances are 1 or more")
    warehouse.ready(PACK, ["members", "active_days"])
    first, newest = span_of_activity(warehouse)
    last = last_whole_day(as_of, newest)
    if (last - first).days + 1 < 2 * days:
        raise UsageError(f"activity from {first} to {last} is shorter than twice {days} days; give fewer days")
    params = {"last": last, "split": last - timedelta(days=days), "begin": last - timedelta(days=2 * days),
              "chances": chances}
    table = warehouse.engine.query(_CREATORS, params)
    made = floats(table, "creations")
    later = floats(table, "stickiness_days") / days
    group = np.where(made == 0, 0, np.where(made * 2 >= chances, 2, 1))
    rows = []
    for number, name in ((2, "creators"), (1, "occasional creators"), (0, "consumers")):
        mine = later[group == number]
        error = float(mine.std(ddof=1) / np.sqrt(len(mine))) if len(mine) > 1 else None
        told = numbers(float(mine.mean()), error, max(len(mine) - 1, 1), confidence) if len(mine) else {}
        rows.append({
            "group": name, "users": len(mine), "stickiness": told.get("estimate"), "low": told.get("low"),
            "high": told.get("high"), "active_days_after": told["estimate"] * days if told else None,
            "creations_a_day": float(made[group == number].mean()) / chances if len(mine) else None,
        })
    keep = group != 1
    d = (group[keep] == 2).astype(float)
    if min(d.sum(), (1 - d).sum()) < LEAST:
        raise UsageError(
            f"{int(d.sum())} creators and {int((1 - d).sum())} users who only consume, with {chances} active days"
            f" before {last - timedelta(days=days)} each; {LEAST} of both are needed"
        )
    columns = covariate_columns(table.filter(pa.array(keep)), ["tenure", *_SELVES], d)
    try:
        found = propensity(
            pa.table({**columns, "treated": d, "y": later[keep]}), "y", treated="treated", covariates=list(columns),
            confidence=confidence,
        )
    except ProdsenseError as error:
        raise UsageError(f"creators and consumers cannot be compared: {error.message}") from None
    effect, plain = found.rows[0], found.rows[-1]
    base = float(later[group == 2].mean()) - effect["estimate"]
    comparison = {
        "difference": {k: plain[k] for k in ("estimate", "low", "high", "p_value")},
        "adjusted": {k: effect[k] for k in ("estimate", "low", "high", "p_value")},
        "adjusted_relative": effect["estimate"] / base if base > 0 else None,
        "creators_are_stickier": bool(effect["low"] is not None and effect["low"] > 0),
    }
    said = "more" if effect["estimate"] > 0 else "less"
    return Rows(
        arrow=_table(rows), title="Creating and consuming",
        units={"stickiness": "share", "low": "share", "high": "share", "active_days_after": "days"},
        extras={"comparison": comparison, "obtained": OBSERVATIONAL, "covariates": list(columns),
                "balance": found.extras["balance"], "days": days, "split": last - timedelta(days=days)},
        notes=(
            f"{OBSERVATIONAL}: creators are active on {abs(effect['estimate']):.1%} of days {said} than like consumers"
            f" ({confidence:.0%} interval {effect['low']:.1%} to {effect['high']:.1%})",
            *(f"warning: {line}" for line in found.warnings if "placebo" not in line),
        ),
        statements=((_CREATORS, params),), dialect=warehouse.engine.dialect,
    )  # fmt: skip


_CREATORS = """
WITH acts AS (
    SELECT a.user_id, a.activity_date AS day, SUM(a.posts_created + a.comments_made + a.stories_created) AS creations
    FROM stickiness.active_days AS a
    JOIN stickiness.members AS m ON m.user_id = a.user_id
    WHERE NOT m.is_internal AND a.activity_date > CAST(:begin AS DATE) AND a.activity_date <= CAST(:last AS DATE)
    GROUP BY a.user_id, a.activity_date
),
numbered AS (
    SELECT user_id, day, creations, ROW_NUMBER() OVER (PARTITION BY user_id ORDER BY day DESC) AS place
    FROM acts WHERE day <= CAST(:split AS DATE)
),
before AS (
    SELECT user_id, SUM(creations) AS creations
    FROM numbered WHERE place <= :chances GROUP BY user_id HAVING COUNT(*) = :chances
),
after AS (
    SELECT user_id, COUNT(*) AS days FROM acts WHERE day > CAST(:split AS DATE) GROUP BY user_id
)
SELECT b.user_id, m.age_group, m.gender, m.region, m.acquisition_source, m.campaign, m.device,
       CASE WHEN m.signup_date IS NULL THEN 'unknown'
            WHEN days_between(m.signup_date, CAST(:split AS DATE)) < 14 THEN '0-13 days'
            WHEN days_between(m.signup_date, CAST(:split AS DATE)) < 28 THEN '14-27 days'
            WHEN days_between(m.signup_date, CAST(:split AS DATE)) < 90 THEN '28-89 days' ELSE '90+ days' END AS tenure,
       CAST(b.creations AS DOUBLE) AS creations, CAST(COALESCE(a.days, 0) AS DOUBLE) AS stickiness_days
FROM before AS b
JOIN stickiness.members AS m ON m.user_id = b.user_id
LEFT JOIN after AS a ON a.user_id = b.user_id
ORDER BY b.user_id
"""
