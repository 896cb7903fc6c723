"""Pages. A router that is listed here is served; each route says by `may` who may call it."""

from __future__ import annotations

from fastapi import APIRouter

from prodsense.web.views import alerts, behaviour, dashboards, data, experiments, explore, home, identity, kept

ROUTERS: tuple[APIRouter, ...] = tuple(
    module.router for module in (identity, home, dashboards, explore, behaviour, experiments, alerts, data, kept)
)
