"""Engines: one file each behind the protocol of `base`; `open_engine` picks by URL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prodsense.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from prodsense.engines.base import Engine

#: URL scheme → (module, class). A new engine is one file here and a line in this registry.
REGISTRY = {
    "duckdb": ("prodsense.engines.duckdb", "DuckDBEngine"),
    "spark": ("prodsense.engines.spark", "SparkEngine"),
}


def open_engine(url: str | Path = ":memory:", **options: Any) -> Engine:
    """Open a warehouse by path, ``:memory:`` or ``scheme://location``."""
    from importlib import import_module

    scheme, separator, location = str(url).partition("://")
    if not separator:
        scheme, location = "duckdb", str(url)
    if scheme not in REGISTRY:
        raise UsageError(f"no engine for {scheme}://; known: {', '.join(sorted(REGISTRY))}, or a path for DuckDB")
    module, name = REGISTRY[scheme]
    return getattr(import_module(module), name)(location, **options)
