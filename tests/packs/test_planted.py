"""Planted effects: as declared, none, other sizes; sizes of which no product can be made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import pytest

from prodsense.errors import UsageError
from prodsense.packs.planted import PlantedEffects, check_size


@dataclass(frozen=True)
class Effects(PlantedEffects):
    NEUTRAL: ClassVar[Mapping[str, float]] = {"slow": 1.0}

    slow: float = 3.0
    lift: float = 0.2


def test_none_does_nothing() -> None:
    assert Effects.none() == Effects(slow=1.0, lift=0.0)


def test_chosen_sizes_stand_beside_the_declared_or_beside_nothing() -> None:
    assert Effects.chosen(None, clean=False) == Effects(3.0, 0.2)
    assert Effects.chosen({"lift": 1}, clean=False) == Effects(3.0, 1.0)
    assert Effects.chosen({"lift": 1}, clean=True) == Effects(1.0, 1.0)


def test_an_unknown_effect_is_refused_by_its_name() -> None:
    with pytest.raises(UsageError, match=r"no planted effect named luck, wit\. Known: slow, lift"):
        Effects().override({"wit": 1, "luck": 2})


def test_sizes_of_which_no_product_can_be_made() -> None:
    for size in ((0, 1.0), (1, 0.01), (1, 1001)):
        with pytest.raises(UsageError):
            check_size(*size)
    check_size(1, 0.02)
    check_size(1, 1000)
