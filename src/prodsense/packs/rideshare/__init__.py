"""Ride sharing with carpool: riders who share a car, the drivers who take them, and whether pooling pays."""

from __future__ import annotations

from prodsense.packs.pack import Pack

PACK = Pack(
    "rideshare",
    "Ride sharing, carpool",
    "Does sharing a car pay off for riders, drivers, the platform and the city?",
    __name__,
)
