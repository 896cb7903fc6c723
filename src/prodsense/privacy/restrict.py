"""A warehouse as one role sees it: the same verbs, over a guarded engine, without what the role may not ask."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

from prodsense.contracts.options import as_names
from prodsense.errors import ForbiddenError, NotBuiltError, ProdsenseError, UsageError
from prodsense.privacy.guard import Guard

if TYPE_CHECKING:
    from prodsense.metrics.result import Result, Rows
    from prodsense.privacy.roles import Grants
    from prodsense.warehouse import Warehouse as _Base
else:
    _Base = object

#: Kind of a catalogue entry → kind that a role may ask. Other entries are words, not data.
_ENTRIES = {
    "metric": "metrics", "query": "queries", "analysis": "analyses", "algorithm": "analyses", "function": "analyses",
    "experiment": "experiments", "detector": "detectors", "policy": "policies", "dashboard": "dashboards",
    "chart": "dashboards", "question": "questions",
}  # fmt: skip
_CHECKED = frozenset(_ENTRIES.values())


class Restricted(_Base):
    """What `Warehouse.as_role` adds to a warehouse; mixed in before `Warehouse`."""

    def __init__(self, under: Any, grants: Grants, trusted: bool = False):
        guard = under.engine if trusted else Guard(under.engine, grants)
        super().__init__(guard, under.notify)
        self._under = under
        self.grants = grants
        self._trusted = trusted
        self.role_settings = under.role_settings

    def __repr__(self) -> str:
        return f"Warehouse({self.engine.location!r}, role={self.grants.name!r})"

    @property
    def role(self) -> str:
        """The role in force."""
        return self.grants.name

    def allows(self, kind: str, pack: str, name: str = "*") -> bool:
        """Whether the role may ask for an artefact (`privacy.roles.KINDS`), or for all of a kind."""
        if self._trusted:
            return True
        under = not isinstance(self._under, Restricted) or self._under.allows(kind, pack, name)
        return under and self.grants.may(kind, pack, name)

    def _need(self, kind: str, pack: str, name: str = "*") -> None:
        if not self.allows(kind, pack, name):
            what = {"rows": "stored rows", "methods": "methods on events", "system": "the project's records"}
            said = f"{pack}.{name}" if name != "*" else f"{what.get(kind, kind)} of {pack}"
            raise ForbiddenError(f"role {self.role} may not ask for {said}")

    def _declared(self) -> Restricted:
        """The same warehouse for what a declared artefact does inside: rows stay guarded, any verb is open."""
        return type(self)(self, self.grants, trusted=True)

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise ForbiddenError(f"role {self.role} may only read")

    ingest = ingest_each = build = run_pipeline = restate = forget = _refuse

    # -- names -------------------------------------------------------------------------------------

    def find(self, kind: str, name: str) -> tuple[Any, Any]:
        pack, found = super().find(kind, name)
        if kind in _CHECKED:
            self._need(kind, pack.name, getattr(found, "id", None) or found.name)
        elif kind == "charts":
            self._need("dashboards", pack.name)
        return pack, found

    def catalog(
        self, pack: str | None = None, kind: str | None = None, search: str | None = None
    ) -> list[dict[str, Any]]:
        return [entry for entry in super().catalog(pack, kind, search) if self._listed(entry)]

    def _listed(self, entry: Mapping[str, Any]) -> bool:
        pack, kind = entry["pack"], entry["kind"]
        if kind == "metric":
            return self._open_metric(pack, entry["name"])
        if kind in ("table", "model", "view"):
            return self.allows("rows", pack) and self._condition(f"{pack}.{entry['name']}") is not None
        if kind == "chart":
            return self.grants.of(pack) is not None and bool(self.grants.packs[pack].role.may.get("dashboards"))
        return self.allows(_ENTRIES[kind], pack, entry["name"]) if kind in _ENTRIES else True

    def _open_metric(self, pack: str, name: str) -> bool:
        """Whether a metric may be asked for, and all its sources are open."""
        from prodsense.metrics.definitions import leaves

        if not self.allows("metrics", pack, name):
            return False
        scope = super().scope(pack)
        return all(
            self._condition(scope.full(leaf.source)) is not None for leaf in leaves(scope, scope.metric(name))
        )

    def _condition(self, relation: str) -> str | None:
        """The role's condition on a relation; None where it is closed, to this role or to one beneath."""
        if isinstance(self._under, Restricted) and self._under._condition(relation) is None:
            return None
        return self.grants.condition(relation)

    def _k(self, pack: str) -> int:
        under = self._under._k(pack) if isinstance(self._under, Restricted) else 0
        return max(under, self.grants.k(pack))

    def rollups(self, pack: str) -> tuple[Any, ...]:
        """Those that hold nothing but what the role may see: all rows of all they read, no hidden column."""
        return tuple(
            rollup for rollup in self._under.rollups(pack)
            if all(
                self._condition(relation) == "" and not any(self.grants.hides(relation, name) for name in columns)
                for relation, columns in rollup.reads.items()
            )
        )  # fmt: skip

    def ready(self, pack: str, relations: Iterable[str] | None = None) -> None:
        # Building is the warehouse's own affair: whoever asks, models are made of all rows.
        self._under.ready(pack, relations)

    # -- answers -----------------------------------------------------------------------------------

    def metric(self, *names: Any, **request: Any) -> Result:
        if self._trusted:
            return super().metric(*names, **request)
        asked = [n for name in names for n in ([name] if isinstance(name, str) else name)]
        found = [self.find("metrics", name) for name in asked]
        packs = {pack.name for pack, _ in found}
        if len(packs) != 1:
            return super().metric(*names, **request)  # which says what is wrong
        self._check_condition(request.get("where"))
        k = self._k(packs.pop())
        result = self._in_groups([m.name for _, m in found], found[0][0], k, request) if k else \
            super().metric(*names, **request)  # fmt: skip
        return self._with_sql(result)

    def _in_groups(self, names: list[str], pack: Any, k: int, request: Mapping[str, Any]) -> Result:
        """The metrics with the people behind each value, small groups taken out."""
        from prodsense.privacy.subjects import subject_columns
        from prodsense.privacy.suppress import check_slices, check_where, supported, suppress

        scope, keys, people = self.scope(pack.name), subject_columns(pack), pack.privacy("PEOPLE", {})
        by = as_names(request.get("by") or ())
        check_slices(by, scope, keys, self.role)
        left_out = check_where(request.get("where"), scope, keys, self.role)
        try:
            support = supported(scope, names, people, keys)
        except NotBuiltError:
            self.ready(pack.name)
            support = supported(self.scope(pack.name), names, people, keys)
        result = self._run([*names, *support.names], pack, support.scope, request)
        rest = None
        if left_out and support.names:
            again = {**request, "where": left_out}
            again["as_of"] = request.get("as_of") or result.as_of
            rest = self._run(list(support.names), pack, support.scope, again, result.grain)
        return suppress(result, names, support, k, rest)

    def _run(
        self, names: list[str], pack: Any, scope: Any, request: Mapping[str, Any], grain: str | None = None
    ) -> Result:
        from prodsense.contracts.sql import sources
        from prodsense.metrics import Request, compile, run_plan

        asked = {**request, "by": [name.removeprefix(f"{pack.name}.") for name in as_names(request.get("by") or ())]}
        plan = compile(Request(names, **{**asked, "grain": grain or request.get("grain")}), scope)
        self.ready(pack.name, sources(plan.tree))
        return run_plan(self.engine, plan)

    def few_behind(self, metric: str, by: str, **request: Any) -> frozenset[Any]:
        pack, _ = self.find("metrics", metric)
        self._check_condition(request.get("where"))
        # Where small groups are hidden, how large the others are would tell more than is shown of them.
        return frozenset() if self._k(pack.name) else super().few_behind(metric, by, **request)

    def benchmark(self, *names: str, **request: Any) -> Rows:
        from prodsense.privacy.benchmark import benchmark

        return benchmark(self, names, request)

    def root(self) -> Any:
        """The warehouse as it is, for what says nothing of single rows."""
        return self._under.root() if isinstance(self._under, Restricted) else self._under

    def _with_sql(self, result: Any) -> Any:
        """The result with the statements as they ran, or with none where the role may see none."""
        if self._trusted or not hasattr(result, "statements"):
            return result
        if not self.shows_sql():
            return replace(result, statements=())
        guard = self.engine
        assert isinstance(guard, Guard)
        shown = []
        for tree, params in result.statements:
            try:
                shown.append(guard.guarded(tree, params))
            except ProdsenseError:
                continue  # over data that was offered for a while, or a step that is no SELECT
        return replace(result, statements=tuple(shown))

    def shows_sql(self) -> bool:
        """Whether the role may see statements; answers of others carry none."""
        return self.grants.raw_sql and (not isinstance(self._under, Restricted) or self._under.shows_sql())

    def query(self, name: str, **params: Any) -> Rows:
        from prodsense.metrics.result import Rows
        from prodsense.privacy.suppress import suppress_rows

        pack, query = super().find("queries", name)
        k = 0 if self._trusted else self._k(pack.name)
        self._need("queries", pack.name, query.name)
        counts = self.grants.packs[pack.name].role.counts.get(query.name) if k else None
        if k and counts is None:
            what = f"{pack.name}.{query.name}"
            raise ForbiddenError(f"role {self.role} may not ask for {what}: nothing counts its people")
        rows = super().query(name, **params)
        if k and counts:
            if absent := [name for name in counts if name not in rows.arrow.column_names]:
                raise ForbiddenError(f"{pack.name}.{query.name} has no column {absent[0]} to tell groups by")
            shown, some = suppress_rows(rows.rows, counts[0], counts[1:], k)
            note = (f"groups of fewer than {k} are not shown, nor what would give them away",) if some else ()
            names = [*rows.arrow.column_names, "suppressed"]
            kept = Rows.from_rows(shown) if shown else Rows.from_rows([dict.fromkeys(names)])
            rows = replace(rows, arrow=kept.arrow if shown else kept.arrow.slice(0, 0), notes=(*rows.notes, *note))
        return self._with_sql(rows)

    def analyze(self, name: str, **params: Any) -> Rows:
        if self._trusted:
            return super().analyze(name, **params)
        pack, analysis = self.find("analyses", name)
        return self._with_sql(self._declared().analyze(f"{pack.name}.{analysis.name}", **params))

    def experiment(self, name: str, **params: Any) -> Any:
        if self._trusted:
            return super().experiment(name, **params)
        from prodsense.privacy.suppress import suppress_readout

        pack, found = self.find("experiments", name)
        answer = self._declared().experiment(f"{pack.name}.{found.name}", **params)
        k = self._k(pack.name)
        return self._with_sql(suppress_readout(answer, k) if k else answer)

    def policies(self, *names: str, pack: str | None = None, **params: Any) -> list[Any]:
        if self._trusted:
            return super().policies(*names, pack=pack, **params)
        for name in names:
            self.find("policies", name)
        for owner in () if names else [pack] if pack else self.packs:
            self._need("policies", owner)
        found = self._declared().policies(*names, pack=pack, **params)
        # Violations are single rows: where groups only are shown, their number is.
        shown = [self._counted(result) if self._k(result.pack) else result for result in found]
        return [replace(result, violations=self._with_sql(result.violations)) for result in shown]

    @staticmethod
    def _counted(result: Any) -> Any:
        from prodsense.metrics.result import Rows

        rows = [{"violation": "a row that the role may not see"} for _ in range(len(result.violations))]
        return replace(result, violations=Rows.from_rows(rows))

    def detect(self, *names: Any, pack: str | None = None, **options: Any) -> Any:
        if self._trusted:
            return super().detect(*names, pack=pack, **options)
        for name in names:
            if isinstance(name, str):
                self.find("detectors", name)
            else:
                self._need("detectors", pack or "")
        for owner in () if names else [pack] if pack else self.packs:
            self._need("detectors", owner)
        return self._with_sql(self._declared().detect(*names, pack=pack, **options))

    def explain(self, metric: str, before: Any, after: Any, **options: Any) -> Any:
        if self._trusted:
            return super().explain(metric, before, after, **options)
        pack, found = self.find("metrics", metric)
        self._need("explain", pack.name)
        return self._with_sql(self._declared().explain(f"{pack.name}.{found.name}", before, after, **options))

    def findings(self, state: str | None = None, **moves: Any) -> Rows:
        for pack in self.packs:
            self._need("findings", pack)
        if self.grants.restricted or not self.packs:
            raise ForbiddenError(f"role {self.role} may not see findings: they are about all rows")
        # The queue is the project's own record: who may see it may also work on it.
        return self._under.findings(state, **moves)

    # -- rows --------------------------------------------------------------------------------------

    def relation(self, name: str) -> str:
        relation = self.root().relation(name)
        schema = relation.rpartition(".")[0]
        if self._condition(relation) is None:
            raise ForbiddenError(f"role {self.role} may not read {relation}")
        if not self._trusted and schema in self.grants.packs and not self.allows("methods", schema):
            self._need("rows", schema)
        return relation

    def show(self, name: str, limit: int | None = 20, where: str | None = None) -> Rows:
        relation = self.relation(name)
        schema = relation.rpartition(".")[0]
        if schema in self.grants.packs:
            self._need("rows", schema)
            if self._k(schema) and not self._trusted:
                raise ForbiddenError(f"role {self.role} sees groups, not stored rows")
        self._check_condition(where)
        return self._with_sql(super().show(relation, limit, where))

    def _check_condition(self, where: Any) -> None:
        """Refuse conditions that could tell of rows out of sight by failing on them."""
        from prodsense.privacy.suppress import refuse_failing

        if where and self.grants.restricted:
            refuse_failing(where, self.role)

    def events(self, *args: Any, **options: Any) -> Any:
        self._check_condition(options.get("where"))
        found = super().events(*args, **options)
        self._need("methods", found.relation.rpartition(".")[0])
        return found

    def doctor(self) -> list[Any]:
        for pack in self.packs:
            self._need("system", pack)
        return self._under.doctor()

    def as_role(self, name: str, **attributes: Any) -> Any:
        if name == "admin":
            return self  # never wider than what is in force
        return super().as_role(name, **attributes)


def open_packs(warehouse: Any, grants: Grants) -> Grants:
    """The grants, for a warehouse in which they give any rights; UsageError where they give none."""
    if not grants.packs:
        raise UsageError(f"role {grants.name} has no rights here: no pack of the warehouse declares it")
    return grants
