"""All routes, one module a provider; a module's `router` is listed here."""

from __future__ import annotations

from fastapi import APIRouter

from emulator.service.routes import console_extensions, gateway, lab, page, serial_console

ROUTERS: tuple[APIRouter, ...] = (
    console_extensions.router,
    gateway.router,
    lab.router,
    page.router,
    serial_console.router,
    serial_console.versionless,
)

__all__ = ["ROUTERS"]
