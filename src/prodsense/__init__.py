"""prodsense: product analytics that a team can trust, from raw events and tables to answers.

    import prodsense as ps
    wh = ps.open("shop.duckdb")
    wh.ingest("orders.parquet", table="delivery.fact_orders")
    wh.build()
    wh.metric("delivery.on_time_rate", by="vehicle_type", grain="week", compare="previous")
"""

from __future__ import annotations

from prodsense.errors import ContractError, ProdsenseError, SqlError, UsageError
from prodsense.warehouse import Warehouse, catalog, open

__version__ = "0.1.0"

__all__ = ["ContractError", "ProdsenseError", "SqlError", "UsageError", "Warehouse", "catalog", "open"]
