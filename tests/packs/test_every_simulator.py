"""What holds of every pack's simulator: a seed is a product, clean plants nothing, what makes no product is refused."""

from __future__ import annotations

from typing import Any

import pytest

from prodsense.errors import UsageError
from prodsense.packs import load_pack, pack_names
from prodsense.packs.pack import Pack
from prodsense.simulate import Simulation


@pytest.fixture(scope="module", params=pack_names())
def pack(request: pytest.FixtureRequest) -> Pack:
    return load_pack(request.param)


def small(pack: Pack, **options: Any) -> Simulation:
    return pack.simulate(**{"days": 21, "scale": 0.06, "seed": 3, **options})


def test_same_seed_same_tables_other_seed_others(pack: Pack) -> None:
    one, same, other = small(pack), small(pack), small(pack, seed=4)
    assert set(one.tables) <= set(pack.tables)
    assert all(one.tables[name].equals(same.tables[name]) for name in one.tables)
    assert one.truth == same.truth and one.truth
    largest = max(one.tables, key=lambda name: one.tables[name].num_rows)
    assert not one.tables[largest].equals(other.tables[largest])


def test_clean_plants_nothing(pack: Pack) -> None:
    assert small(pack, days=1, scale=0.02, clean=True).truth == {}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"days": 0}, "days must be at least 1, not 0"), ({"scale": 0.0}, r"scale must be from 0\.02 to 1000, not 0"),
        ({"effects": {"luck": 1.0}}, r"no planted effect named luck\. Known: \w+"),
    ],
)
def test_what_makes_no_product_is_refused(pack: Pack, options: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        small(pack, **options)
