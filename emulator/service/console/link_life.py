"""What all links have, of Azure's kind and of ttylab's: they open, carry bytes both ways, and end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeAlias

from starlette.websockets import WebSocket, WebSocketDisconnect

from emulator.service.console.links import Ending, Link
from emulator.service.context import Service

GOODBYE_S = 5.0
Work: TypeAlias = Callable[[], Coroutine[Any, Any, None]]


async def serve_link(
    socket: WebSocket, link: Link, talk: Work, *others: Work, service: Service, shows_why: bool = True
) -> None:
    """Open `link` and let `talk` go on until either side ends it; `others` go on beside it.

    Args:
        socket: not yet accepted.
        link: what is counted among the open links meanwhile.
        talk: carries the bytes; its end is the link's.
        others: what else is done; ended with the link.
        service: where it is served.
        shows_why: whether the reason of an end is shown on the console, before the close frame.
    """
    await socket.accept()
    with service.links.opened(link):
        tasks = [asyncio.create_task(work()) for work in (talk, *others)]
        try:
            await link.wait_end(tasks[0])
        finally:
            await _end_tasks(*tasks)
        if link.ending.done():
            await _say_goodbye(socket, link.ending.result(), show=shows_why)


async def run_until_left(
    output: asyncio.Task[None], keyboard: asyncio.Task[None], *others: asyncio.Task[None]
) -> None:
    """Wait until output or input ends, or any task fails, which is raised; end the rest."""
    tasks = (output, keyboard, *others)
    waiting = set(tasks)
    try:
        while output in waiting and keyboard in waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    finally:
        await _end_tasks(*tasks)


async def _say_goodbye(socket: WebSocket, ending: Ending, *, show: bool) -> None:
    """Show why on the console, because az shows no close reason, then close."""
    with suppress(WebSocketDisconnect, TimeoutError, RuntimeError):
        async with asyncio.timeout(GOODBYE_S):
            if ending.notice and show:
                await socket.send_text(f"\r\n{ending.notice}\r\n")
            await socket.close(ending.code, ending.reason)


async def _end_tasks(*tasks: asyncio.Task[None]) -> None:
    """Cancel `tasks` and wait for their ends."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
