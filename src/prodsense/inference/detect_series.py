"""Anomalies in any series: a file, a table or data in memory with a time and a value; no pack, no declaration.

A fine-grained series (several values a day) is judged by `surprise`, whose scale is the series' own past; a daily or
coarser one by the seasonal `baseline`, which needs fewer values. Either way a moment is judged by what came before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from prodsense.engines.base import comma, quoted
from prodsense.errors import UsageError
from prodsense.inference.detect import Findings, TooLittleError, findings
from prodsense.metrics import periods
from prodsense.metrics.reading import find_column, find_number, read_data, relation_columns

if TYPE_CHECKING:
    from prodsense.engines.base import Engine
    from prodsense.inference.surprise import Array

#: Values a day from which a series is fine-grained.
FINE = 4
#: Default thresholds: of `surprise` (times its usual extreme) and of `baseline` (spreads).
SURPRISE, SPREADS = 1.55, 4.0
#: Of values at a moment that has one already the mean is taken (a clock set back), but not of more than this share.
MOST_REPEATED = 0.02
#: After an alert, this many values (fine) or seasons (coarse) are quiet.
QUIET_FINE, QUIET_COARSE = 100, 1


def detect_data(
    data: Any, *, time: str, value: str | None = None, by: str | Sequence[str] = (), **options: Any
) -> Findings:
    """What is off in any data: anomalies of `value` over `time` (`detect_series`), or without a value spells of what
    is in the columns `by` (`spells.detect_spells`)."""
    if value is not None:
        return detect_series(data, time=time, value=value, by=by, **options)
    from prodsense.inference.spells import detect_spells

    return detect_spells(data, time=time, by=(by,) if isinstance(by, str) else tuple(by), **options)


def detect_series(
    data: Any, *, time: str, value: str, by: str | Sequence[str] = (), threshold: Any = None, season: Any = None,
    quiet: Any = None, since: Any = None, until: Any = None, engine: Engine | None = None,
) -> Findings:
    """Findings of each series in `data`: a file, frame, Arrow data, rows, or a relation of `engine`.

    `by` are columns of which each combination is a series of its own. `season` is in values (default: a day, or a week
    of daily values), `quiet` how many values pass after an alert before the next. Only alerts from `since` to `until`
    (outside) are told; all of the series serves as past. A number as time means seconds since 1970.
    """
    from prodsense.engines import open_engine

    names = (by,) if isinstance(by, str) else tuple(by)
    limits = [None if day is None else periods.midnight(periods.read_day(day, what), "UTC")
              for day, what in ((since, "since"), (until, "until"))]
    options = {
        "threshold": _positive(threshold, "threshold", float), "season": _positive(season, "season", int),
        "quiet": _positive(quiet, "quiet", int),
    }  # fmt: skip
    if engine is not None:
        return _detect(engine, str(data), str(data), time, value, names, limits, options)
    rows = read_data(data)
    own = open_engine(":memory:")
    try:
        with own.temporary(rows) as relation:
            return _detect(own, relation, "the data", time, value, names, limits, options)
    finally:
        own.close()


def _positive(given: Any, name: str, kind: type) -> Any:
    """A number above 0, or None; texts of a shell are read."""
    if given is None:
        return None
    try:
        number = kind(given)
    except (TypeError, ValueError):
        raise UsageError(f"{name} should be a number, not {given!r}") from None
    if not number > 0:
        raise UsageError(f"{name} should be above 0, not {given}")
    return number


def _detect(
    engine: Engine, relation: str, label: str, time: str, value: str, by: tuple[str, ...],
    limits: list[datetime | None], options: dict[str, Any],
) -> Findings:
    import numpy as np

    schema = relation_columns(engine, relation)
    time, value = find_column(schema, time, "time", label), find_number(schema, value, "value", label)
    by = tuple(find_column(schema, name, "by", label) for name in by)
    table = engine.query(
        f"SELECT {comma([*by, time])}, mean({comma([value])}) AS measured, COUNT(*) AS n FROM {quoted(relation)}"
        f" WHERE {comma([time])} IS NOT NULL AND {comma([value])} IS NOT NULL"
        f" GROUP BY {comma([*by, time])} ORDER BY {comma([*by, time])}"
    )
    if not table.num_rows:
        raise TooLittleError(f"{label} holds no row with both {time} and {value}")
    moments = _moments(table.column(time), time, label)
    repeated = table.column("n").to_numpy() > 1
    if repeated.mean() > MOST_REPEATED:
        at = moments[np.argmax(repeated)]
        raise UsageError(f"several values at {at}; name the columns that tell the series apart (by), or add them up")
    values = table.column("measured").to_numpy(zero_copy_only=False)
    subjects = _subjects(table, by)
    starts = np.flatnonzero(np.concatenate([[True], subjects[1:] != subjects[:-1]]))
    rows: list[dict[str, Any]] = []
    checked = []
    for start, end in zip(starts, [*starts[1:], len(values)], strict=True):
        subject = str(subjects[start]) or "all"
        state, reason = "quiet", ""
        try:
            own = list(_judge(subject, moments[start:end], values[start:end], **options))
        except TooLittleError as error:
            own, state, reason = [], "refused", error.message
        own = [row for row in own if (limits[0] is None or row["at"] >= limits[0])
               and (limits[1] is None or row["at"] < limits[1])]
        checked.append({"detector": f"series {subject}", "state": "fired" if own else state, "findings": len(own),
                        "reason": reason, "values": int(end - start)})
        rows += [_finding(row, value) for row in own]
    if all(entry["state"] == "refused" for entry in checked):
        raise TooLittleError(f"{label}: {checked[0]['reason']}")
    notes = [f"{c['detector']} could not be judged: {c['reason']}" for c in checked if c["state"] == "refused"]
    return findings(rows, {"checked": checked}, notes)


def _moments(column: Any, name: str, label: str) -> Any:
    """A time column as datetime64[us]."""
    import numpy as np
    import pyarrow as pa

    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        seconds = column.to_numpy(zero_copy_only=False).astype(np.float64)
        return (seconds * 1e6).astype("datetime64[us]")
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = _read_times(column, name, label)
    if pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("us")).to_numpy(zero_copy_only=False).astype("datetime64[us]")
    raise UsageError(f"{label}: {name} holds {column.type}, not times; name a TIMESTAMP, DATE or seconds as a number")


def _read_times(column: Any, name: str, label: str) -> Any:
    """ISO texts as moments in UTC; with an offset they are converted."""
    import pyarrow as pa

    for kind in (pa.timestamp("us"), pa.timestamp("us", "UTC")):
        try:
            return column.cast(kind)
        except pa.ArrowInvalid:
            continue
    raise UsageError(f"{label}: {name} is text and not all of it reads as times such as 2024-01-31T12:00:00")


def _subjects(table: Any, by: tuple[str, ...]) -> Any:
    import numpy as np

    parts = [[f"{name}={'none' if v is None else v}" for v in table.column(name).to_pylist()] for name in by]
    return np.array([", ".join(row) for row in zip(*parts, strict=True)] if by else [""] * table.num_rows, dtype=object)


def _judge(
    subject: str, moments: Any, values: Array, *, threshold: float | None, season: int | None, quiet: int | None
) -> Iterator[dict[str, Any]]:
    """Alerts of one series in the order of time."""
    import numpy as np

    from prodsense.inference.surprise import LEAST, alerts, surprise

    kept = np.isfinite(values)
    moments, values = moments[kept], values[kept]
    if len(values) <= LEAST:
        raise TooLittleError(f"{len(values)} values are too few to know what is usual; more than {LEAST} are needed")
    a_day = int(np.median(np.unique(moments.astype("datetime64[D]"), return_counts=True)[1]))
    fine = a_day >= FINE
    if fine:
        score = surprise(values, season or a_day)
        for at in alerts(score, threshold or SURPRISE, quiet or QUIET_FINE):
            yield _alert(subject, moments[at], values, at, float(score[at]))
        return
    yield from _judge_coarse(subject, moments, values, season or _coarse_season(moments), threshold, quiet)


def _coarse_season(moments: Any) -> int:
    """A week of daily values; no season for coarser ones."""
    import numpy as np

    return 7 if np.median(np.diff(moments)) <= np.timedelta64(36, "h") else 1


def _judge_coarse(
    subject: str, moments: Any, values: Array, season: int, threshold: float | None, quiet: int | None
) -> Iterator[dict[str, Any]]:
    import numpy as np

    from prodsense.inference.seasonal import baseline, kind_of
    from prodsense.inference.surprise import alerts

    cut = threshold or SPREADS
    found = baseline(values, season, kind=kind_of(values), threshold=cut)
    for at in alerts(np.abs(np.nan_to_num(found.score)), cut, quiet or QUIET_COARSE * season):
        yield {
            **_alert(subject, moments[at], values, at, float(found.score[at])),
            "expected": float(found.expected[at]), "low": float(found.low[at]), "high": float(found.high[at]),
        }  # fmt: skip


def _alert(subject: str, moment: Any, values: Array, at: int, score: float) -> dict[str, Any]:
    import numpy as np

    stamp = datetime.fromtimestamp(int(moment.astype("int64")) / 1e6, UTC).replace(tzinfo=None)
    usual = float(np.median(values[max(0, at - 1000) : at]))
    return {"subject": subject, "at": stamp, "value": float(values[at]), "expected": usual, "low": None, "high": None,
            "score": score}  # fmt: skip


def _finding(row: dict[str, Any], metric: str) -> dict[str, Any]:
    """An alert as a finding: `expected` is the usual level of the past where there is no baseline."""
    at, value, expected = row["at"], row["value"], row["expected"]
    how = "above" if value > expected else "below"
    if row["low"] is None:
        reason = f"{value:,.4g} after a level of {expected:,.4g}: {row['score']:.1f} times its usual extremes"
    else:
        reason = f"{value:,.4g} instead of about {expected:,.4g}: {abs(row['score']):.1f} spreads {how} its baseline"
    return {
        "detector": "series", "severity": "warning", "subject": row["subject"],
        "period": at.date().isoformat() if at == datetime.combine(at.date(), datetime.min.time()) else at.isoformat(),
        "metric": metric, "value": value, "expected": expected, "low": row["low"], "high": row["high"],
        "score": row["score"], "reason": reason, "action": None,
    }  # fmt: skip
