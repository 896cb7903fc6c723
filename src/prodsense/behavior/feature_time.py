"""Time spent by feature: the time from an event to the next one of its session belongs to the feature of the first.

Within a session no such stretch reaches `gap`, so idle hours are nobody's. After an event that sends the app to the
background nothing is spent until the next event. The last event of a session has no next one: how long it was
looked at is not known, and counts as `last` seconds (0 unless given).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prodsense.behavior import daily
from prodsense.behavior.events import Events, events_of
from prodsense.behavior.result import Answer, days_over
from prodsense.behavior.session_rules import BACKGROUND, Rules
from prodsense.behavior.sessions import looked_at, mended_notes
from prodsense.engines.base import comma
from prodsense.errors import UsageError
from prodsense.metrics import periods

#: Columns of an answer besides the dimensions.
_COLUMNS = ("period", "feature", "users", "sessions", "events", "seconds", "seconds_per_user", "share")


def feature_time(
    events: Events,
    feature: str,
    *,
    by: str | Sequence[str] = (),
    grain: str = "all",
    last: float = 0,
    gap: float = 30,
    grace: float = 5,
    background: str | None = BACKGROUND,
    devices: str = "",
    received: str = "",
    tolerance: float = 1,
    as_of: object = None,
    tz: str = "UTC",
) -> Answer:
    """Time spent by the value of column `feature` up to `as_of`, by dimension `by` and by period of `grain`.

    `gap`, `grace`, `background`, `devices`, `received` and `tolerance` are the rules of sessions (see `sessions`).
    Sessions may be of devices ``apart`` or ``together``: apart, two devices in use at once both spend time.
    A stretch belongs to the period (in `tz`) and the dimensions of its first event, also across midnight. Events
    without a feature are in a row of their own, whose feature is null.

    Columns: ``period`` (unless grain is ``all``), the dimensions, ``feature``, ``users``, ``sessions`` (in which it
    has an event), ``events``, ``seconds``, ``seconds_per_user``, and ``share`` of the seconds of its period and
    dimensions (null where nothing was spent). Ordered by period and dimensions, most time first.
    Raises UsageError for a column that is not there, or a `last` that is negative or as long as the gap.
    """
    events = events_of(events)
    names = (by,) if isinstance(by, str) and by else tuple(by)
    table = events.by(*names)
    taken = [name for name in table.dimensions if name in _COLUMNS or table.dimensions.count(name) > 1]
    if taken:
        raise UsageError(f"by {taken[0]}: the answer has that column already; rename it in a view, or leave it out")
    if grain not in periods.GRAINS:
        raise UsageError(f"no periods of grain {grain!r}; choose one of {', '.join(periods.GRAINS)}")
    rules = Rules.of(
        table, gap=gap, grace=grace, background=background, devices=devices, received=received, tolerance=tolerance
    )
    if rules.devices == "joined":
        raise UsageError("time is spent on a device: ask for devices apart or together, not joined")
    if not 0 <= last < gap * 60:
        raise UsageError(f"last is seconds from 0 to less than the gap of {gap:g} minutes, not {last:g}")
    moment, mended = looked_at(table, rules, as_of, tz)
    params = {**rules.params(), "as_of": moment, "last": float(last)}
    column = table.column(feature)
    settled = rules.settled(table, {"feature": f"text_of({comma([column])})"})
    sliced = list(table.dimension_columns.values())
    # The order of events at one moment decides whose the time after it is, so all that is asked for is part of it.
    numbered = rules.numbered(rules.logged(settled), ["feature", *sliced])
    day = table.day(tz)
    dated = [] if grain == "all" else [f"{day if grain == 'day' else f'period_start({day}, {_text(grain)})'} AS period"]
    groups = [*(["period"] if dated else []), *sliced]
    shown = [*(["period"] if dated else []), *(f"{dim} AS {comma([n])}" for n, dim in table.dimension_columns.items())]
    listed, parts = "".join(f"{name}, " for name in groups), "".join(f"{name}, " for name in shown)
    whole = f"OVER (PARTITION BY {', '.join(groups)})" if groups else "OVER ()"
    who = rules.subject
    sql = (
        f"WITH numbered AS ({numbered}),"
        f" spent AS (SELECT {who}, number, {''.join(f'{item}, ' for item in [*dated, *sliced])}feature,"
        " CASE WHEN goes_away = 1 THEN CAST(0 AS DOUBLE) WHEN is_last = 1 THEN CAST(:last AS DOUBLE)"
        " ELSE seconds_between(event_time, next_time) END AS seconds FROM numbered),"
        f" sat AS (SELECT {who}, number, {listed}feature, COUNT(*) AS events, SUM(seconds) AS seconds FROM spent"
        f" GROUP BY {who}, number, {listed}feature),"
        f" told AS (SELECT {listed}feature, CAST(COUNT(DISTINCT user_id) AS BIGINT) AS users,"
        " CAST(COUNT(*) AS BIGINT) AS sessions, CAST(SUM(events) AS BIGINT) AS events, SUM(seconds) AS seconds"
        f" FROM sat GROUP BY {listed}feature)"
        f" SELECT {parts}feature, users, sessions, events, seconds, ratio(seconds, users) AS seconds_per_user,"
        f" ratio(seconds, SUM(seconds) {whole}) AS share FROM told ORDER BY {listed}seconds DESC, feature"
    )
    found = table.engine.query(sql, params)
    incomplete: tuple[Any, ...] = ()
    if dated:
        over = days_over(moment, tz)
        incomplete = daily.open_periods(({"period": day} for day in found["period"].to_pylist()), "period", grain, over)
    units = {"users": "count", "sessions": "count", "events": "count", "seconds": "seconds",
             "seconds_per_user": "seconds", "share": "share"}
    return Answer(
        arrow=found, method="feature_time", title=f"Time spent by {column}", units=units, as_of=moment, tz=tz,
        incomplete=incomplete, notes=(*table.notes(), *mended_notes(mended)), picture=_picture,
        extras={"feature": column, "by": list(table.dimensions), "grain": grain, "devices": rules.devices, **mended},
        statements=((sql, params),), dialect=table.engine.dialect,
    )  # fmt: skip


def _text(word: str) -> str:
    """One of the project's own words as SQL text."""
    return f"'{word}'"


def _picture(answer: Answer, **options: Any) -> Any:
    """Time by feature; over time where the answer has periods."""
    from prodsense.charts.builders import bar, line

    rows = [{**row, "feature": daily.NONE if row["feature"] is None else row["feature"]} for row in answer.rows]
    most = max((row["seconds"] for row in rows), default=0)
    unit, length = ("hours", 3600) if most >= 7200 else ("minutes", 60) if most >= 120 else ("seconds", 1)
    rows = [{**row, unit: row["seconds"] / length} for row in rows]
    by = answer.extras["by"]
    settings: dict[str, Any] = {"unit": unit, "title": answer.title, "notes": answer.notes, **options}
    if answer.extras["grain"] != "all":
        if by:
            raise UsageError("time by feature, period and dimension is too much for one picture: leave out by or grain")
        incomplete = [str(day) for day in answer.incomplete]
        return line(
            rows, "period", unit, **{"series": "feature", "grain": answer.extras["grain"],
                                          "incomplete": incomplete, **settings},
        )  # fmt: skip
    if len(by) > 1:
        raise UsageError("time by feature and several dimensions is too much for one picture: name one")
    if by:
        rows = [{**row, by[0]: daily.NONE if row[by[0]] is None else row[by[0]]} for row in rows]
        settings = {"series": by[0], **settings}
    return bar(rows, "feature", unit, **{"additive": not by, **settings})
