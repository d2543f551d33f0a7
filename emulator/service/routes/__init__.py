"""All routes, one module a provider; a module's `router` is listed here."""

from __future__ import annotations

from fastapi import APIRouter

ROUTERS: tuple[APIRouter, ...] = ()

__all__ = ["ROUTERS"]
