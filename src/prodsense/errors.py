"""Errors that a user can act on: one line that says what is wrong and what to do."""

from __future__ import annotations


class ProdsenseError(Exception):
    """Base of all errors raised on purpose; the CLI prints its message on one line and exits 1."""

    exit_code = 1

    @property
    def message(self) -> str:
        return " ".join(str(self).split())


class UsageError(ProdsenseError):
    """The request itself is wrong (unknown name, bad option); the CLI exits 2."""

    exit_code = 2


class UnknownNameError(UsageError):
    """There is nothing of that name."""


class ContractError(ProdsenseError):
    """A file, table or declaration does not fit its contract."""


class SqlError(ProdsenseError):
    """A SQL text does not parse or names something that does not exist."""


class LockedError(ProdsenseError):
    """Another process owns the warehouse file."""


class UnsupportedError(ProdsenseError):
    """The engine cannot do this; the message says what to use instead."""


class NotBuiltError(ProdsenseError):
    """A model is needed that has never been built."""


class TooLongError(ProdsenseError):
    """An answer took longer than whoever asked may take."""


class ForbiddenError(ProdsenseError):
    """The role in force may not see or do this."""


class EngineError(ProdsenseError):
    """The engine refused a statement that passed our own checks."""


def did_you_mean(word: str, known: list[str] | tuple[str, ...] | set[str]) -> str:
    """Return ``" Did you mean a, b?"`` for the nearest known words, or an empty string."""
    import difflib

    near = difflib.get_close_matches(word, sorted(known), n=3, cutoff=0.6)
    return f" Did you mean {' or '.join(near)}?" if near else ""
