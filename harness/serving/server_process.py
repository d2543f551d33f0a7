"""Runs a service, on the main thread until a signal or on a thread of its own; writes the ready file."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvloop

from emulator.files import write_whole
from emulator.program import called
from emulator.service.running_service import RunningService, ServiceOptions, open_service
from harness.run.interrupts import ENDINGS
from harness.scenario.exit_codes import EXIT_INTERRUPTED
from harness.serving.access import ServiceAccess, access_to

_LOG = logging.getLogger(__name__)


def serve_until_signal(
    options: ServiceOptions,
    *,
    ready_file: Path | None,
    announce: Callable[[ServiceAccess, RunningService], None],
) -> None:
    """Serve until SIGINT, SIGTERM or SIGHUP; a second one ends the process at once.

    Raises:
        SpecError, StateError, LabError: as `open_service`.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # 1024 would be fewer than may connect

    async def serve() -> None:
        stop = asyncio.Event()
        with _signals_to(stop):
            async with open_service(options) as running:
                access = access_of(running)
                with _ready_file(ready_file, access):
                    announce(access, running)
                    health = asyncio.create_task(_log_health(running))
                    await stop.wait()
                    health.cancel()
                    await asyncio.gather(health, return_exceptions=True)
                _LOG.info("ending; Ctrl-C again ends at once")

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())


def access_of(running: RunningService) -> ServiceAccess:
    """Return how to use a running service."""
    service = running.service
    return access_to(
        service.cloud.records(),
        endpoint=service.endpoint,
        ca=running.ca,
        identity_header=service.settings.identity_header,
    )


@contextmanager
def _signals_to(stop: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()

    def receive() -> None:
        if stop.is_set():
            sys.stderr.write(f"ttylab: ended at once; `{called('gc')}` removes what is left\n")
            sys.stderr.flush()
            os._exit(EXIT_INTERRUPTED)
        stop.set()

    for number in ENDINGS:
        loop.add_signal_handler(number, receive)
    try:
        yield
    finally:
        for number in ENDINGS:
            loop.remove_signal_handler(number)


@contextmanager
def _ready_file(path: Path | None, access: ServiceAccess) -> Iterator[None]:
    """Keep the ready file for as long as the service answers."""
    if path is None:
        yield
        return
    write_whole(path.absolute(), access.to_json().encode(), private=True)
    try:
        yield
    finally:
        if path.is_file():  # never a device or a pipe
            path.resolve().unlink(missing_ok=True)


async def _log_health(running: RunningService) -> None:
    """Log what /health would say; the first check probes the accelerator, so it comes last."""
    problems = await running.service.fleet.problems()
    for problem in problems:
        _LOG.warning("guests can't be reached: %s", problem)
    if not problems:
        _LOG.info("guests can be reached")


START_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Started:
    access: ServiceAccess
    loop: asyncio.AbstractEventLoop
    stop: asyncio.Event


@contextmanager
def serve_in_thread(options: ServiceOptions) -> Iterator[ServiceAccess]:
    """Serve on a thread until the block ends; the service answers once the block begins.

    Raises:
        SpecError, StateError, LabError: as `open_service`, also at its end.
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
            runner.run(_serve_on_thread(options, started))
    except BaseException as error:  # noqa: BLE001  # passed to the thread that started this one
        if started.done():
            failures.append(error)
        else:
            started.set_exception(error)


async def _serve_on_thread(options: ServiceOptions, started: Future[_Started]) -> None:
    stop = asyncio.Event()
    async with open_service(options) as running:
        started.set_result(_Started(access=access_of(running), loop=asyncio.get_running_loop(), stop=stop))
        await stop.wait()
