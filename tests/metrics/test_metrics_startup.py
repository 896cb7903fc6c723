"""An answer must not wait for what it does not use: pandas alone would cost half a second."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

SCRIPT = """
import io, sys
from metrics_shop import data, put, scope, SCHEMA
from prodsense.contracts.tables import read_schema
from prodsense.engines.duckdb import DuckDBEngine
from prodsense.metrics import Request, run
engine = DuckDBEngine()
for table in read_schema(SCHEMA, "shop").values():
    engine.create_table(table.relation, {c.name: c.type for c in table.columns.values()})
put(engine, data(days=10)["orders"])
known = scope(engine.columns)
for options in ({"by": "tier"}, {"by": "status", "grain": "day", "compare": "previous", "since": "2024-02-01"}):
    result = run(engine, Request(["orders", "revenue", "active_7"], **options), known)
    assert any(row["orders"] for row in result.rows)
    result.print(file=io.StringIO()), result.to_json(), result.to_csv()
print(*[name for name in ("pandas", "polars", "scipy", "altair") if name in sys.modules])
"""


def test_asking_loads_no_heavy_package() -> None:
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, cwd=Path(__file__).parent
    )
    # DuckDB 1.5 itself loads pandas, where it is installed, to bind a parameter.
    duckdb_does = ["pandas"] if version("duckdb").startswith("1.") else []
    assert found.stdout.split() == duckdb_does
