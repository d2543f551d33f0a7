"""The gateway: one WebSocket from its first frame to its end, as in docs/facts/azure.md 3.

It sends TEXT frames: "Connecting..." at once, then, after trust, the guest's bytes as UTF-8. It receives the
token and then the typed bytes, as TEXT or BINARY. The guest never waits for a link: it writes into its
transcript, which each link reads at its own pace.
"""

from __future__ import annotations

import asyncio
import codecs
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress

from starlette.websockets import WebSocket, WebSocketDisconnect

from emulator.clock import pause
from emulator.cloud.console_access import check_role, find_vm
from emulator.cloud.records import PowerState
from emulator.cloud.refusals import refusal
from emulator.console.marks import MarkKind
from emulator.errors import CloudError, EmulatorError
from emulator.fleet.machine_guest import MachineGuest
from emulator.guest_text.printable import without_questions
from emulator.guest_text.records import UserView
from emulator.service.console.link_life import (
    Feed,
    Keystrokes,
    line_start,
    receive_data,
    run_until_left,
    serve_link,
)
from emulator.service.console.token_guard import TokenGuard
from emulator.service.console.watchdog import watch_idle
from emulator.service.core.call import accept_token
from emulator.service.core.context import Service
from emulator.service.https.admission import vouch
from emulator.service.parts.links import Link
from emulator.service.parts.sessions import ConsoleSession

FIRST_FRAME = "Connecting...\r\n"
NOT_TRUSTED = "Connection not trusted"
SMALL_FRAME = 32
"""A frame of at most this many bytes is somebody's echo; the next one must not wait."""
GATHER_S = 0.01
"""How long output gathers after a larger frame, seconds."""
REPLAY_MAX = 16_384
"""The most that a new link is shown, bytes: a screen may be drawn without line feeds."""
_LOG = logging.getLogger(__name__)


async def serve_client(
    socket: WebSocket, session: ConsoleSession, *, service: Service, query_token: str | None
) -> None:
    """Serve one link of `session`, on a socket that is not yet accepted, until either side ends it.

    Old clients send their token in the URL: `query_token`.
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
    """Greet, wait for trust, carry bytes; an error ends the link."""
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
    """Return the token that the link is trusted by: the URL's, or else the first message."""
    async with asyncio.timeout(service.settings.token_wait_s):
        while not token:
            token = (await receive_data(socket)).decode("utf-8", "replace").strip()
    trust(link, token, service=service)
    vouch(socket, link.principal)
    if service.faults.refuses_trust():
        raise refusal("ConnectionNotTrusted")
    return token


def trust(link: Link, token: str, *, service: Service) -> None:
    """Trust `link` as the principal of `token`.

    Raises:
        CloudError: the token is invalid, not the session owner's, or its principal has no role on the VM.
    """
    claims = accept_token(service, token)
    if link.session is not None and claims.principal != link.session.principal:
        raise refusal("AuthorizationFailed.other-token")
    check_role(service.cloud, service.settings, principal=claims.principal, vm=link.vm)
    find_vm(service.cloud, link.vm)
    link.principal, link.name = claims.principal, claims.name
    link.expire_in(claims.expires - service.now().timestamp())


async def _carry(socket: WebSocket, link: Link, *, service: Service, token: str) -> None:
    """Take over the console and carry bytes both ways until the client leaves."""
    guest = service.fleet.guest(find_vm(service.cloud, link.vm))
    service.links.take_over(link)
    guest.transcript.mark(MarkKind.LINK, "connected", {"by": link.name})
    start, now = _replay_start(guest, service.settings.replay_lines), len(guest.transcript)
    past = without_questions(guest.transcript.read(start, now))  # an answer would be typed, into GRUB perhaps
    try:
        feed = Feed(guest.transcript, position=now)
        await run_until_left(
            asyncio.create_task(_send_output(socket, feed, past, count=service.metrics.bytes_out.inc)),
            asyncio.create_task(_take_input(socket, link, guest, service=service, token=token)),
            asyncio.create_task(start_on_demand(service, link, guest)),
            *_early_ends(link, service),
        )
    finally:
        guest.transcript.mark(MarkKind.LINK, "disconnected", {"by": link.name})
        if link.session is not None:
            service.sessions.extend(link.session, now=service.now())


def _early_ends(link: Link, service: Service) -> Iterator[asyncio.Task[None]]:
    """Start the tasks that end a link early, if the settings ask for them."""
    if service.settings.idle_s is not None:
        yield asyncio.create_task(watch_idle(link, service.settings.idle_s))
    drop_s = service.faults.drops_after_s()
    if drop_s is not None:
        yield asyncio.create_task(_drop(link, drop_s))


async def _drop(link: Link, after_s: float) -> None:
    await pause(after_s)
    link.end(1011, "dropped by fault injection", notice="")


def _replay_start(guest: MachineGuest, lines: int) -> int:
    """Return where a new link begins: at the guest's last lines, so that its prompt is shown.

    Kernel messages printed into or after a prompt do not count as ends of its line.
    """
    end = len(guest.transcript)
    begin = max(guest.transcript.first, end - REPLAY_MAX)
    view = UserView(start=begin)
    view.feed(guest.transcript.read(begin, end))
    view.flush()
    text = view.read(0)
    first = line_start(text, lines=lines)
    return view.raw_span(first, len(text))[0] if first < len(text) else end


async def start_on_demand(service: Service, link: Link, guest: MachineGuest) -> None:
    """Power on the machine of a VM whose record says that it is running."""
    if find_vm(service.cloud, link.vm).power is PowerState.RUNNING:
        await guest.power_on()


async def _send_output(socket: WebSocket, feed: Feed, past: bytes, *, count: Callable[[float], None]) -> None:
    frames = codecs.getincrementaldecoder("utf-8")("replace")  # it keeps a character until that is whole
    count(len(past))
    if text := frames.decode(past):
        await socket.send_text(text)
    while data := await feed.read():
        count(len(data))
        if text := frames.decode(data):
            await socket.send_text(text)
        if len(data) > SMALL_FRAME:
            await pause(GATHER_S)
    if text := frames.decode(b"", final=True):
        await socket.send_text(text)


async def _take_input(
    socket: WebSocket, link: Link, guest: MachineGuest, *, service: Service, token: str
) -> None:
    """Type what the client sends, without tokens; a good one renews the link."""
    guard = TokenGuard(lambda newer: trust(link, newer, service=service), known=token)
    keystrokes = Keystrokes(guest)
    while True:
        data = guard.sift(await receive_data(socket))
        if data:
            link.touch()
            service.metrics.bytes_in.inc(len(data))
            await keystrokes.type(data)


async def _send_notices(socket: WebSocket, link: Link) -> None:
    with suppress(WebSocketDisconnect):
        while True:
            await socket.send_text(await link.notices.get())
