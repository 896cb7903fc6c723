"""Answers as files to take along: CSV, Parquet, JSON, and the picture as PNG."""

from __future__ import annotations

import io
import re
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from prodsense.errors import UsageError

KINDS = {
    "csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet", "json": "application/json",
    "png": "image/png",
}


def file_of(request: Request, rows: Any, kind: str, name: str, *, form: str | None = None) -> Response:
    """A result as a file of a kind; UsageError for a kind that there is not."""
    if kind not in KINDS:
        raise UsageError(f"a file is one of {', '.join(KINDS)}, not {kind!r}")
    # For the audit: how many rows left the house.
    request.state.rows = len(rows)
    content: bytes
    if kind == "csv":
        content = rows.to_csv().encode()
    elif kind == "json":
        content = rows.to_json().encode()
    elif kind == "parquet":
        import pyarrow.parquet as pq

        out = io.BytesIO()
        pq.write_table(rows.arrow, out)
        content = out.getvalue()
    else:
        from prodsense.charts.export import svg_to_png, to_svg

        content = svg_to_png(to_svg(rows.chart(form) if form else rows.chart()))
    safe = re.sub(r"[^A-Za-z0-9_.-]+", "-", name)
    headers = {"Content-Disposition": f'attachment; filename="{safe}.{kind}"'}
    return Response(content, media_type=KINDS[kind], headers=headers)
