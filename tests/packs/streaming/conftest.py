"""Warehouses of the streaming pack: the tiny platform, whose every number is known, and a simulated one."""

from __future__ import annotations

from pack_kit import simulated_warehouse, tiny_warehouses

built_platform, platform, own_platform = tiny_warehouses("streaming", "platform")
planted = simulated_warehouse("streaming", "planted", days=42, scale=0.6, seed=7)
