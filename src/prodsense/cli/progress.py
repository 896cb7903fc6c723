"""Progress bars on stderr, on a terminal only; in a pipe or a log nothing is drawn."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Bar:
    """Both forms of progress that the layers below report to: rows of a load, models of a build."""

    def __init__(self, display: Any):
        self._display = display
        self._task: Any = None

    def start(self, label: str, total: int) -> None:
        """Work called `label` begins; it has `total` steps (0: unknown)."""
        self.finish()
        self._task = self._display.add_task(label, total=total or None)

    def advance(self, steps: int = 1) -> None:
        if self._task is not None:
            self._display.advance(self._task, steps)

    def finish(self) -> None:
        if self._task is not None:
            self._display.remove_task(self._task)
            self._task = None

    def model(self, name: str, position: int, total: int) -> None:
        """The build comes to its model `position` of `total`."""
        if self._task is None:
            self._task = self._display.add_task(name, total=total)
        self._display.update(self._task, description=name, completed=position)


@contextmanager
def progress() -> Iterator[Bar | None]:
    """A bar while the block runs; None where nobody watches."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as display:
        yield Bar(display)
