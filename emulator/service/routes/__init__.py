"""All routes: each module has a router of its own, listed here; the first route that matches answers."""

from __future__ import annotations

from fastapi import APIRouter

from emulator.service.routes import (
    authorization,
    boot_diagnostics,
    console_extensions,
    device_page,
    gateway,
    graph,
    health,
    identity,
    network,
    oauth,
    operations,
    page,
    resource_groups,
    scale_sets,
    serial_console,
    storage,
    subscriptions,
    unknown,
    virtual_machines,
)

ROUTERS: tuple[APIRouter, ...] = (
    boot_diagnostics.router,
    console_extensions.router,
    device_page.router,
    gateway.router,
    graph.router,
    health.router,
    identity.router,
    identity.managed,
    network.router,
    oauth.router,
    operations.router,
    page.router,
    resource_groups.router,
    authorization.router,  # after ttylab's own paths: its scopes are any path
    scale_sets.router,
    serial_console.router,
    serial_console.versionless,
    storage.router,
    subscriptions.router,
    subscriptions.activity,
    virtual_machines.router,
    unknown.router,
)
