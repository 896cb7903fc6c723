"""Photo upload: from the tap on + to the photo seen in the feed, in seven phases; what slows and what breaks them."""

from __future__ import annotations

from prodsense.packs.pack import Pack

PACK = Pack(
    "photos",
    "Photo upload",
    "How well do photo uploads go, and where do people get stuck, wait, fail or give up?",
    __name__,
)
