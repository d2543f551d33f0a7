"""Console sessions: each `connect` opens one, and links are opened on it. And faults to inject."""

from __future__ import annotations

import asyncio
import uuid
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from emulator.cloud.refusals import refusal
from emulator.cloud.resource_id import ResourceId
from emulator.cloud.settings import Fault, Settings

OWN_MAX = 1000
ANSWERS_MAX = 32


@dataclass(slots=True, kw_only=True)
class ConsoleSession:
    """The session that one `connect` opened.

    Attributes:
        id: GUID.
        container: part of the URL, as in the live service ("consoleconn-5saat").
        vm: whose console it is.
        principal: object id of the caller; nobody else can use the session.
        expires: until when links can be opened, UTC.
        answers: answers to admin commands, or those to come, by all that was asked; see `answer_once`.
    """

    id: str
    container: str
    vm: ResourceId
    principal: str
    expires: datetime
    answers: OrderedDict[Hashable, asyncio.Future[dict[str, object]]] = field(default_factory=OrderedDict)

    async def answer_once(
        self, asked: Hashable, act: Callable[[], Coroutine[None, None, dict[str, object]]]
    ) -> dict[str, object]:
        """Return what `act` returns; a request that repeats `asked` gets that too, even while it is done.

        A failure is not kept, so that a repetition does it again; the oldest answer is dropped when there are
        too many. Who may ask is for the caller to check, each time.
        """
        answer = self.answers.get(asked)
        if answer is None:
            answer = self.answers[asked] = asyncio.ensure_future(act())
            answer.add_done_callback(lambda done: self._drop_failure(asked, done))
            while len(self.answers) > ANSWERS_MAX:
                self.answers.popitem(last=False)
        return await asyncio.shield(answer)

    def _drop_failure(self, asked: Hashable, done: asyncio.Future[dict[str, object]]) -> None:
        failed = done.cancelled() or done.exception() is not None
        if failed and self.answers.get(asked) is done:
            del self.answers[asked]


class Sessions:
    """All sessions; the service's loop owns them."""

    def __init__(self, *, lifetime_s: float) -> None:
        self._lifetime = timedelta(seconds=lifetime_s)
        self._sessions: OrderedDict[str, ConsoleSession] = OrderedDict()
        self._connecting: set[str] = set()

    def open(self, vm: ResourceId, *, principal: str, now: datetime) -> ConsoleSession:
        """Return a new session; the oldest of `principal` is dropped when it has too many."""
        own = [one.id for one in self._sessions.values() if one.principal == principal]
        for one in own[: max(0, len(own) + 1 - OWN_MAX)]:
            del self._sessions[one]
        session_id = str(uuid.uuid4())
        session = ConsoleSession(
            id=session_id,
            container=f"consoleconn-{session_id[:5]}",
            vm=vm,
            principal=principal,
            expires=now + self._lifetime,
        )
        self._sessions[session_id] = session
        return session

    def find(self, container: str, session_id: str, *, now: datetime) -> ConsoleSession:
        """Return the session of a URL; raises CloudError 404 if it is unknown or has expired."""
        found = self._sessions.get(session_id.lower())
        if found is None or found.container != container or found.expires <= now:
            raise refusal("SessionNotFound")
        return found

    def extend(self, session: ConsoleSession, *, now: datetime) -> None:
        """Renew the lifetime of `session`, since a link was open on it."""
        session.expires = max(session.expires, now + self._lifetime)

    @contextmanager
    def connecting(self, vm: ResourceId) -> Iterator[None]:
        """Refuse a second `connect` to a VM, by CloudError 409, while the first is being answered."""
        if vm.key in self._connecting:
            raise refusal("Conflict.in-progress")
        self._connecting.add(vm.key)
        try:
            yield
        finally:
            self._connecting.discard(vm.key)


class Faults:
    """Decides for each call whether to inject a fault."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._trusts = 0
        self._connects = 0

    def refuses_trust(self) -> bool:
        """Tell whether to refuse a good token; every other one is refused (docs/facts/azure.md 3, F5)."""
        if Fault.REFUSED_TRUST not in self._settings.faults:
            return False
        self._trusts += 1
        return self._trusts % 2 == 1

    def conflicts(self) -> bool:
        """Tell whether a connect finds another in progress; every other one does."""
        if Fault.CONFLICT not in self._settings.faults:
            return False
        self._connects += 1
        return self._connects % 2 == 1

    def stays_silent(self) -> bool:
        """Tell whether a connect gets no answer in time (docs/facts/azure.md 8, text 14)."""
        return Fault.NO_RESPONSE in self._settings.faults

    def first_frame_delay_s(self) -> float:
        """Return the delay of a link's first frame, seconds."""
        return self._settings.late_frame_s if Fault.LATE_FIRST_FRAME in self._settings.faults else 0.0

    def drops_after_s(self) -> float | None:
        """Return how long after trust to cut a link, seconds, or None."""
        return self._settings.drop_after_s if Fault.DROPPED_LINK in self._settings.faults else None
