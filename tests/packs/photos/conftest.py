"""Warehouses of the photos pack: the tiny app, whose every number is known, and a simulated one."""

from __future__ import annotations

from pack_kit import simulated_warehouse, tiny_warehouses

built_app, app, own_app = tiny_warehouses("photos", "app")
#: Four weeks with everything planted.
planted = simulated_warehouse("photos", "planted", days=28, scale=0.6, seed=7)
