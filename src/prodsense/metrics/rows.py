"""The rows that one source gives to a request: its joins, its window, its filter, its slices.

Only what is asked for is joined. Conditions compare the source's own columns with bound values, so that an
engine can skip what lies outside.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

from prodsense.contracts.sql import parse
from prodsense.contracts.vocabulary import Dimension
from prodsense.errors import SqlError, UsageError, did_you_mean
from prodsense.metrics.filters import Literals, bind_filter
from prodsense.metrics.paths import Path, expression, reachable, route
from prodsense.metrics.periods import start_of
from prodsense.metrics.scope import Relation, Request, Scope

if TYPE_CHECKING:
    from sqlglot import exp


@dataclass
class Context:
    """What all sources of one request share."""

    scope: Scope
    request: Request
    grain: str
    filter: exp.Expression | None = None
    literals: Literals = field(default_factory=Literals)
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


class Rows:
    """Rows of one source for one request; ask for dimensions first, then for the SELECT."""

    def __init__(self, context: Context, relation: Relation, time: str):
        self.context = context
        self.relation = relation
        self.time = time
        self.alias = relation.bare
        self._joins: dict[Path, str] = {}
        self._filter = self._bound_filter()

    def column(self, name: str) -> exp.Column:
        from sqlglot import exp

        return exp.column(name, table=self.alias)

    def own(self, tree: exp.Expression) -> exp.Expression:
        """A copy of an expression over the source's columns, qualified."""
        from sqlglot import exp

        copy = tree.copy()
        for column in list(copy.find_all(exp.Column)):
            column.set("table", exp.to_identifier(self.alias))
        return copy

    @property
    def is_day(self) -> bool:
        return self.relation.is_day(self.time)

    def moment(self) -> exp.Expression:
        """The row's time in the report zone: a DATE as it is, else the local timestamp."""
        from sqlglot import exp

        time = self.column(self.time)
        tz = self.context.request.tz
        if tz == "UTC":
            return time
        if self.is_day:
            self.context.note(f"{self.relation.name}.{self.time} holds days, taken as they are, not moved to {tz}")
            return time
        return exp.Anonymous(this="local_time", expressions=[time, exp.Literal.string(tz)])

    def period(self, grain: str) -> exp.Expression:
        """First day of the row's period."""
        from sqlglot import exp

        moment = self.moment()
        if grain == "day":
            return moment if self.is_day else exp.Anonymous(this="date_of", expressions=[moment])
        return exp.Anonymous(this="period_start", expressions=[moment, exp.Literal.string(grain)])

    def dimension(self, dimension: Dimension) -> exp.Expression:
        """The expression of a dimension, joined in if need be; UsageError where rows would fan out."""
        from sqlglot import exp

        origin = f"{self.context.scope.pack}.{dimension.name}"
        taken = route(self.context.scope, self.relation.name, dimension)
        if taken.home != "*":
            return expression(self.context.scope, taken.sql, taken.home, self._alias(taken.path), origin)
        if not self.time:
            raise UsageError(f"{self.relation.name} has no time, so it cannot be sliced by {dimension.name}")
        tree = parse(taken.sql, origin)
        if self.is_day and _reads_hours(tree):
            raise UsageError(
                f"{self.relation.name} cannot be sliced by {dimension.name}: its time {self.time} holds only days"
            )
        moment = self.moment()

        def replace(node: exp.Expression) -> exp.Expression:
            if not isinstance(node, exp.Column):
                return node
            if node.name.lower() != "time":
                raise SqlError(f"{origin}: at '*' only the column `time` is known, not {node.name}")
            return moment.copy()

        return tree.transform(replace)

    def _alias(self, path: Path) -> str:
        """The alias of the relation at the end of `path`, its joins made."""
        alias = self.alias
        for length in range(1, len(path) + 1):
            part = path[:length]
            if part not in self._joins:
                bare = part[-1].table.rpartition(".")[2]
                taken = {self.alias, *self._joins.values()}
                name = bare if bare not in taken else f"{'_'.join(part[-1].columns)}_{bare}"
                while name in taken:
                    name += "_2"
                self._joins[part] = name
            alias = self._joins[part]
        return alias

    def _bound_filter(self) -> exp.Expression | None:
        from sqlglot import exp

        if self.context.filter is None:
            return None
        scope = self.context.scope

        def resolve(name: str) -> tuple[exp.Expression, str]:
            dimension = scope.dimensions.get(name)
            own = self.relation.columns.get(name)
            if dimension is not None:
                try:
                    found = self.dimension(dimension)
                except UsageError as error:
                    if own is None:
                        raise UsageError(f"where: {error}") from None
                else:
                    kind = ""
                    if isinstance(found, exp.Column):
                        kind = self._type(found)
                    return (found if isinstance(found, exp.Column) else exp.Paren(this=found)), kind
            if own is not None:
                return self.column(name), own
            known = set(self.relation.columns) | set(reachable(scope, self.relation.name))
            raise UsageError(
                f"where: {name} is neither a dimension of {self.relation.name} nor a column."
                f"{did_you_mean(name, known)}"
            )

        return bind_filter(self.context.filter, resolve, self.context.literals)

    def _type(self, column: exp.Column) -> str:
        relation = self.relation.name
        for path, alias in self._joins.items():
            if alias == column.table:
                relation = path[-1].table
        return self.context.scope.relation(relation).columns.get(column.name, "")

    def conditions(self, since: str = "since", matures: int = 0) -> list[exp.Expression]:
        """The window's conditions; `since` names the parameter of its lower bound."""
        from sqlglot import exp

        request = self.context.request
        found: list[exp.Expression] = []
        if self.time:
            suffix = "_day" if self.is_day else ""
            time = self.column(self.time)

            def bound(name: str) -> exp.Placeholder:
                return exp.Placeholder(this=name + suffix)

            if request.since:
                found.append(time >= bound(since))
                if since == "since" and request.compare and self._cuts(request.since):
                    # Rows before `since` are read to compare with; those of its own period stay out.
                    found.append(exp.Paren(this=exp.or_(time.copy() >= bound("shown"), time.copy() < bound("cut"))))
            if request.until or (request.compare and self.context.grain == "all"):
                found.append(time.copy() < bound("until"))
            found.append(time.copy() <= bound("as_of"))
            if matures:
                found.append(time.copy() <= bound(f"matured_{matures}"))
        elif request.since or request.until:
            raise UsageError(f"{self.relation.name} has no time, so since and until cannot apply to it")
        if self._filter is not None:
            wanted = self._filter.copy()
            found.append(exp.Paren(this=wanted) if isinstance(wanted, exp.Or) else wanted)
        return found

    def _cuts(self, since: date) -> bool:
        """Whether `since` lies inside a period."""
        return self.context.grain != "all" and start_of(since, self.context.grain) != since

    def select(self, items: list[exp.Expression], conditions: list[exp.Expression]) -> exp.Select:
        """SELECT `items` from the source and its joins; names lose their table where only one is read."""
        from sqlglot import exp

        query = exp.select(*items, copy=False).from_(_table(self.relation.name, self.alias))
        for path, alias in self._joins.items():
            step = path[-1]
            parent = self._joins[path[:-1]] if len(path) > 1 else self.alias
            on = exp.and_(*(
                exp.EQ(this=exp.column(a, table=parent), expression=exp.column(b, table=alias))
                for a, b in zip(step.columns, step.target, strict=True)
            ))
            query = query.join(_table(step.table, alias), on=on, join_type="left", copy=False)
        if conditions:
            query = query.where(*conditions, copy=False)
        if not self._joins:
            for column in query.find_all(exp.Column):
                if column.table == self.alias:
                    column.set("table", None)
        return query


def _reads_hours(tree: exp.Expression) -> bool:
    from sqlglot import exp

    return any(isinstance(node, exp.Anonymous) and node.name.lower() == "hour_of" for node in tree.walk())


def _table(relation: str, alias: str) -> exp.Expression:
    from sqlglot import exp

    schema, _, name = relation.rpartition(".")
    table = exp.table_(name, db=schema)
    return exp.alias_(table, alias, table=True) if alias != name else table
