"""Data in: read, check against the contract, quarantine, merge; one transaction a load.

Every row read ends in exactly one of accepted, duplicate and quarantined.
"""

from __future__ import annotations

from prodsense.ingest.load import ingest
from prodsense.ingest.mapped import load_mapped, write_source_template
from prodsense.ingest.quarantine import retry_quarantine
from prodsense.ingest.report import LoadReport, Progress, TableLoad
from prodsense.ingest.target import ensure_tables

__all__ = [
    "LoadReport",
    "Progress",
    "TableLoad",
    "ensure_tables",
    "ingest",
    "load_mapped",
    "retry_quarantine",
    "write_source_template",
]
