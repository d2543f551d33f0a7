"""`links-200`: two hundred links at once over TLS, every byte checked, beside bare TLS writers."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
import uvloop
from websockets.asyncio.client import ClientConnection, connect

from emulator.clock import SYSTEM_CLOCK
from harness.commands.bench import Measurement
from tests.bench.links_server import LINKS, RATE
from tests.support.numbered_lines import check_lines

ROOT = Path(__file__).parents[2]
SECONDS = 15.0
SETTLE_S = 3.0


class Server:
    """The process of links_server."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.facts: dict[str, Any] = self._line()

    def usage(self) -> dict[str, float]:
        """Return its CPU seconds so far and its resident bytes."""
        assert self._process.stdin is not None
        self._process.stdin.write("usage\n")
        self._process.stdin.flush()
        return self._line()

    def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        facts: dict[str, Any] = json.loads(self._process.stdout.readline())
        return facts


@contextmanager
def _open_server(kind: str) -> Iterator[Server]:
    argv = [sys.executable, "-m", "tests.bench.links_server", kind]
    with subprocess.Popen(
        argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Server(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(30)


def links_200() -> tuple[Measurement, ...]:
    """Measure the server's CPU and memory while all links are read; a lost byte is an error."""
    cores, resident = _measure("links")
    bare_cores, bare_resident = _measure("bare")
    writers = f"{LINKS} bare asyncio TLS writers of the same bytes"
    return (
        Measurement(
            name="links-200",
            value=cores,
            unit="cores",
            baseline=writers,
            baseline_value=bare_cores,
            ratio=cores / bare_cores,
            goal="value <= 1.5, no byte lost or reordered",
        ),
        Measurement(
            name="links-200-memory",
            value=resident / 1e6,
            unit="MB",
            baseline=writers,
            baseline_value=bare_resident / 1e6,
            ratio=resident / bare_resident,
            goal="value <= 150",
        ),
    )


def _measure(kind: str) -> tuple[float, float]:
    """Return cores and resident bytes of the server."""
    with _open_server(kind) as server:
        reading = _read_links(server) if kind == "links" else _read_bare(server)
        return uvloop.run(reading)


async def _read_links(server: Server) -> tuple[float, float]:
    facts = server.facts
    trust = ssl.create_default_context(cafile=facts["ca"])
    urls = await asyncio.to_thread(_connect_all, facts)
    sockets = await asyncio.gather(*(_open_link(url, facts["token"], trust) for url in urls))
    received: list[list[str]] = [[] for _ in sockets]
    readers = [asyncio.create_task(_keep(one, into)) for one, into in zip(sockets, received, strict=True)]
    used = await _window(server)
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    await asyncio.gather(*(one.close() for one in sockets))
    _check(["".join(parts) for parts in received])
    return used


def _connect_all(facts: dict[str, Any]) -> list[str]:
    with requests.Session() as session:
        session.trust_env = False  # else REQUESTS_CA_BUNDLE wins over `verify`
        session.verify = facts["ca"]
        session.headers["Authorization"] = f"Bearer {facts['token']}"
        path = "providers/Microsoft.SerialConsole/serialPorts/0/connect?api-version=2024-07-01"
        answers = [session.post(f"{facts['endpoint']}{vm}/{path}", timeout=30) for vm in facts["vms"]]
        return [answer.json()["connectionString"] for answer in answers]


async def _open_link(url: str, token: str, trust: ssl.SSLContext) -> ClientConnection:
    link = await connect(url, ssl=trust, compression=None, max_queue=None, open_timeout=60)
    await link.recv()
    await link.send(token)
    return link


async def _keep(link: ClientConnection, into: list[str]) -> None:
    async for message in link:
        assert isinstance(message, str)
        into.append(message)


async def _window(server: Server) -> tuple[float, float]:
    await asyncio.sleep(SETTLE_S)
    before = await asyncio.to_thread(server.usage)
    began = SYSTEM_CLOCK.monotonic()
    await asyncio.sleep(SECONDS)
    after = await asyncio.to_thread(server.usage)
    return (after["cpu"] - before["cpu"]) / (SYSTEM_CLOCK.monotonic() - began), after["rss"]


def _check(streams: list[str]) -> None:
    problems = [problem for stream in streams for problem in check_lines(stream.encode())]
    if problems:
        raise AssertionError(f"{len(problems)} problems, the first: {problems[0]}")
    least = min(len(stream) for stream in streams) / (SECONDS + SETTLE_S)
    if least < 0.9 * RATE:
        raise AssertionError(f"the slowest link got {least:.0f} bytes/s of {RATE}")


async def _read_bare(server: Server) -> tuple[float, float]:
    trust = ssl.create_default_context(cafile=server.facts["ca"])
    opened = [
        await asyncio.open_connection("127.0.0.1", server.facts["port"], ssl=trust) for _ in range(LINKS)
    ]

    async def drain(reader: asyncio.StreamReader) -> None:
        while await reader.read(65536):
            pass

    readers = [asyncio.create_task(drain(reader)) for reader, _ in opened]
    used = await _window(server)
    for task in readers:
        task.cancel()
    for _, writer in opened:
        writer.close()
    return used
