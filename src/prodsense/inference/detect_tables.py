"""Rules over tables: freshness, volume, and subjects that leave their own history. Declared by `detectors`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from prodsense.engines.base import comma, quoted
from prodsense.errors import UsageError
from prodsense.inference.detect import TooLittleError, newest, newest_of
from prodsense.inference.detect_rules import Row, series_findings, subject_of, whole_day
from prodsense.metrics.show import number


def _relation(warehouse: Any, pack: str, table: str, time: str) -> tuple[str, str]:
    """The full name of a table or model, built where need be, and the column that dates its rows."""
    full = table if "." in table else f"{pack}.{table}"
    warehouse.ready(full.split(".")[0], {full})
    scope = warehouse.scope(full.split(".")[0])
    column = time or scope.relation(full).time
    if not column:
        raise UsageError(f"{full} has no time; name its column")
    return warehouse.relation(full), column


def _last_day(warehouse: Any, relation: str, column: str, as_of: datetime | None) -> date:
    """The last day that is over at `as_of`, or at the newest row; TooLittleError where there is none."""
    moment = as_of or newest_of(warehouse, relation, column)
    if moment is None:
        raise TooLittleError(f"{relation} holds no rows")
    return whole_day(moment)


def _condition(where: str) -> str:
    """A declared condition as SQL to stand behind AND; empty for none."""
    if not where:
        return ""
    from prodsense.engines.dialect import render
    from prodsense.metrics.filters import read_filter

    return f" AND ({render(read_filter(where), 'duckdb')})"


@dataclass(frozen=True)
class Freshness:
    """The newest row of a table is older than allowed."""

    tables: tuple[str, ...]
    wants_pack = True

    def __call__(self, warehouse: Any, *, pack: str, as_of: datetime | None, within_hours: float) -> Iterator[Row]:
        moment = as_of or newest(warehouse, [pack])
        if moment is None:
            raise TooLittleError(f"no table of {pack} holds a row with a time")
        # Dimensions may stand still for months: unless named, only tables that grow by the day.
        named = self.tables or [t.name for t in warehouse.pack(pack).tables.values() if t.partition]
        for table in named:
            relation, column = _relation(warehouse, pack, table, "")
            last = newest_of(warehouse, relation, column, moment)
            if last is None:
                if self.tables:
                    yield {"subject": table, "metric": "hours behind", "reason": f"{relation} holds no row yet"}
                continue
            behind = (moment - last).total_seconds() / 3600
            if behind > within_hours:
                yield {
                    "subject": table, "period": last, "metric": "hours behind", "value": behind, "high": within_hours,
                    "score": behind / within_hours if within_hours > 0 else None,
                    "reason": f"newest row of {last:%Y-%m-%d %H:%M} is {behind:,.0f} hours old; {within_hours:g} are"
                              " allowed",
                }  # fmt: skip


@dataclass(frozen=True)
class Volume:
    """The number of rows of the last whole day is far from the seasonal baseline."""

    table: str
    time: str
    by: tuple[str, ...]
    history: int
    direction: str
    where: str
    wants_pack = True

    def __call__(
        self, warehouse: Any, *, pack: str, as_of: datetime | None, threshold: float, min_change: float
    ) -> Iterator[Row]:
        import numpy as np

        relation, column = _relation(warehouse, pack, self.table, self.time)
        last = _last_day(warehouse, relation, column, as_of)
        first = last - timedelta(days=self.history)
        day, by = f"date_of({comma([column])})", comma(self.by)
        found = warehouse.engine.query(
            f"SELECT {day} AS period{', ' + by if by else ''}, COUNT(*) AS n FROM {quoted(relation)}"
            f" WHERE {day} BETWEEN :first AND :last{_condition(self.where)} GROUP BY {day}{', ' + by if by else ''}",
            {"first": first, "last": last},
        ).to_pylist()
        if not found:
            raise TooLittleError(f"{relation} holds no rows from {first} to {last}")
        days = [first + timedelta(days=i) for i in range((last - first).days + 1)]
        columns: dict[str, int] = {}
        for row in found:
            columns.setdefault(subject_of(row, self.by), len(columns))
        values = np.full((len(days), len(columns)), np.nan)
        for row in found:
            values[(row["period"] - first).days, columns[subject_of(row, self.by)]] = row["n"]
        yield from series_findings(
            days, list(columns), values, season=7, unit="count", better="none", direction=self.direction,
            threshold=threshold, min_change=min_change,
        )


@dataclass(frozen=True)
class NewValue:
    """A value of a column that no earlier row has, with enough rows to matter."""

    table: str
    column: str
    time: str
    where: str
    wants_pack = True

    def __call__(
        self, warehouse: Any, *, pack: str, as_of: datetime | None, days: int, min_rows: int, history: int
    ) -> Iterator[Row]:
        relation, column = _relation(warehouse, pack, self.table, self.time)
        last = _last_day(warehouse, relation, column, as_of)
        since = last - timedelta(days=days - 1)
        day, value = f"date_of({comma([column])})", comma([self.column])
        found = warehouse.engine.query(
            f"SELECT {value} AS value, COUNT(*) FILTER (WHERE {day} >= :since) AS fresh,"
            f" COUNT(*) FILTER (WHERE {day} < :since) AS before, MIN({day}) AS first"
            f" FROM {quoted(relation)} WHERE {day} BETWEEN :begin AND :last{_condition(self.where)}"
            f" GROUP BY {value} ORDER BY fresh DESC, value",
            {"since": since, "last": last, "begin": since - timedelta(days=history)},
        ).to_pylist()
        if not any(row["before"] for row in found):
            raise TooLittleError(f"{relation} holds no rows before {since} to compare with")
        total = sum(row["fresh"] for row in found)
        for row in found:
            if row["value"] is not None and not row["before"] and row["fresh"] >= min_rows:
                yield {
                    "subject": f"{self.column}={row['value']}", "period": row["first"], "metric": "rows",
                    "value": row["fresh"], "expected": 0, "score": row["fresh"] / min_rows,
                    "reason": f"first seen on {row['first']}; {row['fresh']:,} rows since,"
                              f" {row['fresh'] / total:.1%} of all from {since} to {last}",
                }  # fmt: skip


#: How a window's value is computed from its rows, by measure; ``x`` is the value of a row.
_MEASURES = {
    "count": "CAST(COUNT(*) AS DOUBLE)",
    "sum": "CAST(SUM(x) AS DOUBLE)",
    "mean": "mean(x)",
    "distinct": "CAST(COUNT(DISTINCT x) AS DOUBLE)",
    "days": "CAST(COUNT(DISTINCT day) AS DOUBLE)",
}


@dataclass(frozen=True)
class OwnHistory:
    """A subject whose rate over the last window departs from that of its own windows before."""

    table: str
    subject: str
    time: str
    value: str
    measure: str
    direction: str
    where: str
    wants_pack = True

    def __post_init__(self) -> None:
        if self.measure not in _MEASURES:
            raise UsageError(f"measure {self.measure!r} is none of {', '.join(_MEASURES)}")
        if (self.measure in ("sum", "mean", "distinct")) != bool(self.value):
            raise UsageError(f"measure {self.measure} {'needs' if not self.value else 'takes no'} value")

    def __call__(
        self, warehouse: Any, *, pack: str, as_of: datetime | None, days: int, windows: int, drop: float,
        threshold: float, min_level: float,
    ) -> Iterator[Row]:
        if days < 1 or windows < 2:
            raise UsageError("a window has at least one day, and the history at least two windows")
        if drop <= 0:
            raise UsageError(f"drop is {drop}; it is the smallest relative change, above 0")
        relation, column = _relation(warehouse, pack, self.table, self.time)
        last = _last_day(warehouse, relation, column, as_of)
        sign = -1.0 if self.direction == "fall" else 1.0
        params = {
            "last": last, "days": days, "windows": windows, "span": days * windows + days, "change": drop,
            "threshold": threshold, "min_level": min_level, "sign": sign,
            # Few windows know their own variance badly; what chance gives is known.
            "wide": (1 + 2 / windows) ** 2,
            "known_since": last - timedelta(days=days * windows),
        }  # fmt: skip
        answer = warehouse.engine.query(self._sql(relation, column), params)
        since = last - timedelta(days=days - 1)
        yield from _told(answer.to_pylist(), since, last, self.subject, self.measure)

    def _sql(self, relation: str, column: str) -> str:
        """One scan of the table: rows by subject and window, then one line a subject, then those that departed."""
        from prodsense.engines.dialect import parse, render

        x = render(parse(self.value), "duckdb") if self.value else "1"
        day = f"date_of({comma([column])})"
        empty = "NULL" if self.measure == "mean" else "0"
        if self.measure == "mean":
            chance = "v_before * (ratio(1, n_now) + ratio(1, n_before))"
            spread = f"SQRT(GREATEST({chance}, :wide * between_windows * (1 + ratio(1, windows_seen))))"
        else:
            chance = "ratio(squares, :windows)" if self.measure == "sum" else "before"
            spread = f"SQRT(GREATEST(:wide * between_windows, {chance}) * (1 + ratio(1, :windows)))"
        return f"""
WITH read AS (
    SELECT {comma([self.subject])} AS subject, {day} AS day, {x} AS x
    FROM {quoted(relation)}
    WHERE {comma([self.subject])} IS NOT NULL AND {day} <= :last{_condition(self.where)}
),
known AS (
    SELECT subject FROM read GROUP BY subject HAVING MIN(day) <= :known_since
),
placed AS (
    SELECT r.subject, r.day, CAST(r.x AS DOUBLE) AS x,
           CAST(FLOOR(ratio(days_between(r.day, :last), :days)) AS INT) AS w
    FROM read AS r JOIN known AS k ON k.subject = r.subject
    WHERE r.day > add_days(:last, -:span)
),
by_window AS (
    SELECT subject, w, {_MEASURES[self.measure]} AS v, COUNT(x) AS n, SUM(x * x) AS q, VAR_SAMP(x) AS s2
    FROM placed GROUP BY subject, w
),
by_subject AS (
    SELECT subject,
           COALESCE(MAX(v) FILTER (WHERE w = 0), {empty}) AS now,
           {"ratio(SUM(v * n) FILTER (WHERE w > 0), SUM(n) FILTER (WHERE w > 0))" if self.measure == "mean"
            else "ratio(SUM(v) FILTER (WHERE w > 0), :windows)"} AS before,
           mean(v) FILTER (WHERE w > 0) AS mean_seen,
           VAR_SAMP(v) FILTER (WHERE w > 0) AS var_seen,
           COUNT(*) FILTER (WHERE w > 0) AS windows_seen,
           SUM(q) FILTER (WHERE w > 0) AS squares,
           SUM(n) FILTER (WHERE w = 0) AS n_now,
           SUM(n) FILTER (WHERE w > 0) AS n_before,
           ratio(SUM(s2 * (n - 1)) FILTER (WHERE w > 0 AND n > 1),
                 SUM(n - 1) FILTER (WHERE w > 0 AND n > 1)) AS v_before
    FROM by_window GROUP BY subject
),
varied AS (
    SELECT *, {"COALESCE(var_seen, 0)" if self.measure == "mean" else
               "ratio(GREATEST(windows_seen - 1, 0) * COALESCE(var_seen, 0)"
               " + windows_seen * mean_seen * mean_seen * (1 - ratio(windows_seen, :windows)), :windows - 1)"
               } AS between_windows
    FROM by_subject WHERE windows_seen >= 1
),
scored AS (
    SELECT subject, now, before, {spread} AS spread FROM varied
)
SELECT subject, now, before, spread, ratio(now - before, spread) AS score
FROM scored
WHERE before > 0 AND before >= :min_level AND now IS NOT NULL AND spread > 0
  AND :sign * (now - before) >= :change * before
  AND :sign * (now - before) >= :threshold * spread
ORDER BY ABS(ratio(now - before, spread)) DESC, subject
"""


def _told(rows: Sequence[Row], since: date, last: date, subject: str, measure: str) -> Iterator[Row]:
    for row in rows:
        now, before, spread = row["now"], row["before"], row["spread"]
        yield {
            "subject": f"{subject}={row['subject']}", "period": since, "value": now, "expected": before,
            "low": None, "high": None, "score": row["score"],
            "reason": f"{number(now)} from {since} to {last}, usually {number(before)} ({now / before - 1:+.0%},"
                      f" {abs(row['score']):.1f} standard errors)",
            "standard_error": spread,
        }  # fmt: skip
