"""What a pump reads and writes: one interface to ptys and sockets; `serial_port` has that to serial ports.

QEMU writes an emulated UART byte by byte. For a megabyte, a pump that reads a tty at once wakes 190,000 times
and uses 2.2 s of CPU; one that waits 2 ms first wakes 2,000 times and uses 0.1 s, and the guest is as fast.
On a socket every byte is a buffer: without a pause that costs 2.9 s of CPU, with one the guest slows to a
third (QEMU 7.2, TCG, `cat` of 380 kB on ttyS0).
"""

from __future__ import annotations

import fcntl
import os
import select
import selectors
import socket
import struct
import termios
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Protocol


class RawPty:
    """A pty pair, whose owner reads and writes `master` and never waits.

    Attributes:
        master: the master's descriptor, non-blocking.
        slave: the slave's descriptor, non-blocking, kept open and otherwise unused.
        path: what others open.
    """

    def __init__(self, master: int, slave: int) -> None:
        self.master = master
        self.slave = slave
        self.path = Path(os.ttyname(slave))
        os.fchmod(slave, 0o600)
        os.set_blocking(master, False)
        os.set_blocking(slave, False)
        self.make_raw()

    def make_raw(self) -> None:
        """Switch off every translation, echo and signal, including those that a user left on."""
        try:
            self._set_raw()
        except termios.error:  # EIO: the slave was hung up
            self.heal()

    def read(self, size: int) -> bytes | None:
        """Return what others wrote to the slave, None if there is nothing now.

        A read first flushes the kernel's work queue (n_tty_read), so None means that nothing is on its way
        either.
        """
        try:
            return os.read(self.master, size)
        except BlockingIOError:
            pass
        except OSError:  # EIO: the slave was hung up
            self.heal()
        return None

    def write(self, data: bytes) -> int:
        """Hand `data` to readers of the slave; return how many bytes the kernel took, perhaps 0."""
        try:
            return os.write(self.master, data)
        except BlockingIOError:
            pass
        except OSError:  # EIO: the slave was hung up
            self.heal()
        return 0

    def take_back(self) -> int:
        """Take what nobody has read back out of the kernel; return how many bytes that was."""
        taken = 0
        with suppress(OSError):  # EAGAIN: that was all; EIO: hung up, so the kernel has discarded it
            while data := os.read(self.slave, 65536):
                taken += len(data)
        return taken

    def has_users(self) -> bool:
        """Tell whether anybody but us has the slave open.

        The kernel only tells whether the slave is open at all, so ours is closed for a moment. If nobody else
        has it, its content is lost (call `take_back` first), and it is made raw again.
        """
        os.close(self.slave)
        poll = select.poll()
        poll.register(self.master, 0)
        alone = bool(poll.poll(0))  # POLLHUP
        self.slave = self._open_slave()
        if alone:
            self._set_raw()
        return not alone

    def heal(self) -> None:
        """Open the slave again after a hang-up; raises OSError if it is gone for good."""
        slave = self._open_slave()
        os.close(self.slave)
        self.slave = slave
        self._set_raw()

    def close(self) -> None:
        """Close both ends; others who have the slave open see a hang-up."""
        os.close(self.master)
        os.close(self.slave)

    def _open_slave(self) -> int:
        return os.open(self.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)

    def _set_raw(self) -> None:
        attributes = termios.tcgetattr(self.slave)
        attributes[0] = attributes[1] = attributes[3] = 0
        attributes[2] = termios.CS8 | termios.CREAD | termios.CLOCAL
        attributes[6][termios.VMIN], attributes[6][termios.VTIME] = 1, 0
        termios.tcsetattr(self.slave, termios.TCSANOW, attributes)


@contextmanager
def open_raw_pty() -> Iterator[RawPty]:
    """Make a pty pair for the time of the `with`; only this user may open its slave. Raises OSError."""
    master, slave = os.openpty()
    with ExitStack() as undo:
        undo.callback(os.close, slave)
        undo.callback(os.close, master)
        pty = RawPty(master, slave)
        undo.pop_all()
    with closing(pty):
        yield pty


def count_waiting(descriptor: int, request: int) -> int:
    """Return the count of FIONREAD or TIOCOUTQ; 0 for a descriptor that is gone."""
    try:
        (count,) = struct.unpack("i", fcntl.ioctl(descriptor, request, b"\0" * 4))
    except OSError:
        return 0
    return int(count)


TTY_LINGER_S = 0.002
READ_SIZE = 65536


class Wire(Protocol):
    """The way to the far end; none of its calls waits.

    Attributes:
        linger_s: how long to let bytes gather before a read, in seconds.
        room_event: the descriptor's selector event that says that more may fit.
        loss: what has happened when the far end is gone, for people.
    """

    linger_s: float
    loss: str
    room_event: int

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when there is something to read."""

    def read(self) -> bytes | None:
        """Return what came, None if there is nothing now, b"" when the far end is gone."""

    def write(self, data: bytes) -> int:
        """Return how many bytes were taken, 0 if none fit now; raises OSError once the far end is gone."""

    def discard_unread(self) -> None:
        """Discard what was handed over and nobody has read, as far as the wire can."""

    def count_unread(self) -> int:
        """Return how many handed-over bytes were not read or sent yet, as far as the wire can tell."""


class PtyWire:
    """Our own pty, whose slave the far end opens; it outlives any number of far ends."""

    loss = "the far end hung up"
    room_event = selectors.EVENT_WRITE

    def __init__(self, pty: RawPty, *, linger_s: float = TTY_LINGER_S) -> None:
        self.linger_s = linger_s
        self._pty = pty

    def fileno(self) -> int:
        """Return the master."""
        return self._pty.master

    def read(self) -> bytes | None:
        """Return what the far end wrote; never b"", since a pty waits for the next far end."""
        return self._pty.read(READ_SIZE)

    def write(self, data: bytes) -> int:
        """Hand bytes to the kernel, which keeps about 20 kB for a far end that does not read."""
        return self._pty.write(data)

    def discard_unread(self) -> None:
        """Discard what no far end has read, so that the next one does not find it."""
        self._pty.take_back()
        self._pty.make_raw()

    def count_unread(self) -> int:
        """Return how many bytes wait in the slave; QEMU reads them while the guest's FIFO has room."""
        try:  # our own descriptor: the pump may be reopening its slave
            slave = os.open(self._pty.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:  # the console is being closed
            return 0
        try:
            poll = select.poll()
            poll.register(slave, select.POLLIN)
            poll.poll(0)  # looks behind the kernel's work queue too (n_tty_poll), as FIONREAD does not
            return count_waiting(slave, termios.FIONREAD)
        finally:
            os.close(slave)


class LineWire:
    """What wires have in common that can't take back what they were handed."""

    linger_s = 0.0
    room_event = selectors.EVENT_WRITE

    def discard_unread(self) -> None:
        """Do nothing: what went out is on the line, or its peer's."""

    def count_unread(self) -> int:
        """Return 0: most don't tell what was read."""
        return 0


class SocketWire(LineWire):
    """A connected stream socket; it ends with its far end."""

    loss = "the far end hung up"

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
        """Send what fits; raises OSError once the far end is gone."""
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0
