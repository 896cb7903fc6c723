"""Food delivery with order batching: orders, deliveries, batches, and whether batching pays."""

from __future__ import annotations

from prodsense.packs.pack import Pack

PACK = Pack(
    "delivery",
    "Food delivery, order batching",
    "Does putting several orders on one route pay off for customers, drivers and the platform?",
    __name__,
)
