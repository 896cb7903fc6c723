"""Experiments on any table: columns that the user names become a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from prodsense.engines.base import comma, quoted
from prodsense.errors import UsageError, did_you_mean
from prodsense.inference.estimators import Outcome
from prodsense.inference.formula import Formula
from prodsense.inference.study import Margin, Measure, Plan, Role, Study
from prodsense.metrics.reading import find_column, relation_columns

if TYPE_CHECKING:
    from prodsense.engines.base import Engine

CONTROLS = ("control", "a", "baseline")


@dataclass(frozen=True)
class Spec:
    """A metric as users write it: a column, ``ratio:A/B``, ``quantile:COLUMN@0.9``, or ``NAME=`` one of these."""

    name: str
    columns: tuple[str, ...]
    role: Role = "primary"
    quantile: float | None = None
    margin: Margin | None = None

    @classmethod
    def read(cls, text: str, role: Role = "primary") -> Spec:
        margin = None
        given = text.strip()
        if role == "guardrail":
            given, colon, size = given.rpartition(":")
            if not colon or not given or given in ("ratio", "quantile"):
                raise UsageError(f"guardrail {text!r}: write it as METRIC:MARGIN, such as latency:0.05 or revenue:2%")
            margin = Margin.read(size, f"guardrail {text}")
        name, equals, body = given.partition("=")
        body = body.strip() if equals else given
        name = name.strip() if equals else ""
        quantile = None
        if body.startswith("ratio:"):
            columns = tuple(part.strip() for part in body.removeprefix("ratio:").split("/"))
            name = name or "/".join(columns)
            if len(columns) != 2 or not all(columns):
                raise UsageError(f"metric {text!r}: a ratio is written ratio:NUMERATOR/DENOMINATOR")
        elif body.startswith("quantile:"):
            column, at, q = body.removeprefix("quantile:").partition("@")
            try:
                quantile = float(q)
            except ValueError:
                quantile = 0.0
            if not at or not 0 < quantile < 1:
                raise UsageError(f"metric {text!r}: a quantile is written quantile:COLUMN@0.9, between 0 and 1")
            columns, name = (column.strip(),), name or f"{column.strip()} {quantile:g}-quantile"
        else:
            columns, name = (body,), name or body
        if not name or not all(columns):
            raise UsageError(f"metric {text!r}: name a column, ratio:A/B or quantile:COLUMN@0.9")
        return cls(name, columns, role, quantile, margin)


@dataclass(frozen=True)
class Asked:
    """What is asked of a table."""

    arm: str
    metrics: tuple[Spec, ...]
    unit: str = ""
    control: str = ""
    lower: tuple[str, ...] = ()
    covariates: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    strata: tuple[str, ...] = ()
    cluster: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    shares: Mapping[str, float] = field(default_factory=dict)
    time: str = ""
    where: str = ""
    winsorize: float | None = None
    plan: Mapping[str, Any] = field(default_factory=dict)


def read_covariates(given: Sequence[str] | Mapping[str, Any], metrics: Sequence[Spec]) -> dict[str, tuple[str, ...]]:
    """``COLUMN`` (of all metrics) or ``METRIC=COLUMN``; a ratio's covariate is ``A/B``."""
    found: dict[str, list[str]] = {}
    pairs = list(given.items()) if isinstance(given, Mapping) else [
        (text.rpartition("=")[0].strip(), text.rpartition("=")[2].strip()) for text in given]
    names = {spec.name for spec in metrics}
    for name, columns in pairs:
        if name and name not in names:
            raise UsageError(f"covariate of {name}: there is no such metric.{did_you_mean(name, names)}")
        for column in [columns] if isinstance(columns, str) else columns:
            for metric in [name] if name else sorted(names):
                found.setdefault(metric, []).append(column)
    return {name: tuple(columns) for name, columns in found.items()}


def study_of_table(engine: Engine, relation: str, asked: Asked, title: str = "") -> Study:
    """The study of a relation; UsageError for what it does not have."""
    return _Table(engine, relation, asked, title or relation).study()


class _Table:
    def __init__(self, engine: Engine, relation: str, asked: Asked, title: str):
        self.engine, self.relation, self.asked, self.title = engine, relation, asked, title
        self.types = relation_columns(engine, relation)
        self.params: dict[str, Any] = {}
        self.columns: dict[str, str] = {}
        self.notes: list[str] = []
        self.refused: list[tuple[str, Role, str]] = []
        self.where = self._where()

    def study(self) -> Study:
        asked = self.asked
        if not asked.metrics:
            raise UsageError("name at least one metric (--metric COLUMN)")
        twice = [s.name for i, s in enumerate(asked.metrics) if (s.name, s.role) in
                 {(t.name, t.role) for t in asked.metrics[:i]}]
        if twice:
            raise UsageError(f"metric {twice[0]} is named twice")
        for name in asked.lower:
            if name not in {s.name for s in asked.metrics}:
                raise UsageError(f"{name} is said to be better when lower, but is no metric asked for."
                                 f"{did_you_mean(name, {s.name for s in asked.metrics})}")
        measures = [m for spec in asked.metrics if (m := self._measure(spec)) is not None]
        design = [asked.arm, *asked.cluster, *asked.strata, *asked.segments]
        for name in design:
            self._column(name)
        source, base, facts = self._source()
        if asked.winsorize is not None:
            source = self._winsorized(source, measures)
        cluster = "cluster_" if asked.cluster else ""
        plan = Plan(
            asked.control, (), dict(asked.shares), design="cluster" if asked.cluster else "randomised",
            unit=" and ".join(asked.cluster) or asked.unit or "row", **asked.plan,
        )
        return Study(
            self.title, source, tuple(measures), plan, self.params, base, cluster,
            tuple(f"stratum_{i}" for i in range(len(asked.strata))), asked.segments,
            "assigned_at" if asked.time else "", None, facts, tuple(self.notes), refused=tuple(self.refused),
        )

    # -- columns ----------------------------------------------------------------------------------------

    def _column(self, name: str) -> str:
        """A column by name; UsageError with the near ones."""
        return find_column(self.types, name, "column", self.title)

    def _number(self, name: str) -> str:
        """SQL of a column's values as numbers."""
        import pyarrow as pa

        column = self._column(name)
        kind, text = self.types[column], comma([column])
        if pa.types.is_boolean(kind):
            return f"CASE WHEN {text} THEN 1 WHEN NOT {text} THEN 0 END"
        if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
            return text
        raise UsageError(f"{self.title}: {name} holds {kind}, not numbers; a metric or covariate needs numbers")

    def _value(self, sql: str) -> str:
        """The name under which the source offers an expression."""
        for name, known in self.columns.items():
            if known == sql:
                return name
        name = f"v{len(self.columns)}"
        self.columns[name] = sql
        return name

    def _measure(self, spec: Spec) -> Measure | None:
        names = [self._value(self._number(column)) for column in spec.columns]
        formula = Formula.quotient() if len(names) == 2 else Formula.mean()
        outcome, labels = Outcome(formula), []
        if spec.quantile is None:
            for covariate in self.asked.covariates.get(spec.name, ()):
                parts = [part.strip() for part in covariate.split("/")]
                for part in parts:
                    if not self._known(part):
                        self.refused.append((spec.name, spec.role, f"covariate {part} has no value: there is no"
                                             " time before the assignment to adjust for"))
                        return None
                names += [self._value(f"COALESCE({self._number(part)}, 0)") for part in parts]
                extra = Formula.quotient() if len(parts) == 2 else Formula.mean()
                outcome = Outcome(formula, (*outcome.covariates, extra))
                labels.append(covariate)
        better = "down" if spec.name in self.asked.lower else "up"
        return Measure(spec.name, outcome, tuple(names), spec.role, better, "", spec.margin, tuple(labels),
                       spec.quantile)

    def _known(self, name: str) -> int:
        """How many rows have a value of a covariate; those without are noted."""
        column = comma([self._column(name)])
        found = self.engine.query(
            f"SELECT COUNT(*) AS n, COUNT({column}) AS known FROM {quoted(self.relation)}{self.where}", self.params
        ).to_pylist()[0]
        if found["known"] and found["known"] < found["n"]:
            note = f"{found['n'] - found['known']:,} rows without {name} count with 0 there"
            if note not in self.notes:
                self.notes.append(note)
        return int(found["known"])

    # -- rows -------------------------------------------------------------------------------------------

    def _where(self) -> str:
        if not self.asked.where:
            return ""
        from sqlglot import exp

        from prodsense.metrics.filters import Literals, bind_filter, read_filter

        literals = Literals()
        kinds = self.engine.columns(self.relation) or {}

        def resolve(word: str) -> tuple[exp.Expression, str]:
            name = self._column(word)
            return exp.column(name, quoted=True), kinds.get(name, "")

        tree = bind_filter(read_filter(self.asked.where), resolve, literals)
        self.params |= literals.values
        return f" WHERE ({tree.sql('duckdb')})"

    def _source(self) -> tuple[str, bool, dict[str, int]]:
        """The SELECT of units, whether it only reads, and what is known of the units."""
        asked = self.asked
        arm = comma([self._column(asked.arm)])
        cluster = " || ' · ' || ".join(f"COALESCE(text_of({comma([self._column(c)])}), '')" for c in asked.cluster)
        design = {f"stratum_{i}": comma([self._column(name)]) for i, name in enumerate(asked.strata)}
        design |= {comma([name]): comma([self._column(name)]) for name in asked.segments}
        if cluster:
            design["cluster_"] = cluster
        if asked.time:
            design["assigned_at"] = f"CAST({comma([self._column(asked.time)])} AS TIMESTAMP)"
        both = f"{self.where}{' AND' if self.where else ' WHERE'} {arm} IS NOT NULL"
        if not asked.unit:
            items = [f"{arm} AS arm", *(f"{sql} AS {name}" for name, sql in {**design, **self.columns}.items())]
            return f"SELECT {', '.join(items)} FROM {quoted(self.relation)}{both}", True, {}
        unit = comma([self._column(asked.unit)])
        found = self.engine.query(
            f"SELECT COUNT(*) AS n, COUNT({unit}) AS named, COUNT(DISTINCT {unit}) AS units"
            f" FROM {quoted(self.relation)}{both}", self.params,
        ).to_pylist()[0]
        if found["named"] < found["n"]:
            self.notes.append(f"{found['n'] - found['named']:,} rows without {asked.unit} are left out")
        facts = {"units": int(found["units"]), "several_arms": 0}
        rows = f"FROM {quoted(self.relation)}{both} AND {unit} IS NOT NULL"
        if found["named"] == found["units"]:
            items = [f"{unit} AS unit", f"{arm} AS arm",
                     *(f"{sql} AS {name}" for name, sql in {**design, **self.columns}.items())]
            return f"SELECT {', '.join(items)} {rows}", True, facts
        # What happened adds up over a unit's rows; what was known before is the same on all of them.
        values = [f"{'mean' if sql.startswith('COALESCE(') else 'SUM'}({sql}) AS {name}"
                  for name, sql in self.columns.items()]
        items = [f"{unit} AS unit", f"MIN({arm}) AS arm", *(f"MIN({sql}) AS {name}" for name, sql in design.items()),
                 *values]
        counted = self.engine.query(
            f"SELECT COUNT(*) AS several FROM (SELECT {unit} {rows} GROUP BY {unit} HAVING COUNT(DISTINCT {arm}) > 1)"
            " AS leaks", self.params,
        )
        facts["several_arms"] = int(counted["several"][0].as_py())
        self.notes.append(f"{found['named']:,} rows of {found['units']:,} units are added up by {asked.unit}")
        select = f"SELECT {', '.join(items)} {rows} GROUP BY {unit} HAVING COUNT(DISTINCT {arm}) = 1"
        return select, False, facts

    def _winsorized(self, source: str, measures: list[Measure]) -> str:
        """The source with each metric's values cut at the quantile of all arms together."""
        q = float(self.asked.winsorize or 0)
        if not 0.5 < q < 1:
            raise UsageError(f"winsorize is a quantile between 0.5 and 1, such as 0.99, not {q:g}")
        cut = list(dict.fromkeys(
            name for m in measures if m.quantile is None for name in m.columns[: m.outcome.formula.columns]
            # A share has nothing to cut.
            if not self.columns[name].startswith("CASE ")))
        if not cut:
            return source
        found = self.engine.query(
            "SELECT " + ", ".join(f"quantile({name}, {q}) AS {name}" for name in cut) + f" FROM ({source}) AS units",
            self.params,
        ).to_pylist()[0]
        for name in cut:
            if found[name] is not None:
                self.params[f"cap_{name}"] = float(found[name])
                what = self.columns[name].strip('"')
                self.notes.append(f"{what} is cut at {float(found[name]):g} (quantile {q:g} of all arms)")
        kept = [name for name in cut if found[name] is not None]
        others = [name for name in self.columns if name not in kept]
        rest = ["arm", *(["unit"] if self.asked.unit else []), *self._design_names(), *others]
        capped = [f"CASE WHEN {n} > :cap_{n} THEN CAST(:cap_{n} AS DOUBLE) ELSE CAST({n} AS DOUBLE) END AS {n}"
                  for n in kept]
        return f"SELECT {', '.join([*rest, *capped])} FROM ({source}) AS units"

    def _design_names(self) -> list[str]:
        names = [f"stratum_{i}" for i in range(len(self.asked.strata))]
        names += [comma([name]) for name in self.asked.segments]
        return names + (["cluster_"] if self.asked.cluster else []) + (["assigned_at"] if self.asked.time else [])


def completed(plan: Plan, found: Sequence[str]) -> Plan:
    """The plan with the arms that the data have, and their control."""
    arms = tuple(sorted(found))
    control = plan.control
    if control and control not in arms:
        hint = did_you_mean(control, set(arms))
        hint = did_you_mean(control, set(arms))
        raise UsageError(f"control {control} is none of the arms {', '.join(arms) or '(none)'}.{hint}")
    if not control:
        control = next((arm for name in CONTROLS for arm in arms if arm.lower() == name), arms[0] if arms else "")
    for arm in plan.shares:
        if arm not in arms:
            raise UsageError(f"a share is planned for {arm}, which is none of the arms {', '.join(arms)}")
    return replace(plan, arms=(control, *(arm for arm in arms if arm != control)), control=control)
