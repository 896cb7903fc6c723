"""Shared generators for made-up data with planted truths: numpy and pyarrow only.

A pack's simulator composes these parts: named random streams, users with uneven activity, arrivals
with a daily and a weekly rhythm, a flat-earth city, workers' time slots that never overlap, and typed
Arrow columns. It returns a :class:`Simulation`: the tables and, beside them, what was planted.
"""

from __future__ import annotations

from .result import Simulation, write
from .streams import Streams

__all__ = ["Simulation", "Streams", "write"]
