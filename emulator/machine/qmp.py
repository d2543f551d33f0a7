"""QMP for synchronous callers: one thread with one event loop, and qemu.qmp's client on it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import socket
import threading
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any, Self, TypeVar

from qemu.qmp import EventListener, ExecInterruptedError, ExecuteError, Message, QMPClient, QMPError, Runstate
from qemu.qmp import StateError as QmpStateError

from emulator.clock import Deadline
from emulator.errors import ControlError, DeadlineExceeded, LabError

T = TypeVar("T")
OnEvent = Callable[[str, Mapping[str, object]], None]
JOIN_S = 15.0

# Failures are raised or marked; without a handler, logging would also print them on stderr.
logging.getLogger("qemu.qmp").addHandler(logging.NullHandler())


class LoopThread:
    """A thread that runs an event loop during the `with`.

    A machine's QEMU is spawned on it, since the parent-death signal follows the spawning thread.
    """

    def __init__(self, name: str) -> None:
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), name=name, daemon=False)
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Cancel what still runs on the loop and join the thread; raises LabError after 15 s."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(JOIN_S)
        if self._thread.is_alive():
            raise LabError(f"thread {self._thread.name} did not end within {JOIN_S} s")

    def run(self, work: Coroutine[Any, Any, T], *, what: str, deadline: Deadline) -> T:
        """Run `work` on the loop and return its result; it is cancelled at the deadline.

        Never call it from the loop's own thread.

        Raises:
            DeadlineExceeded: the deadline passed; the text names `what` and the seconds.
        """
        seconds = deadline.remaining()
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(timeout=seconds)
        except concurrent.futures.TimeoutError as error:
            if future.done() and not future.cancelled():
                raise  # `work` itself raised it
            raise DeadlineExceeded(f"{what} within {seconds:.1f} s") from error
        finally:
            future.cancel()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin `work` on the loop and return at once; a loop that has ended drops it."""
        try:
            asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:  # the loop is closed
            work.close()

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        await self._stop.wait()


class _Tap(EventListener):
    """Pass every event on at once, in the reader's own step, and keep none."""

    def __init__(self, on_event: OnEvent) -> None:
        super().__init__()
        self._on_event = on_event

    def accept(self, event: Message) -> bool:
        data = event.get("data", {})
        self._on_event(str(event["event"]), data if isinstance(data, Mapping) else {})
        return False


class QmpLink:
    """One QMP session, over one socket, of one QEMU process.

    All coroutines run on the machine's loop; `lost` may be read from any thread.

    Attributes:
        lost: why the session ended, None while it stands.
    """

    def __init__(self, sock: socket.socket, *, on_event: OnEvent) -> None:
        self.lost: str | None = None
        self._socket = sock
        self._client = QMPClient()
        self._client.register_listener(_Tap(on_event))
        self._attempt: asyncio.Task[None] | None = None
        self._watch: asyncio.Task[None] | None = None

    async def connect(self, deadline: Deadline) -> None:
        """Await the greeting and negotiate; a failure closes the socket.

        Raises:
            ControlError: the far end closed, or does not speak QMP.
            DeadlineExceeded: it said nothing before the deadline.
        """
        seconds = deadline.remaining()
        self._attempt = asyncio.create_task(self._begin())
        done, _ = await asyncio.wait({self._attempt}, timeout=seconds)
        if not done:
            self.sever()  # not cancelled: qemu.qmp 0.0.6 would take that for its own bug and log it
        try:
            await self._attempt
        except (OSError, QMPError) as error:
            self.lost = str(error)
            self._socket.close()
            if not done:
                raise DeadlineExceeded(f"no QMP greeting within {seconds:.1f} s") from error
            raise ControlError(f"QMP: {error}") from error

    async def execute(self, command: str, arguments: Mapping[str, object] | None = None) -> object:
        """Execute a command and return its result; raises ControlError if QEMU refused or QMP ended."""
        try:
            return await self._client.execute(command, arguments)
        except ExecuteError as error:
            raise ControlError(f"QEMU refused {command!r}: {error}") from error
        except (ExecInterruptedError, QmpStateError) as error:
            await self.wait_lost()
            raise ControlError(f"QMP ended before the answer to {command!r}: {self.lost}") from error

    async def hand_over(self, fd: int, name: str) -> None:
        """Give QEMU a copy of a descriptor, which later commands call `name`; the caller keeps the original.

        Raises:
            ControlError: QEMU refused, or the session ended.
        """
        try:
            self._client.send_fd_scm(fd)
        except (OSError, QMPError) as error:
            raise ControlError(f"QMP took no descriptor: {error}") from error
        await self.execute("getfd", {"fdname": name})

    async def wait_lost(self) -> None:
        """Return when the session has ended and all its events were passed on."""
        if self._attempt is not None:
            await asyncio.wait({self._attempt})
            self._attempt.exception()  # the caller of `connect` may be gone: retrieved here at the latest
        if self._watch is not None:
            await asyncio.wait({self._watch})

    def sever(self) -> None:
        """Cut the connection, as a fault would; the session then ends by itself."""
        with suppress(OSError):  # it was cut already
            self._socket.shutdown(socket.SHUT_RDWR)

    async def close(self) -> None:
        """End the session and close the socket; calling it again does nothing."""
        self.sever()
        await self.wait_lost()
        self._socket.close()

    async def _begin(self) -> None:
        await self._client.connect(self._socket)
        self._watch = asyncio.create_task(self._until_lost())

    async def _until_lost(self) -> None:
        while self._client.runstate is Runstate.RUNNING:
            await self._client.runstate_changed()
        try:
            await self._client.disconnect()
        except EOFError:  # how qemu.qmp 0.0.6 reports every hang-up, even after `quit`
            self.lost = "the far end closed it"
        except (OSError, QMPError) as error:
            self.lost = str(error) or type(error).__name__
        else:
            self.lost = "closed"
