"""Video streaming: who watches what, how far, how often, and what keeps them subscribed."""

from __future__ import annotations

from prodsense.packs.pack import Pack

PACK = Pack(
    "streaming",
    "Video streaming platform",
    "What do people watch, how far do they get, do they come back, and what makes them stay subscribed?",
    __name__,
)
