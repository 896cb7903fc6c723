"""From the rows of two windows to the slices, the mix and the breakdowns of a move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from prodsense.errors import UsageError
from prodsense.inference.decompose import kitagawa
from prodsense.inference.rootcause import Kind, Leaves, Scan, Slice, leaves_of, scan

if TYPE_CHECKING:
    import pyarrow as pa

#: Slices are taken until they account for this share of a ratio's move.
ENOUGH = 0.9
#: Values of a dimension that a breakdown lists; the others are one line.
LISTED = 10


@dataclass(frozen=True)
class Move:
    """The whole move: its value before and after, and by how much the before is scaled (windows of unlike length)."""

    kind: Kind
    before: float | None
    after: float | None

    @property
    def delta(self) -> float | None:
        return None if self.before is None or self.after is None else self.after - self.before


def joined(
    before: pa.Table, after: pa.Table, kind: Kind, dims: Sequence[str], columns: Sequence[str], scale: float = 1.0
) -> Leaves:
    """Leaves of two tables that have a row for each combination of `dims`; what one lacks is 0 there.

    `columns` of an additive kind are top and, where known, squares; else top, bottom and, of a mean, variance. An
    additive top of `before` is scaled.
    """
    import numpy as np
    import pyarrow as pa

    both = pa.concat_tables(
        [table.select([*dims, *columns]) for table in (before, after)], promote_options="permissive"
    )
    values, codes, numbers = leaves_of(both, dims, columns)
    key = np.zeros(len(both), np.int64)
    for own, code in zip(values, codes, strict=True):
        key = key * max(1, len(own)) + code
        if key.size and key.max() > 2**40:
            key = np.unique(key, return_inverse=True)[1]
    _, first, place = np.unique(key, return_index=True, return_inverse=True)
    is_after = np.arange(len(both)) >= before.num_rows

    def sides(numbers: Any) -> tuple[Any, Any]:
        return tuple(
            np.bincount(place[side], weights=numbers[side], minlength=len(first)) for side in (~is_after, is_after)
        )  # type: ignore[return-value]

    top = sides(numbers[0])
    leaves = Leaves(tuple(dims), values, tuple(code[first] for code in codes), top[0] * scale, top[1])
    if len(columns) == 1:
        return leaves
    if kind == "additive":
        squares = sides(numbers[1])
        return replace(leaves, q_before=squares[0] * scale**2, q_after=squares[1])
    bottom = sides(numbers[1])
    leaves = replace(leaves, n_before=bottom[0], n_after=bottom[1])
    if len(columns) == 2:
        return leaves
    # Squares about the overall mean: (n - 1) s^2 + n (m - c)^2 of each leaf adds up over leaves.
    n = numbers[1]
    centre = float(numbers[0].sum() / max(n.sum(), 1.0))
    mean = np.where(n > 0, numbers[0] / np.where(n > 0, n, 1.0), centre)
    squares = sides(np.maximum(n - 1, 0) * numbers[2] + n * np.square(mean - centre))
    return replace(leaves, q_before=squares[0], q_after=squares[1], centre=centre)


def move_of(leaves: Leaves, kind: Kind) -> Move:
    """The whole move of some leaves."""
    sums = [float(column.sum()) for column in leaves.measures()]
    return Move(kind, *_pair(kind, sums))


def _pair(kind: Kind, sums: Sequence[float]) -> tuple[float | None, float | None]:
    """Before and after of sums of top (and bottom)."""
    if kind == "additive":
        return sums[0], sums[1]
    return tuple(top / bottom if bottom else None for top, bottom in zip(sums[:2], sums[2:4], strict=True))  # type: ignore[return-value]


def slice_rows(leaves: Leaves, kind: Kind, found: Sequence[Slice]) -> list[dict[str, Any]]:
    """Slices as rows: where, before, after, the share of the whole move that is theirs, and how sure it is."""
    whole = move_of(leaves, kind)
    totals = [float(column.sum()) for column in leaves.measures()]
    rows = []
    for rank, one in enumerate(found, 1):
        before, after = _pair(kind, one.numbers)
        rows.append({
            "rank": rank, "slice": one.label, "before": before, "after": after,
            "delta": None if before is None or after is None else after - before,
            "change": (after - before) / abs(before) if before and after is not None else None,
            "effect": (effect := effect_of(kind, one.numbers, totals)),
            "share_of_move": effect / whole.delta if whole.delta and effect is not None else None,
            "score": one.score, "p_value": one.p_value, "leaves": one.leaves,
        })  # fmt: skip
    return rows


def effect_of(kind: Kind, inside: Sequence[float], totals: Sequence[float]) -> float | None:
    """How much of the whole's move happened inside a slice: its own difference, or for a ratio its rate effect."""
    if kind == "additive":
        return inside[1] - inside[0]
    if not totals[2] or not totals[3]:
        return None
    rest = [t - i for t, i in zip(totals[:4], inside[:4], strict=True)]
    sides = [(inside[0], inside[2]), (rest[0], rest[2])], [(inside[1], inside[3]), (rest[1], rest[3])]
    return float(next((g["rate_effect"] for g in kitagawa(["in", "out"], *sides).groups if g["group"] == "in"), 0.0))


def mixes(leaves: Leaves, kind: Kind) -> list[dict[str, Any]]:
    """Rate and mix of a ratio's move by each dimension, the one with the largest mix first; none for sums."""
    if kind == "additive":
        return []
    whole = move_of(leaves, kind)
    if whole.delta is None:
        return []
    found = []
    for i, dim in enumerate(leaves.dims):
        before, after = _by_value(leaves, i)
        split = kitagawa(leaves.values[i], before, after)
        top = max(split.groups, key=lambda g: abs(g["mix_effect"]))
        found.append({
            "dimension": dim, "rate": split.rate, "mix": split.mix,
            "mix_share": split.mix / whole.delta if whole.delta else None,
            "largest_shift": _text(top["group"]) or "none",
            "weight_before": top["weight_before"], "weight_after": top["weight_after"],
        })  # fmt: skip
    return sorted(found, key=lambda row: -abs(row["mix"]))


def _by_value(leaves: Leaves, i: int) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """(numerator, denominator) before and after of each value of a dimension."""
    import numpy as np

    assert leaves.n_before is not None and leaves.n_after is not None
    size = len(leaves.values[i])

    def sums(column: Any) -> list[float]:
        return np.bincount(leaves.codes[i], weights=column, minlength=size).tolist()

    return (
        list(zip(sums(leaves.before), sums(leaves.n_before), strict=True)),
        list(zip(sums(leaves.after), sums(leaves.n_after), strict=True)),
    )


def breakdowns(leaves: Leaves, kind: Kind) -> list[dict[str, Any]]:
    """Before and after by each dimension alone, the largest effects first, beyond `LISTED` values as one line."""
    import numpy as np

    whole = move_of(leaves, kind)
    totals = [float(column.sum()) for column in leaves.measures()]
    rows: list[dict[str, Any]] = []
    for i, dim in enumerate(leaves.dims):
        size = len(leaves.values[i])
        columns = [np.bincount(leaves.codes[i], weights=c, minlength=size) for c in leaves.measures()]
        listed = []
        for cell in range(size):
            inside = [float(column[cell]) for column in columns]
            before, after = _pair(kind, inside)
            effect = effect_of(kind, inside, totals) or 0.0
            listed.append((effect, {"dimension": dim, "value": _text(leaves.values[i][cell]), "before": before,
                                    "after": after, "effect": effect}))
        listed.sort(key=lambda item: (-abs(item[0]), str(item[1]["value"])))
        rows += [row for _, row in listed[:LISTED]]
        if len(listed) > LISTED:
            rest = sum(effect for effect, _ in listed[LISTED:])
            rows.append({"dimension": dim, "value": f"{len(listed) - LISTED} others", "before": None, "after": None,
                         "effect": rest})
    for row in rows:
        row["share_of_move"] = row["effect"] / whole.delta if whole.delta else None
    return rows


def search(leaves: Leaves, kind: Kind, layers: int | None = None) -> tuple[Scan, list[dict[str, Any]]]:
    """What a scan finds and its answers as rows."""
    if not len(leaves):
        raise UsageError("neither window holds a row; there is nothing to explain")
    found = scan(leaves, kind, layers=layers)
    rows = slice_rows(leaves, kind, found.answers)
    if kind != "additive":
        # The rest of a ratio's move is told apart from noise by ever smaller differences of large counts.
        told = 0.0
        for count, row in enumerate(rows, 1):
            told += row["share_of_move"] or 0.0 if row["slice"] != "all" else 0.0
            if told >= ENOUGH:
                found, rows = replace(found, answers=found.answers[:count]), rows[:count]
                break
    return found, rows


def told(found: Sequence[Slice]) -> list[dict[str, Any]]:
    """Slices for JSON, each with its dimensions and values apart."""
    return [
        {"slice": s.label, "where": {k: _text(v) if not isinstance(v, (int, float, bool)) else v
                                     for k, v in s.where.items()},
         "score": s.score, "p_value": s.p_value}
        for s in found
    ]  # fmt: skip


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def explained(rows: Sequence[Mapping[str, Any]]) -> float | None:
    """The share of the move that slices account for together; the whole is not one of them."""
    shares = [row["share_of_move"] for row in rows if row["slice"] != "all" and row["share_of_move"] is not None]
    return sum(shares) if shares else None
