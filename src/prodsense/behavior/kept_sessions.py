"""Sessions kept in the warehouse and brought up to date by what changed: late and out-of-order events restate just
the sessions that they touch.

Tables in one schema, all kept by `update`:

    sessions      one row a session, as `sessions` gives it, with ``subject`` and ``open_until``
    subject_days  device, day → events, a sum of their hashes, the least delay: by this, changes are found
    clocks        devices whose clock is off, and the shift in microseconds (with a receipt column)
    settings      how the sessions are made

The kept tables hold no events. An update finds the devices' days whose events differ from those that were kept,
reads the events around them again, from the start of the first session that they may touch to the end of the last, and
writes what differs. A clock that turns out to be off (or right) restates its device. The result is what building
anew would give; what stays the same is not written.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from prodsense.behavior import clocks
from prodsense.behavior.events import Events, EventTable, events_of
from prodsense.behavior.result import Answer
from prodsense.behavior.session_rules import Rules, session_key, subject_key
from prodsense.behavior.sessions import answer_of, finished
from prodsense.engines.base import comma, quoted
from prodsense.errors import NotBuiltError, UsageError
from prodsense.metrics import periods

_TABLES = {"sessions", "subject_days", "clocks", "settings"}

if TYPE_CHECKING:
    import pyarrow as pa

    from prodsense.engines.base import Engine


@dataclass(frozen=True)
class KeptSessions:
    """Sessions in schema `schema` of `engine`; make them with `build`, take them up again with `open`."""

    engine: Engine
    schema: str
    rules: Rules
    tz: str = "UTC"
    #: Sessions that the last `update` added, changed or removed; None before the first.
    restated: Answer | None = field(default=None, compare=False, repr=False)

    # -- keeping ---------------------------------------------------------------------------------------

    @classmethod
    def build(cls, events: Events, schema: str = "sessions", *, tz: str = "UTC", **rules: Any) -> KeptSessions:
        """Find all sessions of `events` and keep them in `schema`, in place of what it holds.

        `rules` are those of `sessions`: gap, grace, background, devices, join, platform, received, tolerance.
        """
        events = events_of(events)
        kept = cls(events.engine, schema, Rules.of(events, **rules), tz)
        periods.zone(tz)
        kept._check_place()
        run, params = kept.engine, kept.rules.params()
        with run.transaction():
            run.replace(kept._at("subject_days"), kept._marks(events), params)
            if kept.rules.received:
                run.replace(kept._at("clocks"), kept._keyed(kept.rules.clocks(events)))
            run.replace(kept._at("sessions"), kept._sessions(kept.rules.settled(events, off=kept._off())), params)
            kept._keep_settings()
        return kept

    @classmethod
    def keep(cls, events: Events, schema: str = "sessions", *, tz: str = "UTC", **rules: Any) -> KeptSessions:
        """`update` what `schema` holds, or `build` where there is nothing or the rules or the zone are others."""
        events = events_of(events)
        wanted = Rules.of(events, **rules)
        try:
            kept = cls.open(events.engine, schema)
        except NotBuiltError:
            kept = None
        if kept is not None and (kept.rules, kept.tz) == (wanted, tz):
            return kept.update(events)
        why = f"the sessions in {schema} were made by other rules" if kept else f"no sessions were kept in {schema}"
        made = cls.build(events, schema, tz=tz, **rules)
        found = made.engine.query(f"SELECT COUNT(*) AS n FROM {made._quoted('sessions')}")["n"][0].as_py()
        nothing = made._told(made.engine.query(
            f"SELECT 'added' AS change, {', '.join(made._shown)} FROM {made._quoted('sessions')} LIMIT 0"
        ))  # fmt: skip
        note = f"{why}: all {found} made anew"
        return replace(made, restated=replace(nothing, notes=(note,), extras={**nothing.extras, "made_anew": found}))

    @classmethod
    def open(cls, engine: Engine, schema: str = "sessions") -> KeptSessions:
        """The sessions that were built in `schema`; NotBuiltError when there are none."""
        if engine.columns(f"{schema}.settings") is None or engine.columns(f"{schema}.subject_days") is None:
            raise NotBuiltError(f"no sessions kept in {schema}; make them with KeptSessions.build(events, {schema!r})")
        row = engine.query(f"SELECT * FROM {quoted(f'{schema}.settings')}").to_pylist()[0]
        found = json.loads(row["settings"])
        return cls(engine, schema, Rules(**found["rules"]), found["tz"])

    def update(self, events: Events, since: object = None, days: Iterable[object] = ()) -> KeptSessions:
        """Take up what changed in `events` (new, late, gone), and return the sessions as of now.

        Without arguments all events are compared with what was kept, day by day. To compare less, say where changes
        are: from the UTC day `since` on, or on `days`; days not compared stay as they are. A day is that of the
        event's time, or of its receipt where the time is in the future.

        `restated` of the result lists the sessions that changed: ``change`` is added, changed (the same id and start)
        or removed.
        """
        events = self._same(events_of(events))
        considered, params = self._considered(since, days)
        run = self.engine
        with run.transaction():
            stages: list[str] = []
            restated = self._restate(events, considered, {**self.rules.params(), **params}, stages)
            for name in stages:
                run.drop(self._at(name))
        return replace(self, restated=restated)

    def _check_place(self) -> None:
        """UsageError where something else lives in the schema."""
        if not self.schema.isidentifier() or self.schema != self.schema.lower():
            raise UsageError(f"{self.schema!r} is no name of a schema: use small letters, digits and _")
        others = {name.split(".")[-1] for name in self.engine.relations(self.schema)} - _TABLES
        if others or (
            self.engine.columns(self._at("sessions")) is not None and self.engine.columns(self._at("settings")) is None
        ):
            raise UsageError(f"the schema {self.schema} holds other tables: keep sessions in a schema of their own")

    def _same(self, events: EventTable) -> EventTable:
        """`events`, when the kept sessions can be compared with them."""
        if events.engine is not self.engine:
            raise UsageError("the events are in another engine than the sessions: name a table of the same warehouse")
        rules = self.rules
        for named, kept, what in ((events.device, rules.device, "device"), (events.event, rules.event, "event")):
            if bool(named) != kept:
                raise UsageError(
                    f"the sessions in {self.schema} were made {'with' if kept else 'without'} a column of the {what};"
                    " name the same columns, or build anew"
                )
        for name in filter(None, (rules.platform, rules.received)):
            events.column(name)
        return events

    def _considered(self, since: object, days: Iterable[object]) -> tuple[str, dict[str, Any]]:
        """Condition over ``day``, and its parameters."""
        listed = sorted({periods.read_day(day, "days") for day in days})
        params: dict[str, Any] = {f"day_{i}": day for i, day in enumerate(listed)}
        parts = [f"day IN ({', '.join(f'CAST(:{name} AS DATE)' for name in params)})"] if listed else []
        if since is not None:
            params["since"] = periods.read_day(since, "since")
            parts.append("day >= CAST(:since AS DATE)")
        return " OR ".join(parts), params

    def _restate(self, events: EventTable, considered: str, params: dict[str, Any], stages: list[str]) -> Answer:
        run, who, session_who = self.engine, self.rules.owner, self.rules.subject
        days, kept = self._quoted("subject_days"), self._quoted("sessions")

        def stage(name: str, select: str) -> str:
            stages.append(f"stage_{name}")
            run.replace(self._at(f"stage_{name}"), select, params)
            return self._quoted(f"stage_{name}")

        where = f" WHERE ({considered})" if considered else ""
        fresh = stage("fresh", f"SELECT * FROM ({self._marks(events)}) AS marks{where}")
        mark = "subject, day, events, mark, least"
        stored, read = f"SELECT {mark} FROM {days}{where}", f"SELECT {mark} FROM {fresh}"
        touched = stage(
            "touched",
            f"WITH changed AS (SELECT subject, day FROM (({read} EXCEPT {stored}) UNION ALL ({stored} EXCEPT {read}))"
            f" AS differences), named AS (SELECT subject, {who} FROM {fresh}"
            f" UNION SELECT subject, {who} FROM {days}{where})"
            f" SELECT c.subject, {', '.join(f'n.{name}' for name in who.split(', '))}, MIN(c.day) AS first_day,"
            " MAX(c.day) AS last_day FROM changed AS c JOIN named AS n ON n.subject = c.subject"
            f" GROUP BY c.subject, {', '.join(f'n.{name}' for name in who.split(', '))}",
        )
        if run.is_empty(self._at("stage_touched")):
            return self._told(run.query(f"SELECT 'added' AS change, {', '.join(self._shown)} FROM {kept} LIMIT 0"))
        gone = f"subject IN (SELECT subject FROM {touched})" + (f" AND ({considered})" if considered else "")
        run.delete(self._at("subject_days"), gone, params)
        run.insert(self._at("subject_days"), f"SELECT * FROM {fresh} WHERE subject IN (SELECT subject FROM {touched})")
        whole = self._recheck_clocks(events, touched, who, stage) if self.rules.received else ""
        spans = stage("spans", self._spans(touched, session_who, whole))
        # What lies outside of all spans is not looked at: so much a bound on the time itself saves.
        reach = f"{float(self.rules.reach)!r}"
        edges = run.query(
            f"SELECT add_minutes(MIN(first_moment), -{reach}) AS oldest,"
            f" add_minutes(MAX(end_moment), {reach}) AS newest, MAX(whole) AS whole FROM {spans}"
        ).to_pylist()[0]
        params |= {"oldest": edges["oldest"], "newest": edges["newest"]}
        near = "" if edges["whole"] else " WHERE s.session_end > :oldest AND s.session_start < :newest"
        old = stage(
            "old",
            f"SELECT s.* FROM {kept} AS s JOIN {spans} AS p ON p.subject = s.subject AND (p.whole = 1 OR"
            f" (s.session_end > add_minutes(p.first_moment, -{reach})"
            f" AND s.session_start < add_minutes(p.end_moment, {reach}))){near}",
        )
        named = ", ".join(f"p.{name}" for name in session_who.split(", "))
        bounds = stage(
            "bounds",
            f"SELECT {named}, p.whole, p.end_moment, LEAST(p.first_moment, MIN(o.session_start)) AS first_moment,"
            f" MAX(o.session_end) AS last_moment FROM {spans} AS p LEFT JOIN {old} AS o ON o.subject = p.subject"
            f" GROUP BY {named}, p.whole, p.end_moment, p.first_moment",
        )
        condition = ""
        if not edges["whole"]:
            params |= run.query(
                "SELECT MIN(first_moment) AS first_moment, GREATEST(MAX(end_moment), MAX(last_moment)) AS last_moment"
                f" FROM {bounds}"
            ).to_pylist()[0]
            between = "BETWEEN :first_moment AND :last_moment"
            condition = f"{events.moment()} {between}"
            if self.rules.received:
                # An untouched device of a touched user may have a clock that is off: its times lie elsewhere.
                condition += (
                    f" OR {events.moment(self.rules.received)} {between}"
                    f" OR {comma([events.user])} IN (SELECT user_id FROM {self._quoted('clocks')})"
                )
        around = (
            f"SELECT e.* FROM ({self.rules.settled(events, off=self._off(), condition=condition)}) AS e"
            f" JOIN {bounds} AS b"
            f" ON {clocks.same('e', 'b', session_who)} AND (b.whole = 1 OR (e.event_time >= b.first_moment"
            " AND (e.event_time < b.end_moment OR e.event_time <= b.last_moment)))"
        )
        new = stage("new", self._sessions(around))
        names = ", ".join(self._columns)
        lost = stage("lost", f"SELECT {names} FROM {old} EXCEPT SELECT {names} FROM {new}")
        come = stage("come", f"SELECT {names} FROM {new} EXCEPT SELECT {names} FROM {old}")
        told = run.query(
            "SELECT CASE WHEN l.session_id IS NULL THEN 'added' ELSE 'changed' END AS change,"
            f" {', '.join(f'c.{name}' for name in self._shown)} FROM {come} AS c LEFT JOIN {lost} AS l"
            " ON l.session_id = c.session_id UNION ALL"
            f" SELECT 'removed' AS change, {', '.join(f'l.{name}' for name in self._shown)} FROM {lost} AS l"
            f" WHERE l.session_id NOT IN (SELECT session_id FROM {come})"
            f" ORDER BY session_start, {session_who}, change"
        )
        run.delete(self._at("sessions"), f"session_id IN (SELECT session_id FROM {lost})")
        run.insert(self._at("sessions"), f"SELECT {names} FROM {come}")
        return self._told(told)

    def _recheck_clocks(self, events: EventTable, touched: str, who: str, stage: Any) -> str:
        """Find again the clocks that changed events may have a say in; a SELECT of the subjects to restate as a whole.

        An event that came at once says that a clock is right, and nothing unsays it but that the event goes. So only
        touched devices that have no such event are read again, or whose clock was taken to be off.
        """
        run, off = self.engine, self._quoted("clocks")
        names = ", ".join(f"t.{name}" for name in who.split(", "))
        doubtful = stage(
            "doubtful",
            f"SELECT t.subject, {names} FROM {touched} AS t LEFT JOIN (SELECT subject, MIN(least) AS least"
            f" FROM {self._quoted('subject_days')} WHERE subject IN (SELECT subject FROM {touched}) GROUP BY subject)"
            f" AS d ON d.subject = t.subject LEFT JOIN {off} AS c"
            " ON c.subject = t.subject WHERE c.subject IS NOT NULL OR d.least IS NULL"
            f" OR d.least > {self.rules.tolerance_us}",
        )
        mine = (
            f"SELECT e.* FROM ({self.rules.source(events)}) AS e JOIN {doubtful} AS t ON {clocks.same('e', 't', who)}"
        )
        now = stage("clocks", self._keyed(self.rules.clocks(events, mine)))
        whole = stage(
            "whole",
            f"SELECT subject FROM {now} UNION SELECT subject FROM {off}"
            f" WHERE subject IN (SELECT subject FROM {doubtful})",
        )
        run.delete(self._at("clocks"), f"subject IN (SELECT subject FROM {doubtful})")
        run.insert(self._at("clocks"), f"SELECT * FROM {now}")
        return f"SELECT subject FROM {whole}"

    def _spans(self, touched: str, session_who: str, whole: str) -> str:
        """SELECT of whose sessions may change, and between which moments their events changed."""
        flag = f"CASE WHEN subject IN ({whole}) THEN 1 ELSE 0 END" if whole else "0"
        return (
            f"SELECT {subject_key(session_who)} AS subject, {session_who}, MAX(whole) AS whole,"
            " CAST(MIN(first_day) AS TIMESTAMP) AS first_moment,"
            " CAST(add_days(MAX(last_day), 1) AS TIMESTAMP) AS end_moment"
            f" FROM (SELECT {session_who}, first_day, last_day, {flag} AS whole FROM {touched}) AS flagged"
            f" GROUP BY {session_who}"
        )

    # -- SQL -------------------------------------------------------------------------------------------

    def _marks(self, events: EventTable) -> str:
        """SELECT of a device's days: how many events, a sum of their hashes, the least delay that can be."""
        who, late = self.rules.owner, -self.rules.tolerance_us
        day, least = "date_of(event_time)", "CAST(NULL AS BIGINT)"
        if self.rules.received:
            day = f"date_of(CASE WHEN delay < {late} THEN received ELSE event_time END)"
            least = f"MIN(CASE WHEN delay >= {late} THEN delay END)"
        delay = ", delay" if self.rules.received else ""
        return (
            f"SELECT {subject_key(who)} AS subject, {who}, day, events, mark, least FROM (SELECT {who}, day,"
            f" CAST(COUNT(*) AS BIGINT) AS events, SUM(mark) AS mark, {least} AS least"
            f" FROM (SELECT {who}, {day} AS day{delay}, row_hash(e) AS mark FROM ({self.rules.source(events)}) AS e)"
            f" AS hashed GROUP BY {who}, day) AS marked"
        )

    def _keyed(self, off: str) -> str:
        """SELECT of rows of ``clocks``."""
        who = self.rules.owner
        return f"SELECT {subject_key(who)} AS subject, {who}, shift FROM ({off}) AS off"

    def _off(self) -> str:
        """SELECT of the kept clocks."""
        return f"SELECT * FROM {self._quoted('clocks')}" if self.rules.received else ""

    def _sessions(self, settled: str) -> str:
        """SELECT of rows of ``sessions``; what hangs on as-of or zone is told when asked."""
        who = self.rules.subject
        return (
            f"SELECT {session_key(who)} AS session_id, {subject_key(who)} AS subject, {', '.join(self._columns[2:])}"
            f" FROM ({self.rules.runs(self.rules.logged(settled, ''))}) AS found"
        )

    @property
    def _columns(self) -> list[str]:
        """Columns of ``sessions``."""
        return ["session_id", "subject", *self._shown[1:], "open_until"]

    @property
    def _shown(self) -> list[str]:
        return ["session_id", *self.rules.subject.split(", "), "session_start", "session_end", *self.rules.facts]

    def _at(self, name: str) -> str:
        return f"{self.schema}.{name}"

    def _quoted(self, name: str) -> str:
        return quoted(self._at(name))

    def _keep_settings(self) -> None:
        settings = {"rules": asdict(self.rules), "tz": self.tz}
        self.engine.replace(
            self._at("settings"), "SELECT CAST(:settings AS VARCHAR) AS settings", {"settings": json.dumps(settings)}
        )

    # -- answers ---------------------------------------------------------------------------------------

    @property
    def newest(self) -> datetime:
        """The moment of the newest event; UsageError when there is none."""
        found = self.engine.query(f"SELECT MAX(session_end) AS newest FROM {self._quoted('sessions')}")
        moment: datetime | None = found["newest"][0].as_py()
        if moment is None:
            raise UsageError(f"the sessions in {self.schema} hold no events with a user and a time")
        return moment

    def sessions(self, as_of: object = None) -> Answer:
        """The sessions as `prodsense.behavior.sessions` gives them, without reading the events.

        `as_of` (the newest event by default) decides which are open; one before the newest event is a UsageError.
        """
        newest = self.newest
        moment = newest if as_of is None else periods.read_moment(as_of, self.tz)
        if moment < newest:
            raise UsageError(
                f"the sessions in {self.schema} go to {newest:%Y-%m-%d %H:%M:%S};"
                " to look from before, ask the events (prodsense sessions)"
            )
        sql, params = finished(self.rules, f"SELECT * FROM {self._quoted('sessions')}", self.tz), {"as_of": moment}
        mended: dict[str, int] = {}
        if self.rules.received:
            counts = ", ".join(f"CAST(COALESCE(SUM({name}), 0) AS BIGINT) AS {name}" for name in clocks.CORRECTIONS)
            mended = self.engine.query(
                f"SELECT (SELECT COUNT(*) FROM {self._quoted('clocks')}) AS clocks_off, {counts}"
                f" FROM {self._quoted('sessions')}"
            ).to_pylist()[0]
        return answer_of(
            self.rules, self.engine.query(sql, params), moment, self.tz, notes=[f"from {self.schema}"], mended=mended,
            statements=((sql, params),), dialect=self.engine.dialect,
        )

    def _told(self, rows: pa.Table) -> Answer:
        """What an update did."""
        counts = dict.fromkeys(("added", "changed", "removed"), 0)
        for change in rows["change"].to_pylist():
            counts[change] += 1
        return Answer(
            arrow=rows, method="restated", title="Sessions restated", tz=self.tz, extras=counts,
            units={"events": "count"}, dialect=self.engine.dialect,
        )
