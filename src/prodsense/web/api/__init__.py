"""The JSON API, ``/api/v1``: the same answers as the command line, in the same JSON."""

from __future__ import annotations

from fastapi import APIRouter

from prodsense.web.api import health

ROUTERS: tuple[APIRouter, ...] = (health.router,)
