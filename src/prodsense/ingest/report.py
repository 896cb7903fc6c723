"""What a load did: immutable reports, and the protocol of a progress display."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol


class Progress(Protocol):
    """Told about long work; a terminal draws a bar, a pipe stays quiet."""

    def start(self, label: str, total: int) -> None:
        """Work called `label` begins; it has `total` steps (0: unknown)."""
        ...

    def advance(self, steps: int = 1) -> None:
        """So many more steps are done."""
        ...

    def finish(self) -> None:
        """The work is over."""
        ...


class Quiet:
    """A progress that shows nothing."""

    def start(self, label: str, total: int) -> None:
        pass

    def advance(self, steps: int = 1) -> None:
        pass

    def finish(self) -> None:
        pass


@dataclass(frozen=True)
class Example:
    """A quarantined row, to show what a reason means."""

    file: str
    row: int
    rule: str
    column: str
    reason: str
    todo: str


@dataclass(frozen=True)
class TableLoad:
    """Where the rows of one table ended: accepted + duplicate + quarantined = read.

    `updated` are the accepted rows that replaced a stored one; `released` are rows of earlier loads that
    left the quarantine now (not among those read). `reasons` counts quarantined rows by rule and column.
    """

    table: str
    source: str
    read: int = 0
    accepted: int = 0
    updated: int = 0
    duplicate: int = 0
    quarantined: int = 0
    released: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    examples: tuple[Example, ...] = ()
    warnings: tuple[str, ...] = ()
    skipped: bool = False

    def __str__(self) -> str:
        if self.skipped:
            return f"{self.table}: nothing to do, {'; '.join(self.warnings)}"
        lines = [
            f"{self.table}: {self.accepted:,} accepted + {self.duplicate:,} duplicate"
            f" + {self.quarantined:,} quarantined = {self.read:,} read"
        ]
        if self.updated:
            lines.append(f"  {self.updated:,} of the accepted replaced a stored row")
        if self.released:
            lines.append(f"  {self.released:,} rows of earlier loads left the quarantine")
        for reason, count in sorted(self.reasons.items(), key=lambda item: -item[1])[:5]:
            lines.append(f"  {count:,} quarantined: {reason}")
            shown = next((e for e in self.examples if reason_key(e.rule, e.column) == reason), None)
            if shown:
                lines.append(f"    e.g. {shown.file} row {shown.row}: {shown.reason}; {shown.todo}")
        lines += [f"  note: {warning}" for warning in self.warnings]
        return "\n".join(lines)


@dataclass(frozen=True)
class LoadReport:
    """The outcome of one call: one entry a table and source, in the order they were loaded."""

    loads: tuple[TableLoad, ...]
    load_id: int | None = None

    @property
    def read(self) -> int:
        return sum(load.read for load in self.loads)

    @property
    def accepted(self) -> int:
        return sum(load.accepted for load in self.loads)

    @property
    def duplicate(self) -> int:
        return sum(load.duplicate for load in self.loads)

    @property
    def quarantined(self) -> int:
        return sum(load.quarantined for load in self.loads)

    @property
    def released(self) -> int:
        return sum(load.released for load in self.loads)

    @property
    def skipped(self) -> bool:
        """Whether all of it had been loaded before."""
        return bool(self.loads) and all(load.skipped for load in self.loads)

    def __iter__(self) -> Iterator[TableLoad]:
        return iter(self.loads)

    def __getitem__(self, table: str) -> TableLoad:
        """The load of a table by name, with or without its pack."""
        for load in self.loads:
            if table in (load.table, load.table.split(".")[-1]):
                return load
        raise KeyError(table)

    def __str__(self) -> str:
        return "\n".join(str(load) for load in self.loads) or "nothing to load"


def reason_key(rule: str, column: str) -> str:
    """How a reason is counted: the rule and the column it is about."""
    return f"{rule} ({column})" if column else rule
