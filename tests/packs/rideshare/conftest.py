"""Warehouses of the rideshare pack: the tiny fleet, whose every number is known."""

from __future__ import annotations

from pack_kit import tiny_warehouses

built_fleet, fleet, own_fleet = tiny_warehouses("rideshare", "fleet")
