"""Who watches how far: the audience retention curve of a title, its unusual falls, and viewers counted once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from prodsense.errors import UsageError

from .common import PACK, clock, moment_of
from .retention_curve import LEAST, curve, unusual

if TYPE_CHECKING:
    from prodsense.behavior.result import Answer
    from prodsense.metrics.result import Rows
    from prodsense.warehouse import Warehouse

#: Where the opening of a title ends and, without known credits, where its end begins: shares of its length.
OPENING, ENDING = 0.05, 0.9
#: Milestones that players report, in percent.
MILESTONES = (1, 5, 25, 50, 75, 90, 100)
_STEPS = 100
_COLUMNS = (
    "session_id", "user_key", "content_key", "session_date", "furthest_position", "completion", "length_seconds",
)  # fmt: skip

#: How far each viewer got in a title, in seconds and percent; a session's reported milestones count beside its
#: position.
_REACHED = """
WITH shown AS ({rows}),
marks AS (
    SELECT session_id, MAX(milestone_pct) AS milestone FROM streaming.playback_milestones_reached GROUP BY session_id
),
viewers AS (
    SELECT {slices}s.content_key, COALESCE(text_of(s.user_key), 'session ' || text_of(s.session_id)) AS viewer,
        MAX(s.length_seconds) AS length,
        GREATEST(MAX(COALESCE(s.furthest_position, s.completion * s.length_seconds / 100)),
            MAX(m.milestone * s.length_seconds / 100.0)) AS seconds,
        GREATEST(MAX(s.completion), MAX(m.milestone)) AS percent
    FROM shown AS s
    LEFT JOIN marks AS m ON m.session_id = s.session_id
    WHERE s.content_key IS NOT NULL
    GROUP BY {slices}s.content_key, COALESCE(text_of(s.user_key), 'session ' || text_of(s.session_id))
)
"""


def audience_retention_curve(
    warehouse: Warehouse, content_key: int | None = None, points: str = "percent", step_seconds: float | None = None,
    by: str | None = None, where: str | None = None, as_of: datetime | None = None,
) -> Answer:
    """How many of those who started a title were still watching at each of its points.

    A viewer counts at a point who played up to it or past it in any session; so the curve starts at 100% and never
    rises. `points`: ``percent`` (each hundredth of the length), ``seconds`` (every `step_seconds`, 1 by default) or
    ``milestones``. The title is that with most viewers unless `content_key` says which. `by` and `where` slice by any
    dimension that sessions reach; a viewer counts in each slice that a session of theirs is in.

    Rows: slices, ``position_seconds``, ``percent_of_title``, ``viewers``, ``retention`` (share of starters), ``lost``
    (of starters, since the point before), ``is_drop_off``. Extras: the title, ``drop_offs`` (unusual falls).
    """
    import numpy as np

    from prodsense.behavior.result import Answer
    from prodsense.metrics.result import Rows
    from prodsense.metrics.sliced import sliced

    if points not in ("percent", "seconds", "milestones"):
        raise UsageError(f"points is percent, seconds or milestones, not {points!r}")
    if step_seconds is not None and (points != "seconds" or step_seconds < 1):
        raise UsageError("step_seconds is 1 or more and goes with points=seconds")
    warehouse.ready(PACK, ["sessions", "playback_milestones_reached", "dim_content"])
    moment = moment_of(warehouse, as_of)
    rows_sql, params, names = sliced(warehouse, PACK, "sessions", _COLUMNS, as_of=moment, by=by, where=where)
    title = _title(warehouse, content_key, rows_sql, params)
    slices = "".join(f's."{name}", ' for name in names)
    kept = "".join(f'"{name}", ' for name in names)
    text = _REACHED.format(rows=rows_sql, slices=slices) + (
        f"SELECT {kept}CAST(FLOOR(seconds) AS BIGINT) AS seconds, CAST(FLOOR(percent) AS BIGINT) AS percent,"
        " MAX(length) AS length, COUNT(*) AS viewers FROM viewers WHERE content_key = :content_key"
        f" GROUP BY {kept}CAST(FLOOR(seconds) AS BIGINT), CAST(FLOOR(percent) AS BIGINT)"
    )
    params = {**params, "content_key": title["content_key"]}
    counted = warehouse.engine.query(text, params).to_pylist()
    length = max((row["length"] or 0 for row in counted), default=0)
    unit = "percent" if points == "milestones" or (points == "percent" and length) else "seconds"
    unknown = sum(row["viewers"] for row in counted if row["seconds"] is None and row["percent"] is None)
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in counted:
        if row["seconds"] is not None or row["percent"] is not None:
            groups.setdefault(tuple(row[name] for name in names), []).append(row)
    if not groups:
        raise UsageError(f"nobody is known to have watched {_name(title)} to any point")
    end = length or max(row["seconds"] or 0 for row in counted)
    at = _points(points, unit, end, step_seconds)
    drop_offs, found = [], []
    for key in sorted(groups, key=lambda values: tuple(str(v) for v in values)):
        reached = np.repeat(
            [_reached(row, unit, length) for row in groups[key]], [row["viewers"] for row in groups[key]]
        )
        viewers = curve(reached, at)
        viewers[0] = len(reached)  # who started was at the start
        told = dict(zip(names, key, strict=True))
        falls = _falls(reached, end if unit == "seconds" else 100.0, title, length)
        drop_offs += [told | _fall(fall, end / 100 if unit == "percent" else 1.0) for fall in falls]
        for i, point in enumerate(at):
            seconds = float(point) if unit == "seconds" else float(point) * end / 100 if length else None
            found.append({
                **told, "position_seconds": seconds,
                "percent_of_title": float(point) if unit == "percent" else 100 * float(point) / end if length else None,
                "viewers": int(viewers[i]), "retention": int(viewers[i]) / len(reached),
                "lost": (int(viewers[i - 1]) - int(viewers[i])) / len(reached) if i else 0.0,
                "is_drop_off": any(f.start < point <= f.end for f in falls),
            })
    notes = [f"{_name(title)}: {int(sum(r['viewers'] for r in counted)) - unknown:,} viewers"]
    if unknown:
        notes.append(f"{unknown:,} viewers of whom no point is known are left out")
    return Answer(
        arrow=Rows.from_rows(found).arrow, method="audience_retention_curve", as_of=moment,
        title=f"Audience retention of {_name(title)}", notes=tuple(notes),
        units={"position_seconds": "seconds", "retention": "share", "lost": "share", "percent_of_title": "percent"},
        extras={**title, "length_seconds": length or None, "drop_offs": drop_offs}, statements=((text, params),),
        dialect=warehouse.engine.dialect, picture=_picture,
    )  # fmt: skip


def _title(warehouse: Warehouse, content_key: int | None, rows_sql: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """The title asked for, or the one with most viewers."""
    if content_key is None:
        found = warehouse.engine.query(
            f"SELECT content_key FROM ({rows_sql}) AS s WHERE content_key IS NOT NULL GROUP BY content_key"
            " ORDER BY COUNT(DISTINCT user_key) DESC, content_key LIMIT 1", params,
        ).to_pylist()
        if not found:
            raise UsageError("nobody watched anything here")
        content_key = found[0]["content_key"]
    told = warehouse.engine.query(
        "SELECT content_name, credits_start_seconds FROM streaming.dim_content WHERE content_key = :key",
        {"key": content_key},
    ).to_pylist()
    return {"content_key": content_key, **(told[0] if told else {"content_name": None, "credits_start_seconds": None})}


def _name(title: Mapping[str, Any]) -> str:
    return str(title["content_name"] or f"title {title['content_key']}")


def _points(points: str, unit: str, end: float, step: float | None) -> Any:
    import numpy as np

    if points == "milestones":
        return np.array([0.0, *MILESTONES])
    if unit == "percent":
        return np.arange(0.0, _STEPS + 1)
    size = step or (1.0 if points == "seconds" else max(1.0, math.ceil(end / _STEPS)))
    at = np.arange(0.0, end + 1e-9, size)
    return at if at[-1] == end else np.append(at, end)


def _reached(row: Mapping[str, Any], unit: str, length: float) -> float:
    """How far a row's viewers got, in the unit of the points; what one measure lacks the other tells."""
    seconds, percent = row["seconds"], row["percent"]
    if unit == "percent":
        if percent is None:
            return min(100.0, 100.0 * seconds / length) if length else 0.0
        return float(percent)
    return float(seconds) if seconds is not None else float(percent) * length / 100


def _falls(reached: Any, end: float, title: Mapping[str, Any], length: float) -> list[Any]:
    """Unusual falls of one curve, in its own unit, by hundredths."""
    import numpy as np

    at = np.linspace(0.0, end, _STEPS + 1)
    viewers = curve(reached, at)
    credits = title.get("credits_start_seconds")
    last = credits * end / length if credits and length else ENDING * end
    found = unusual({0: (list(at), list(viewers))}, opening=OPENING, end={0: last}, min_drop=0.03, alpha=0.01)
    return found.get(0, [])


def _fall(fall: Any, scale: float) -> dict[str, Any]:
    return {
        "from_seconds": fall.start * scale, "to_seconds": fall.end * scale, "viewers_there": fall.there,
        "viewers_lost": fall.left, "share_lost": fall.share, "usual_share": fall.expected, "p_value": fall.p_value,
    }  # fmt: skip


def _picture(answer: Answer, **options: Any) -> Any:
    """The curve; without slices, with a dot where it falls unusually."""
    from prodsense.charts.builders import chart_rows

    names = [name for name in answer.arrow.column_names if name not in _OWN]
    timed = answer.rows[0]["position_seconds"] is not None
    across = "minutes" if timed else "percent_of_title"
    lines = []
    for row in answer.rows:
        point = row["position_seconds"] / 60 if timed else row["percent_of_title"]
        told = {across: point, "viewers left": 100 * row["retention"]}
        lines.append({**told, "line": " · ".join(str(row[name]) for name in names) or "still watching"})
        if row["is_drop_off"] and not names:
            lines.append({**told, "line": "unusual drop-off"})
    settings: dict[str, Any] = {
        "title": f"{answer.title}, by {'minutes' if timed else 'percent of its length'}", "notes": answer.notes,
        "units": {"viewers left": "percent"},
    }
    return chart_rows(lines, "line", x=across, y="viewers left", by=("line",), **{**settings, **options})


_OWN = ("position_seconds", "percent_of_title", "viewers", "retention", "lost", "is_drop_off")


# -- the detector ----------------------------------------------------------------------------------------

#: How far viewers of each title got, by stretches of :step seconds; of whom only milestones are known, by these.
_OF_TITLES = """
WITH marks AS (
    SELECT session_id, MAX(milestone_pct) AS milestone FROM streaming.playback_milestones_reached GROUP BY session_id
),
reached AS (
    SELECT
        s.content_key,
        COALESCE(text_of(s.user_key), 'session ' || text_of(s.session_id)) AS viewer,
        MAX(s.length_seconds) AS length,
        MAX(COALESCE(s.furthest_position, s.completion * s.length_seconds / 100)) AS seconds,
        MAX(m.milestone) AS milestone
    FROM streaming.sessions AS s
    LEFT JOIN marks AS m ON m.session_id = s.session_id
    WHERE s.content_key IS NOT NULL AND s.started_at <= :as_of AND s.session_date > add_days(date_of(:as_of), -:days)
    GROUP BY s.content_key, COALESCE(text_of(s.user_key), 'session ' || text_of(s.session_id))
),
placed AS (
    SELECT
        content_key, length, CAST(FLOOR(seconds / CAST(:step AS DOUBLE)) AS BIGINT) AS bucket,
        CASE WHEN seconds IS NULL THEN milestone END AS milestone
    FROM reached
    WHERE seconds IS NOT NULL OR milestone IS NOT NULL
)
SELECT r.content_key, c.content_name, c.credits_start_seconds, MAX(r.length) AS length, r.bucket, r.milestone,
    COUNT(*) AS viewers
FROM placed AS r
LEFT JOIN streaming.dim_content AS c ON c.content_key = r.content_key
GROUP BY r.content_key, c.content_name, c.credits_start_seconds, r.bucket, r.milestone
ORDER BY r.content_key, r.bucket, r.milestone
"""


def retention_dropoffs(
    warehouse: Warehouse, as_of: datetime | None = None, days: int = 90, step_seconds: float = 60.0,
    min_drop: float = 0.03, alpha: float = 0.01, min_viewers: int = 50,
) -> list[dict[str, Any]]:
    """Findings: stretches of `step_seconds` in which far more viewers leave a title than around it.

    Viewers are those of sessions of the last `days` days. Of a title of which mostly milestones are known, the
    stretches are those between milestones. The opening (the first 5% of the title) and what comes after the credits
    begin (without known credits: the last tenth) are not judged.
    """
    from prodsense.inference.detect import TooLittleError

    if step_seconds < 1 or days < 1:
        raise UsageError("step_seconds and days are 1 or more")
    warehouse.ready(PACK, ["sessions", "dim_content", "playback_milestones_reached"])
    params = {"as_of": moment_of(warehouse, as_of), "days": days, "step": step_seconds}
    told: dict[int, list[dict[str, Any]]] = {}
    for row in warehouse.engine.query(_OF_TITLES, params).to_pylist():
        told.setdefault(row["content_key"], []).append(row)
    curves, ends, scales = {}, {}, {}
    for key, rows in told.items():
        if sum(row["viewers"] for row in rows) >= max(min_viewers, LEAST):
            curves[key], ends[key], scales[key] = _curve_of(rows, step_seconds)
    if not curves:
        raise TooLittleError(f"no title has {max(min_viewers, LEAST)} viewers in these {days} days")
    found = unusual(curves, opening=OPENING, end=ends, min_drop=min_drop, alpha=alpha)
    return [_finding(told[key][0], fall, scales[key]) for key, falls in found.items() for fall in falls]


def _curve_of(
    rows: Sequence[Mapping[str, Any]], step: float
) -> tuple[tuple[list[float], list[int]], float, float | None]:
    """A title's curve, where it is not judged any more, and seconds in a unit of its points (None: only percent)."""
    import numpy as np

    length = max(row["length"] or 0 for row in rows)
    credits = rows[0]["credits_start_seconds"]
    marked = sum(row["viewers"] for row in rows if row["milestone"] is not None)
    if 2 * marked > sum(row["viewers"] for row in rows):
        points = np.array([0.0, *MILESTONES])
        reached = [
            row["milestone"] if row["milestone"] is not None else min(100.0, 100 * row["bucket"] * step / length)
            for row in rows if row["milestone"] is not None or length
        ]  # fmt: skip
        counts = [row["viewers"] for row in rows if row["milestone"] is not None or length]
        end = 100 * credits / length if credits and length else 100 * ENDING
        scale = length / 100 if length else None
    else:
        placed = [row for row in rows if row["bucket"] is not None]
        length = length or (max(row["bucket"] for row in placed) + 1) * step
        last = max(math.ceil(length / step), 1)
        points = np.arange(last + 1) * step
        reached = [min(max(row["bucket"], 0), last) * step for row in placed]
        counts = [row["viewers"] for row in placed]
        end, scale = float(credits or ENDING * length), 1.0
    viewers = curve(np.repeat(np.array(reached, dtype=float), counts), points)
    return ([float(p) for p in points], [int(n) for n in viewers]), end, scale


def _finding(title: Mapping[str, Any], fall: Any, scale: float | None) -> dict[str, Any]:
    name = _name(title)
    begins, ends = (
        (clock(fall.start * scale), clock(fall.end * scale)) if scale else (f"{fall.start:g}%", f"{fall.end:g}%")
    )
    return {
        "subject": f"{name} (content_key={title['content_key']}), at {begins}", "metric": "audience retention",
        "value": fall.share, "expected": fall.expected, "score": -math.log10(max(fall.p_value, 1e-300)),
        "reason": f"{fall.share:.0%} of the {fall.there:,} still watching leave from {begins} to {ends};"
                  f" {fall.expected:.1%} do around it",
        "content_key": title["content_key"], "position_seconds": fall.start * scale if scale else None,
        "until_seconds": fall.end * scale if scale else None, "viewers_lost": fall.left,
    }  # fmt: skip


# -- viewers counted once --------------------------------------------------------------------------------

_SHOWS = """
WITH views AS (
    SELECT s.series_key, s.content_key, s.account_id, COALESCE(s.profile_id, 'user ' || text_of(s.user_key)) AS profile
    FROM streaming.sessions AS s
    WHERE s.is_view AND s.series_key IS NOT NULL AND s.started_at <= :as_of
        AND (CAST(:start_date AS DATE) IS NULL OR s.session_date >= CAST(:start_date AS DATE))
        AND (CAST(:end_date AS DATE) IS NULL OR s.session_date <= CAST(:end_date AS DATE))
        AND (CAST(:series_key AS BIGINT) IS NULL OR s.series_key = CAST(:series_key AS BIGINT))
),
episodes AS (
    SELECT series_key, content_key, COUNT(DISTINCT account_id) AS accounts, COUNT(DISTINCT profile) AS profiles
    FROM views
    GROUP BY series_key, content_key
),
summed AS (
    SELECT series_key, COUNT(*) AS episodes_watched, SUM(accounts) AS accounts, SUM(profiles) AS profiles
    FROM episodes
    GROUP BY series_key
),
names AS (
    SELECT content_key AS series_key, content_name
    FROM streaming.dim_content
    WHERE LOWER(content_type) IN ('series', 'show', 'tv show', 'tv_show')
)
SELECT
    v.series_key,
    MIN(n.content_name) AS series_name,
    MIN(e.episodes_watched) AS episodes_watched,
    COUNT(DISTINCT v.account_id) AS unique_accounts,
    COUNT(DISTINCT v.profile) AS unique_profiles,
    COUNT(*) AS views,
    CAST(MIN(e.accounts) AS BIGINT) AS sum_of_episode_accounts,
    CAST(MIN(e.profiles) AS BIGINT) AS sum_of_episode_profiles
FROM views AS v
JOIN summed AS e ON e.series_key = v.series_key
LEFT JOIN names AS n ON n.series_key = v.series_key
GROUP BY v.series_key
ORDER BY unique_accounts DESC, v.series_key
"""


def show_unique_viewers_dedup(
    warehouse: Warehouse, series_key: int | None = None, start_date: Any = None, end_date: Any = None,
    as_of: datetime | None = None,
) -> Rows:
    """Unique viewers of each show over all its episodes and profiles, beside what summing its episodes would tell.

    Both days are inside. Accounts count people who pay, profiles people who watch; a session without a profile is its
    user's own. Rows, most accounts first: ``unique_accounts``, ``unique_profiles``, ``sum_of_episode_accounts`` and
    ``sum_of_episode_profiles`` (what summing would claim), ``overcount`` (of accounts, as a share).
    """
    from prodsense.metrics.result import Rows

    params = {
        "as_of": moment_of(warehouse, as_of), "series_key": series_key, "start_date": start_date, "end_date": end_date,
    }
    rows = warehouse.engine.query(_SHOWS, params).to_pylist()
    for row in rows:
        accounts = row["unique_accounts"]
        row["overcount"] = row["sum_of_episode_accounts"] / accounts - 1 if accounts else None
    if not rows:
        raise UsageError("no episode of a series was viewed in that time; series_key of dim_content says what is one")
    return Rows(
        arrow=Rows.from_rows(rows).arrow, title="Unique viewers of shows", units={"overcount": "share"},
        notes=("each account and profile counts once a show; summing episodes counts them once an episode",),
        statements=((_SHOWS, params),), dialect=warehouse.engine.dialect,
    )  # fmt: skip
