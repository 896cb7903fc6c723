"""Run detectors: findings of now, or of every day of a stretch of history (a back-test).

A detector is declared in a pack (`contracts.vocabulary.Detector`); `detectors` has the usual ones ready to declare.
Whatever a detector returns becomes findings with the same columns, worst first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from prodsense.contracts.vocabulary import Detector, Query
from prodsense.errors import NotBuiltError, ProdsenseError, UsageError, did_you_mean
from prodsense.metrics import periods
from prodsense.metrics.result import Rows, column_of

#: Severities, worst first.
SEVERITIES = ("critical", "warning", "info")

#: Columns of findings with their Arrow types; a detector's own columns stand behind them.
COLUMNS = {
    "detector": "string", "severity": "string", "subject": "string", "period": "string", "metric": "string",
    "value": "double", "expected": "double", "low": "double", "high": "double", "score": "double",
    "reason": "string", "action": "string",
}

#: Longest stretch of a back-test, in days.
MAX_REPLAY = 400


class TooLittleError(ProdsenseError):
    """There is too little data to say whether something is off; the message says what is missing."""


@dataclass(frozen=True, repr=False, eq=False)
class Findings(Rows):
    """Findings, worst first.

    Extras: ``checked`` (one entry a detector: its state fired, quiet or refused, how many findings, and why it
    refused), ``as_of``, and of a back-test ``simulated`` (how often each would have fired).
    """

    def narrow(self) -> Rows:
        """What a terminal shows of them: where, when, how much, why."""
        kept = ["as_of", "id", "queue", "state", "severity", "detector", "subject", "period", "value", "expected",
                "times", "last_seen", "reason", "note"]  # fmt: skip
        shown = [name for name in kept if name in self.arrow.column_names]
        return Rows(arrow=self.arrow.select(shown), notes=self.notes, title=self.title)

    def print(self, *, file: Any = None, limit: int | None = None) -> None:
        self.narrow().print(file=file, limit=limit)

    def __str__(self) -> str:
        return str(self.narrow())

    __repr__ = __str__

    def chart(self, form: str = "bar", **options: Any) -> Any:
        """Findings by detector and severity."""
        counted: dict[tuple[str, str], int] = {}
        for row in self.rows:
            key = (row["detector"], row["severity"])
            counted[key] = counted.get(key, 0) + 1
        rows = [{"detector": d, "severity": s, "findings": n} for (d, s), n in counted.items()]
        return Rows.from_rows(rows, title=self.title).chart(form, **options)


def ask(
    warehouse: Any, names: Sequence[str | Detector], pack: str | None, *, as_of: Any, queue: bool, replay: bool,
    since: Any, until: Any, params: Mapping[str, Any],
) -> Findings:
    """What `Warehouse.detect` answers: named detectors or all, now or on history, recorded or not."""
    found = _named(warehouse, names, pack)
    if replay:
        if queue:
            raise UsageError("a back-test records nothing: leave out queue")
        if since is None or until is None:
            raise UsageError("a back-test needs since and until (the day after the last)")
        return simulate(warehouse, found, since, until, **params)
    if since is not None or until is not None:
        raise UsageError("since and until belong to a back-test (simulate); now is said with as_of")
    moment = None if as_of is None else periods.read_moment(as_of, "UTC")
    answer = detect(warehouse, found, as_of=moment, strict=len(found) == 1 and bool(names), **params)
    day = moment or newest(warehouse, {owner.name for owner, _ in found})
    if not queue or day is None:
        return answer
    from prodsense.inference.detect_queue import record

    return record(warehouse.engine, answer, {f"{p.name}.{d.name}": d.cooldown for p, d in found}, day.date())


def _named(warehouse: Any, names: Sequence[Any], pack: str | None) -> list[tuple[Any, Detector]]:
    """Pairs of pack and detector: the named ones (or declarations given as such), else all that are declared."""
    packs = [pack] if pack else list(warehouse.packs)
    if names:
        if any(isinstance(name, Detector) for name in names) and len(packs) != 1:
            raise UsageError("a detector that no pack declares needs pack, the pack whose metrics and tables it reads")
        return [
            (warehouse.pack(packs[0]), name) if isinstance(name, Detector) else warehouse.find("detectors", name)
            for name in names
        ]
    found = [(warehouse.pack(p), d) for p in packs for d in warehouse.pack(p).detectors.values()]
    if not found:
        where = f"pack {pack}" if pack else "the packs of this warehouse"
        raise UsageError(f"{where} declare no detectors; see: prodsense catalog --kind detector")
    return found


def detect(
    warehouse: Any, found: Sequence[tuple[Any, Detector]], *, as_of: Any = None, strict: bool = False, **params: Any
) -> Findings:
    """Run detectors (pairs of pack and detector) at `as_of` (default: the newest moment of each one's data).

    A detector that cannot run says so in ``checked``; with `strict` it raises instead. Parameters go to those that
    have them; one that none has is a UsageError.
    """
    check_params([detector for _, detector in found], params)
    rows: list[dict[str, Any]] = []
    checked: list[dict[str, Any]] = []
    for pack, detector in found:
        name = f"{pack.name}.{detector.name}"
        try:
            own = findings_of(warehouse, pack, detector, as_of, params)
        except TooLittleError as error:
            checked.append({"detector": name, "state": "refused", "findings": 0, "reason": error.message})
        except NotBuiltError:
            raise  # the caller may build and ask again
        except ProdsenseError as error:
            if strict:
                raise
            checked.append({"detector": name, "state": "refused", "findings": 0, "reason": error.message})
        else:
            rows += own
            state = "fired" if own else "quiet"
            checked.append({"detector": name, "state": state, "findings": len(own), "reason": ""})
    notes = [f"{c['detector']} could not say: {c['reason']}" for c in checked if c["state"] == "refused"]
    quiet = sum(c["state"] == "quiet" for c in checked)
    if quiet:
        notes.append(f"{quiet} detector{'s' * (quiet > 1)} checked and found nothing")
    return findings(rows, {"checked": checked}, notes)


def findings(rows: Iterable[Mapping[str, Any]], extras: Mapping[str, Any], notes: Iterable[str] = ()) -> Findings:
    """Findings of complete rows, sorted: severity, then size of the score, then name."""
    import pyarrow as pa

    def order(row: Mapping[str, Any]) -> tuple[Any, ...]:
        return (SEVERITIES.index(row["severity"]), -abs(row["score"] or 0.0), row["detector"], row["subject"])

    listed = sorted(rows, key=order)
    own = list(dict.fromkeys(name for row in listed for name in row if name not in COLUMNS))
    table = pa.table({
        **{name: pa.array([row[name] for row in listed], getattr(pa, kind if kind == "string" else "float64")())
           for name, kind in COLUMNS.items()},
        **{name: column_of([row.get(name) for row in listed]) for name in own},
    })  # fmt: skip
    return Findings(arrow=table, extras=dict(extras), notes=tuple(notes), title="findings")


def check_params(detectors: Iterable[Detector], params: Mapping[str, Any]) -> None:
    """UsageError for a parameter that none of the detectors has."""
    known = {param.name for detector in detectors for param in detector.params}
    for name in params:
        if name not in known:
            hint = did_you_mean(name, known) or f" They take: {', '.join(sorted(known)) or 'none'}"
            raise UsageError(f"no detector asked has a parameter {name}.{hint}")


def findings_of(
    warehouse: Any, pack: Any, detector: Detector, as_of: Any = None, params: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """Complete findings of one detector, in the order it gives them."""
    from prodsense.metrics.queries import coerce_params, run_query

    origin = f"{pack.name}.{detector.name}"
    known = {param.name for param in detector.params}
    given = {name: value for name, value in (params or {}).items() if name in known}
    if detector.sql:
        from prodsense.contracts.sql import parse, placeholders, sources

        tree = parse(detector.sql, detector.path or origin)
        if as_of is not None and "as_of" in placeholders(tree):
            given["as_of"] = as_of
        warehouse.ready(pack.name, sources(tree, pack.name))
        query = Query(detector.name, detector.says, detector.sql, detector.params, detector.as_of, detector.path)
        raw: Iterable[Mapping[str, Any]] = run_query(warehouse.engine, query, given, warehouse.scope(pack.name)).rows
    else:
        assert detector.run is not None
        if as_of is not None and "as_of" in known:
            given["as_of"] = as_of
        values = coerce_params(detector.params, given, origin)
        if getattr(detector.run, "wants_pack", False):
            values["pack"] = pack.name
        answer = detector.run(warehouse, **values)
        raw = answer.rows if isinstance(answer, Rows) else answer
    return [_complete(row, detector, origin) for row in raw]


def _complete(row: Mapping[str, Any], detector: Detector, origin: str) -> dict[str, Any]:
    """A detector's row with every column of a finding, in its type."""
    severity = row.get("severity") or detector.severity
    if severity not in SEVERITIES:
        raise UsageError(f"{origin}: severity is one of {', '.join(SEVERITIES)}, not {severity!r}")
    period = row.get("period")
    if isinstance(period, datetime) and period.time() == datetime.min.time():
        period = period.date()
    whole: dict[str, Any] = {
        "detector": origin,
        "severity": severity,
        "subject": str(row["subject"]) if row.get("subject") is not None else "all",
        "period": period.isoformat() if isinstance(period, date) else None if period is None else str(period),
        "metric": row.get("metric") or detector.metric or None,
        **{name: None if row.get(name) is None else float(row[name])
           for name in ("value", "expected", "low", "high", "score")},
        "reason": row.get("reason") or detector.says,
        "action": row.get("action") or detector.action or None,
    }  # fmt: skip
    return whole | {name: value for name, value in row.items() if name not in whole}


def newest(warehouse: Any, packs: Iterable[str]) -> datetime | None:
    """The newest moment in any table of some packs (a DATE means the end of that day); None where all are empty."""
    existing = warehouse.engine.relations()
    found = []
    for name in packs:
        for table in warehouse.pack(name).tables.values():
            moment = newest_of(warehouse, table.relation, table.time) if table.relation in existing else None
            found += [moment] if moment else []
    return max(found, default=None)


def newest_of(warehouse: Any, relation: str, column: str, until: datetime | None = None) -> datetime | None:
    """The newest moment of a relation's time column, none later than `until`; None where there is none."""
    if not column:
        return None
    from prodsense.engines.base import comma, quoted

    time = comma([column])
    limit = f" WHERE {time} <= CAST(:until AS TIMESTAMP)" if until is not None else ""
    params = {"until": until} if until is not None else {}
    found = warehouse.engine.query(f"SELECT MAX({time}) AS newest FROM {quoted(relation)}{limit}", params)
    moment = found["newest"][0].as_py()
    if isinstance(moment, datetime):
        return moment.replace(tzinfo=None)
    return periods.end_of_day(moment, "UTC") if isinstance(moment, date) else None


# -- back-test -----------------------------------------------------------------------------------------


def simulate(
    warehouse: Any, found: Sequence[tuple[Any, Detector]], since: Any, until: Any, **params: Any
) -> Findings:
    """What the detectors would have raised, had they run at the end of each day from `since` to `until` (outside).

    Each day sees nothing of later moments, so far as the rows themselves say when they happened; corrections that
    came later are in the data already. What the queue would not raise again (the same subject within the cooldown)
    is counted but not listed.
    """
    check_params([detector for _, detector in found], params)
    first, end = periods.read_day(since, "since"), periods.read_day(until, "until")
    days = (end - first).days
    if days < 1:
        raise UsageError(f"since {first} is not before until {end} (until is outside)")
    if days > MAX_REPLAY:
        raise UsageError(f"a back-test of {days} days is too long; at most {MAX_REPLAY}")
    rows: list[dict[str, Any]] = []
    told: list[dict[str, Any]] = []
    for pack, detector in found:
        if not _looks_back(detector):
            raise UsageError(
                f"{pack.name}.{detector.name} has no parameter as_of: it sees the present only, so history cannot"
                " test it"
            )
        told.append(_replay(warehouse, pack, detector, first, days, params, rows))
    notes = [
        f"{t['detector']}: would have been raised {t['raised']} time{'s' * (t['raised'] != 1)} in {days} days"
        f" ({t['per_30_days']:.1f} in 30), {t['repeats']} repeats held back"
        + (f"; {t['refused_days']} days it could not say ({t['reason']})" if t["refused_days"] else "")
        for t in told
    ]
    return findings(rows, {"simulated": told, "since": first, "until": end}, notes)


def _looks_back(detector: Detector) -> bool:
    return bool(detector.as_of) or any(param.name == "as_of" for param in detector.params)


def _replay(
    warehouse: Any, pack: Any, detector: Detector, first: date, days: int, params: Mapping[str, Any],
    rows: list[dict[str, Any]],
) -> dict[str, Any]:
    """Run one detector day by day; append what is raised to `rows` and say how often."""
    last: dict[tuple[str, str | None], date] = {}
    raised = repeats = refused = fired_days = 0
    reason = ""
    for step in range(days):
        day = first + timedelta(days=step)
        try:
            own = findings_of(warehouse, pack, detector, periods.end_of_day(day, "UTC"), params)
        except TooLittleError as error:
            refused, reason = refused + 1, error.message
            continue
        fired_days += bool(own)
        for row in own:
            key = (row["subject"], row["metric"])
            seen = last.get(key)
            last[key] = day
            if seen is not None and (day - seen).days <= detector.cooldown:
                repeats += 1
                continue
            raised += 1
            rows.append({**row, "as_of": day})
    return {
        "detector": f"{pack.name}.{detector.name}", "days": days, "fired_days": fired_days, "raised": raised,
        "repeats": repeats, "refused_days": refused, "per_30_days": raised * 30 / days, "reason": reason,
    }
