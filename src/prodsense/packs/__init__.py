"""Ready packs, one folder each; a pack is imported only when it is named."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from prodsense.errors import UnknownNameError, did_you_mean

if TYPE_CHECKING:
    from prodsense.packs.pack import Pack


@cache
def pack_names() -> tuple[str, ...]:
    """Names of the packs that are there: each sub-folder with an `__init__.py`."""
    return tuple(sorted(p.parent.name for p in Path(__file__).parent.glob("*/__init__.py")))


@cache
def load_pack(name: str) -> Pack:
    """The pack called `name`; UnknownNameError with the nearest names when there is none."""
    if name not in pack_names():
        raise UnknownNameError(
            f"no pack named {name}.{did_you_mean(name, pack_names()) or ' Known: ' + ', '.join(pack_names())}"
        )
    return import_module(f"prodsense.packs.{name}").PACK
