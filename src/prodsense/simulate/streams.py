"""Random streams by name: each part of a simulation draws from its own, so parts stay independent."""

from __future__ import annotations

import zlib

import numpy as np


class Streams:
    """Independent, reproducible generators derived from one seed.

    ``Streams(7)("orders")`` is always the same generator state, whatever other streams were asked
    for before it: adding a table to a simulator leaves the others as they were. Ask for a name once
    per simulation; a second request restarts the stream.
    """

    def __init__(self, seed: int) -> None:
        if seed < 0:
            raise ValueError(f"seed must be 0 or more, not {seed}")
        self.seed = seed

    def __call__(self, name: str) -> np.random.Generator:
        # crc32 is stable across processes and versions; Python's hash() of a string is not.
        return np.random.default_rng([self.seed, zlib.crc32(name.encode())])
