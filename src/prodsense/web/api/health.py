"""Whether the server is up, and how fresh what it serves is."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from prodsense.web.security import may

router = APIRouter(prefix="/api/v1", tags=["health"])


@router.get("/health", dependencies=[may("public")])
def health() -> dict[str, Any]:
    """Whether the server answers."""
    return {"status": "ok"}
