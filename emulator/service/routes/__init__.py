"""All routes, one module a provider; a module's `router` is listed here."""

from __future__ import annotations

from fastapi import APIRouter

from emulator.service.routes import page

ROUTERS: tuple[APIRouter, ...] = (page.router,)

__all__ = ["ROUTERS"]
