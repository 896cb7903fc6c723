"""The warehouse: what users hold. Each method is one verb of the command line, with the same words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prodsense.contracts.options import as_names
from prodsense.errors import NotBuiltError, ProdsenseError, UnknownNameError, UsageError, did_you_mean
from prodsense.privacy.restrict import Restricted

if TYPE_CHECKING:
    from types import TracebackType

    from prodsense.behavior.events import EventTable
    from prodsense.build import BuildReport, RestateReport
    from prodsense.build.lineage import Lineage
    from prodsense.contracts.tables import Table
    from prodsense.contracts.vocabulary import Detector, Model
    from prodsense.engines.base import Engine
    from prodsense.inference.detect import Findings
    from prodsense.inference.explain_report import Explanation
    from prodsense.ingest import LoadReport
    from prodsense.metrics.checks import PolicyResult
    from prodsense.metrics.result import Result, Rows
    from prodsense.metrics.scope import Scope
    from prodsense.packs.pack import Pack

    Names = str | Sequence[str]
    Moment = str | date | datetime | None

#: Kinds of artefact that a name may stand for, in the order they are looked up.
_READABLE = ("tables", "models")


def open(url: Any = "prodsense.duckdb", *, read_only: bool = False, lake: str | Path | None = None) -> Warehouse:
    """Open a warehouse: a path (created when absent), ``:memory:``, ``spark:///folder`` for a lake on a Spark of
    its own, ``sc://host:port/?lake=/folder`` for one on Spark Connect, or an existing SparkSession.

    `lake` is the folder for a SparkSession's tables; by default one in the session's own warehouse folder.
    Raises LockedError when another process owns the file or lake, UnsupportedError when Spark cannot start.
    """
    from prodsense.engines import open_engine

    return Warehouse(open_engine(url, read_only=read_only, lake=lake))


class Warehouse:
    """An engine with the packs' definitions on top.

    Names are ``pack.name``; the pack may be left out where the name is unique. Use it as a context
    manager, or call `close`, to release the file.
    """

    def __init__(self, engine: Engine, notify: Callable[[str], None] | None = None):
        self.engine = engine
        #: ``[roles]`` of a project: what it takes away from roles, and those that it adds.
        self.role_settings: Mapping[str, Any] = {}
        #: Called with a line for things a user should know but that are no result (stale models).
        self.notify = notify or (lambda line: None)

    def __enter__(self) -> Warehouse:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Warehouse({self.engine.location!r}, engine={self.engine.name!r})"

    def close(self) -> None:
        """Release the warehouse file."""
        self.engine.close()

    def as_role(self, name: str, **attributes: Any) -> Warehouse:
        """The same warehouse as a role sees it: ``wh.as_role("partner", restaurant_id=7)``, several values as a list.

        Statements are rewritten to the rows and columns that it may see; what it may not use raises ForbiddenError, and
        an unknown role, or an attribute that is unknown or missing, UsageError.
        """
        from prodsense.privacy.restrict import open_packs
        from prodsense.privacy.roles import grant

        grants = grant(name, [self.pack(pack) for pack in self.packs], attributes, self.role_settings)
        return self if name == "admin" else RoleWarehouse(self, open_packs(self, grants))

    def shows_sql(self) -> bool:
        """Whether who asks may see statements (see `as_role`)."""
        return True

    def allows(self, kind: str, pack: str, name: str = "*") -> bool:
        """Whether who asks may ask for an artefact, or for all of a kind (`privacy.roles.KINDS`; see `as_role`)."""
        return True

    # -- packs and names ---------------------------------------------------------------------------

    @property
    def packs(self) -> tuple[str, ...]:
        """Names of the packs that have tables in this warehouse."""
        from prodsense.packs import pack_names

        schemas = {name.split(".")[0] for name in self.engine.relations()}
        return tuple(name for name in pack_names() if name in schemas)

    def pack(self, name: str) -> Pack:
        """The pack called `name`."""
        from prodsense.packs import load_pack

        return load_pack(name)

    def find(self, kind: str, name: str) -> tuple[Pack, Any]:
        """The artefact of `kind` (a part of Pack, such as ``metrics``) called `name`, with its pack.

        A bare name is looked up in the packs of this warehouse first, then in all; it must be unique.
        """
        from prodsense.packs import load_pack, pack_names
        from prodsense.packs.pack import unknown

        singular = {"analyses": "analysis", "policies": "policy", "queries": "query"}.get(kind, kind.rstrip("s"))
        pack_name, dot, bare = name.rpartition(".")
        if dot and pack_name in pack_names():
            pack = load_pack(pack_name)
            if bare in getattr(pack, kind):
                return pack, getattr(pack, kind)[bare]
            raise unknown(singular, name, [f"{pack_name}.{known}" for known in getattr(pack, kind)])
        if dot and kind != "questions":
            load_pack(pack_name)  # raises with the packs that exist
        here = self.packs
        for group in (here, tuple(p for p in pack_names() if p not in here)):
            found = [pack for pack in map(load_pack, group) if name in getattr(pack, kind)]
            if len(found) > 1:
                choices = ", ".join(f"{pack.name}.{name}" for pack in found)
                raise UsageError(f"{singular} {name} is in several packs; say which: {choices}")
            if found:
                return found[0], getattr(found[0], kind)[name]
        raise unknown(singular, name, [known for p in pack_names() for known in getattr(load_pack(p), kind)])

    def catalog(
        self, pack: str | None = None, kind: str | None = None, search: str | None = None
    ) -> list[dict[str, Any]]:
        """Entries of everything declared: pack, kind, name, says, unit, params, questions."""
        from prodsense.packs.catalogue import catalog

        return catalog(pack, kind, search)

    def scope(self, pack: str) -> Scope:
        """What metrics of a pack can see: its tables, models, dimensions and metrics."""
        from prodsense.metrics import Scope

        return replace(Scope.of(self.pack(pack), self.engine.columns), rollups=self.rollups(pack))

    def rollups(self, pack: str) -> tuple[Any, ...]:
        """Pre-aggregates that metrics may be read from (see `prodsense.metrics.rollups`); none but on a server."""
        return ()

    # -- data in -----------------------------------------------------------------------------------

    def ingest(
        self, source: Any, table: str | None = None, pack: str | None = None, progress: Any = None
    ) -> LoadReport:
        """Load files, frames, Arrow data or a database table into contracted tables.

        `source` is a path, glob, folder, URL, frame, a list of such, or a mapping of table name to such a
        source. Every row read ends accepted, duplicate or quarantined; the report says how many of each.
        All of one call is one transaction, parent tables first.
        """
        from prodsense.ingest import ingest

        return ingest(self.engine, self._contracts(table, pack), source, table=table, progress=progress)

    def ingest_each(
        self, sources: Sequence[Any], table: str | None = None, pack: str | None = None, progress: Any = None
    ) -> tuple[list[LoadReport], list[str]]:
        """Load sources in one transaction, or, where one is refused, all others one by one.

        Returns the reports and why sources were refused.
        """
        from prodsense.ingest.discover import parents_first

        try:
            return [self.ingest(list(sources), table, pack, progress)], []
        except UsageError:
            raise
        except ProdsenseError as error:
            if len(sources) == 1:
                return [], [error.message]
        reports, refused = [], []
        for source in parents_first(self._contracts(table, pack), sources, table):
            try:
                reports.append(self.ingest(source, table, pack, progress))
            except ProdsenseError as error:
                refused.append(error.message)
        return reports, refused

    def _contracts(self, table: str | None, pack: str | None) -> Mapping[str, Table]:
        from prodsense.packs.pack import PackTables

        return PackTables(self._packs_for(table, pack))

    def _packs_for(self, table: str | None, pack: str | None) -> list[Pack]:
        from prodsense.packs import load_pack, pack_names

        if table and "." in table:
            return [load_pack(table.split(".")[0])]
        if pack:
            return [load_pack(pack)]
        return [load_pack(name) for name in (self.packs or pack_names())]

    def forget(self, subject: Any, pack: str | None = None, kind: str | None = None, dry_run: bool = False) -> Rows:
        """Delete a person's rows from all contracted tables, and refuse them in loads to come; one row a table.

        `subject` is the person's key, `kind` what sort of person (the pack's first by default); `dry_run` only counts.
        """
        from prodsense.privacy.forget import forget

        packs = [self.pack(name) for name in ([pack] if pack else self.packs)]
        return forget(self.engine, packs, subject, kind, dry_run)

    # -- build -------------------------------------------------------------------------------------

    def definitions(self, packs: Iterable[str]) -> tuple[dict[str, Model], Mapping[str, Table]]:
        """Models and tables of some packs by full name, as `prodsense.build` takes them."""
        from prodsense.packs.pack import PackTables

        loaded = [self.pack(name) for name in packs]
        models = {f"{p.name}.{m.name}": m for p in loaded for m in p.models.values()}
        return models, PackTables(loaded)

    def build(
        self,
        pack: str | None = None,
        since: Moment = None,
        until: Moment = None,
        *,
        full: bool = False,
        only: Sequence[str] | None = None,
        progress: Any = None,
    ) -> BuildReport:
        """Bring the models up to date: only partitions touched since the last build, or all with `full`."""
        from prodsense.build import build
        from prodsense.ingest import ensure_tables

        models, tables = self.definitions([pack] if pack else self.packs)
        ensure_tables(self.engine, tables)
        return build(
            self.engine, models, tables, since=_day(since), until=_day(until), full=full, only=only, progress=progress
        )

    def run_pipeline(self, name: str, progress: Any = None) -> BuildReport | Rows:
        """Bring the models of a pipeline up to date, or run what it does instead of a build."""
        from prodsense.metrics.result import Rows

        pack, pipeline = self.find("pipelines", name)
        if pipeline.run is not None:
            return Rows.from_rows(list(pipeline.run(self)), title=pipeline.name)
        return self.build(pack.name, only=[f"{pack.name}.{m}" for m in pipeline.models], progress=progress)

    def restate(self, model: str, since: Moment, until: Moment, progress: Any = None) -> RestateReport:
        """Recompute the partitions of `model` in [since, until), and what depends on them."""
        from prodsense.build import restate

        pack, found = self.find("models", model)
        models, tables = self.definitions([pack.name])
        return restate(
            self.engine, models, tables, f"{pack.name}.{found.name}", since=_day(since), until=_day(until),
            progress=progress,
        )

    def ready(self, pack: str, relations: Iterable[str] | None = None) -> None:
        """Make sure that models are there: build those never built, and say when others are stale.

        `relations` are those about to be read (all models of the pack by default); bare names are the pack's own.
        """
        from prodsense.build import status
        from prodsense.ingest import ensure_tables

        if relations is not None:
            relations = [name if "." in name else f"{pack}.{name}" for name in relations]
        models, tables = self.definitions([pack])
        read = [name for name in (relations if relations is not None else models) if name in models]
        if relations is not None:
            absent = [name for name in relations if name in tables and name not in self.engine.relations(pack)]
            if absent and not self.engine.read_only:
                ensure_tables(self.engine, tables)
        if not read:
            return
        states = status(self.engine, models, tables, only=read)
        missing = [name for name, state in states.items() if state.never_built]
        if missing:
            if self.engine.read_only:
                raise NotBuiltError(f"{missing[0]} is not built; run: prodsense build --pack {pack}")
            self.notify(f"building {len(missing)} models first")
            report = self.build(pack, only=read)
            failed = [m for m in report.models if m.mode in ("failed", "skipped") and m.model in missing]
            if failed:
                raise NotBuiltError(f"{failed[0].model} could not be built: {failed[0].reason}")
            return
        stale = [name for name, state in states.items() if state.stale and models[name].kind == "table"]
        if stale:
            self.notify(
                f"{', '.join(stale)}: new data since the last build, not in these numbers; run: prodsense build"
            )

    # -- answers -----------------------------------------------------------------------------------

    def metric(
        self,
        *names: str | Sequence[str],
        by: Names = (),
        grain: str | None = None,
        since: Moment = None,
        until: Moment = None,
        where: str | None = None,
        compare: str | None = None,
        as_of: Moment = None,
        tz: str = "UTC",
    ) -> Result:
        """Values of one or more metrics of a pack, by slices and period.

        `since` is inside, `until` outside. The default grain is the metric's own (mostly ``all``).
        Raises UsageError for a slice that would fan out, naming those that do not.
        """
        from prodsense.contracts.sql import sources
        from prodsense.metrics import Request, compile, run_plan

        asked = [n for name in names for n in ([name] if isinstance(name, str) else name)]
        if not asked:
            raise UsageError("name at least one metric; see: prodsense catalog --kind metric")
        found = [self.find("metrics", name) for name in asked]
        pack = found[0][0]
        for other, metric in found:
            if other is not pack:
                raise UsageError(f"{metric.name} is of pack {other.name}, not {pack.name}; ask them one by one")
        request = Request(
            [m.name for _, m in found],
            by=[d.removeprefix(f"{pack.name}.") for d in as_names(by)],
            grain=grain, since=since, until=until, where=where, compare=compare, as_of=as_of, tz=tz,
        )  # fmt: skip
        try:
            plan = compile(request, self.scope(pack.name))
        except NotBuiltError:
            self.ready(pack.name)
            plan = compile(request, self.scope(pack.name))
        self.ready(pack.name, sources(plan.tree))
        return run_plan(self.engine, plan)

    def few_behind(self, metric: str, by: str, **request: Any) -> frozenset[Any]:
        """The values of a slice of which a mean or ratio says little (`metrics.observations`)."""
        from prodsense.metrics.observations import few_behind

        pack, found = self.find("metrics", metric)
        return few_behind(self, pack.name, found.name, by, request)

    def benchmark(self, *names: str, **request: Any) -> Rows:
        """A partner's own metrics beside those of peers: ``wh.as_role("partner", ...).benchmark("on_time_rate")``."""
        raise UsageError("a benchmark sets somebody's own numbers beside their peers': ask it in a role that has peers")

    def query(self, name: str, **params: Any) -> Rows:
        """Rows of a named query."""
        from prodsense.metrics.queries import run_query

        pack, query = self.find("queries", name)
        self.ready(pack.name, self._reads(pack, query.sql))
        return run_query(self.engine, query, params, self.scope(pack.name))

    def _reads(self, pack: Pack, sql: str) -> set[str]:
        """The relations that a text reads."""
        from prodsense.contracts.sql import parse, sources

        return sources(parse(sql), pack.name)

    def analyze(self, name: str, **params: Any) -> Rows:
        """Rows (and named extras) of a named analysis."""
        from prodsense.metrics.queries import coerce_params
        from prodsense.metrics.result import Rows

        pack, analysis = self.find("analyses", name)
        given = coerce_params(analysis.params, params, f"{pack.name}.{analysis.name}")
        answer = analysis.run(self, **given)
        if isinstance(answer, Rows):
            return answer
        extras = {key: value for key, value in answer.items() if key != "rows"}
        return Rows.from_rows(answer["rows"], title=analysis.name, extras=extras)

    def experiment(self, name: str, **params: Any) -> Any:
        """The readout of a declared experiment; `params` as for ``prodsense experiment``, or those of its own run."""
        from prodsense.contracts.sql import sources
        from prodsense.inference.analysis import analyse
        from prodsense.inference.declared import Options, compiled, study_of
        from prodsense.inference.readout import readout
        from prodsense.metrics.queries import coerce_params
        from prodsense.metrics.result import Rows

        pack, found = self.find("experiments", name)
        if found.run is not None:
            answer = found.run(self, **coerce_params(found.params, params, f"{pack.name}.{found.name}"))
            if isinstance(answer, Rows):
                return answer
            extras = {key: value for key, value in answer.items() if key != "rows"}
            return Rows.from_rows(answer["rows"], title=found.name, extras=extras)
        options = Options.read(params, f"{pack.name}.{found.name}")
        try:
            plan = compiled(found, self.scope(pack.name), options)
        except NotBuiltError:
            self.ready(pack.name)
            plan = compiled(found, self.scope(pack.name), options)
        self.ready(pack.name, sources(plan.tree))
        return readout(analyse(self.engine, study_of(self.engine, plan)), self.engine.dialect)

    def policies(self, *names: str, pack: str | None = None, **params: Any) -> list[PolicyResult]:
        """Check policies: all of the warehouse's packs, or the named ones. Violations come with each result."""
        from prodsense.metrics.checks import check_policy

        if names:
            found = [self.find("policies", name) for name in names]
        else:
            found = [
                (self.pack(p), policy) for p in ([pack] if pack else self.packs)
                for policy in self.pack(p).policies.values()
            ]
        known = {param.name for _, policy in found for param in policy.params} | {"as_of"}
        for name in params:
            if name not in known:
                raise UsageError(f"no such parameter: {name}.{did_you_mean(name, known)}")
        results = []
        for owner, policy in found:
            if policy.sql:
                self.ready(owner.name, self._reads(owner, policy.sql))
            own = {p.name for p in policy.params} | ({"as_of"} if policy.as_of else set())
            given = {k: v for k, v in params.items() if k in own}
            results.append(check_policy(self, policy, given, self.scope(owner.name)))
        return results

    # -- detect and explain ------------------------------------------------------------------------

    def detect(
        self,
        *names: str | Detector,
        pack: str | None = None,
        as_of: Moment = None,
        queue: bool = False,
        simulate: bool = False,
        since: Moment = None,
        until: Moment = None,
        **params: Any,
    ) -> Findings:
        """Findings of detectors (by name, or given as such with `pack`), or of all that are declared, worst first.

        `queue` also records them in the action queue (see `findings`). `simulate` runs each at the end of every day
        from `since` to `until` (outside) and says how often it would have been raised.
        """
        from prodsense.inference.detect import ask

        return ask(
            self, names, pack, as_of=as_of, queue=queue, replay=simulate, since=since, until=until, params=params
        )

    def explain(
        self, metric: str, before: Any, after: Any, *, dims: Names = (), where: str | None = None,
        tree: str | None = None, events: Any = None, layers: int | None = None, as_of: Moment = None, tz: str = "UTC",
    ) -> Explanation:
        """Why a metric moved between two times (days, months, ``2024-01-01..2024-01-07``): see `inference.explain`.

        `events` are rows with ``at`` and ``what``: a relation of the warehouse, a file, a frame or dicts.
        """
        from prodsense.inference.explain import explain, read_events

        return explain(
            self, metric, before, after, dims=as_names(dims), where=where, tree=tree, layers=layers, as_of=as_of, tz=tz,
            events=read_events(self, events),
        )

    def findings(
        self, state: str | None = None, *, ack: Names = (), close: Names = (), reopen: Names = (),
        snooze: Names = (), until: Moment = None, assign: Names = (), to: str | None = None, note: str | None = None,
    ) -> Rows:
        """The action queue, or the items just acknowledged, closed, reopened, snoozed (`until` a day) or assigned
        (`to` somebody, nobody where empty), given by id."""
        from prodsense.inference.detect_queue import queue

        return queue(
            self.engine, state, ack=as_names(ack), close=as_names(close), reopen=as_names(reopen),
            snooze=as_names(snooze), until=_day(until), assign=as_names(assign), to=to, note=note,
        )  # fmt: skip

    def show(self, name: str, limit: int | None = 20, where: str | None = None) -> Rows:
        """Rows of any table, view or model, as they are stored; of a table that a model completes, the model's."""
        from prodsense.metrics.queries import show
        from prodsense.packs import load_pack, pack_names

        pack, _, bare = self.relation(name).partition(".")
        if pack in pack_names() and (model := load_pack(pack).completing(bare)):
            self.ready(pack, {f"{pack}.{model}"})
            bare = model
        return show(self.engine, f"{pack}.{bare}", limit, where)

    def relation(self, name: str) -> str:
        """The full name of an existing table, view or model."""
        existing = self.engine.relations()
        if name in existing:
            return name
        matches = [r for r in existing if r.split(".")[-1] == name]
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise UsageError(f"{name} is in several packs; say which: {', '.join(sorted(matches))}")
        for kind in _READABLE:
            try:
                pack, found = self.find(kind, name)
            except UsageError:
                continue
            if kind == "models" and not self.engine.read_only:
                self.ready(pack.name, {f"{pack.name}.{found.name}"})
                return f"{pack.name}.{found.name}"
            what = "is not built; run: prodsense build" if kind == "models" else "is empty; run: prodsense ingest"
            raise NotBuiltError(f"{pack.name}.{found.name} {what} --pack {pack.name}")
        known = set(existing) | {r.split(".")[-1] for r in existing}
        raise UnknownNameError(f"no table, view or model named {name}.{did_you_mean(name, known)}")

    def events(
        self,
        table: str | None = None,
        user: str | None = None,
        time: str | None = None,
        event: str | None = None,
        dimensions: Names = (),
        *,
        device: str | None = None,
        where: str = "",
    ) -> EventTable:
        """Events in a table, view or model, for the methods: ``ps.funnel(wh.events, ...)``, ``wh.events("orders")``.

        With `table`, `user` and `time` they are as given. What is left out is as a pack declares it for its event
        table, which `table` names by itself or by the pack; without `table` it is that of the only pack here that
        declares one, and a `where` is added to the declared one. Raises UsageError where that leaves a doubt.
        """
        from prodsense.packs.declared import events_in

        return events_in(self, table, user, time, event, as_names(dimensions), device, where)

    def lineage(self, name: str) -> Lineage:
        """Where the columns of a model, or the value of a metric, come from."""
        from prodsense.build.lineage import lineage, metric_lineage

        try:
            pack, model = self.find("models", name)
        except UsageError:
            try:
                pack, metric = self.find("metrics", name)
            except UsageError as error:
                raise type(error)(error.message.replace("no metric named", "no model or metric named")) from None
            models, tables = self.definitions([pack.name])
            return metric_lineage(metric, pack.metrics, models, tables, pack.name)
        models, tables = self.definitions([pack.name])
        return lineage(f"{pack.name}.{model.name}", models, tables)

    # -- pages -------------------------------------------------------------------------------------

    def dashboard(self, name: str, **filters: Any) -> Any:
        """A declared dashboard as a page: `.save(path)` writes HTML or PNG."""
        from prodsense.charts.dashboards import dashboard_page
        from prodsense.charts.fetching import PackFetch

        pack, dashboard = self.find("dashboards", name)
        return dashboard_page(dashboard, PackFetch(self, pack, filters), pack.charts)

    def answer(self, question: str, **filters: Any) -> Any:
        """The answer to a question: its headline numbers, tables and pictures, as a page that also prints."""
        from prodsense.charts.dashboards import answer_page
        from prodsense.charts.fetching import PackFetch

        pack, found = self.find("questions", question)
        return answer_page(found, PackFetch(self, pack, filters), pack)

    def doctor(self) -> list[Any]:
        """Check the installation, the packs' definitions and the warehouse's state; findings, worst first."""
        from prodsense.doctor import examine

        return examine(self)


class RoleWarehouse(Restricted, Warehouse):
    """A warehouse as one role sees it; see `Warehouse.as_role`."""


def _day(moment: Moment) -> date | None:
    """The day of a moment given as text, date or datetime."""
    if moment is None or (isinstance(moment, date) and not isinstance(moment, datetime)):
        return moment
    if isinstance(moment, datetime):
        return moment.date()
    try:
        return date.fromisoformat(moment[:10])
    except ValueError:
        raise UsageError(f"{moment!r} is no day; write it like 2024-01-31") from None
