"""All routes, one module a provider; a module's `router` is listed here."""

from __future__ import annotations

from fastapi import APIRouter

from emulator.service.routes import (
    activity,
    console_extensions,
    device_page,
    gateway,
    identity,
    lab,
    managed_identity,
    oauth,
    page,
    resource_groups,
    role_assignments,
    role_definitions,
    serial_console,
    subscriptions,
)

ROUTERS: tuple[APIRouter, ...] = (
    activity.router,
    console_extensions.router,
    device_page.router,
    gateway.router,
    identity.router,
    lab.router,
    managed_identity.router,
    oauth.router,
    page.router,
    resource_groups.router,
    role_assignments.router,
    role_definitions.router,
    serial_console.router,
    serial_console.versionless,
    subscriptions.router,
)

__all__ = ["ROUTERS"]
