"""Named analyses of the photos pack."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from prodsense.contracts.vocabulary import Analysis
from prodsense.packs.declared import funnel_analysis

if TYPE_CHECKING:
    from prodsense.metrics.result import Rows
    from prodsense.warehouse import Warehouse

STAGES = ("Initiated", "Media Selected", "Editor Opened", "Caption Screen", "Upload Started", "Succeeded")


def error_categorization(warehouse: Warehouse) -> Rows:
    """Each error code logged, with its category, the errors and the uploads it struck; most uploads first.

    `categories` in the extras adds codes up, which ranks what to mend.
    """
    from prodsense.metrics.result import Rows

    warehouse.ready("photos", ["error_categories", "event_log", "upload_facts"])
    counted = (
        "SELECT c.error_code, c.error_category, COUNT(e.upload_id) AS errors, COUNT(DISTINCT e.upload_id) AS uploads"
        " FROM photos.error_categories AS c LEFT JOIN (SELECT d.error_code, d.upload_id FROM photos.event_log AS d"
        " JOIN photos.upload_facts AS u ON u.upload_id = d.upload_id WHERE NOT u.is_internal) AS e"
        " ON e.error_code = c.error_code GROUP BY c.error_code, c.error_category"
        " ORDER BY uploads DESC, errors DESC, c.error_code"
    )
    summed = (
        "SELECT COALESCE(c.error_category, 'other') AS error_category, COUNT(*) AS errors,"
        " COUNT(DISTINCT e.upload_id) AS uploads FROM photos.event_log AS e"
        " JOIN photos.upload_facts AS u ON u.upload_id = e.upload_id"
        " LEFT JOIN photos.error_categories AS c ON c.error_code = e.error_code"
        " WHERE e.is_error AND NOT u.is_internal GROUP BY COALESCE(c.error_category, 'other')"
        " ORDER BY uploads DESC, error_category"
    )
    rows = warehouse.engine.query(counted).to_pylist()
    categories = warehouse.engine.query(summed).to_pylist()
    total = sum(row["errors"] for row in rows)
    for row in rows:
        row["share_of_errors"] = row["errors"] / total if total else None
    other = sum(row["errors"] for row in rows if row["error_category"] == "other")
    notes = (f"{other} of {total} errors have a code of no category: add them to error_codes",) if other else ()
    units = {"share_of_errors": "share", "errors": "count", "uploads": "count"}
    found = Rows.from_rows(rows, "error_categorization", {"categories": categories}, units)
    return replace(
        found, notes=notes, statements=((counted, {}), (summed, {})), dialect=warehouse.engine.dialect
    )


def _algorithm(analysis: Analysis, **changes: Any) -> Analysis:
    return replace(analysis, kind="algorithm", **changes)


ANALYSES = (
    _algorithm(
        funnel_analysis(
            "upload_funnel",
            "How far uploads get, by upload id: counts, drop-off, step and cumulative rates and times of six stages."
            " A stage that is skipped counts as passed when a later one is reached; uploads count as they stand.",
            "photos.upload_stages", user="upload_id", time="reached_at", event="stage", steps=STAGES, within="ever",
        )
    ),
    Analysis(
        "error_categorization",
        "What each error code means: network_timeout, server_error, media_format_unsupported, out_of_storage,"
        " permission_denied or other, with how often it struck; categories ranked.",
        error_categorization,
        kind="algorithm",
    ),
)
