"""Small groups: values of fewer than k people are not shown, nor can they be worked out from the values that are.

Complementary suppression after Willenborg and de Waal, "Elements of Statistical Disclosure Control" (2001), ch. 6:
sums over a dimension, and over a longer period, are taken as known, whether asked for or not. No cell that is too
small may then follow from them and the cells shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any

from prodsense.contracts.vocabulary import Metric
from prodsense.errors import ForbiddenError
from prodsense.metrics import periods
from prodsense.metrics.definitions import leaves
from prodsense.metrics.observations import counting

if TYPE_CHECKING:
    from prodsense.metrics.result import Result
    from prodsense.metrics.scope import Scope

#: Longer periods that periods of a grain add up to; weeks nearly so, and the days at the edges make up for it.
_LONGER = {
    "day": ("week", "month", "quarter", "year"), "week": ("month", "quarter", "year"), "month": ("quarter", "year"),
    "quarter": ("year",),
}  # fmt: skip
#: Unknowns up to which the check of sums is solved directly.
_DIRECT = 300

Key = tuple[Any, tuple[Any, ...]]


@dataclass(frozen=True)
class Supported:
    """A scope whose further, hidden metrics count the people behind each metric asked for."""

    scope: Scope
    counts: Mapping[str, tuple[str, ...]]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for names in self.counts.values() for name in names))


def supported(
    scope: Scope, metrics: Sequence[str], people: Mapping[str, str | Sequence[str]], keys: Sequence[str]
) -> Supported:
    """Counts of people for `metrics`.

    `people` maps a relation to the columns that each identify people, or to an aggregate that counts them; nothing
    for rows that are about nobody. For relations that it does not name, columns of `keys` (that identify people
    throughout the pack) or in a part of them (``driver_user_id``), else rows are counted.
    """
    found: dict[str, Metric] = {}
    counts: dict[str, tuple[str, ...]] = {}
    for asked in metrics:
        mine: list[str] = []
        for leaf in leaves(scope, scope.metric(asked)):
            for sql in _counted(scope, leaf, people, keys):
                count = counting(leaf, sql)
                name = next((n for n, known in found.items() if replace(known, name="") == count), "")
                if not name:
                    name = f"_people_{len(found) + 1}"
                    found[name] = replace(count, name=name)
                mine.append(name)
        counts[scope.bare(asked)] = tuple(dict.fromkeys(mine))
    return Supported(replace(scope, metrics={**scope.metrics, **found}), counts)


def _counted(
    scope: Scope, leaf: Metric, people: Mapping[str, str | Sequence[str]], keys: Sequence[str]
) -> tuple[str, ...]:
    if leaf.rolling:
        return (leaf.sql,)  # COUNT(DISTINCT somebody): its own support
    relation = scope.relation(leaf.source)
    declared = people.get(relation.bare)
    if isinstance(declared, str):
        return (declared,)
    if declared is None:
        declared = [column for column in relation.columns if _names_somebody(column, keys)]
        if not declared:
            return ("COUNT(*)",)
    return tuple(f"COUNT(DISTINCT {column})" for column in declared)


def _names_somebody(column: str, keys: Sequence[str]) -> bool:
    """Whether a column holds a key of people, as it is or in a part (``driver_user_id``)."""
    return any(column.lower() == key or column.lower().endswith(f"_{key}") for key in keys)


# -- which cells -------------------------------------------------------------------------------------


def protect(sizes: Mapping[Any, int], lines: Sequence[Sequence[Any]], k: int) -> set[Any]:
    """Cells not to show: those of fewer than `k` people, and others, so that no sum gives these away.

    `sizes` are people by cell, in an order that each line keeps; `lines` are sets of cells whose sum is known. On each
    line with a hidden cell another of at least `k` people is hidden too where there is one, so that what is left is
    never about a few; then no small cell may follow from all sums together.

    It is the nearest, not the smallest: so a coarser answer and a finer one hide the same places, and what one hides
    the other does not tell.
    """
    hidden = {cell for cell, size in sizes.items() if size < k}
    if not hidden:
        return hidden
    small = set(hidden)
    order = {cell: place for place, cell in enumerate(sizes)}
    on: dict[Any, list[int]] = {}
    for number, line in enumerate(lines):
        for cell in line:
            on.setdefault(cell, []).append(number)

    def next_of(cells: Sequence[Any]) -> Any:
        """The cell shown that is on most lines with the first hidden one; of several the next behind it.

        A cell that is alone on a line comes last: its sum tells it, so that it hides nothing.
        """
        first = min((cell for cell in cells if cell in hidden), key=order.__getitem__)
        lines_of_first, start = set(on.get(first, ())), order[first]

        def rank(cell: Any) -> tuple[Any, ...]:
            mine = on.get(cell, ())
            alone = sum(len(lines[number]) == 1 for number in mine)
            shared = len(lines_of_first.intersection(mine))
            return alone, -shared, order[cell] < start, order[cell]

        return min((cell for cell in cells if cell not in hidden), key=rank, default=None)

    todo = {number for cell in hidden for number in on.get(cell, ())}
    while True:
        while todo:
            number = min(todo)
            todo.discard(number)
            line = lines[number]
            out = [cell for cell in line if cell in hidden]
            if out and (len(out) < 2 or all(sizes[cell] < k for cell in out)):
                more = next_of(line)
                if more is not None:
                    hidden.add(more)
                    todo.update(on[more])
        for cell in sorted(_determined(hidden, lines, on) & small, key=order.__getitem__):
            near = (next_of(lines[number]) for number in on.get(cell, ()))
            more = next((other for other in near if other is not None), None)
            if more is not None:
                hidden.add(more)
                todo.update(on[more])
        if not todo:
            return hidden


def _determined(hidden: set[Any], lines: Sequence[Sequence[Any]], on: Mapping[Any, list[int]]) -> set[Any]:
    """Hidden cells whose value follows from the sums of the lines and the cells shown.

    A cell is free where some change of the hidden cells keeps all sums: a random change, projected on those that do,
    moves it.
    """
    import numpy as np

    found: set[Any] = set()
    left = set(hidden)
    while left:
        # Cells that share lines, directly or through others, are solved together.
        cells, numbers, queue = [], set(), [left.pop()]
        while queue:
            cell = queue.pop()
            cells.append(cell)
            for number in on.get(cell, ()):
                if number not in numbers:
                    numbers.add(number)
                    near = [other for other in lines[number] if other in left]
                    left.difference_update(near)
                    queue += near
        column = {cell: place for place, cell in enumerate(cells)}
        at = [(row, column[c]) for row, number in enumerate(sorted(numbers)) for c in lines[number] if c in column]
        if not at:
            continue
        change = np.random.default_rng(7).normal(size=len(cells))
        kept = _keeping_sums(at, len(numbers), change)
        found.update(cell for cell, place in column.items() if abs(kept[place]) < 1e-6)
    return found


def _keeping_sums(at: list[tuple[int, int]], rows: int, change: Any) -> Any:
    """The part of a change that leaves the sum of each row as it is."""
    import numpy as np

    which = np.array(at)
    if len(change) <= _DIRECT:
        sums = np.zeros((rows, len(change)))
        sums[which[:, 0], which[:, 1]] = 1.0
        return change - np.linalg.pinv(sums) @ (sums @ change)
    from scipy.sparse import csr_array
    from scipy.sparse.linalg import lsmr

    sparse = csr_array((np.ones(len(which)), (which[:, 0], which[:, 1])), shape=(rows, len(change)))
    moved = lsmr(sparse, sparse @ change, atol=1e-12, btol=1e-12, maxiter=20 * len(change))[0]
    return change - moved


def lines_of(cells: Sequence[Key], grain: str) -> list[list[Key]]:
    """Sets of cells whose sum is known: over each slice, and over the periods of each longer one and of all time."""
    found: dict[Any, list[Key]] = {}
    for cell in cells:
        period, slices = cell
        for place in range(len(slices)):
            found.setdefault(("slice", place, period, slices[:place], slices[place + 1 :]), []).append(cell)
        if isinstance(period, date):
            for longer in _LONGER.get(grain, ()):
                found.setdefault((longer, periods.start_of(period, longer), slices), []).append(cell)
            found.setdefault(("all", slices), []).append(cell)
    return list(found.values())


# -- on a result -------------------------------------------------------------------------------------


def suppress(result: Result, asked: Sequence[str], support: Supported, k: int, rest: Result | None = None) -> Result:
    """`result`, which has the counts of `support` beside the metrics `asked`, without values of small groups.

    A row is hidden as a whole: its metrics may be parts of each other. `rest` counts the people left out by a
    condition: a group that lacks just a few is hidden too, since its total less it would tell of those.
    """
    import pyarrow as pa

    cells = _cells(result)
    now = _sizes(result, asked, support, "")
    few = _few_left_out(rest, support, k)
    sizes: dict[Any, int] = {}
    for cell, size in zip(cells, now, strict=True):
        if size is not None:
            sizes[cell] = 0 if cell in few else size
    before: list[Key] = []
    if result.compare:
        shift = _earlier(result)
        before = [(shift(period), slices) for period, slices in cells]
        for cell, size in zip(before, _sizes(result, asked, support, "_previous"), strict=True):
            if size is not None:
                sizes.setdefault(cell, 0 if cell in few else size)
    sizes = {cell: sizes[cell] for cell in sorted(sizes, key=_in_order)}
    hidden = protect(sizes, lines_of(list(sizes), result.grain), k)
    gone = [cell in hidden for cell in cells]
    gone_before = [cell in hidden for cell in before]
    masks = {"": gone}
    if result.compare:
        either = [a or b for a, b in zip(gone, gone_before, strict=True)]
        masks |= {"_previous": gone_before, "_delta": either, "_change": either}
    dropped = {f"{name}{suffix}" for name in support.names for suffix in masks}
    columns: dict[str, Any] = {}
    for name in result.arrow.column_names:
        if name in dropped:
            continue
        column = result.arrow.column(name)
        for suffix, mask in masks.items():
            if name in {f"{metric}{suffix}" for metric in asked} and any(mask):
                column = _without(column, mask)
        columns[name] = column
    columns["suppressed"] = pa.array(gone, pa.bool_())
    if result.compare:
        columns["suppressed_previous"] = pa.array(gone_before, pa.bool_())
    notes = tuple(note for note in result.notes if note.split(":")[0] not in support.names)
    if hidden:
        notes = (*notes, f"groups of fewer than {k} are not shown, nor what would give them away")
    return replace(
        result, arrow=pa.table(columns), metrics=tuple(m for m in result.metrics if m not in support.names),
        units={n: u for n, u in result.units.items() if n not in support.names},
        better={n: b for n, b in result.better.items() if n not in support.names}, notes=notes,
    )


def _in_order(cell: Key) -> tuple[Any, ...]:
    """Cells by period and slices, as results are sorted; values of several kinds by their text."""
    return tuple((value is None, type(value).__name__, value) if not isinstance(value, (list, dict))
                 else (False, "", repr(value)) for value in (cell[0], *cell[1]))  # fmt: skip


def _cells(result: Result) -> list[Key]:
    rows = result.arrow.select([*(["period"] if result.grain != "all" else []), *result.by]).to_pylist() \
        if result.by or result.grain != "all" else [{}] * result.arrow.num_rows  # fmt: skip
    return [(row.get("period"), tuple(row[name] for name in result.by)) for row in rows]


def _sizes(result: Result, asked: Sequence[str], support: Supported, suffix: str) -> list[int | None]:
    """People behind each row: the fewest behind any of its metrics; None where no metric has a value.

    A count of 0 beside others says that its people play no part: an order without a driver is about its customer.
    """
    values = {name: result.arrow.column(name + suffix).to_pylist() for name in (*asked, *support.names)}
    found: list[int | None] = []
    for row in range(result.arrow.num_rows):
        sizes: list[int] = []
        for metric in asked:
            if values[metric][row] is not None:
                counts = [int(values[name][row] or 0) for name in support.counts[metric]]
                people = [count for count in counts if count]
                # Nothing of nobody tells of nobody; a value of nobody known is not shown.
                if people or (counts and values[metric][row]):
                    sizes.append(min(people, default=0))
        found.append(min(sizes, default=None))
    return found


def _few_left_out(rest: Result | None, support: Supported, k: int) -> set[Key]:
    """Cells, also earlier ones, of which a condition leaves out just a few people."""
    found: set[Key] = set()
    if rest is None:
        return found
    shift = _earlier(rest)
    for (period, slices), row in zip(_cells(rest), rest.rows, strict=True):
        if any(0 < (row[name] or 0) < k for name in support.names):
            found.add((period, slices))
        if rest.compare and any(0 < (row[f"{name}_previous"] or 0) < k for name in support.names):
            found.add((shift(period), slices))
    return found


def _earlier(result: Result) -> Any:
    if result.grain == "all":
        return lambda period: "before"
    if result.compare == "previous":
        return lambda period: periods.shift(period, result.grain, -1)
    return lambda period: periods.year_before(period, result.grain)


def _without(column: Any, mask: Sequence[bool]) -> Any:
    """The column, null where the mask is true."""
    import pyarrow as pa

    values = [None if gone else value for value, gone in zip(column.to_pylist(), mask, strict=True)]
    return pa.array(values, column.type)


def suppress_rows(
    rows: list[dict[str, Any]], count: str, keys: Sequence[str], k: int
) -> tuple[list[dict[str, Any]], bool]:
    """Rows of a query without the numbers of those whose `count` is under `k`, and whether there are such.

    Rows that differ in one of `keys` alone are parts of a total that is taken as known; without keys, all rows are.
    """
    cells = [(None, tuple(row[name] for name in keys) if keys else (place,)) for place, row in enumerate(rows)]
    sizes = {cell: int(row[count]) for cell, row in zip(cells, rows, strict=True) if row[count]}
    hidden = protect(sizes, lines_of(list(sizes), "all"), k)
    shown = []
    for cell, row in zip(cells, rows, strict=True):
        gone = cell in hidden
        kept = {n: None if gone and n not in keys and _is_number(value) else value for n, value in row.items()}
        shown.append({**kept, "suppressed": gone})
    return shown, bool(hidden)


def suppress_readout(readout: Any, k: int) -> Any:
    """An experiment's readout without effects on fewer than `k` units, nor segments where one is so small."""
    from prodsense.metrics.result import Rows

    def small(row: Mapping[str, Any]) -> bool:
        sizes = [value for name, value in row.items() if name == "units" or name.startswith("n_")]
        return any(isinstance(size, (int, float)) and 0 < size < k for size in sizes)

    rows, segments = readout.rows, list(readout.extras.get("segments") or ())
    gone = [small(row) for row in rows]
    # Effects on all units less those on the other segments would tell of the small one.
    parts = any(map(small, segments))
    if not any(gone) and not parts:
        return readout
    shown = [
        {name: None if hide and _is_number(value) else value for name, value in row.items()}
        for row, hide in zip(rows, gone, strict=True)
    ]
    extras = {**readout.extras, **({"segments": []} if parts else {})}
    note = f"effects on fewer than {k} units are not shown" + (", nor segments beside one so small" if parts else "")
    return replace(readout, arrow=Rows.from_rows(shown).arrow, extras=extras, notes=(*readout.notes, note))


def _is_number(value: Any) -> bool:
    return not isinstance(value, (str, bool, date, type(None)))


def check_slices(by: Sequence[str], scope: Scope, keys: Sequence[str], role: str) -> None:
    """Raise ForbiddenError for a slice whose every group is one person: its very values are personal."""
    for name in by:
        dimension = scope.dimension(name)
        if any(_names_somebody(sql.strip(), keys) for sql in dimension.at.values()):
            raise ForbiddenError(f"role {role} may not slice by {dimension.name}: each group would be one person")


def refuse_failing(where: str | None, role: str) -> None:
    """Raise ForbiddenError for a condition that can fail on some values: that it fails can tell of rows out of sight.

    An engine is free to try it before the role's own condition.
    """
    from sqlglot import exp

    from prodsense.metrics.filters import read_filter

    if not where or not where.strip():
        return
    for node in read_filter(where).find_all(exp.Cast, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod, exp.Neg):
        if node.find(exp.Column) is not None:
            raise ForbiddenError(f"role {role} may not cast or calculate in a condition")


def check_where(where: str | None, scope: Scope, keys: Sequence[str], role: str) -> str:
    """A condition that may restrict what a role sees of groups: over slices only; what it leaves out, as a condition.

    Raises ForbiddenError for a column that is no slice (a person's number singles one out).
    """
    from sqlglot import exp

    from prodsense.metrics.filters import read_filter

    if not where or not where.strip():
        return ""
    for column in read_filter(where).find_all(exp.Column):
        if column.name.lower() not in scope.dimensions:
            raise ForbiddenError(f"role {role} may filter by slices only, not by {column.name}")
        check_slices([column.name.lower()], scope, keys, role)
    refuse_failing(where, role)
    return f"NOT COALESCE(({where}), FALSE)"
