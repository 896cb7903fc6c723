"""Whether what a pack declares about roles and people names things that are there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prodsense.contracts.sql import bind_columns, parse, parse_select, placeholders, qualify_tables, sources
from prodsense.engines.base import quoted
from prodsense.engines.dialect import DIALECTS, expand_macros, render
from prodsense.errors import ContractError, did_you_mean
from prodsense.metrics.scope import Scope
from prodsense.privacy.roles import KINDS

#: Kinds of `Role.may` that are parts of a pack, so that names of artefacts go with them.
_PARTS = frozenset({
    "metrics", "queries", "analyses", "experiments", "detectors", "policies", "dashboards", "questions",
})  # fmt: skip


def check_role(role: Any, pack: Any, scope: Scope) -> None:
    """Raise ContractError or SqlError for the first thing that a role names wrongly."""
    origin = f"role {pack.name}.{role.name}"
    known = {param.name for param in role.attributes}
    for relation, condition in (role.rows or {}).items():
        scope.relation(relation, origin)
        if condition:
            _check_condition(condition, relation, scope, f"{origin}, rows of {relation}", known)
    for kind, names in role.may.items():
        if kind not in KINDS:
            raise ContractError(f"{origin}: may names no kind {kind}.{did_you_mean(kind, KINDS)}")
        _check_names(names, getattr(pack, kind) if kind in _PARTS else (), f"{origin}: {kind}")
    _check_names(role.counts, pack.queries, f"{origin}: counts")
    for name in (*role.see, *role.hide):
        relation, dot, column = name.rpartition(".")
        if dot and column not in scope.relation(relation, origin).columns:
            raise ContractError(f"{origin}: {relation} has no column {column}")
    if role.peers:
        mine, attribute, *alike = role.peers
        _check_names((mine, *alike), pack.dimensions, f"{origin}: peers")
        _check_names((attribute,), known, f"{origin}: attribute of peers")


def check_subject(subject: Any, pack: Any, scope: Scope) -> None:
    """The same for a kind of people: its columns are there, and what is emptied may be empty."""
    origin = f"subject {pack.name}.{subject.name}"
    home, _, key = subject.key.rpartition(".")
    _check_names((home,), pack.tables, f"{origin}: key")
    _check_names((key,), pack.tables[home].columns, f"{origin}: key")
    for relation, columns in {**subject.columns, **subject.blank}.items():
        _check_names((relation,), pack.tables, origin)
        _check_names(columns, pack.tables[relation].columns, f"{origin}: {relation}")
    for relation, columns in subject.blank.items():
        for column in columns:
            if not pack.tables[relation].columns[column].nullable:
                raise ContractError(f"{origin}: {relation}.{column} may not be null, so that it cannot be emptied")
    for relation, condition in subject.where.items():
        _check_names((relation,), subject.columns, f"{origin}: where")
        _check_condition(condition, relation, scope, f"{origin}, {relation}", set())


def check_people(pack: Any, scope: Scope) -> None:
    """The same for PEOPLE, PERSONAL and PUBLIC."""
    for relation, counted in pack.privacy("PEOPLE", {}).items():
        origin = f"PEOPLE of {pack.name}: {relation}"
        columns = scope.relation(relation, origin).columns
        if isinstance(counted, str):
            select = f"SELECT {counted} AS people FROM {quoted(scope.full(relation))}"
            _bind(select, scope, origin)
        else:
            _check_names(counted, columns, origin)
    for part in ("PERSONAL", "PUBLIC"):
        for name in pack.privacy(part, ()):
            relation, dot, column = name.rpartition(".")
            if dot and column not in scope.relation(relation, part).columns:
                raise ContractError(f"{part} of {pack.name}: {relation} has no column {column}")


def _check_condition(condition: str, relation: str, scope: Scope, origin: str, known: set[str]) -> None:
    if unknown := placeholders(parse(condition, origin)) - known:
        raise ContractError(f"{origin}: reads :{min(unknown)}, which is no attribute")
    _bind(f"SELECT 1 AS one FROM {quoted(scope.full(relation))} WHERE {condition}", scope, origin)


def _bind(select: str, scope: Scope, origin: str) -> None:
    tree = qualify_tables(parse_select(select, origin), scope.pack)
    relations = {name: scope.relation(name, origin).columns for name in sources(tree)}
    bind_columns(expand_macros(tree, "duckdb"), relations, origin)
    for dialect in DIALECTS:
        render(tree, dialect)


def _check_names(names: Iterable[str], known: Iterable[str], origin: str) -> None:
    listed = set(known)
    for name in names:
        if name != "*" and name not in listed:
            raise ContractError(f"{origin}: there is no {name}.{did_you_mean(name, listed)}")
