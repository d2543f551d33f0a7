"""All routes, one module a provider; a module's `router` is listed here."""

from __future__ import annotations

from fastapi import APIRouter

from emulator.service.routes import (
    activity,
    boot_diagnostics,
    console_extensions,
    device_page,
    gateway,
    graph,
    identity,
    lab,
    managed_identity,
    network,
    oauth,
    operations,
    page,
    resource_groups,
    role_assignments,
    role_definitions,
    scale_set_instances,
    scale_sets,
    serial_console,
    storage,
    subscriptions,
    unknown,
    virtual_machines,
)

ROUTERS: tuple[APIRouter, ...] = (
    activity.router,
    boot_diagnostics.router,
    console_extensions.router,
    device_page.router,
    gateway.router,
    graph.router,
    identity.router,
    lab.router,
    managed_identity.router,
    network.router,
    oauth.router,
    operations.router,
    page.router,
    resource_groups.router,
    role_assignments.router,
    role_definitions.router,
    scale_set_instances.router,
    scale_sets.router,
    serial_console.router,
    serial_console.versionless,
    storage.router,
    subscriptions.router,
    virtual_machines.router,
    unknown.router,
)

__all__ = ["ROUTERS"]
