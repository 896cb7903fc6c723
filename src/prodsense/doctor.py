"""Is all well: the installation, the packs' definitions, the state of a warehouse."""

from __future__ import annotations

import platform
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any, Literal

from prodsense.errors import ProdsenseError

if TYPE_CHECKING:
    from prodsense.packs.pack import Pack
    from prodsense.warehouse import Warehouse

Level = Literal["ok", "warning", "error"]
_SIGNS: dict[Level, str] = {"ok": "✓", "warning": "!", "error": "✗"}
_ORDER: tuple[Level, ...] = ("error", "warning", "ok")


@dataclass(frozen=True)
class Finding:
    """One line of the examination: `about` what, and what was found; `do` says how to mend it."""

    level: Level
    about: str
    says: str
    do: str = ""

    def __str__(self) -> str:
        return f"{_SIGNS[self.level]} {self.about}: {self.says}" + (f"; {self.do}" if self.do else "")

    def to_dict(self) -> dict[str, str]:
        """JSON-ready form."""
        return asdict(self)


def examine(warehouse: Warehouse) -> list[Finding]:
    """All checks on an open warehouse, worst findings first."""
    return worst_first([*examine_installation(), *examine_packs(), *examine_warehouse(warehouse)])


def worst_first(findings: list[Finding]) -> list[Finding]:
    """Errors, then warnings, then what is well; otherwise in the order of the checks."""
    return sorted(findings, key=lambda finding: _ORDER.index(finding.level))


# -- installation ----------------------------------------------------------------------------------


def examine_installation() -> Iterator[Finding]:
    """Python and the packages that prodsense declares, against the versions it asks for."""
    yield Finding("ok", "python", platform.python_version())
    found, wrong = [], []
    for name, wanted in _requirements():
        try:
            have = metadata.version(name)
        except metadata.PackageNotFoundError:
            wrong.append(Finding("error", name, "not installed", f"pip install '{name}{wanted}'"))
            continue
        if _fits(have, wanted):
            found.append(f"{name} {have}")
        else:
            do = f"pip install '{name}{wanted}'"
            wrong.append(Finding("error", name, f"{have} does not fit {wanted}", do))
    yield from wrong
    if found:
        yield Finding("ok", "packages", ", ".join(found))


def _requirements() -> list[tuple[str, str]]:
    """(name, version bounds) of what the installed distribution requires, extras left out."""
    try:
        declared = metadata.requires("prodsense") or []
    except metadata.PackageNotFoundError:
        return []
    found = []
    for text in declared:
        requirement, _, marker = text.partition(";")
        if "extra" not in marker and (match := re.match(r"([\w.-]+)\s*(?:\[[^\]]*\])?\s*(.*)", requirement.strip())):
            found.append((match[1], match[2].strip(" ()")))
    return found


def _fits(version: str, bounds: str) -> bool:
    """Whether `version` keeps comma-separated lower and upper bounds, such as ``>=1.5,<3``."""

    def number(text: str) -> tuple[int, ...]:
        parts = [int(part) for part in re.findall(r"\d+", text.partition("+")[0])[:3]]
        return tuple(parts + [0] * (3 - len(parts)))

    checks: dict[str, Callable[[Any, Any], bool]] = {
        ">=": lambda a, b: a >= b, "<=": lambda a, b: a <= b, "==": lambda a, b: a == b, "!=": lambda a, b: a != b,
        "<": lambda a, b: a < b, ">": lambda a, b: a > b,
    }
    for bound in filter(None, (part.strip() for part in bounds.split(","))):
        operator = bound[:2] if bound[:2] in checks else bound[:1]
        if operator in checks and not checks[operator](number(version), number(bound[len(operator):])):
            return False
    return True


# -- packs -----------------------------------------------------------------------------------------


def examine_packs(processes: int = 1) -> Iterator[Finding]:
    """Every definition of every pack: contracts, SQL against them, portability, names that answer questions.

    A pack takes seconds of computing: with more `processes` several are examined at a time.
    """
    from prodsense.packs import pack_names

    names = pack_names()
    if min(processes, len(names)) < 2:
        for name in names:
            yield from _examine_named(name)
        return
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(min(processes, len(names)), get_context("spawn")) as pool:
        for found in pool.map(_examine_named, names):
            yield from found


def _examine_named(name: str) -> list[Finding]:
    """What is to be said of a pack."""
    from prodsense.packs import load_pack

    try:
        pack = load_pack(name)
        problems = list(examine_pack(pack))
    except ProdsenseError as error:
        return [Finding("error", f"pack {name}", error.message)]
    counts = (f"{len(getattr(pack, part))} {part}" for part in ("tables", "models", "metrics", "queries", "policies"))
    return problems or [Finding("ok", f"pack {name}", f"{', '.join(counts)}: all resolve, on every engine")]


def examine_pack(pack: Pack) -> Iterator[Finding]:
    """What is wrong in one pack's definitions; nothing when all is well."""
    from prodsense.build import check_models

    models = {f"{pack.name}.{model.name}": model for model in pack.models.values()}
    for problem in check_models(models, {table.relation: table for table in pack.tables.values()}):
        yield Finding("error", f"models of {pack.name}", problem)
    for label, check in definition_checks(pack):
        try:
            check()
        except ProdsenseError as error:
            yield Finding("error", label, error.message)
        except Exception as error:  # one broken definition must not hide the others
            yield Finding("error", label, f"{type(error).__name__}: {error}")
    declared = {entry["name"] for entry in pack.catalogue()}
    for question in pack.questions.values():
        for answer in question.answers:
            if answer not in declared:
                yield Finding(
                    "error", f"question {question.id}", f"{answer} is named as an answer, but pack {pack.name} has none"
                )


def definition_checks(pack: Pack) -> Iterator[tuple[str, Callable[[], None]]]:
    """Checks of all that a pack declares by name; each raises what is wrong."""
    from functools import partial

    from prodsense.contracts.vocabulary import Query
    from prodsense.engines.base import comma, quoted
    from prodsense.inference.checks import check_detector, check_tree
    from prodsense.inference.declared import check as check_experiment
    from prodsense.metrics import Scope, check_dimension, check_metric, check_query
    from prodsense.privacy.check import check_people, check_role, check_subject

    scope = Scope.of(pack)
    for dimension in pack.dimensions.values():
        yield f"slice {pack.name}.{dimension.name}", partial(check_dimension, dimension, scope)
    for metric in pack.metrics.values():
        yield f"metric {pack.name}.{metric.name}", partial(check_metric, metric, scope)
    for query in pack.queries.values():
        yield f"query {pack.name}.{query.name}", partial(check_query, query, scope)
    for experiment in pack.experiments.values():
        yield f"experiment {pack.name}.{experiment.name}", partial(check_experiment, experiment, scope)
    for policy in pack.policies.values():
        if policy.sql:
            path = f"{pack.name}/policies/{policy.name}.sql"
            text = Query(policy.name, policy.says, policy.sql, policy.params, policy.as_of, path)
            yield f"policy {pack.name}.{policy.name}", partial(check_query, text, scope)
    if log := pack.event_source:
        columns = dict.fromkeys(c for c in (log.user, log.time, log.event, log.device, *log.dimensions) if c)
        where = f" WHERE {log.where}" if log.where else ""
        select = f"SELECT {comma(columns)} FROM {quoted(log.table)}{where}"
        text = Query("events", "", select, path=f"{pack.name}/events.py")
        yield f"event table of {pack.name}", partial(check_query, text, scope)
    for tree in pack.trees.values():
        yield f"tree {pack.name}.{tree.name}", partial(check_tree, tree, scope)
    for role in pack.roles.values():
        yield f"role {pack.name}.{role.name}", partial(check_role, role, pack, scope)
    for subject in pack.subjects.values():
        yield f"subject {pack.name}.{subject.name}", partial(check_subject, subject, pack, scope)
    yield f"people of {pack.name}", partial(check_people, pack, scope)
    for detector in pack.detectors.values():
        yield f"detector {pack.name}.{detector.name}", partial(check_detector, detector, scope)


# -- warehouse -------------------------------------------------------------------------------------


def examine_warehouse(warehouse: Warehouse) -> Iterator[Finding]:
    """What the warehouse holds, whether its models are up to date, what is in quarantine, what points nowhere."""
    engine = warehouse.engine
    packs = warehouse.packs
    held = ", ".join(packs) or "no pack's tables yet"
    about = f"warehouse {engine.location}"
    yield Finding("ok", about, f"{engine.name}, can be read; holds {held}")
    if not packs:
        yield Finding("warning", about, "it is empty", "load data: prodsense ingest PATH --pack PACK")
    for name in packs:
        yield from _examine_models(warehouse, name)
        yield from _examine_references(warehouse, name)
    yield from _examine_quarantine(warehouse)


def _examine_models(warehouse: Warehouse, pack: str) -> Iterator[Finding]:
    from prodsense.build import status

    models, tables = warehouse.definitions([pack])
    states = status(warehouse.engine, models, tables)
    build = f"run: prodsense build --pack {pack}"
    for name, state in states.items():
        if state.error:
            yield Finding("error", f"model {name}", f"its last build failed: {' '.join(state.error.split())}", build)
    missing = [name for name, state in states.items() if state.never_built and not state.error]
    stale = [name for name, state in states.items() if state.stale and not state.error]
    if missing:
        yield Finding("warning", f"models of {pack}", f"{len(missing)} never built: {', '.join(missing)}", build)
    if stale:
        yield Finding(
            "warning", f"models of {pack}", f"{len(stale)} older than the newest data: {', '.join(stale)}", build
        )
    if states and not missing and not stale:
        yield Finding("ok", f"models of {pack}", f"all {len(states)} are up to date")


def _examine_references(warehouse: Warehouse, pack: str) -> Iterator[Finding]:
    """Rows whose parent is not there: loaded while the parent's table was empty, or never loaded at all."""
    engine = warehouse.engine
    existing = engine.relations()
    found = False
    for table in warehouse.pack(pack).tables.values():
        for reference in table.references:
            if table.relation not in existing:
                continue
            pairs = list(zip(reference.columns, reference.target, strict=True))
            # Names come from the contracts, never from a user.
            sql = f"SELECT COUNT(*) AS orphans FROM {table.relation} AS child WHERE " + " AND ".join(
                f"child.{own} IS NOT NULL" for own, _ in pairs
            )
            if reference.table in existing:
                match = " AND ".join(f"parent.{theirs} = child.{own}" for own, theirs in pairs)
                sql += f" AND NOT EXISTS (SELECT 1 FROM {reference.table} AS parent WHERE {match})"
            orphans = engine.query(sql)["orphans"][0].as_py()
            if orphans:
                found = True
                yield Finding(
                    "warning", f"table {table.relation}",
                    f"{_rows(orphans)} with a {', '.join(reference.columns)} that is in no row of {reference.table}",
                    f"load {reference.table}",
                )
    if not found:
        yield Finding("ok", f"references of {pack}", "every row finds its parents")


def _examine_quarantine(warehouse: Warehouse) -> Iterator[Finding]:
    from prodsense.ingest.ledger import QUARANTINE

    if QUARANTINE not in warehouse.engine.relations():
        return
    counts = warehouse.engine.query(
        f"SELECT relation, rule, column_name, COUNT(*) AS found FROM {QUARANTINE} WHERE released IS NULL"
        " GROUP BY relation, rule, column_name ORDER BY relation, found DESC, rule, column_name"
    ).to_pylist()
    for row in counts:
        reason = row["rule"] + (f" ({row['column_name']})" if row["column_name"] else "")
        yield Finding(
            "warning", f"quarantine of {row['relation']}", f"{_rows(row['found'])}: {reason}",
            f"see: prodsense show prodsense.quarantine --where \"relation = '{row['relation']}'\"",
        )
    if not counts:
        yield Finding("ok", "quarantine", "empty")


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"
