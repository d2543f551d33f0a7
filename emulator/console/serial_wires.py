"""Wires on pyserial ports: those with a descriptor, and those that have only `read` and `write`."""

from __future__ import annotations

import os
import select
import threading
from collections import deque

import serial

from emulator.console.wires import READ_SIZE, TTY_LINGER_S
from emulator.errors import LabError

READ_PATIENCE_S = 0.1  # pyserial's own read timeout: how long the end of a reader thread may take
_WRITE_SIZE = 1024
_JOIN_S = 10.0


class DescriptorWire:
    """A serial device or a `socket://`: pyserial opens and sets it, the pump reads the descriptor.

    pyserial's own `read` costs 1.9 s of CPU on a megabyte (spec/qemu.md 3), and its `write` says
    nothing of how many bytes went.
    """

    def __init__(self, port: serial.Serial) -> None:
        self._descriptor = port.fileno()
        self._tty = os.isatty(self._descriptor)
        self.linger_s = TTY_LINGER_S if self._tty else 0.0
        os.set_blocking(self._descriptor, False)

    def fileno(self) -> int:
        """Return the port's descriptor."""
        return self._descriptor

    def read(self) -> bytes | None:
        """Return what came, None for nothing, b"" when the device or the peer is gone."""
        try:
            data = os.read(self._descriptor, READ_SIZE)
        except BlockingIOError:
            return None
        except OSError:
            return b""
        # pyserial sets VMIN to 0, so an idle tty reads b"" just as one that was unplugged.
        return data if data or not self._tty or self._hung_up() else None

    def write(self, data: bytes) -> int:
        """Hand over what fits.

        Raises:
            OSError: the device or the peer is gone.
        """
        try:
            return os.write(self._descriptor, data)
        except BlockingIOError:
            return 0

    def discard_unread(self) -> None:
        """Do nothing: what went out is on the line."""

    def _hung_up(self) -> bool:
        poll = select.poll()
        poll.register(self._descriptor, 0)
        return bool(poll.poll(0))


class ThreadWire:
    """A port without a descriptor (`rfc2217://`, `loop://`): a thread reads, the pump takes."""

    linger_s = 0.0

    def __init__(self, port: serial.Serial) -> None:
        self._port = port
        self._received: deque[bytes] = deque()
        self._ready = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"read-{port.port}")
        self._thread.start()

    def fileno(self) -> int:
        """Return a descriptor that is readable while something has come."""
        return self._ready

    def read(self) -> bytes | None:
        """Return what the thread has read, None for nothing, b"" when the port is gone."""
        try:
            os.eventfd_read(self._ready)
        except BlockingIOError:
            return None
        gathered = [self._received.popleft() for _ in range(len(self._received))]
        data = b"".join(gathered)
        if data and not gathered[-1]:  # the end came with the last bytes: say so the next time
            self._give(b"")
        return data if gathered else None

    def write(self, data: bytes) -> int:
        """Hand over a piece; a peer that takes nothing holds this for pyserial's own 5 s.

        Raises:
            OSError: the port is gone.
        """
        return self._port.write(data[:_WRITE_SIZE]) or 0

    def discard_unread(self) -> None:
        """Do nothing: what went out is on the line."""

    def close(self) -> None:
        """Join the thread; the port belongs to who opened it."""
        self._stopping = True
        self._thread.join(_JOIN_S)
        if self._thread.is_alive():
            raise LabError(f"the reader of {self._port.port} did not end within {_JOIN_S:g} s")
        os.close(self._ready)

    def _run(self) -> None:
        while not self._stopping:
            try:
                data = self._port.read(max(1, min(self._port.in_waiting, READ_SIZE)))
            except (OSError, ValueError):  # SerialException is an OSError
                self._give(b"")
                return
            if data:
                self._give(data)

    def _give(self, data: bytes) -> None:
        self._received.append(data)
        os.eventfd_write(self._ready, 1)
