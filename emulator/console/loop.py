"""One thread that serves any number of descriptors and sleeps while there is nothing to do."""

from __future__ import annotations

import os
import selectors
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Protocol, Self

from emulator.clock import Clock
from emulator.errors import LabError

_JOIN_S = 30.0  # a turn never waits, so this is for a host that stalls


class Port(Protocol):
    """A descriptor that a loop serves; only the loop's thread calls these."""

    def fileno(self) -> int:
        """Return the descriptor, always the same one."""

    def prepare(self) -> int:
        """Do what needs no waiting; return the selector events to wait for, 0 for none."""

    def due(self) -> float | None:
        """Return the moment of `clock.monotonic()` at which `prepare` must be called anyway, if any."""
        return None

    def serve(self, events: int) -> None:
        """Do what `events` allow."""

    def close(self) -> None:
        """Release the descriptor."""


class Loop:
    """A thread and its ports.

    Attributes:
        turns: how often the thread woke up.
        failure: what ended the thread prematurely, or None.
    """

    def __init__(self, name: str, *, clock: Clock, on_failure: Callable[[BaseException], None]) -> None:
        self.turns = 0
        self.failure: BaseException | None = None
        self._clock = clock
        self._on_failure = on_failure
        self._ports: list[Port] = []
        self._events: dict[Port, int] = {}
        self._stopping = False
        self._open = threading.Lock()  # held while the wake-up descriptor is used or released
        self._ended = False
        self._thread = threading.Thread(target=self._run, name=f"pump-{name}")
        with ExitStack() as stack:
            self._selector = stack.enter_context(selectors.DefaultSelector())
            self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            stack.callback(os.close, self._wake)
            self._selector.register(self._wake, selectors.EVENT_READ)
            self._resources = stack.pop_all()

    def add(self, port: Port) -> None:
        """Serve `port` from now on and close it at the end; before `running`, or on the loop's thread."""
        self._ports.append(port)

    def remove(self, port: Port) -> None:
        """Stop serving `port` and close it; on the loop's thread."""
        if port in self._ports:
            self._ports.remove(port)
            self._arrange(port, 0)
            port.close()

    def wake(self) -> bool:
        """Make the thread take a turn; return False if the loop has ended. Any thread may call it."""
        with self._open:
            if not self._ended:
                os.eventfd_write(self._wake, 1)
            return not self._ended

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._open:
            self._ended = True
            with self._resources:
                for port in self._ports:
                    port.close()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the thread during this `with`, inside the loop's own; raises LabError if it does not end."""
        self._thread.start()
        try:
            yield
        finally:
            self._stopping = True
            self.wake()
            self._thread.join(_JOIN_S)
            if self._thread.is_alive():
                raise LabError(f"{self._thread.name} did not end within {_JOIN_S:g} s")

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._turn()
            for port in tuple(self._ports):  # what came last must still go out
                port.prepare()
        except BaseException as error:  # noqa: BLE001 - kept, and raised where somebody sees it
            self.failure = error
            self._on_failure(error)

    def _turn(self) -> None:
        for port in tuple(self._ports):
            events = port.prepare()
            if port in self._ports:
                self._arrange(port, events)
        moments = [moment for port in self._ports if (moment := port.due()) is not None]
        due_s = max(0.0, min(moments) - self._clock.monotonic()) if moments else None
        ready = self._selector.select(due_s)
        self.turns += 1
        for key, events in ready:
            if key.data is None:
                os.eventfd_read(self._wake)
            elif key.data in self._ports:
                key.data.serve(events)

    def _arrange(self, port: Port, events: int) -> None:
        known = self._events.get(port, 0)
        if events == known:
            return
        if not events:
            self._selector.unregister(port.fileno())
        elif known:
            self._selector.modify(port.fileno(), events, port)
        else:
            self._selector.register(port.fileno(), events, port)
        if events:
            self._events[port] = events
        else:
            del self._events[port]
