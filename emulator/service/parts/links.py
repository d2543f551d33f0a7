"""The open links to consoles: one link holds each console, and a link that is ended gets the reason."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from emulator.cloud.resource_id import ResourceId
from emulator.service.parts.sessions import ConsoleSession

TAKEN_OVER = (
    "The serial console connection was closed: another user connected to the console of this virtual machine."
)
EXPIRED = "The serial console connection was closed: the access token has expired."
_REASON_MAX = 120  # a close frame holds 123 bytes of it (RFC 6455, 5.5)
_NOTICES_MAX = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkEnding:
    """Why the service ends a link.

    Attributes:
        code: WebSocket close code.
        reason: for the close frame, at most 123 bytes.
        notice: shown on the console before the close, because az shows no close reason
            (docs/facts/azure.md 3).
    """

    code: int
    reason: str
    notice: str


class Link:
    """One open WebSocket; created and used on the service's loop.

    Attributes:
        vm: whose console it shows.
        session: the session it was opened on; None for ttylab's own links.
        principal: object id of its user, once it is trusted; "" before.
        name: the name of that user.
        holds: whether it is the one link that holds the console by Azure's rules.
        ending: done when the service ends the link.
        notices: what to show besides the guest's bytes, each in its own frame.
        active_at: when somebody last typed, seconds of the loop's clock.
    """

    def __init__(self, *, vm: ResourceId, session: ConsoleSession | None = None) -> None:
        self.vm = vm
        self.session = session
        self.principal = ""
        self.name = ""
        self.holds = False
        self._loop = asyncio.get_running_loop()
        self.ending: asyncio.Future[LinkEnding] = self._loop.create_future()
        self.notices: asyncio.Queue[str] = asyncio.Queue(maxsize=_NOTICES_MAX)
        self.active_at = self._loop.time()
        self._expiry: asyncio.TimerHandle | None = None

    def end(self, code: int, reason: str, *, notice: str | None = None) -> None:
        """End the link; only the first ending counts."""
        if not self.ending.done():
            cut = reason.encode()[:_REASON_MAX].decode(errors="ignore")
            self.ending.set_result(
                LinkEnding(code=code, reason=cut, notice=reason if notice is None else notice)
            )

    async def wait_end(self, talk: asyncio.Task[None]) -> None:
        """Return when the service ends the link, or when `talk` has ended."""
        waited: set[asyncio.Future[Any]] = {talk, self.ending}
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)

    def show(self, notice: str) -> None:
        """Send `notice` in its own frame; "" is invisible. It is dropped if the queue is full."""
        if not self.notices.full():
            self.notices.put_nowait(notice)

    def expire_in(self, seconds: float) -> None:
        """End the link when its token expires, `seconds` from now; a newer token moves that."""
        self.close()
        self._expiry = self._loop.call_later(max(0.0, seconds), self.end, 1008, EXPIRED)

    def touch(self) -> None:
        """Note that somebody is typing."""
        self.active_at = self._loop.time()

    def close(self) -> None:
        """Cancel the timer of the token's expiry."""
        if self._expiry is not None:
            self._expiry.cancel()


class Links:
    """All open links; the service's loop owns them."""

    def __init__(self) -> None:
        self._links: dict[str, list[Link]] = {}
        self._none = asyncio.Event()
        self._none.set()

    def __len__(self) -> int:
        return sum(len(links) for links in self._links.values())

    def __iter__(self) -> Iterator[Link]:
        return iter([link for links in self._links.values() for link in links])

    @contextmanager
    def opened(self, link: Link) -> Iterator[None]:
        """Count `link` among the open ones during the `with`."""
        self._links.setdefault(link.vm.key, []).append(link)
        self._none.clear()
        try:
            yield
        finally:
            link.close()
            links = self._links[link.vm.key]
            links.remove(link)
            if not links:
                del self._links[link.vm.key]
            if not self._links:
                self._none.set()

    async def wait_none(self) -> None:
        """Return when no link is open."""
        await self._none.wait()

    def of(self, vm: ResourceId) -> list[Link]:
        """Return the open links of a VM."""
        return list(self._links.get(vm.key, ()))

    def of_session(self, session: ConsoleSession) -> list[Link]:
        """Return the open links of a session."""
        return [link for link in self.of(session.vm) if link.session is session]

    def holder(self, vm: ResourceId) -> Link | None:
        """Return the link that holds the console of a VM."""
        return next((link for link in self.of(vm) if link.holds), None)

    def take_over(self, link: Link) -> None:
        """Give `link` the console; the link that held it before is ended with the reason."""
        before = self.holder(link.vm)
        if before is not None and before is not link:
            before.holds = False
            before.end(1000, TAKEN_OVER)
        link.holds = True
