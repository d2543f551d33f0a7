"""A service on a thread of its own, for tests: there while a `with` lasts."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass

import uvloop

from emulator.service.running_service import ServiceOptions, open_service
from harness.serving.access import ServiceAccess
from harness.serving.server_process import access_of

START_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Started:
    access: ServiceAccess
    loop: asyncio.AbstractEventLoop
    stop: asyncio.Event


@contextmanager
def serve_in_thread(options: ServiceOptions) -> Iterator[ServiceAccess]:
    """Serve on a thread until the block ends; the service answers when it begins.

    Raises:
        SpecError, StateError, LabError: as `open_service`; those of its end too.
    """
    started: Future[_Started] = Future()
    failures: list[BaseException] = []
    thread = threading.Thread(target=_run, args=(options, started, failures), name="ttylab-service")
    thread.start()
    try:
        running = started.result(START_S)
        try:
            yield running.access
        finally:
            running.loop.call_soon_threadsafe(running.stop.set)
    finally:
        thread.join()
    if failures:
        raise failures[0]


def _run(options: ServiceOptions, started: Future[_Started], failures: list[BaseException]) -> None:
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(options, started))
    except BaseException as error:  # noqa: BLE001  # handed to who started the thread
        if started.done():
            failures.append(error)
        else:
            started.set_exception(error)


async def _serve(options: ServiceOptions, started: Future[_Started]) -> None:
    stop = asyncio.Event()
    async with open_service(options) as running:
        started.set_result(_Started(access=access_of(running), loop=asyncio.get_running_loop(), stop=stop))
        await stop.wait()
