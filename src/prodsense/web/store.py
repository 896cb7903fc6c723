"""Who may come in, and what they left: users, tokens, sign-in links, audit, saved views, annotations.

A small SQLite file beside the warehouse, readable by its owner only: secrets have no place in tables that analysts
read, and a sign-in must not wait for a build.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from prodsense.errors import UsageError
from prodsense.web.actor import Actor

Attributes = Mapping[str, str | list[str]]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS users (
    name TEXT PRIMARY KEY, role TEXT NOT NULL, attributes TEXT NOT NULL, password TEXT,
    epoch INTEGER NOT NULL DEFAULT 1, disabled INTEGER NOT NULL DEFAULT 0, created_at REAL NOT NULL, seen_at REAL
);
CREATE TABLE IF NOT EXISTS tokens (
    id TEXT PRIMARY KEY, hash TEXT NOT NULL UNIQUE, label TEXT NOT NULL, owner TEXT NOT NULL, role TEXT NOT NULL,
    attributes TEXT NOT NULL, created_at REAL NOT NULL, expires_at REAL, used_at REAL
);
CREATE TABLE IF NOT EXISTS links (hash TEXT PRIMARY KEY, user TEXT NOT NULL, expires_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS audit (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, actor TEXT NOT NULL, role TEXT NOT NULL, via TEXT NOT NULL,
    method TEXT NOT NULL, path TEXT NOT NULL, status INTEGER NOT NULL, rows INTEGER, seconds REAL NOT NULL,
    refused TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS audit_at ON audit (at);
CREATE TABLE IF NOT EXISTS views (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, role TEXT NOT NULL, shared INTEGER NOT NULL, title TEXT NOT NULL,
    path TEXT NOT NULL, created_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS annotations (
    id TEXT PRIMARY KEY, author TEXT NOT NULL, at TEXT NOT NULL, until TEXT, text TEXT NOT NULL, pack TEXT NOT NULL,
    metric TEXT NOT NULL, created_at REAL NOT NULL
);
"""

#: Parameters of scrypt: 16 MB and some 50 ms for each guess.
_N, _R, _P = 2**14, 8, 1
#: A password shorter than this is refused.
SHORTEST_PASSWORD = 10
#: A sign-in link works once, and only so long.
LINK_SECONDS = 15 * 60


class Store:
    """The file; safe to call from several threads. `path` may be ``:memory:``."""

    def __init__(self, path: str | Path):
        self.path = str(path)
        if self.path != ":memory:":
            # Made before SQLite does, so that it is never readable by others, not even for a moment.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        self._lock = threading.RLock()
        self._db = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None, timeout=10)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _rows(self, sql: str, values: tuple[Any, ...] = ()) -> list[dict[str, Any]]:
        with self._lock:
            return [dict(row) for row in self._db.execute(sql, values).fetchall()]

    def _change(self, sql: str, values: tuple[Any, ...] = ()) -> int:
        with self._lock:
            return self._db.execute(sql, values).rowcount

    def secret(self) -> str:
        """The key that signs cookies; made once."""
        with self._changing() as db:
            db.execute("INSERT OR IGNORE INTO meta VALUES ('secret', ?)", (secrets.token_urlsafe(32),))
            return str(db.execute("SELECT value FROM meta WHERE name = 'secret'").fetchone()[0])

    def remember(self, name: str, value: Any) -> None:
        """Keep a small fact (JSON) under a name."""
        self._change("INSERT OR REPLACE INTO meta VALUES (?, ?)", (f"fact {name}", json.dumps(value)))

    def remembered(self, name: str, otherwise: Any = None) -> Any:
        """What was kept under a name."""
        rows = self._rows("SELECT value FROM meta WHERE name = ?", (f"fact {name}",))
        return json.loads(rows[0]["value"]) if rows else otherwise

    # -- users -------------------------------------------------------------------------------------

    def users(self) -> list[dict[str, Any]]:
        """All users, without their passwords."""
        rows = self._rows("SELECT name, role, attributes, disabled, created_at, seen_at FROM users ORDER BY name")
        return [{**r, "attributes": json.loads(r["attributes"]), "disabled": bool(r["disabled"])} for r in rows]

    def add_user(
        self, name: str, role: str, attributes: Attributes | None = None, password: str | None = None
    ) -> None:
        """Make a user; without a password they come in by a link. UsageError where the name is taken or unfit."""
        if not name or len(name) > 80 or not name.isprintable() or name != name.strip():
            raise UsageError(f"{name!r} is no name for a user: up to 80 characters, none of them invisible")
        stored = hash_password(password) if password else None
        try:
            self._change(
                "INSERT INTO users (name, role, attributes, password, created_at) VALUES (?, ?, ?, ?, ?)",
                (name, role, json.dumps(dict(attributes or {})), stored, time.time()),
            )
        except sqlite3.IntegrityError:
            raise UsageError(f"there is a user named {name} already") from None

    def change_user(
        self, name: str, *, role: str | None = None, attributes: Attributes | None = None,
        password: str | None = None, disabled: bool | None = None,
    ) -> None:
        """Change what is given. Open sessions of the user end with any of it."""
        given = {
            "role": role,
            "attributes": None if attributes is None else json.dumps(dict(attributes)),
            "password": None if password is None else hash_password(password),
            "disabled": None if disabled is None else int(disabled),
        }
        changes = {column: value for column, value in given.items() if value is not None}
        sets = "".join(f"{column} = ?, " for column in changes)
        if not self._change(f"UPDATE users SET {sets}epoch = epoch + 1 WHERE name = ?", (*changes.values(), name)):
            raise UsageError(f"there is no user named {name}")

    def user(self, name: str) -> dict[str, Any] | None:
        """A user that is not disabled: name, role, attributes, epoch."""
        rows = self._rows("SELECT name, role, attributes, epoch FROM users WHERE name = ? AND NOT disabled", (name,))
        return {**rows[0], "attributes": json.loads(rows[0]["attributes"])} if rows else None

    def check_password(self, name: str, password: str) -> dict[str, Any] | None:
        """The user, if that is their password. It takes the same time whether or not there is such a user."""
        rows = self._rows("SELECT password FROM users WHERE name = ? AND NOT disabled", (name,))
        stored = rows[0]["password"] if rows else None
        right = password_matches(password, stored or _DUMMY) and stored is not None
        return self.user(name) if right else None

    def seen(self, name: str) -> None:
        """Note that a user signed in."""
        self._change("UPDATE users SET seen_at = ? WHERE name = ?", (time.time(), name))

    # -- sign-in links and tokens ------------------------------------------------------------------

    def add_link(self, user: str, seconds: float = LINK_SECONDS) -> str:
        """A text that signs `user` in once."""
        text = secrets.token_urlsafe(24)
        self._change("DELETE FROM links WHERE expires_at < ?", (time.time(),))
        self._change("INSERT INTO links VALUES (?, ?, ?)", (_digest(text), user, time.time() + seconds))
        return text

    def use_link(self, text: str) -> dict[str, Any] | None:
        """The user whom a link signs in; it is used up."""
        with self._changing() as db:
            row = db.execute(
                "DELETE FROM links WHERE hash = ? AND expires_at >= ? RETURNING user", (_digest(text), time.time())
            ).fetchall()
        return self.user(row[0]["user"]) if row else None

    def add_token(
        self, label: str, owner: str, role: str, attributes: Attributes | None = None,
        days: float | None = 90,
    ) -> tuple[str, str]:
        """A token for the API: its id, and the text, which is shown this once and never again."""
        text = "ps_" + secrets.token_urlsafe(32)
        identity = secrets.token_hex(6)
        expires = None if days is None else time.time() + days * 86400
        self._change(
            "INSERT INTO tokens (id, hash, label, owner, role, attributes, created_at, expires_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (identity, _digest(text), label, owner, role, json.dumps(dict(attributes or {})), time.time(), expires),
        )
        return identity, text

    def tokens(self) -> list[dict[str, Any]]:
        """All tokens, without their texts."""
        rows = self._rows(
            "SELECT id, label, owner, role, attributes, created_at, expires_at, used_at FROM tokens ORDER BY created_at"
        )
        return [{**row, "attributes": json.loads(row["attributes"])} for row in rows]

    def drop_token(self, identity: str) -> bool:
        """Make a token void; False when there is none."""
        return bool(self._change("DELETE FROM tokens WHERE id = ?", (identity,)))

    def token(self, text: str) -> Actor | None:
        """Whom a token stands for, while it is valid and its owner is not disabled."""
        now = time.time()
        rows = self._rows(
            "SELECT t.id, t.label, t.owner, t.role, t.attributes, t.used_at FROM tokens AS t JOIN users AS u ON"
            " u.name = t.owner AND NOT u.disabled WHERE t.hash = ? AND (t.expires_at IS NULL OR t.expires_at > ?)",
            (_digest(text), now),
        )
        if not rows:
            return None
        row = rows[0]
        if row["used_at"] is None or now - row["used_at"] > 60:
            self._change("UPDATE tokens SET used_at = ? WHERE id = ?", (now, row["id"]))
        return Actor(f"{row['owner']} ({row['label']})", row["role"], json.loads(row["attributes"]), "token")

    # -- audit -------------------------------------------------------------------------------------

    def note(
        self, actor: Actor, method: str, path: str, status: int, seconds: float, rows: int | None = None,
        refused: str = "",
    ) -> None:
        """One line of the audit: who asked what, when, how it ended."""
        self._change(
            "INSERT INTO audit (at, actor, role, via, method, path, status, rows, seconds, refused)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (time.time(), actor.name, actor.role, actor.via, method, path, status, rows, seconds, refused),
        )

    def audit(self, limit: int = 200, before: int | None = None, actor: str | None = None) -> list[dict[str, Any]]:
        """The newest lines first; `before` is the id to go on from."""
        return self._rows(
            "SELECT * FROM audit WHERE (? IS NULL OR id < ?) AND (? IS NULL OR actor = ?) ORDER BY id DESC LIMIT ?",
            (before, before, actor, actor, limit),
        )

    def forget_audit(self, days: float) -> int:
        """Drop lines older than `days`."""
        return self._change("DELETE FROM audit WHERE at < ?", (time.time() - days * 86400,))

    # -- saved views and annotations ---------------------------------------------------------------

    def save_view(self, actor: Actor, title: str, path: str, *, shared: bool = False) -> str:
        """Keep a page's address under a title; shared ones are seen by all of the actor's role."""
        identity = secrets.token_hex(6)
        self._change(
            "INSERT INTO views VALUES (?, ?, ?, ?, ?, ?, ?)",
            (identity, actor.name, actor.role, int(shared), title, path, time.time()),
        )
        return identity

    def views(self, actor: Actor) -> list[dict[str, Any]]:
        """The actor's own views and those shared by others of the same role."""
        rows = self._rows(
            "SELECT id, owner, shared, title, path, created_at FROM views WHERE owner = ? OR (shared AND role = ?)"
            " ORDER BY title, id",
            (actor.name, actor.role),
        )
        return [{**row, "shared": bool(row["shared"])} for row in rows]

    def drop_view(self, actor: Actor, identity: str) -> bool:
        """Drop one of the actor's own views; False when there is none."""
        return bool(self._change("DELETE FROM views WHERE id = ? AND owner = ?", (identity, actor.name)))

    def annotate(
        self, actor: Actor, at: str, text: str, *, until: str | None = None, pack: str = "", metric: str = ""
    ) -> str:
        """Note a known event: a day (or `at` to `until`) and what happened; without `pack` it concerns all."""
        identity = secrets.token_hex(6)
        self._change(
            "INSERT INTO annotations VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (identity, actor.name, at, until, text, pack, metric, time.time()),
        )
        return identity

    def annotations(self, pack: str | None = None, metric: str | None = None) -> list[dict[str, Any]]:
        """Known events in order of time; those of a pack or metric, and those that concern all."""
        return self._rows(
            "SELECT id, author, at, until, text, pack, metric FROM annotations"
            " WHERE (? IS NULL OR pack IN ('', ?)) AND (? IS NULL OR metric IN ('', ?)) ORDER BY at, id",
            (pack, pack, metric, metric),
        )

    def drop_annotation(self, identity: str) -> bool:
        """Drop a known event; False when there is none."""
        return bool(self._change("DELETE FROM annotations WHERE id = ?", (identity,)))


#: Under this name a server keeps its address while it runs.
ADDRESS = "address"


def address_of(location: str) -> str:
    """Where a warehouse was last served and not stopped; empty where it never was."""
    path = store_path(location)
    if path == ":memory:" or not Path(path).is_file():
        return ""
    try:
        with closing(sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True, timeout=1)) as db:
            row = db.execute("SELECT value FROM meta WHERE name = ?", (f"fact {ADDRESS}",)).fetchone()
    except sqlite3.Error:
        return ""
    return str(json.loads(row[0]) or "") if row else ""


def store_path(location: str) -> str:
    """Where the store of a warehouse lies: beside its file."""
    if location == ":memory:":
        return location
    path = Path(location).expanduser()
    return str(path.with_name(f"{path.stem}.web.sqlite"))


def hash_password(password: str) -> str:
    """``scrypt$salt$hash``, hexadecimal. UsageError for a password that is too short."""
    if len(password) < SHORTEST_PASSWORD:
        raise UsageError(f"a password has at least {SHORTEST_PASSWORD} characters")
    salt = secrets.token_bytes(16)
    return f"scrypt${salt.hex()}${_scrypt(password, salt).hex()}"


def password_matches(password: str, stored: str) -> bool:
    """Whether `stored` is the hash of `password`; compared in constant time."""
    _, salt, expected = stored.split("$")
    return hmac.compare_digest(_scrypt(password, bytes.fromhex(salt)).hex(), expected)


def _scrypt(password: str, salt: bytes) -> bytes:
    # A password of any length costs the same: it is hashed to 64 bytes before.
    return hashlib.scrypt(hashlib.sha512(password.encode()).digest(), salt=salt, n=_N, r=_R, p=_P, dklen=32)


#: Stands in for a user that is not there.
_DUMMY = f"scrypt${'00' * 16}${'00' * 32}"


def _digest(text: str) -> str:
    """Links and tokens are random enough for a plain hash."""
    return hashlib.sha256(text.encode()).hexdigest()
