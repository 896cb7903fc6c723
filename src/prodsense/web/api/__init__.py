"""The JSON API, ``/api/v1``: the same answers as the command line, in the same JSON."""

from __future__ import annotations

from fastapi import APIRouter

from prodsense.web.api import admin, alerts, answers, behavior, dashboards, data, health, kept, look

ROUTERS: tuple[APIRouter, ...] = tuple(
    part.router for part in (health, look, answers, dashboards, behavior, alerts, kept, data, admin)
)
