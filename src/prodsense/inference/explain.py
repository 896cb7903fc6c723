"""Why a number moved: how much and whether that is unusual, since when, through which parts, in which slices.

`explain` answers for a metric of a pack, `explain_table` (its own module) for any file or table. What they find is
arithmetic about what happened together with the move, not proof of what made it happen: the label is observational,
and hypotheses come ranked, each with its evidence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from prodsense.errors import ProdsenseError, UsageError
from prodsense.inference import explain_read as read
from prodsense.inference.explain_report import Explanation, Story, explanation
from prodsense.inference.explain_slices import breakdowns, joined, mixes, move_of, search, told
from prodsense.inference.explain_windows import (
    HISTORY,
    Daily,
    Window,
    change_of,
    onset,
    read_windows,
    usual_change,
)

if TYPE_CHECKING:
    from prodsense.contracts.vocabulary import Metric
    from prodsense.metrics.scope import Scope

#: Dimensions that are searched when none are named: so many, each with at most so many values.
DIMENSIONS, VALUES = 5, 200
#: An event this many days before the onset, or after it, stands beside it.
EVENT_BEFORE, EVENT_AFTER = 3, 1


def explain(
    warehouse: Any, name: str, before: Any, after: Any, *, dims: Sequence[str] = (), where: str | None = None,
    tree: str | None = None, events: Sequence[Mapping[str, Any]] = (), layers: int | None = None, as_of: Any = None,
    tz: str = "UTC",
) -> Explanation:
    """Why metric `name` moved between two windows: days, months or ranges such as ``2024-01-01..2024-01-07``.

    `dims` are the dimensions to search (default: those of the metric, at most `DIMENSIONS`), `layers` the most of them
    that a slice fixes, `tree` a declared tree other than the first. `events` are rows with ``at`` and ``what``.
    Raises UsageError when a window overlaps the other or holds no value.
    """
    from prodsense.metrics import periods

    pack, metric = warehouse.find("metrics", name)
    scope = warehouse.scope(pack.name)
    a, b = read_windows(before, after)
    moment = periods.read_moment(as_of, tz) if as_of is not None else None
    moment = moment or read.newest_moment(warehouse, pack.name, metric) or periods.midnight(b.until, tz)
    asker = _Asker(warehouse, pack, scope, where or "", moment, tz)
    headline = asker.values([metric], a, b)[metric.name]
    for value, window, side in ((headline[0], a, "from"), (headline[1], b, "to")):
        if value is None:
            raise UsageError(f"{metric.name} has no value in {side} {window}; choose days with data")
    how = read.reading(scope, metric)
    notes: list[str] = []
    scale = b.days / a.days if how.kind == "additive" else 1.0
    if scale != 1.0:
        notes.append(f"{a} has {a.days} days and {b} {b.days}: what was before is scaled by {scale:.3g}")
        headline = (None if headline[0] is None else headline[0] * scale, headline[1])
    if min(a.days, b.days) < 7 and (b.since - a.since).days % 7:
        notes.append("the two windows are not the same days of the week")
    daily = asker.daily(how, metric, a, b)
    story = Story(
        metric=f"{pack.name}.{metric.name}", unit=metric.unit, better=metric.better, window_before=str(a),
        window_after=str(b), before=headline[0], after=headline[1], kind=how.kind,
        usual=usual_change(daily, a, b), onset=onset(daily, a, b),
    )  # fmt: skip
    story = asker.with_tree(story, metric, tree, a, b, scale, notes)
    story = asker.with_slices(story, how, dims, a, b, scale, layers, notes)
    story = replace(story, events=_near(events, story, a, b))
    return explanation(story, notes, asker.statements, change_of(*headline))


@dataclass
class _Asker:
    """The questions that one explanation asks of a warehouse, and the statements it took."""

    warehouse: Any
    pack: Any
    scope: Scope
    where: str
    as_of: datetime
    tz: str

    def __post_init__(self) -> None:
        self.statements: list[str] = []

    def rows(self, metrics: Sequence[Metric], window: Window, **more: Any) -> Any:
        return read.rows_of(
            self.warehouse, self.pack.name, metrics, since=window.since, until=window.until, where=self.where,
            as_of=self.as_of, tz=self.tz, **more,
        )

    def values(self, metrics: Sequence[Metric], a: Window, b: Window) -> dict[str, tuple[float | None, float | None]]:
        """Each metric's value in both windows."""
        found = [self.rows(metrics, window).to_pylist() for window in (a, b)]
        return {
            m.name: tuple(  # type: ignore[misc]
                float(side[0][m.name]) if side and side[0][m.name] is not None else None for side in found
            )
            for m in metrics
        }

    def daily(self, how: read.Reading, metric: Metric, a: Window, b: Window) -> Daily:
        """The metric by day, from well before the first window to two weeks after the second."""
        import numpy as np

        from prodsense.metrics.definitions import leaves

        first = min(a.since, b.since) - timedelta(days=HISTORY)
        span = Window(first, max(a.until, b.until) + timedelta(days=14))
        parts = list(how.parts[: 1 if how.kind == "additive" else 2]) if how.kind else [metric]
        if any(leaf.per in ("week", "month") for leaf in leaves(self.scope, metric)):
            return Daily(first, np.array([]))
        named = [replace(m, name=f"{m.name}_daily") if m.source else m for m in parts] if how.kind else parts
        table = self.rows(named, span, grain="day")
        day = table.column("period").to_pylist()
        if not day:
            return Daily(first, np.array([]))
        start, end = min(day), max(day)
        place = np.array([(d - start).days for d in day])
        columns = []
        for part in named:
            values = table.column(part.name).to_numpy(zero_copy_only=False).astype(np.float64)
            column = np.full((end - start).days + 1, np.nan if how.kind is None else 0.0)
            column[place] = np.nan_to_num(values) if how.kind else values
            columns.append(column)
        if how.kind is None:
            # Days cannot be added up: a window's value is taken for the mean of its days.
            known = np.isfinite(columns[0])
            return Daily(start, np.where(known, columns[0], 0.0), known.astype(np.float64))
        return Daily(start, *columns)

    def with_tree(
        self, story: Story, metric: Metric, name: str | None, a: Window, b: Window, scale: float, notes: list[str]
    ) -> Story:
        from prodsense.inference import explain_tree

        tree = explain_tree.tree_of(self.scope, metric, list(self.pack.trees.values()), name)
        if tree is None:
            return story
        try:
            parts = [self.scope.metric(part) for part in explain_tree.parts_of_tree(self.scope, tree)]
            values = self.values(parts, a, b)
            before = {k: v[0] for k, v in values.items()}
            if scale != 1.0:
                before = {
                    k: v * scale if v is not None and read.reading(self.scope, self.scope.metric(k)).kind == "additive"
                    else v for k, v in before.items()
                }  # fmt: skip
            rows = explain_tree.branches(tree, before, {k: v[1] for k, v in values.items()},
                                         (story.before, story.after))
        except ProdsenseError as error:
            if name is not None:
                raise
            notes.append(f"not taken apart by {tree.sql}: {error.message}")
            return story
        return replace(story, tree=tuple(rows), tree_sql=f"{tree.metric} = {tree.sql}")

    def with_slices(
        self, story: Story, how: read.Reading, dims: Sequence[str], a: Window, b: Window, scale: float,
        layers: int | None, notes: list[str],
    ) -> Story:
        how = self._readable(how, story, notes)
        if how.kind is None:
            notes.append(f"no slices: {how.why}")
            return story
        named = [self.scope.dimension(name).name for name in dims]
        focus = {part.focus[0] for part in how.parts if part.focus}
        if about := focus.intersection(named):
            raise UsageError(f"{how.metric.name} is about one value of {about.pop()}: it does not add up from its"
            f" slices")
        wanted = named or [d for d in how.metric.by if d in self.scope.dimensions and d not in focus]
        if not wanted:
            wanted = sorted(self.scope.dimensions.keys() - focus)
        fit = read.sliceable(self.scope, how.parts, wanted)
        if named and len(fit) < len(named):
            missing = next(name for name in named if name not in fit)
            raise UsageError(f"{how.metric.name} cannot be sliced by {missing} without counting rows twice")
        if not named:
            fit = self._narrow(how, fit, b, notes)
        if not fit:
            notes.append(f"no slices: {how.metric.name} has no dimension to search")
            return story
        tables = [self.rows(how.parts, window, by=fit) for window in (a, b)]
        leaves = joined(tables[0], tables[1], how.kind, fit, [part.name for part in how.parts], scale)
        return with_leaves(replace(story, sliced=how.metric.name, dims=tuple(fit)), leaves, how.kind, layers, notes)

    def _readable(self, how: read.Reading, story: Story, notes: list[str]) -> read.Reading:
        """The metric itself, or, where its slices do not add up, the part of its tree that moved it most."""
        if how.kind is not None:
            return how
        for row in story.tree:
            part = read.reading(self.scope, self.scope.metric(row["part"]))
            if part.kind is not None:
                notes.append(f"slices are those of {part.metric.name}, the part that moved {how.metric.name} most")
                return part
        return how

    def _narrow(self, how: read.Reading, names: Sequence[str], b: Window, notes: list[str]) -> list[str]:
        """The first dimensions that have few enough values to search all combinations."""
        kept: list[str] = []
        wide: list[str] = []
        for name in names:
            if len(kept) == DIMENSIONS:
                break
            count = self.rows(how.parts[:1], b, by=[name]).num_rows
            if count > VALUES:
                wide.append(name)
            elif count > 1:
                kept.append(name)
        left = [name for name in names if name not in kept and name not in wide]
        if wide:
            notes.append(f"not searched for their many values: {', '.join(wide)}; name them in dims to do so")
        if left and len(kept) == DIMENSIONS:
            notes.append(f"not searched: {', '.join(left)}; name dims to choose others")
        return kept


def with_leaves(story: Story, leaves: Any, kind: Any, layers: int | None, notes: list[str]) -> Story:
    """A story with what its leaves tell: slices, candidates, mix, breakdowns."""
    try:
        found, rows = search(leaves, kind, layers)
    except UsageError as error:
        notes.append(f"no slices: {error.message}")
        return story
    return replace(
        story, slices=tuple(rows), answers=tuple(told(found.answers)), candidates=tuple(told(found.candidates)),
        mix=tuple(mixes(leaves, kind)), breakdown=tuple(breakdowns(leaves, kind)), looked_at=found.looked_at,
        sliced_move=move_of(leaves, kind).delta, overdispersion=found.overdispersion,
    )  # fmt: skip


def read_events(warehouse: Any, source: Any) -> list[dict[str, Any]]:
    """Known events as rows with ``at`` and ``what``, of a relation of the warehouse, a file, a frame or dicts."""
    from prodsense.engines.base import comma, quoted
    from prodsense.metrics.reading import find_column, is_file, read_data

    if source is None:
        return []
    if isinstance(source, str) and not is_file(source):
        relation = warehouse.relation(source)
        schema = warehouse.engine.columns(relation) or {}
        names = [find_column(schema, name, "event", relation) for name in ("at", "what")]
        table = warehouse.engine.query(f"SELECT {comma(names)} FROM {quoted(relation)}").rename_columns(["at", "what"])
    else:
        table = read_data(source)
        names = [find_column(dict.fromkeys(table.column_names), name, "event", "events") for name in ("at", "what")]
        table = table.select(names).rename_columns(["at", "what"])
    return [row for row in table.to_pylist() if row["at"] is not None]


def _near(events: Sequence[Mapping[str, Any]], story: Story, a: Window, b: Window) -> tuple[dict[str, Any], ...]:
    """Known events about the onset, or, without one, from the end of the first window on; nearest first."""
    if story.onset:
        first = story.onset["day"] - timedelta(days=EVENT_BEFORE)
        last = story.onset["day"] + timedelta(days=EVENT_AFTER)
    else:
        first, last = min(a.until, b.since) - timedelta(days=1), b.until - timedelta(days=1)
    found = []
    for event in events:
        at = event["at"]
        day = at.date() if isinstance(at, datetime) else at if isinstance(at, date) else None
        if day is None:
            raise UsageError(f"an event's time is a date or a moment, not {at!r}")
        if first <= day <= last:
            lag = (story.onset["day"] - day).days if story.onset else None
            found.append({"at": at, "what": str(event["what"]), "days_before_onset": lag})
    return tuple(sorted(found, key=lambda e: (abs(e["days_before_onset"] or 0), str(e["at"]))))
