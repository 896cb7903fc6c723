"""A pack: one folder of declarations and SQL, loaded part by part when first asked for.

::

    packs/<name>/
        __init__.py      PACK = Pack("<name>", "Title", "What it is about.", __name__)
        schema.sql       contracted tables
        models/*.sql     derived tables and views
        queries/*.sql    named queries
        policies/*.sql   violations of a policy that policies.py declares
        detectors/*.sql  findings of a detector that detectors.py declares
        metrics.py       METRICS, DIMENSIONS, TREES
        policies.py, detectors.py, experiments.py, pipelines.py, analyses.py, questions.py
        events.py        EVENTS, EVENTS_TABLE
        dashboards.py    CHARTS, DASHBOARDS
        roles.py         ROLES, PERSONAL, PUBLIC, PEOPLE, SUBJECTS
        simulate.py      simulate(days, scale, seed) -> Simulation
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from prodsense.contracts.sql import split_header
from prodsense.contracts.tables import Schema, Table, scan_schema
from prodsense.contracts.vocabulary import (
    REQUIRED,
    Analysis,
    Chart,
    Dashboard,
    Detector,
    Dimension,
    Event,
    EventSource,
    Experiment,
    Metric,
    MetricTree,
    Model,
    Param,
    Pipeline,
    Policy,
    Query,
    Question,
    Role,
    Subject,
)
from prodsense.errors import ContractError, UnknownNameError

_PARAM = re.compile(r"^(\w+)\s+(integer|number|text|date|timestamp|boolean)(?:\s*=\s*([^,]+?))?(?:\s*,\s*(.*))?$")


class Pack:
    """Everything known about one product; each part is read when first used.

    Parts are mappings by bare name: `tables`, `models`, `metrics`, `dimensions`, `queries`, `policies`,
    `analyses`, `trees`, `detectors`, `experiments`, `pipelines`, `events`, `charts`, `dashboards`, `questions`.
    """

    def __init__(self, name: str, title: str, says: str, module: str):
        self.name = name
        self.title = title
        self.says = says
        self.module = module

    def __repr__(self) -> str:
        return f"Pack({self.name!r})"

    @cached_property
    def folder(self) -> Path:
        return Path(str(import_module(self.module).__file__)).parent

    def _declared(self, part: str, name: str) -> Mapping[str, Any]:
        """The list `name` of the pack's module `part`, by artefact name; empty where there is no such module."""
        if find_spec(f"{self.module}.{part}") is None:
            return {}
        found: dict[str, Any] = {}
        for artefact in getattr(import_module(f"{self.module}.{part}"), name, ()):
            label = artefact.id if isinstance(artefact, Question) else artefact.name
            if label in found:
                raise ContractError(f"{self.name}/{part}.py: {label} is declared twice")
            found[label] = artefact
        return found

    def _files(self, part: str) -> Iterator[tuple[str, str, str]]:
        """(name, text, path shown in errors) of the pack's SQL files of one part."""
        for path in sorted((self.folder / part).glob("*.sql")):
            yield path.stem, path.read_text(encoding="utf-8"), f"{self.name}/{part}/{path.name}"

    @cached_property
    def schema_text(self) -> str:
        path = self.folder / "schema.sql"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    @cached_property
    def tables(self) -> Mapping[str, Table]:
        return Schema(self.schema_text, self.name, f"{self.name}/schema.sql")

    @cached_property
    def models(self) -> dict[str, Model]:
        return {name: read_model(name, text, path) for name, text, path in self._files("models")}

    def completing(self, table: str) -> str:
        """The model that holds a table's rows and more of their kind, or an empty string."""
        return next((model.name for model in self.models.values() if model.completes == table), "")

    @cached_property
    def queries(self) -> dict[str, Query]:
        return {name: read_query(name, text, path) for name, text, path in self._files("queries")}

    @cached_property
    def metrics(self) -> Mapping[str, Metric]:
        return self._declared("metrics", "METRICS")

    @cached_property
    def trees(self) -> Mapping[str, MetricTree]:
        return self._declared("metrics", "TREES")

    @cached_property
    def dimensions(self) -> Mapping[str, Dimension]:
        return self._declared("metrics", "DIMENSIONS")

    @cached_property
    def policies(self) -> Mapping[str, Policy]:
        found = dict(self._declared("policies", "POLICIES"))
        for name, text, path in self._files("policies"):
            if name not in found:
                raise ContractError(f"{path}: no policy of that name is declared in policies.py")
            query = read_query(name, text, path)
            declared = found[name]
            found[name] = replace(
                declared, sql=text, params=declared.params or query.params, as_of=declared.as_of or query.as_of
            )
        for name, policy in found.items():
            if not policy.sql and policy.check is None:
                raise ContractError(f"{self.name}: policy {name} has neither policies/{name}.sql nor a check")
        return found

    @cached_property
    def analyses(self) -> Mapping[str, Analysis]:
        return self._declared("analyses", "ANALYSES")

    @cached_property
    def detectors(self) -> Mapping[str, Detector]:
        found = dict(self._declared("detectors", "DETECTORS"))
        for name, text, path in self._files("detectors"):
            if name not in found:
                raise ContractError(f"{path}: no detector of that name is declared in detectors.py")
            query, declared = read_query(name, text, path), found[name]
            found[name] = replace(
                declared, sql=text, params=declared.params or query.params, as_of=declared.as_of or query.as_of,
                path=path,
            )
        for name, detector in found.items():
            if bool(detector.sql) == (detector.run is not None):
                raise ContractError(f"{self.name}: detector {name} takes either detectors/{name}.sql or a run")
        return found

    @cached_property
    def experiments(self) -> Mapping[str, Experiment]:
        return self._declared("experiments", "EXPERIMENTS")

    @cached_property
    def pipelines(self) -> Mapping[str, Pipeline]:
        return self._declared("pipelines", "PIPELINES")

    @cached_property
    def events(self) -> Mapping[str, Event]:
        return self._declared("events", "EVENTS")

    @cached_property
    def event_source(self) -> EventSource | None:
        """Where its users act, if the pack declares it (``EVENTS_TABLE`` of events.py)."""
        if find_spec(f"{self.module}.events") is None:
            return None
        return getattr(import_module(f"{self.module}.events"), "EVENTS_TABLE", None)

    @cached_property
    def charts(self) -> Mapping[str, Chart]:
        return self._declared("dashboards", "CHARTS")

    @cached_property
    def dashboards(self) -> Mapping[str, Dashboard]:
        return self._declared("dashboards", "DASHBOARDS")

    @cached_property
    def questions(self) -> Mapping[str, Question]:
        return self._declared("questions", "QUESTIONS")

    @cached_property
    def roles(self) -> Mapping[str, Role]:
        """Its own forms of roles; those that every pack has are in `prodsense.privacy.roles`."""
        return self._declared("roles", "ROLES")

    @cached_property
    def subjects(self) -> Mapping[str, Subject]:
        return self._declared("roles", "SUBJECTS")

    def privacy(self, name: str, default: Any) -> Any:
        """What roles.py says under `name` (PERSONAL, PUBLIC, PEOPLE), or `default`."""
        if find_spec(f"{self.module}.roles") is None:
            return default
        return getattr(import_module(f"{self.module}.roles"), name, default)

    def simulate(self, days: int = 28, scale: float = 1.0, seed: int = 7, **options: Any) -> Any:
        """Simulated tables and the truth planted in them (`prodsense.simulate.Simulation`)."""
        return import_module(f"{self.module}.simulate").simulate(days=days, scale=scale, seed=seed, **options)

    def catalogue(self) -> list[dict[str, Any]]:
        """One entry an artefact: pack, kind, name, says and what is particular to the kind; parses no SQL."""
        asked: dict[str, list[str]] = {}
        for question in self.questions.values():
            for answer in question.answers:
                asked.setdefault(answer, []).append(question.id)
        entries = list(self._entries())
        for entry in entries:
            entry["questions"] = asked.get(entry["name"], [])
        return entries

    def _entries(self) -> Iterator[dict[str, Any]]:
        def entry(kind: str, name: str, says: str, **more: Any) -> dict[str, Any]:
            return {"pack": self.name, "kind": kind, "name": name, "says": says, **more}

        for name, says in scan_schema(self.schema_text):
            yield entry("table", name.lower(), says)
        for event in self.events.values():
            yield entry("event", event.name, event.says, version=event.version)
        for model in self.models.values():
            yield entry("view" if model.kind == "view" else "model", model.name, model.says)
        for dimension in self.dimensions.values():
            yield entry("slice", dimension.name, dimension.says)
        for metric in self.metrics.values():
            if not metric.hidden:
                yield entry("metric", metric.name, metric.says, unit=metric.unit, better=metric.better,
                            by=list(metric.by), grain=metric.grain)
        for tree in self.trees.values():
            yield entry("tree", tree.name, tree.says, metric=tree.metric, sql=tree.sql)
        for kind, artefacts in (("query", self.queries), ("policy", self.policies), ("detector", self.detectors)):
            for artefact in artefacts.values():
                yield entry(kind, artefact.name, artefact.says, params=_params(artefact))
        for analysis in self.analyses.values():
            yield entry(analysis.kind, analysis.name, analysis.says, params=_params(analysis))
        for experiment in self.experiments.values():
            arms = list(experiment.arms)
            yield entry("experiment", experiment.name, experiment.says, unit=experiment.unit, arms=arms)
        for kind, named in (("pipeline", self.pipelines), ("chart", self.charts), ("dashboard", self.dashboards)):
            for item in named.values():
                yield entry(kind, item.name, item.says)
        for question in self.questions.values():
            yield entry("question", question.id, question.ask, answers=list(question.answers))


class PackTables(Mapping[str, Table]):
    """The tables of packs by relation; a table is parsed when it is first asked for."""

    def __init__(self, packs: Iterable[Pack]):
        self._packs = {pack.name: pack for pack in packs}

    def __iter__(self) -> Iterator[str]:
        return (f"{pack.name}.{name}" for pack in self._packs.values() for name in pack.tables)

    def __len__(self) -> int:
        return sum(len(pack.tables) for pack in self._packs.values())

    def __contains__(self, relation: object) -> bool:
        pack, _, name = str(relation).partition(".")
        return pack in self._packs and name in self._packs[pack].tables

    def __getitem__(self, relation: str) -> Table:
        pack, _, name = relation.partition(".")
        return self._packs[pack].tables[name]


def _params(artefact: Any) -> list[dict[str, Any]]:
    params = [
        {"name": p.name, "type": p.type, "says": p.says,
         **({"required": True} if p.default is REQUIRED else {"default": p.default})}
        for p in artefact.params
    ]
    source = getattr(artefact, "as_of", "")
    if source and not any(p["name"] == "as_of" for p in params):
        params.insert(0, {"name": "as_of", "type": "timestamp", "says": "The moment to look back from.",
                          "default": f"newest {source}"})
    return params


def read_model(name: str, text: str, path: str) -> Model:
    """Read a model file's header; its SQL is parsed when first used."""
    says, directives = split_header(text)

    def one(key: str) -> str:
        values = directives.get(key, [])
        if len(values) > 1:
            raise ContractError(f"{path}: '{key}:' stands twice in the header")
        return values[0] if values else ""

    def days(key: str) -> int:
        value = one(key)
        if not value:
            return 0
        if not (found := re.fullmatch(r"(\d+)\s+days?", value)):
            raise ContractError(f"{path}: '{key}: {value}' should read like '{key}: 3 days'")
        return int(found.group(1))

    kind = one("kind") or "table"
    if kind not in ("table", "view"):
        raise ContractError(f"{path}: kind is table or view, not {kind!r}")
    references = {}
    for part in (p.strip() for line in directives.get("references", []) for p in line.split(",")):
        column, _, table = part.partition(" ")
        if not column or not table:
            raise ContractError(f"{path}: '{part}' should read 'column table' in references")
        references[column] = table.strip()
    columns = {}
    for line in directives.get("column", []):
        column, _, meaning = line.partition("=")
        columns[column.strip()] = meaning.strip()
    partition = one("partition")
    return Model(
        name, " ".join(says), text, "view" if kind == "view" else "table",
        tuple(c.strip() for c in one("key").split(",") if c.strip()), partition, one("time") or partition,
        days("late"), days("spread"), references, columns, path, one("completes"),
    )


def read_query(name: str, text: str, path: str) -> Query:
    """Read a query file's header: description, parameters, where the default as_of comes from."""
    says, directives = split_header(text)
    params = []
    for line in directives.get("param", []):
        found = _PARAM.match(line)
        if not found:
            raise ContractError(f"{path}: '{line}' should read like 'param: min_orders integer = 50, smallest number'")
        label, kind, default, meaning = found.groups()
        params.append(Param(label, kind, _default(default, kind, path), meaning or ""))  # type: ignore[arg-type]
    return Query(name, " ".join(says), text, tuple(params), (directives.get("as_of") or [""])[0], path)


def _default(text: str | None, kind: str, path: str) -> Any:
    if text is None:
        return REQUIRED
    if text.lower() == "null":
        return None
    try:
        match kind:
            case "integer":
                return int(text)
            case "number":
                return float(text)
            case "boolean":
                return {"true": True, "false": False}[text.lower()]
            case _:
                return text.strip("'")
    except (ValueError, KeyError):
        raise ContractError(f"{path}: default {text!r} is no {kind}") from None


def unknown(kind: str, name: str, known: list[str]) -> UnknownNameError:
    """The error for a name that does not exist, with the nearest ones that do."""
    from prodsense.errors import did_you_mean

    return UnknownNameError(f"no {kind} named {name}.{did_you_mean(name, known) or ' See: prodsense catalog'}")
