"""Compare two versions of a relation, row by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from prodsense.engines.base import comma

if TYPE_CHECKING:
    from prodsense.engines.base import Engine

_FLOATS = frozenset({"DOUBLE", "FLOAT", "REAL"})


def comparable(columns: Mapping[str, str]) -> str:
    """A select list in which floating sums that were added up in another order come out equal.

    Floats are rounded to nine decimals and then to single precision (seven digits).
    """
    parts = []
    for name, kind in columns.items():
        column = comma([name])
        if kind.upper() in _FLOATS:
            parts.append(f"CAST(ROUND({column}, 9) AS FLOAT) AS {column}")
        else:
            parts.append(column)
    return ", ".join(parts)


def difference(engine: Engine, old: str, new: str, columns: Mapping[str, str]) -> tuple[int, int]:
    """Rows (as a multiset) only in `old` and only in `new`, two SELECTs with the same columns."""
    listed = comparable(columns)
    left = f"SELECT {listed} FROM ({old}) AS o"
    right = f"SELECT {listed} FROM ({new}) AS n"
    # Counted in one pass: EXCEPT ALL both ways would compute each side twice.
    row = engine.query(
        "SELECT SUM(CASE WHEN balance > 0 THEN balance END) AS removed,"
        " SUM(CASE WHEN balance < 0 THEN -balance END) AS added FROM ("
        f"SELECT SUM(_side) AS balance FROM (SELECT *, 1 AS _side FROM ({left}) AS a"
        f" UNION ALL SELECT *, -1 FROM ({right}) AS b) AS c GROUP BY {comma(columns)}) AS d"
    ).to_pylist()[0]
    return int(row["removed"] or 0), int(row["added"] or 0)


def changed_keys(engine: Engine, old: str, new: str, columns: Mapping[str, str], key: Sequence[str]) -> int:
    """Distinct keys whose row was added, removed or altered between two SELECTs."""
    listed = comparable(columns)
    left = f"SELECT {listed} FROM ({old}) AS o"
    right = f"SELECT {listed} FROM ({new}) AS n"
    rows = engine.query(
        f"SELECT COUNT(*) AS n FROM (SELECT DISTINCT {comma(key)} FROM ("
        f"SELECT * FROM ({left} EXCEPT ALL {right}) AS a UNION ALL SELECT * FROM ({right} EXCEPT ALL {left}) AS b"
        f") AS c) AS d"
    )
    return int(rows.column("n")[0].as_py())
