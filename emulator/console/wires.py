"""What a pump reads and writes: one interface over ptys, sockets and serial ports.

QEMU writes an emulated UART byte by byte. A pump that reads a tty as soon as there is something
wakes 190,000 times and spends 2.2 s of CPU on a megabyte; one that lingers 2 ms first wakes 2,000
times and spends 0.1 s, at the same speed of the guest. On a socket every byte is a buffer of its
own: without a pause 2.9 s of CPU, with one the guest is slowed to a third (measured on QEMU 7.2,
TCG, `cat` of 380 kB on ttyS0).
"""

from __future__ import annotations

import selectors
import socket
from typing import Protocol

from emulator.console.raw_pty import RawPty

TTY_LINGER_S = 0.002
READ_SIZE = 65536


class Wire(Protocol):
    """The way to the far end; nothing here ever waits.

    Attributes:
        linger_s: how long to let bytes gather before a read, in seconds.
        room_event: the selector event of the descriptor that says that more may fit.
    """

    linger_s: float
    room_event: int

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when there is something to read."""

    def read(self) -> bytes | None:
        """Return what came, None where nothing is there now, b"" when the far end is gone."""

    def write(self, data: bytes) -> int:
        """Return how many bytes were taken, 0 where none fit now.

        Raises:
            OSError: the far end is gone.
        """

    def discard_unread(self) -> None:
        """Throw away what was handed over and not read by anybody, as far as the wire can."""


class PtyWire:
    """A pty of our own whose slave the far end opens; it outlives any number of far ends."""

    room_event = selectors.EVENT_WRITE

    def __init__(self, pty: RawPty, *, linger_s: float = TTY_LINGER_S) -> None:
        self.linger_s = linger_s
        self._pty = pty

    def fileno(self) -> int:
        """Return the master."""
        return self._pty.master

    def read(self) -> bytes | None:
        """Return what the far end wrote; never b"", a pty waits for the next far end."""
        return self._pty.read(READ_SIZE)

    def write(self, data: bytes) -> int:
        """Hand bytes to the kernel, which keeps about 20 kB for a far end that does not read."""
        return self._pty.write(data)

    def discard_unread(self) -> None:
        """Throw away what no far end has read, so the next one does not find it."""
        self._pty.take_back()
        self._pty.make_raw()


class SocketWire:
    """A connected stream socket; it ends with its far end."""

    linger_s = 0.0
    room_event = selectors.EVENT_WRITE

    def __init__(self, link: socket.socket) -> None:
        link.settimeout(0.0)
        self._socket = link

    def fileno(self) -> int:
        """Return the socket's descriptor."""
        return self._socket.fileno()

    def read(self) -> bytes | None:
        """Return what came; a reset counts as the end."""
        try:
            return self._socket.recv(4 * READ_SIZE)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def write(self, data: bytes) -> int:
        """Send what fits.

        Raises:
            OSError: the far end is gone.
        """
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0

    def discard_unread(self) -> None:
        """Do nothing: what a socket took belongs to its peer."""
