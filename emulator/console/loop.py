"""One thread that serves any number of descriptors and sleeps while none has anything to do."""

from __future__ import annotations

import os
import selectors
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Protocol, Self

from emulator.clock import Clock
from emulator.errors import LabError

_JOIN_S = 30.0  # a turn never waits, so this is for a host that stands still


class Port(Protocol):
    """A descriptor that a loop serves; the loop's thread alone calls these."""

    def fileno(self) -> int:
        """Return the descriptor, the same for the port's whole life."""

    def prepare(self) -> int:
        """Do what needs no waiting; return the selector events to wait for, 0 for none."""

    def due(self) -> float | None:
        """Return the moment of `clock.monotonic()` at which `prepare` is wanted anyway."""

    def serve(self, events: int) -> None:
        """Do what `events` allow."""

    def close(self) -> None:
        """Give the descriptor back."""


class Loop:
    """A thread and its ports.

    Attributes:
        turns: how often the thread woke up.
        failure: what ended the thread before its time, or None.
    """

    def __init__(self, name: str, *, clock: Clock, on_failure: Callable[[BaseException], None]) -> None:
        self.turns = 0
        self.failure: BaseException | None = None
        self._clock = clock
        self._on_failure = on_failure
        self._ports: list[Port] = []
        self._events: dict[Port, int] = {}
        self._stopping = False
        self._open = threading.Lock()  # held while the wake-up descriptor is used or given back
        self._ended = False
        self._thread = threading.Thread(target=self._run, name=f"pump-{name}")
        with ExitStack() as stack:
            self._selector = stack.enter_context(selectors.DefaultSelector())
            self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            stack.callback(os.close, self._wake)
            self._selector.register(self._wake, selectors.EVENT_READ)
            self._resources = stack.pop_all()

    def add(self, port: Port) -> None:
        """Serve `port` from now on, close it at the end; before `running`, or on the loop's thread."""
        self._ports.append(port)

    def remove(self, port: Port) -> None:
        """Stop serving `port` and close it; on the loop's thread."""
        if port in self._ports:
            self._ports.remove(port)
            self._arrange(port, 0)
            port.close()

    def wake(self) -> bool:
        """Make the thread take a turn, from any thread; return False where the loop has ended."""
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
        """Run the thread for the time of this `with`, inside the loop's own, which closes every port.

        Raises:
            LabError: the thread does not end.
        """
        self._thread.start()
        try:
            yield
        finally:
            self._stop()

    def _stop(self) -> None:
        self._stopping = True
        self.wake()
        self._thread.join(_JOIN_S)
        if self._thread.is_alive():
            raise LabError(f"{self._thread.name} did not end within {_JOIN_S:g} s")

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._turn()
            for port in tuple(self._ports):  # what came last still goes out
                port.prepare()
        except BaseException as error:  # noqa: BLE001 - kept and raised where somebody can see it
            self.failure = error
            self._on_failure(error)

    def _turn(self) -> None:
        for port in tuple(self._ports):
            events = port.prepare()
            if port in self._ports:
                self._arrange(port, events)
        ready = self._selector.select(self._patience())
        self.turns += 1
        for key, events in ready:
            if key.data is None:
                os.eventfd_read(self._wake)
            elif key.data in self._ports:
                key.data.serve(events)

    def _patience(self) -> float | None:
        moments = [moment for port in self._ports if (moment := port.due()) is not None]
        return max(0.0, min(moments) - self._clock.monotonic()) if moments else None

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
        self._events[port] = events
        if not events:
            del self._events[port]
