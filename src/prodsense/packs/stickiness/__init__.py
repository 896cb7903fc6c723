"""Stickiness of a social product: who comes back, how often, what they do, and what makes them stay."""

from __future__ import annotations

from prodsense.packs.pack import Pack

PACK = Pack(
    "stickiness",
    "Social platform, stickiness",
    "How often do people come back, what do they do when they are there, and what makes them stay?",
    __name__,
)
