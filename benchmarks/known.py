"""Where the data sets with known answers lie: `--data FOLDER`, else $PRODSENSE_SHARED_DATA, else beside the project."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path


def data_option(parser: argparse.ArgumentParser) -> None:
    """Add `--data`."""
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="the folder of the data sets with known answers")


def folder_of(given: argparse.Namespace, inside: str = "") -> Path:
    """The folder of the data sets (or the one called `inside` in it); ends the run with a word where there is none."""
    beside = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
    folder = (given.data or Path(os.environ.get("PRODSENSE_SHARED_DATA") or beside)) / inside
    if not folder.is_dir():
        print(f"left out: there is no folder {folder} (name one with --data, or set PRODSENSE_SHARED_DATA)")
        sys.exit(2 if given.data else 0)
    return folder
