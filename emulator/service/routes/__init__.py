"""All routes: each module has routers of its own, in this order; the first route that matches answers."""

from __future__ import annotations

from types import ModuleType

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

_MODULES: tuple[ModuleType, ...] = (
    *(boot_diagnostics, console_extensions, device_page, gateway, graph, health, identity, network, oauth),
    *(operations, page, resource_groups),
    authorization,  # after ttylab's own paths: its scopes are any path
    *(scale_sets, serial_console, storage, subscriptions, virtual_machines),
    unknown,
)
ROUTERS = tuple(one for module in _MODULES for one in vars(module).values() if isinstance(one, APIRouter))
