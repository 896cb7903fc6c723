"""Shops that several tests read and none writes."""

from __future__ import annotations

from collections.abc import Iterator

import inference_shop as data
import pytest


@pytest.fixture(scope="session")
def clean() -> Iterator[data.Shop]:
    """A shop in which nothing happens."""
    with data.shop(data.rows()) as made:
        assert isinstance(made, data.Shop)
        yield made
