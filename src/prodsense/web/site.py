"""What a server holds: the warehouse and its sessions, the store, the settings, and the version of the data."""

from __future__ import annotations

import queue
import secrets
import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from prodsense.errors import ForbiddenError, ProdsenseError, UnsupportedError, UsageError
from prodsense.web.actor import Actor
from prodsense.web.cache import Cache
from prodsense.web.jobs import Jobs
from prodsense.web.store import Store, store_path
from prodsense.web.watch import Watch

if TYPE_CHECKING:
    from prodsense.engines.duckdb import DuckDBEngine, DuckDBReader
    from prodsense.project import Project
    from prodsense.warehouse import Warehouse
    from prodsense.web.snapshot import Snapshot, Version

T = TypeVar("T")


class BusyError(ProdsenseError):
    """Too many ask at once; it is told as 503 with when to come back."""


@dataclass(frozen=True)
class Settings:
    """How a site is served. `secure` marks cookies for https only; `readers` is how many answers are computed at a
    time, others wait up to `patience` seconds; an answer that takes more than `longest` seconds is given up."""

    title: str = "prodsense"
    secure: bool = False
    readers: int = 8
    patience: float = 30.0
    longest: float = 60.0
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
        from prodsense.ingest.ledger import ensure_system_tables

        if not hasattr(warehouse.engine, "session"):
            raise UnsupportedError(
                f"serve runs on a DuckDB warehouse; on {warehouse.engine.name} write pages with `prodsense dashboard`"
            )
        self.warehouse = warehouse
        self.settings = settings or Settings()
        self.store = store or Store(store_path(warehouse.engine.location))
        self.project = project
        self._engine: DuckDBEngine = warehouse.engine  # type: ignore[assignment]
        self._idle: queue.LifoQueue[DuckDBReader] = queue.LifoQueue()
        for _ in range(self.settings.readers):
            self._idle.put(self._engine.reader())
        self._writing = threading.Lock()
        # Numbers of a ledger start again in a new file: with this, no browser takes an old answer for a new one.
        self._start = secrets.token_hex(4)
        self._seq = 0
        self._versions: dict[int, Version] = {}
        self.jobs = Jobs(self)
        self.cache = Cache()
        self.watch = Watch(self.settings.longest)
        if not warehouse.engine.read_only:
            ensure_system_tables(warehouse.engine)
        self.look_again()

    # -- reading -----------------------------------------------------------------------------------

    @contextmanager
    def reader(self, actor: Actor) -> Iterator[Warehouse]:
        """The warehouse as `actor` may see it, in one version for as long as the context lasts."""
        with self._session() as session:
            yield as_seen_by(actor, self._open(session))

    def _open(self, session: DuckDBReader) -> Snapshot:
        """The whole warehouse on a reading session, with what is known of the version that it sees."""
        from prodsense.ingest.ledger import current_seq
        from prodsense.web.snapshot import Snapshot, Version

        session.known = None
        seq = current_seq(session)
        version = self._versions.get(seq)
        if version is None:
            # Of versions that nobody reads any more nothing is kept.
            version = Version(seq, session.described())
            self._versions = {**dict(list(self._versions.items())[-2:]), seq: version}
        session.known = version.relations
        opened = Snapshot(session, version)
        opened.role_settings = self.warehouse.role_settings
        return opened

    def wake(self) -> None:
        """Do what every first page would have to wait for: templates, what draws, definitions, what is built."""
        from prodsense.web.rendering import get_ready

        get_ready()
        with suppress(ProdsenseError), self._session() as session:
            whole = self._open(session)
            for pack in whole.packs:
                whole.ready(pack)
                whole.scope(pack)

    @contextmanager
    def _session(self) -> Iterator[DuckDBReader]:
        try:
            session = self._idle.get(timeout=self.settings.patience)
        except queue.Empty:
            raise BusyError("all readers are busy; ask again in a moment") from None
        try:
            with self.watch.over(session), session.transaction():
                yield session
        finally:
            self._idle.put(session)

    def answer(self, actor: Actor, asked: Hashable, compute: Callable[[Warehouse], T]) -> tuple[str, T]:
        """What `compute` makes of the warehouse that `actor` may see, and the version of the data that it saw.

        It is kept by version, by the policy of the actor and by `asked`, which must name all that decides the answer
        besides. What is returned is shared: never change it.
        """

        def run() -> tuple[str, T]:
            with self._session() as session:
                whole = self._open(session)
                return self._named(whole.version.seq), compute(as_seen_by(actor, whole))

        return self.cache.get(self.version, (policy_of(actor), asked), run)

    def part(self, actor: Actor, asked: Hashable, compute: Callable[[], T], version: str = "") -> T:
        """Like `answer`, for what is made inside a session of the caller's (`reader`) together with other answers.

        `version` is the one that the caller knew before the session began: what is kept under it is never older.
        """
        version = version or self.version

        def run() -> tuple[str, T]:
            made = compute()
            # What a page says where the engine refuses is kept as its answer; that the time was over is none.
            self.watch.check()
            return version, made

        # What computes a part holds its session, and is not kept to be computed anew.
        return self.cache.get(version, (policy_of(actor), asked), run, again=False)[1]

    @property
    def version(self) -> str:
        """Names the data as they are now: another text after every change of them."""
        return self._named(self._seq)

    def _named(self, seq: int) -> str:
        return f"{self._start}-{seq}"

    def look_again(self) -> None:
        """Move readers to the data as they are now; called after each change."""
        from prodsense.ingest.ledger import current_seq

        with self._session() as session:
            seq = current_seq(session)
        if seq != self._seq and self.cache.misses:
            # Those who read go on with the version before until what they ask for is there.
            self.cache.warm()
        self._seq = seq
        self.cache.drop_other(self.version)

    # -- writing -----------------------------------------------------------------------------------

    @contextmanager
    def writer(self, notify: Callable[[str], None] | None = None) -> Iterator[Warehouse]:
        """The warehouse for one who changes it, on a session of its own; one at a time, readers go on."""
        from prodsense.warehouse import Warehouse

        with self._writing:
            session = self._engine.session()
            try:
                opened = Warehouse(session, notify)
                opened.role_settings = self.warehouse.role_settings
                yield opened
            finally:
                session.close()
                self.look_again()

    def close(self) -> None:
        """Let a running job end, release the sessions and the store; the warehouse is the caller's."""
        self.jobs.stop()
        self.watch.close()
        while True:
            try:
                self._idle.get_nowait().close()
            except queue.Empty:
                break
        self.store.close()


def as_seen_by(actor: Actor, warehouse: Warehouse) -> Warehouse:
    """The warehouse that `actor` may see: all of it for an admin, else what the role's policy allows."""
    if actor.role == "admin":
        return warehouse
    try:
        return warehouse.as_role(actor.role, **actor.attributes)
    except UsageError as error:
        # What is wrong is not the request but the role: it is not known, lacks an attribute, has no rights here.
        raise ForbiddenError(error.message) from None


def policy_of(actor: Actor) -> Hashable:
    """What decides what somebody sees: those alike share their answers."""
    values = ((name, value if isinstance(value, str) else tuple(value)) for name, value in actor.attributes.items())
    return actor.role, tuple(sorted(values, key=lambda item: item[0]))
