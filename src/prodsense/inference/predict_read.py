"""Tables of subjects as columns to learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from prodsense.engines.base import comma
from prodsense.errors import UsageError
from prodsense.inference.causal_data import MAX_LEVELS, opened
from prodsense.inference.predict_learn import Column

if TYPE_CHECKING:
    import pyarrow as pa

    from prodsense.inference.predict_logit import Array

#: Words that mean that it came true, where a label has two values.
_TRUE = ("true", "yes", "y", "1", "t")
_FALSE = ("false", "no", "n", "0", "f")


@dataclass(frozen=True)
class Frame:
    """Subjects: their features, outcome (NaN where unknown), who they are, and when (numbers that rise with time)."""

    columns: list[Column]
    y: Array
    ids: pa.Array
    label: str
    id_name: str | None = None
    time: Array | None = None
    notes: tuple[str, ...] = ()
    statements: tuple[Any, ...] = ()
    dialect: str = "duckdb"


def read_frame(
    data: Any, label: str, features: Sequence[str], *, id: str | None, positive: Any, time: str | None, where: str
) -> Frame:
    """The subjects of a table. Raises UsageError for a label that has not two values and for features of no use."""
    import pyarrow as pa

    with opened(data, where) as sample:
        target = sample.column(label, "label")
        who = sample.column(id, "id") if id else None
        when = sample.column(time, "time") if time else None
        chosen = [sample.column(name, "feature") for name in features]
        if target in chosen:
            raise UsageError(f"{target} is the label, so that it cannot be a feature")
        names = chosen or [name for name in sample.schema if name not in (target, who, when)]
        items = {f"x_{i}": comma([name]) for i, name in enumerate(names)}
        items["label"] = comma([target])
        if who:
            items["id"] = comma([who])
        if when:
            items["moment"] = sample.moment(when)
        # The same rows in the same order, whatever the engine: folds are drawn by place.
        table = sample.rows(items, ["moment"] if when else [])
        notes = sample.note_left_out(items, ["moment"], str(when)) if when else []
        statements, dialect = tuple(sample.statements), sample.engine.dialect
    if not table.num_rows:
        raise UsageError("there are no rows to learn from")
    y, said = _outcome(table["label"], target, positive)
    unknown = int((~np.isfinite(y)).sum())
    if unknown:
        who_else = "subject" if unknown == 1 else "subjects"
        notes.append(f"{unknown} {who_else} without {target}: scored, not learned from")
    columns: list[Column] = []
    left: list[str] = []
    for i, name in enumerate(names):
        found, why = _feature(table[f"x_{i}"], name)
        if found is None or why:
            if found is None and chosen:
                raise UsageError(f"{name} {why}; leave it out of the features")
            (notes if found is not None else left).append(f"{name} {why}")
        if found is not None:
            columns.append(found)
    if left:
        notes.append(f"left out: {'; '.join(left)}")
    if not columns:
        raise UsageError("no column is of use as a feature")
    moments = None
    if when:
        column = table["moment"]
        moments = column.cast(pa.int64() if pa.types.is_integer(column.type) else pa.date32()).cast(
            pa.int64() if pa.types.is_integer(column.type) else pa.int32()
        ).to_numpy().astype(float)  # fmt: skip
    if not who:
        notes.append("no column names the subjects (id): they are numbered in the order of their values")
    ids = table["id"].combine_chunks() if who else pa.array(range(table.num_rows), pa.int64())
    return Frame(columns, y, ids, said, who, moments, tuple(notes), statements, dialect)


def _outcome(column: Any, name: str, positive: Any) -> tuple[Array, str]:
    """The label as 1, 0 and NaN, and what 1 means."""
    import pyarrow as pa
    import pyarrow.compute as pc

    values = pc.unique(column.combine_chunks()).drop_null().to_pylist()
    if pa.types.is_floating(column.type):
        values = [v for v in values if v == v]
    if positive is None:
        if len(values) != 2:
            raise UsageError(
                f"{name} has {len(values)} values, not two; say which one is meant (positive)"
                if len(values) != 1 else f"{name} is always {values[0]}: there is nothing to predict"
            )
        words = {str(v).lower().removesuffix(".0"): v for v in values}
        hit = [v for word, v in words.items() if word in _TRUE]
        if len(hit) != 1 or not any(word in _FALSE for word in words):
            raise UsageError(f"{name} is {values[0]} or {values[1]}: say which one is meant (positive)")
        positive = hit[0]
    else:
        same = [v for v in values if v == positive or str(v) == str(positive)]
        if not same:
            raise UsageError(f"{name} is never {positive!r}; it has: {', '.join(map(str, values[:10]))}")
        positive = same[0]
    known = pc.is_valid(column).to_numpy()
    if pa.types.is_floating(column.type):
        known &= ~np.isnan(column.to_numpy(zero_copy_only=False))
    flags = pc.fill_null(pc.equal(column, pa.scalar(positive, column.type)), False).to_numpy().astype(float)
    plain = name if str(positive).lower().removesuffix(".0") in _TRUE else f"{name}={positive}"
    return np.where(known, flags, np.nan), plain


def _feature(column: Any, name: str) -> tuple[Column | None, str]:
    """A column as a feature; or None and why it is none; or with a text a remark."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    types = pa.types
    if types.is_boolean(kind) or types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        values = column.cast(pa.float64()).to_numpy(zero_copy_only=False).astype(float)
        if np.isinf(values).any():
            return None, "holds infinite values"
        return _varies(Column(name, values))
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return None, f"holds {kind}"
    levels = pc.unique(column.combine_chunks()).to_pylist()
    if len(levels) > MAX_LEVELS:
        numbers = _numbers(column)
        if numbers is None:
            return None, f"has {len(levels)} values, too many for a feature (at most {MAX_LEVELS})"
        found, why = _varies(Column(name, numbers))
        return found, why or "is text that holds numbers and is read as such; blank is unknown"
    ordered = sorted(v for v in levels if v is not None) + [v for v in levels if v is None]
    if len(ordered) < 2:
        return None, "never varies"
    index = pc.fill_null(pc.index_in(column, value_set=pa.array(ordered, kind)), len(ordered) - 1)
    return Column(name, index.to_numpy().astype(float), tuple(ordered)), ""


def _varies(column: Column) -> tuple[Column | None, str]:
    known = column.values[np.isfinite(column.values)]
    if not len(known) or (len(known) == len(column.values) and known.min() == known.max()):
        return None, "never varies"
    return column, ""


def _numbers(column: Any) -> Array | None:
    """Text that is a number or blank as numbers, blank as NaN; None where other text is in it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    trimmed = pc.utf8_trim_whitespace(column)
    filled = pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, trimmed.type), trimmed)
    try:
        values = filled.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        return None
    return np.asarray(values, dtype=np.float64)
