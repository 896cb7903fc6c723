"""Freshness of a few models parses those and what they read, nothing else."""

from __future__ import annotations

from prodsense.build.graph import standing_on
from prodsense.contracts.vocabulary import Model


def test_only_what_is_read_is_kept_directly_or_through_others() -> None:
    models = {
        "shop.a": Model("a", "Says.", "SELECT id FROM orders"),
        "shop.b": Model("b", "Says.", "SELECT id FROM a"),
        "shop.c": Model("c", "Says.", "SELECT id FROM b JOIN a ON a.id = b.id"),
        "shop.apart": Model("apart", "Says.", "SELECT id FROM a"),
        "shop.broken": Model("broken", "Says.", "SELECT FROM WHERE"),
    }
    assert list(standing_on(models, ["shop.b"])) == ["shop.a", "shop.b"]
    assert list(standing_on(models, ["shop.c"])) == ["shop.a", "shop.b", "shop.c"]
    assert list(standing_on(models, ["shop.broken", "shop.a", "shop.nothing"])) == ["shop.a", "shop.broken"]
