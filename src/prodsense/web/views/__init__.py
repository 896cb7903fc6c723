"""Pages. A router that is listed here is served; each route says by `may` who may call it."""

from __future__ import annotations

from fastapi import APIRouter

from prodsense.web.views import (
    admin,
    alerts,
    behaviour,
    catalogue,
    dashboards,
    data,
    experiments,
    explore,
    home,
    identity,
    kept,
    why,
)

_PAGES = (identity, home, dashboards, explore, behaviour, experiments, alerts, data, catalogue, kept, admin, why)

ROUTERS: tuple[APIRouter, ...] = tuple(module.router for module in _PAGES)
