"""The gateway: one WebSocket from its first frame to its end, by docs/facts/azure.md 3.

Out go TEXT frames: at once "Connecting...", after trust the guest's bytes as UTF-8. In come the
token and then, TEXT or BINARY, what is typed. The guest never waits for a link: it writes into its
transcript, and each link reads that at its own pace.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress

from starlette.websockets import WebSocket, WebSocketDisconnect

from emulator.clock import pause
from emulator.cloud.console_access import check_role, find_vm
from emulator.cloud.records import PowerState
from emulator.console.marks import MarkKind
from emulator.errors import CloudError, EmulatorError
from emulator.fleet.guest import FleetGuest
from emulator.guest_text.records import UserView
from emulator.service.console.link_life import (
    Feed,
    Keystrokes,
    TextFrames,
    line_start,
    receive_data,
    run_until_left,
    serve_link,
)
from emulator.service.console.watchdog import watch_idle
from emulator.service.core.authentication import accept_token
from emulator.service.core.context import Service
from emulator.service.parts.links import Link
from emulator.service.parts.sessions import ConsoleSession

FIRST_FRAME = "Connecting...\r\n"
NOT_TRUSTED = "Connection not trusted"
SMALL_FRAME = 32
"""Up to so many bytes a frame is somebody's echo, and the next one must not wait."""
GATHER_S = 0.01
"""How long output gathers after a larger frame, seconds."""
REPLAY_MAX = 16_384
"""Bytes that a new link is shown at the most: a screen that is drawn without line feeds."""
_LOG = logging.getLogger(__name__)


async def serve_client(
    socket: WebSocket, session: ConsoleSession, *, service: Service, query_token: str | None
) -> None:
    """Serve one link of `session` until either side ends it.

    Args:
        socket: not yet accepted.
        session: what the URL named.
        service: where it is served.
        query_token: the token of old clients, which send it in the URL.
    """
    link = Link(vm=session.vm, session=session)
    await serve_link(
        socket,
        link,
        lambda: _talk(socket, link, service=service, token=query_token),
        lambda: _send_notices(socket, link),
        service=service,
    )


async def _talk(socket: WebSocket, link: Link, *, service: Service, token: str | None) -> None:
    """Greet, wait for trust, carry bytes; what goes wrong becomes the link's ending."""
    try:
        await pause(service.faults.first_frame_delay_s())
        await socket.send_text(FIRST_FRAME)
        token = await _wait_for_trust(socket, link, service=service, token=token)
        await _carry(socket, link, service=service, token=token)
    except WebSocketDisconnect:
        pass
    except (CloudError, TimeoutError) as error:
        _LOG.info("a link to %s is not trusted: %s", link.vm, error)
        link.end(1011, NOT_TRUSTED, notice="")
    except EmulatorError as error:
        link.end(1011, f"The machine of this VM can't be reached: {error}".splitlines()[0])


async def _wait_for_trust(socket: WebSocket, link: Link, *, service: Service, token: str | None) -> str:
    """Return the token that the link is trusted by: of the URL, or else the first message."""
    async with asyncio.timeout(service.settings.token_wait_s):
        while not token:
            token = (await receive_data(socket)).decode("utf-8", "replace").strip()
    trust(link, token, service=service)
    if service.faults.refuses_trust():
        raise CloudError(403, "ConnectionNotTrusted", "refused by fault injection")
    return token


def trust(link: Link, token: str, *, service: Service) -> None:
    """Let `link` be what `token` allows.

    Raises:
        CloudError: the token is not accepted, not the session owner's, or has no role on the VM.
    """
    claims = accept_token(service, token)
    if link.session is not None and claims.principal != link.session.principal:
        raise CloudError(403, "AuthorizationFailed", "The token is not of who opened this session.")
    check_role(service.cloud, service.settings, principal=claims.principal, vm=link.vm)
    find_vm(service.cloud, link.vm)
    link.principal, link.name = claims.principal, claims.name
    link.expire_in(claims.expires - service.now().timestamp())


async def _carry(socket: WebSocket, link: Link, *, service: Service, token: str) -> None:
    """Take the console over and carry bytes both ways until the client leaves."""
    guest = service.fleet.guest(find_vm(service.cloud, link.vm))
    service.links.take_over(link)
    guest.transcript.mark(MarkKind.LINK, "connected", {"by": link.name})
    start = _replay_start(guest, service.settings.replay_lines)
    try:
        with Feed(guest.transcript, position=start) as feed:
            await run_until_left(
                asyncio.create_task(_send_output(socket, feed, count=service.metrics.bytes_out.inc)),
                asyncio.create_task(_take_input(socket, link, guest, service=service, token=token)),
                asyncio.create_task(start_on_demand(service, link, guest)),
                *_chaperones(link, service),
            )
    finally:
        guest.transcript.mark(MarkKind.LINK, "disconnected", {"by": link.name})
        if link.session is not None:
            service.sessions.extend(link.session, now=service.now())


def _chaperones(link: Link, service: Service) -> Iterator[asyncio.Task[None]]:
    """Begin what ends a link before its time, where the settings ask for it."""
    if service.settings.idle_s is not None:
        yield asyncio.create_task(watch_idle(link, service.settings.idle_s))
    drop_s = service.faults.drops_after_s()
    if drop_s is not None:
        yield asyncio.create_task(_drop(link, drop_s))


async def _drop(link: Link, after_s: float) -> None:
    await pause(after_s)
    link.end(1011, "dropped by fault injection", notice="")


def _replay_start(guest: FleetGuest, lines: int) -> int:
    """Return where a new link begins: with the guest's last lines, so that its prompt is seen.

    What the kernel printed into or behind a prompt ends no line of it.
    """
    end = len(guest.transcript)
    begin = max(guest.transcript.first, end - REPLAY_MAX)
    view = UserView(start=begin)
    view.feed(guest.transcript.read(begin, end))
    view.flush()
    text = view.read(0)
    first = line_start(text, lines=lines)
    return view.raw_span(first, len(text))[0] if first < len(text) else end


async def start_on_demand(service: Service, link: Link, guest: FleetGuest) -> None:
    """Give power to the machine of a VM that the platform calls running."""
    if find_vm(service.cloud, link.vm).power is PowerState.RUNNING:
        await guest.power_on()


async def _send_output(socket: WebSocket, feed: Feed, *, count: Callable[[float], None]) -> None:
    frames = TextFrames()
    while data := await feed.read():
        count(len(data))
        if text := frames.feed(data):
            await socket.send_text(text)
        if len(data) > SMALL_FRAME:
            await pause(GATHER_S)
    if text := frames.finish():
        await socket.send_text(text)


async def _take_input(
    socket: WebSocket, link: Link, guest: FleetGuest, *, service: Service, token: str
) -> None:
    """Type what comes; the token that comes again is swallowed, and a newer one renews the link."""
    accepted = {token.encode()}
    keystrokes = Keystrokes(guest)
    while True:
        data = await receive_data(socket)
        if data.strip() in accepted:
            continue
        if data.startswith(b"eyJ") and data.count(b".") == 2:  # a JWT: nobody types such a thing in one go
            with suppress(CloudError):
                trust(link, data.decode("ascii", "replace").strip(), service=service)
                accepted.add(data.strip())
                continue
        link.touch()
        service.metrics.bytes_in.inc(len(data))
        await keystrokes.type(data)


async def _send_notices(socket: WebSocket, link: Link) -> None:
    with suppress(WebSocketDisconnect):
        while True:
            await socket.send_text(await link.notices.get())
