"""Answers that were given already: kept by the version of the data, by who may see them, and by what was asked.

Those who ask the same at the same time wait for one computation. After a change of the data the answers that are in
use are computed anew before readers are moved to it (`warm`).
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")

#: (policy of the asker, what is asked): an answer's key within one version of the data.
Asked = tuple[Hashable, Hashable]


@dataclass
class _Entry:
    value: Any
    bytes: int


@dataclass
class _Use:
    """How an answer is computed, and when it was last asked for."""

    compute: Callable[[], tuple[str, Any]]
    at: float = field(default_factory=time.monotonic)


class Cache:
    """Answers by version and key, the least used dropped beyond `limit` bytes. Safe for threads.

    How to compute them is remembered for the `most` asked last, for `warm`.
    """

    def __init__(self, limit: int = 256 * 2**20, most: int = 4000):
        self.limit, self.most = limit, most
        self.hits = self.misses = 0
        self._bytes = 0
        self._entries: OrderedDict[tuple[str, Asked], _Entry] = OrderedDict()
        self._uses: dict[Asked, _Use] = {}
        self._flights: dict[tuple[str, Asked], threading.Event] = {}
        self._lock = threading.Lock()

    def get(
        self, version: str, asked: Asked, compute: Callable[[], tuple[str, T]], *, again: bool = True
    ) -> tuple[str, T]:
        """The version and the answer, computed where it is not kept.

        `compute` returns the version that it saw, which may be newer than `version`, and the answer. Where it cannot
        compute `again` later, for it holds a session, say, it is forgotten with its request.
        """
        key = (version, asked)
        while True:
            with self._lock:
                if again:
                    self._used(asked, compute)
                found = self._entries.get(key)
                if found is not None:
                    self._entries.move_to_end(key)
                    self.hits += 1
                    return version, found.value
                flight = self._flights.get(key)
                if flight is None:
                    self._flights[key] = threading.Event()
                    self.misses += 1
                    break
            flight.wait()
            # Whoever computed it may have failed, or seen a newer version: look again, and else compute.
        try:
            seen, value = compute()
            self.put(seen, asked, value)
            if seen != version:
                self.put(version, asked, value)
            return seen, value
        finally:
            with self._lock:
                self._flights.pop(key).set()

    def _used(self, asked: Asked, compute: Callable[[], tuple[str, Any]]) -> None:
        """Remember how to compute it anew; of too many questions the older half is forgotten."""
        self._uses.pop(asked, None)
        self._uses[asked] = _Use(compute)
        if len(self._uses) > self.most:
            self._uses = dict(list(self._uses.items())[self.most // 2 :])

    def put(self, version: str, asked: Asked, value: Any) -> None:
        """Keep an answer."""
        size = size_of(value)
        if size > self.limit // 8:
            return
        with self._lock:
            old = self._entries.pop((version, asked), None)
            self._bytes += size - (old.bytes if old else 0)
            self._entries[version, asked] = _Entry(value, size)
            while self._bytes > self.limit:
                _, dropped = self._entries.popitem(last=False)
                self._bytes -= dropped.bytes

    def drop_other(self, version: str) -> None:
        """Forget answers of other versions."""
        with self._lock:
            for key in [key for key in self._entries if key[0] != version]:
                self._bytes -= self._entries.pop(key).bytes

    def warm(self, *, recent: float = 600.0, seconds: float = 10.0, stop: Callable[[], bool] = lambda: False) -> int:
        """Compute anew what was asked in the last `recent` seconds, the latest first, for at most `seconds`.

        Returns how many; an answer that fails is left to whoever asks next.
        """
        started, done = time.monotonic(), 0
        with self._lock:
            self._uses = {key: use for key, use in self._uses.items() if started - use.at <= recent}
            uses = sorted(self._uses.items(), key=lambda item: -item[1].at)
        for asked, use in uses:
            if stop() or time.monotonic() - started > seconds:
                break
            try:
                version, value = use.compute()
            except Exception:
                continue
            self.put(version, asked, value)
            done += 1
        return done


def size_of(value: Any) -> int:
    """About how many bytes an answer takes: what it says itself (`weight`), else by its content, its parts or its rows.
    """
    if isinstance(weight := getattr(value, "weight", None), int):
        return weight + 200
    content = getattr(value, "content", value)
    if isinstance(content, bytes | str):
        return len(content) + 200
    if isinstance(value, Mapping):
        return sum(map(size_of, value.values())) + 200
    if isinstance(value, list | tuple | frozenset):
        return sum(map(size_of, value)) + 200
    rows = getattr(value, "arrow", None)
    return 200 if rows is None else int(rows.nbytes) + 20_000
