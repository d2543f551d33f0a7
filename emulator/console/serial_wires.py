"""Wires on pyserial ports: those with a descriptor, and those that have only `read` and `write`."""

from __future__ import annotations

import errno
import os
import select
import selectors
import threading
from collections import deque
from contextlib import suppress

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

    room_event = selectors.EVENT_WRITE

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
    """A port without a descriptor (`rfc2217://`, `loop://`): two threads wait, the pump never does."""

    linger_s = 0.0
    room_event = selectors.EVENT_READ  # the writer says through the same descriptor that it is free

    def __init__(self, port: serial.Serial) -> None:
        self._port = port
        self._received: deque[bytes] = deque()
        self._ready = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._changed = threading.Condition()
        self._sending: bytes | None = None
        self._ended = False
        self._threads = [
            threading.Thread(target=target, name=f"{word}-{port.port}")
            for word, target in (("read", self._receive), ("write", self._send))
        ]
        for thread in self._threads:
            thread.start()

    def fileno(self) -> int:
        """Return a descriptor that is readable when something has come or gone."""
        return self._ready

    def read(self) -> bytes | None:
        """Return what the thread has read, None for nothing, b"" when the port is gone."""
        with suppress(BlockingIOError):
            os.eventfd_read(self._ready)
        data = b"".join(self._received.popleft() for _ in range(len(self._received)))
        return data or (b"" if self._ended and not self._received else None)

    def write(self, data: bytes) -> int:
        """Give the writer its next piece, if it has sent the one before.

        Raises:
            OSError: the port is gone; the last piece may be lost with it.
        """
        with self._changed:
            if self._ended:
                raise ConnectionResetError(errno.ECONNRESET, f"{self._port.port} is gone")
            if self._sending is not None:
                return 0
            self._sending = data[:_WRITE_SIZE]
            self._changed.notify_all()
            return len(self._sending)

    def discard_unread(self) -> None:
        """Do nothing: what went out is on the line."""

    def close(self) -> None:
        """Join the threads, after the port was closed under them.

        Raises:
            LabError: one of them does not end.
        """
        self._end()
        for thread in self._threads:
            thread.join(_JOIN_S)
            if thread.is_alive():
                raise LabError(f"{thread.name} did not end within {_JOIN_S:g} s")
        os.close(self._ready)

    def _receive(self) -> None:
        # pyserial raises whatever comes when a port is closed under it; SerialException is an OSError.
        with suppress(OSError, ValueError, TypeError, AttributeError):
            while not self._ended:
                data = self._port.read(max(1, min(self._port.in_waiting, READ_SIZE)))
                if data:
                    self._received.append(data)
                    os.eventfd_write(self._ready, 1)
        self._end()

    def _send(self) -> None:
        with suppress(OSError, ValueError, TypeError, AttributeError):
            while (data := self._next_piece()) is not None:
                self._port.write(data)
                self._sending = None
                os.eventfd_write(self._ready, 1)
        self._end()

    def _next_piece(self) -> bytes | None:
        with self._changed:
            while self._sending is None and not self._ended:
                self._changed.wait()
            return None if self._ended else self._sending

    def _end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        os.eventfd_write(self._ready, 1)
