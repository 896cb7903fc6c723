"""Nobody reads for longer than is allowed: a thread beside the readers stops what takes too long."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from prodsense.errors import TooLongError

if TYPE_CHECKING:
    from prodsense.engines.duckdb import DuckDBReader


class Watch:
    """The sessions that read now, each with the thread that reads and its end. `longest` is in seconds."""

    _EVERY = 0.25

    def __init__(self, longest: float):
        self.longest = longest
        self._reading: dict[DuckDBReader, tuple[int, float]] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()
        threading.Thread(target=self._run, name="prodsense-watch", daemon=True).start()

    @contextmanager
    def over(self, session: DuckDBReader) -> Iterator[None]:
        """Watch over a session for as long as the context lasts; TooLongError when that is too long."""
        with self._lock:
            self._reading[session] = threading.get_ident(), time.monotonic() + self.longest
        try:
            yield
            self.check()
        finally:
            # Under the lock, so that what is stopped is never what the next one asks of the same session.
            with self._lock:
                del self._reading[session]
                session.given_up = ""

    def check(self) -> None:
        """TooLongError when this thread has read for too long, whoever caught what the engine said of it."""
        here = threading.get_ident()
        with self._lock:
            mine = (session.given_up for session, (thread, _) in self._reading.items() if thread == here)
            why = next(filter(None, mine), "")
        if why:
            raise TooLongError(why)

    def close(self) -> None:
        self._closed.set()

    def _run(self) -> None:
        why = f"given up after {self.longest:g} seconds: ask for a shorter time or fewer slices"
        while not self._closed.wait(self._EVERY):
            now = time.monotonic()
            with self._lock:
                for session, (_, end) in self._reading.items():
                    # Each time anew: a statement that was only just beginning did not hear it.
                    if now > end:
                        session.give_up(why)
