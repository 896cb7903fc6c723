"""What a simulator returns, and how it is written to files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa


@dataclass(frozen=True)
class Simulation:
    """Made-up tables and what was planted in them.

    `tables`: by name, in an order in which parents come before the tables that refer to them.
    `truth`: by name, each planted effect with its size and unit and where it sits; plain values that
    JSON can hold.
    """

    tables: Mapping[str, pa.Table]
    truth: Mapping[str, Any]

    def __repr__(self) -> str:
        rows = ", ".join(f"{name}: {table.num_rows:,}" for name, table in self.tables.items())
        return f"Simulation({rows}; planted: {', '.join(self.truth) or 'nothing'})"


def write(
    simulation: Simulation, directory: str | Path, format: Literal["parquet", "csv"] = "parquet"
) -> list[Path]:
    """Write one file per table and `_truth.json` into `directory`, made if it is not there.

    Returns the paths, the tables' first. CSV writes a missing value as an empty cell and text in
    quotes only where needed.

    Raises:
        ValueError: `format` is neither ``parquet`` nor ``csv``.
    """
    if format not in ("parquet", "csv"):
        raise ValueError(f"format must be parquet or csv, not {format!r}")
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, table in simulation.tables.items():
        path = folder / f"{name}.{format}"
        if format == "parquet":
            import pyarrow.parquet as pq

            pq.write_table(table, path)
        else:
            import pyarrow.csv as pc

            pc.write_csv(table, path, pc.WriteOptions(quoting_style="needed"))
        written.append(path)
    truth = folder / "_truth.json"  # the underscore tells ingest that it is no data
    truth.write_text(json.dumps(simulation.truth, indent=2, sort_keys=True) + "\n")
    return [*written, truth]
