"""The command line: thin commands over `prodsense.Warehouse`, one file a group of verbs.

Modules of this folder import nothing heavy at the top: `prodsense --help` must answer at once.
"""

from __future__ import annotations

from collections.abc import Sequence


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line (`args` default to the process's own) and exit with its code."""
    from prodsense.cli.app import command

    command().main(args)
