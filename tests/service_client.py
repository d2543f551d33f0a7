"""One application for all tests of a process, each test with a service of its own: FastAPI builds slowly."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from fastapi import FastAPI

from emulator.service.app import create_app
from emulator.service.context import Service
from tests.service_lab import ENDPOINT, TestClient, open_test_service


@contextmanager
def quick_client(service: Service) -> Iterator[TestClient]:
    """Yield a client of the routes; watchers of links still look at the first service."""
    app = _app()
    app.state.service = service
    with TestClient(app, base_url=ENDPOINT, follow_redirects=False) as client:
        yield client


@cache
def _app() -> FastAPI:
    return create_app(open_test_service())
