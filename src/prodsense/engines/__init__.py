"""Engines: one file each behind the protocol of `base`; `open_engine` picks by URL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prodsense.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from prodsense.engines.base import Engine

#: URL scheme → (module, what makes an engine of the rest of the URL). A new engine is one file here and a line
#: in this registry.
REGISTRY = {
    "duckdb": ("prodsense.engines.duckdb", "DuckDBEngine"),
    "spark": ("prodsense.engines.spark", "SparkEngine"),
    "sc": ("prodsense.engines.spark", "connect"),
}


def open_engine(url: Any = ":memory:", *, lake: str | Path | None = None, **options: Any) -> Engine:
    """Open a warehouse by path, ``:memory:`` or ``scheme://location``, or on an existing SparkSession.

    `lake` is the folder of a SparkSession's tables; by default one in the session's own warehouse folder.
    """
    from importlib import import_module

    if type(url).__module__.startswith("pyspark."):
        from prodsense.engines.spark import SparkEngine

        return SparkEngine(lake, session=url, **options)
    if lake is not None:
        raise UsageError("lake goes with a SparkSession; for a lake by its folder write spark:///folder")
    scheme, separator, location = str(url).partition("://")
    if not separator:
        scheme, location = "duckdb", str(url)
    if scheme not in REGISTRY:
        raise UsageError(f"no engine for {scheme}://; known: {', '.join(sorted(REGISTRY))}, or a path for DuckDB")
    module, name = REGISTRY[scheme]
    return getattr(import_module(module), name)(location, **options)
