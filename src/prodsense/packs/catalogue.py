"""What the packs declare, as a list."""

from __future__ import annotations

from typing import Any

from prodsense.errors import UsageError, did_you_mean


def catalog(pack: str | None = None, kind: str | None = None, search: str | None = None) -> list[dict[str, Any]]:
    """Entries of everything declared in one pack or all; needs no warehouse."""
    from prodsense.packs import load_pack, pack_names

    entries = [e for name in ([pack] if pack else pack_names()) for e in load_pack(name).catalogue()]
    if kind:
        kinds = {entry["kind"] for entry in entries}
        if kind not in kinds:
            hint = did_you_mean(kind, kinds)
            raise UsageError(f"no artefacts of kind {kind}.{hint} Known: {', '.join(sorted(kinds))}")
        entries = [entry for entry in entries if entry["kind"] == kind]
    if search:
        words = search.lower().split()
        entries = [e for e in entries if all(w in f"{e['name']} {e['says']}".lower() for w in words)]
    return entries
