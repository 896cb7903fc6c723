"""What all tables of the simulation share: numbers of things, and the moment at which one looks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prodsense.simulate import columns as col
from prodsense.simulate.arrivals import DAY

#: First number of each kind of thing.
CUSTOMER, RESTAURANT, DRIVER = 100_001, 1_001, 5_001
ORDER, DELIVERY, BATCH = 10_000_001, 20_000_001, 30_000_001


@dataclass(frozen=True)
class Frame:
    """The window of a simulation. What lies past its end has not been seen yet: NULL, or no row."""

    start: date
    days: int

    @property
    def end(self) -> float:
        return float(self.days * DAY)

    def seen(self, seconds: NDArray) -> NDArray:
        """Whether each moment has happened by the end; NaN never does."""
        return seconds < self.end

    def moment(self, seconds: NDArray, also: NDArray | None = None) -> pa.Array:
        """TIMESTAMP column: NULL where not seen yet, or where `also` is false."""
        there = self.seen(seconds) if also is None else self.seen(seconds) & also
        return col.timestamps(np.where(there, np.rint(seconds), 0.0), self.start, ~there)

    def day(self, seconds: NDArray) -> pa.Array:
        """DATE column of moments that have all been seen."""
        return col.dates(np.floor(seconds / DAY).astype(np.int64), self.start)


def ids(first: int, index: NDArray) -> pa.Array:
    """BIGINT column ``first + index``, NULL where the index is negative."""
    return pa.array(first + np.asarray(index, np.int64), mask=index < 0)


def numbers(first: int, size: int) -> pa.Array:
    return pa.array(first + np.arange(size))
