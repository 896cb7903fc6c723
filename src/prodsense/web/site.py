"""What a server holds: the warehouse and its sessions, the store, the settings, and the version of the data."""

from __future__ import annotations

import queue
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from prodsense.errors import ProdsenseError, UnsupportedError
from prodsense.web.actor import Actor
from prodsense.web.store import Store

if TYPE_CHECKING:
    from prodsense.engines.duckdb import DuckDBEngine
    from prodsense.project import Project
    from prodsense.warehouse import Warehouse


class BusyError(ProdsenseError):
    """Too many ask at once; it is told as 503 with when to come back."""


@dataclass(frozen=True)
class Settings:
    """How a site is served. `secure` marks cookies for https only; `readers` is how many answers are computed at a
    time, others wait up to `patience` seconds."""

    title: str = "prodsense"
    secure: bool = False
    readers: int = 8
    patience: float = 30.0
    session_hours: float = 12.0
    #: Requests a minute for one user or token; sign-in attempts a minute for one address or name.
    api_rate: int = 600
    sign_in_rate: int = 10
    timezone: str = "UTC"


class Site:
    """One warehouse as it is served. Readers get sessions out of a pool, each seeing one version of the data; one
    writer at a time changes it."""

    def __init__(
        self, warehouse: Warehouse, settings: Settings | None = None, store: Store | None = None,
        project: Project | None = None,
    ):
        if not hasattr(warehouse.engine, "session"):
            raise UnsupportedError(
                f"serve runs on a DuckDB warehouse; on {warehouse.engine.name} write pages with `prodsense dashboard`"
            )
        self.warehouse = warehouse
        self.settings = settings or Settings()
        self.store = store or Store(store_path(warehouse.engine.location))
        self.project = project
        self._engine: DuckDBEngine = warehouse.engine  # type: ignore[assignment]
        self._idle: queue.LifoQueue[DuckDBEngine] = queue.LifoQueue()
        for _ in range(self.settings.readers):
            self._idle.put(self._engine.session(read_only=True))
        self._writing = threading.Lock()
        # Numbers of a ledger start again in a new file: with this, no browser takes an old answer for a new one.
        self._start = secrets.token_hex(4)
        self._seq = 0
        self.look_again()

    # -- reading -----------------------------------------------------------------------------------

    @contextmanager
    def reader(self, actor: Actor) -> Iterator[Warehouse]:
        """The warehouse as `actor` may see it, in one version for as long as the context lasts."""
        try:
            session = self._idle.get(timeout=self.settings.patience)
        except queue.Empty:
            raise BusyError("all readers are busy; ask again in a moment") from None
        try:
            with session.transaction():
                yield guarded(session, actor)
        finally:
            self._idle.put(session)

    @property
    def version(self) -> str:
        """Names the data as they are now: another text after every change of them."""
        return f"{self._start}-{self._seq}"

    def look_again(self) -> None:
        """Take note of the data's version; called after each change."""
        from prodsense.ingest.ledger import current_seq

        with self._one_reader() as session:
            self._seq = current_seq(session)

    @contextmanager
    def _one_reader(self) -> Iterator[DuckDBEngine]:
        session = self._engine.session(read_only=True)
        try:
            with session.transaction():
                yield session
        finally:
            session.close()

    # -- writing -----------------------------------------------------------------------------------

    @contextmanager
    def writer(self, notify: Callable[[str], None] | None = None) -> Iterator[Warehouse]:
        """The warehouse for one who changes it, on a session of its own; one at a time, readers go on."""
        from prodsense.warehouse import Warehouse

        with self._writing:
            session = self._engine.session(read_only=False)
            try:
                yield Warehouse(session, notify=notify)
            finally:
                session.close()
                self.look_again()

    def close(self) -> None:
        """Release the sessions and the store; the warehouse is the caller's."""
        while True:
            try:
                self._idle.get_nowait().close()
            except queue.Empty:
                break
        self.store.close()


def guarded(session: DuckDBEngine, actor: Actor) -> Warehouse:
    """A session as the warehouse that `actor` may see. An admin sees all of it, anybody else what their role's
    policy allows."""
    from prodsense.warehouse import Warehouse

    whole = Warehouse(session)
    if actor.role == "admin":
        return whole
    if not hasattr(whole, "as_role"):
        raise UnsupportedError("roles are not there yet: sign in as admin")
    return whole.as_role(actor.role, **actor.attributes)


def store_path(location: str) -> str:
    """Where the store of a warehouse lies: beside its file."""
    if location == ":memory:":
        return location
    path = Path(location).expanduser()
    return str(path.with_name(f"{path.stem}.web.sqlite"))
