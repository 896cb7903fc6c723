"""Who drops out of a funnel: attributes and other events that droppers have more, or less, than those who go on.

Each step is looked at by itself: of the users who reached the required step before, those who did not reach it
(dropped) beside those who did (converted). An attribute is the value that the funnel would slice by. An event counts
when the user did it after reaching the step before, and, for the converted, before the step itself.

Who drops has no such end. Watched until the end of the window, droppers would have done more of everything. So each
is watched exactly as long as one of the converted was: droppers in an order that is as good as random (a hash
of the user), the converted in order of their time, both evenly spread over each other. Both groups then have the
same distribution of time, and an event that has nothing to do with the funnel is as frequent in both.

What is found goes together with dropping out; it need not be its cause.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from prodsense.behavior import funnel_sql
from prodsense.behavior.associations import association, false_discovery
from prodsense.behavior.events import EventTable
from prodsense.behavior.result import Answer
from prodsense.errors import UsageError

#: A numeric attribute with more values than this is cut into four groups of about equal size.
_VALUES = 8


@dataclass(frozen=True)
class Asked:
    """The funnel whose droppers are meant: its events, shape, window of entry and moment."""

    events: EventTable
    shape: funnel_sql.Shape
    since: datetime
    until: datetime
    as_of: datetime
    tz: str


def drops(
    asked: Asked, columns: str | Sequence[str] = (), *, events: bool = True, at_least: int = 20,
    confidence: float = 0.95,
) -> Answer:
    """What goes together with dropping out, at each required step; the surest findings of a step first.

    `columns` are attributes, `events` also looks at other events on the way. A value or event that fewer than
    `at_least` users have, or lack, is left out; so is a step with fewer on either side, and a note says so.

    Columns: ``step`` and ``name`` (the step not reached), ``kind`` (attribute or event), ``property`` (the column),
    ``value``, ``dropped`` and ``converted`` (users with it), ``of_dropped`` and ``of_converted`` (share of those who
    dropped and went on), ``lift`` (of one share over the other), ``odds_ratio`` with ``low`` and ``high``,
    ``p_value`` (Fisher's exact test) and ``q_value`` (adjusted for all tests of the answer by Benjamini and
    Hochberg). Raises UsageError for a funnel of every entry: its entries are not independent.
    """
    names = [columns] if isinstance(columns, str) else list(columns)
    shape = asked.shape
    if shape.entries == "every":
        raise UsageError("who drops is told of users, not of entries: use entries first or best")
    if not names and not events:
        raise UsageError("name a column, or look at events: there is nothing to tell those who drop by")
    if at_least < 1:
        raise UsageError(f"at_least counts users from 1, not {at_least}")
    if not 0 < confidence < 1:
        raise UsageError(f"confidence lies between 0 and 1, not {confidence}")
    table = asked.events.by(*names)
    params = {
        **funnel_sql.parameters(shape), "since": asked.since, "until": asked.until, "as_of": asked.as_of,
        "at_least": at_least,
    }  # fmt: skip
    statements = [attributes_sql(table, shape)]
    if events:
        statements.append(events_sql(asked.events.by(), shape))
    answers = [table.engine.query(sql, params).to_pylist() for sql in statements]
    totals = {row["step"]: (row["users"] - row["converted"], row["converted"]) for row in answers[0] if not row["dim"]}
    counts = _attribute_counts(table, answers[0])
    for row in answers[1] if events else ():
        counts.append((row["step"], "event", str(table.event), row["value"], int(row["users"]), int(row["converted"])))
    notes, found = list(table.notes()), []
    for i in shape.required[1:]:
        lost, kept = totals.get(i, (0, 0))
        if min(lost, kept) < at_least:
            notes.append(f"{_named(shape, i)}: {lost} dropped and {kept} went on, too few to compare ({at_least} each)")
            continue
        for step, kind, column, value, users, converted in counts:
            if step == i and at_least <= users <= lost + kept - at_least:
                found.append(_row(shape, i, kind, column, value, users - converted, converted, lost, kept, confidence))
    for row, q in zip(found, false_discovery([row["p_value"] for row in found]), strict=True):
        row["q_value"] = q
    found.sort(key=lambda r: (r["step"], r["p_value"], r["kind"], r["property"], str(r["value"])))
    if not found and not notes:
        notes.append(f"no value or event is had, and lacked, by {at_least} users")
    share = ("of_dropped", "of_converted")
    return Answer(
        arrow=pa.Table.from_pylist(found, _SCHEMA), method="drops", title="Who drops out of the funnel",
        notes=tuple(notes), units={**dict.fromkeys(share, "share"), "dropped": "count", "converted": "count"},
        extras={
            "at_least": at_least, "confidence": confidence, "tests": len(found),
            "steps": [
                {"step": i + 1, "name": _named(shape, i), "dropped": totals.get(i, (0, 0))[0],
                 "converted": totals.get(i, (0, 0))[1]}
                for i in shape.required[1:]
            ],
        },
        statements=tuple((sql, params) for sql in statements), dialect=table.engine.dialect, as_of=asked.as_of,
        tz=asked.tz, picture=picture,
    )  # fmt: skip


_SCHEMA = pa.schema([
    ("step", pa.int64()), ("name", pa.string()), ("kind", pa.string()), ("property", pa.string()),
    ("value", pa.string()), ("dropped", pa.int64()), ("converted", pa.int64()), ("of_dropped", pa.float64()),
    ("of_converted", pa.float64()), ("lift", pa.float64()), ("odds_ratio", pa.float64()), ("low", pa.float64()),
    ("high", pa.float64()), ("p_value", pa.float64()), ("q_value", pa.float64()),
])  # fmt: skip


def _named(shape: funnel_sql.Shape, i: int) -> str:
    """How the funnel calls step `i`."""
    if shape.order == "any":
        return f"any {shape.required.index(i) + 1} of {len(shape.required)}"
    return shape.steps[i].name


def _row(
    shape: funnel_sql.Shape, i: int, kind: str, column: str, value: str | None, dropped: int, converted: int,
    lost: int, kept: int, confidence: float,
) -> dict[str, Any]:
    found = association(dropped, lost - dropped, converted, kept - converted, confidence)
    return {
        "step": i + 1, "name": _named(shape, i), "kind": kind, "property": column, "value": value, "dropped": dropped,
        "converted": converted, "of_dropped": dropped / lost, "of_converted": converted / kept, **vars(found),
    }


# -- SQL -------------------------------------------------------------------------------------------


def _reached(i: int) -> str:
    """When an entry reached step `i`."""
    return f"a{i}" if i else "entered"


def _looked(shape: funnel_sql.Shape, columns: str) -> list[tuple[str, str]]:
    """CTEs: ``looked`` has a row for each user and required step whose step before the user reached.

    ``since`` is when that was, ``till`` when the step itself was reached, null for those who dropped.
    """
    later = shape.required[1:]
    since = " ".join(f"WHEN {i} THEN {_reached(shape.before(i))}" for i in later)
    till = " ".join(f"WHEN {i} THEN {_reached(i)}" for i in later)
    return [
        ("places", " UNION ALL ".join(f"SELECT {i} AS step" for i in later)),
        ("looked", f"SELECT user_id, step, {columns}CASE step {since} END AS since, CASE step {till} END AS till"
                   f" FROM outcome CROSS JOIN places WHERE complete = 1 AND CASE step {since} END IS NOT NULL"),
    ]  # fmt: skip


def _with(ctes: Sequence[tuple[str, str]]) -> str:
    return "WITH " + ",\n".join(f"{name} AS ({select})" for name, select in ctes) + "\n"


def attributes_sql(table: EventTable, shape: funnel_sql.Shape) -> str:
    """Users and converted by ``step``, place of the dimension (``dim``, 0 for all users) and ``value`` as text."""
    dims = list(table.dimension_columns.values())
    numbers = [str(n) for n, name in enumerate(table.dimensions, 1) if _numeric(table, name)]
    value = f"CASE dim {' '.join(f'WHEN {n} THEN text_of({dim})' for n, dim in enumerate(dims, 1))} END"
    whole = ", ".join(["0", *numbers])
    return _with([
        *funnel_sql.ctes(table, shape),
        *_looked(shape, "".join(f"{dim}, " for dim in dims)),
        ("dims", " UNION ALL ".join(f"SELECT {n} AS dim" for n in range(len(dims) + 1))),
    ]) + (
        f"SELECT step, dim, {value if dims else 'CAST(NULL AS TEXT)'} AS value, COUNT(*) AS users,"
        f" COUNT(till) AS converted FROM looked CROSS JOIN dims GROUP BY step, dim, {value if dims else '3'}"
        f" HAVING COUNT(*) >= CASE WHEN dim IN ({whole}) THEN 1 ELSE :at_least END"
    )  # fmt: skip


def events_sql(table: EventTable, shape: funnel_sql.Shape) -> str:
    """Users and converted by ``step`` and event (``value``) that they did on the way."""
    keys = {name: f":{key}" for key, name in funnel_sql.parameters(shape).items()}
    own = []
    for i in shape.required[1:]:
        # Its own steps and exclusions make a user drop or go on by definition.
        near = shape.required if shape.order == "any" else (shape.before(i), i)
        names = dict.fromkeys(name for k in near for name in (*shape.steps[k].events, *shape.steps[k].without))
        own.append(f"(s.step = {i} AND e.event_name IN ({', '.join(keys[name] for name in names)}))")
    order = "PARTITION BY step, CASE WHEN till IS NULL THEN 1 ELSE 0 END"
    return _with([
        *funnel_sql.ctes(table, shape),
        *_looked(shape, ""),
        ("timed", "SELECT user_id, step, since, till, seconds_between(since, till) AS lasted FROM looked"),
        ("ranked", "SELECT user_id, step, since, lasted,"
                   f" ROW_NUMBER() OVER ({order} ORDER BY lasted, MD5(text_of(user_id))) AS place,"
                   f" COUNT(*) OVER ({order}) AS many FROM timed"),
        ("kept", "SELECT user_id, step, since, lasted, place, many FROM ranked WHERE lasted IS NOT NULL"),
        ("sizes", "SELECT step, MAX(many) AS kept FROM kept GROUP BY step"),
        ("lost", "SELECT r.user_id AS user_id, r.step AS step, r.since AS since,"
                 " CAST(FLOOR(ratio((2 * r.place - 1) * n.kept, 2 * r.many)) AS BIGINT) + 1 AS partner"
                 " FROM ranked AS r JOIN sizes AS n ON n.step = r.step WHERE r.lasted IS NULL"),
        ("spans", "SELECT user_id, step, since, lasted, 1 AS went_on FROM kept UNION ALL"
                  " SELECT l.user_id, l.step, l.since, k.lasted, 0 FROM lost AS l"
                  " JOIN kept AS k ON k.step = l.step AND k.place = l.partner"),
        ("hits", "SELECT DISTINCT s.user_id AS user_id, s.step AS step, s.went_on AS went_on, e.event_name AS value"
                 " FROM spans AS s JOIN events AS e ON e.user_id = s.user_id AND e.event_time >= s.since"
                 " WHERE seconds_between(s.since, e.event_time) < s.lasted AND e.event_time <= :as_of"
                 f" AND e.event_name IS NOT NULL AND NOT ({' OR '.join(own)})"),
    ]) + (
        "SELECT step, value, COUNT(*) AS users, SUM(went_on) AS converted FROM hits GROUP BY step, value"
        " HAVING COUNT(*) >= :at_least"
    )  # fmt: skip


# -- values ----------------------------------------------------------------------------------------


def _numeric(table: EventTable, column: str) -> bool:
    kind = table.schema[column]
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


Count = tuple[int, str, str, str | None, int, int]


def _attribute_counts(table: EventTable, rows: Sequence[Mapping[str, Any]]) -> list[Count]:
    """Step, kind, column, value, users and converted; numbers of many values in groups."""
    found: list[Count] = []
    for n, column in enumerate(table.dimensions, 1):
        mine = [row for row in rows if row["dim"] == n]
        labels = _groups(mine) if _numeric(table, column) else {}
        sums: dict[tuple[int, str | None], list[int]] = {}
        for row in mine:
            value = row["value"]
            label = "(none)" if value is None else labels.get(value, value)
            at = sums.setdefault((row["step"], label), [0, 0])
            at[0] += int(row["users"])
            at[1] += int(row["converted"])
        found += [(step, "attribute", column, label, at[0], at[1]) for (step, label), at in sums.items()]
    return found


def _groups(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Number as text → the quarter that it lies in, cut by the users who entered; empty for few numbers."""
    first = min((row["step"] for row in rows), default=0)
    users = {row["value"]: row["users"] for row in rows if row["step"] == first and row["value"] is not None}
    if len(users) <= _VALUES:
        return {}
    order = sorted(users, key=float)
    total, seen = sum(users.values()), 0
    parts: list[list[str]] = [[], [], [], []]
    for value in order:
        # A number lies in the quarter of the middle of its users.
        parts[min(3, int(4 * (seen + users[value] / 2) / total))].append(value)
        seen += users[value]
    labels = {}
    for part in parts:
        for value in part:
            labels[value] = part[0] if part[0] == part[-1] else f"{part[0]} to {part[-1]}"
    return labels


# -- picture ---------------------------------------------------------------------------------------

#: So many findings are drawn.
_DRAWN = 12


def chart_data(answer: Answer) -> list[dict[str, Any]]:
    """The rows that `picture` draws: two for each of the surest findings, the share of either side."""
    surest = sorted(answer.rows, key=lambda row: row["p_value"])[:_DRAWN]
    several = len({row["step"] for row in surest}) > 1
    lines = []
    for row in surest:
        what = f"did {row['value']}" if row["kind"] == "event" else f"{row['property']} {row['value']}"
        label = f"{row['step']}. {what}" if several else what
        lines.append({"label": label, "who": "dropped", "share": row["of_dropped"]})
        lines.append({"label": label, "who": "went on", "share": row["of_converted"]})
    return lines


def picture(answer: Answer, **options: Any) -> Any:
    """For each of the surest findings the share of those who dropped beside that of those who went on."""
    from prodsense.charts import bar

    rows = chart_data(answer)
    steps = [f"{line['step']}. {line['name']}" for line in answer.extras["steps"]]
    notes = [f"Dropped before {', '.join(steps)}.", *answer.notes] if len(steps) > 1 else list(answer.notes)
    settings: dict[str, Any] = {"title": answer.title, "notes": notes, "top": max(1, len(rows)), **options}
    return bar(rows, "label", "share", series="who", unit="share", sort="given", **settings)

