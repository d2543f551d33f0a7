"""A pty pair without any line discipline of its own, made by ttylab, both ends held open.

Holding the slave keeps the master free of EIO while nobody else has the slave open. A session
leader that made the slave its controlling terminal takes our descriptor down with it when it ends
(tty_vhangup_session in the kernel's tty_jobctrl.c); `heal` opens it again.
"""

from __future__ import annotations

import os
import select
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class RawPty:
    """A pty pair; whoever holds it reads and writes `master`, without ever waiting.

    Attributes:
        master: descriptor of the master, non-blocking.
        slave: descriptor of the slave, non-blocking, kept open and used by nobody.
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
        """Switch off every translation, echo and signal, also those that a user left on."""
        try:
            self._set_raw()
        except termios.error:  # EIO: the slave was hung up
            self.heal()

    def read(self, size: int) -> bytes | None:
        """Return what others wrote to the slave, None where there is nothing now.

        A read looks behind the kernel's work queue (n_tty_read flushes it), so None means that
        nothing is under way either.
        """
        try:
            return os.read(self.master, size)
        except BlockingIOError:
            return None
        except OSError:  # EIO: the slave was hung up
            self.heal()
            return None

    def write(self, data: bytes) -> int:
        """Hand `data` to those who read the slave; return how many bytes the kernel took, perhaps 0."""
        try:
            return os.write(self.master, data)
        except BlockingIOError:
            return 0
        except OSError:  # EIO: the slave was hung up
            self.heal()
            return 0

    def take_back(self) -> int:
        """Take out of the kernel what was written and nobody has read; return how many bytes it was."""
        taken = 0
        while True:
            try:
                data = os.read(self.slave, 65536)
            except OSError:  # EAGAIN: all of it; EIO: hung up, so the kernel has thrown it away
                return taken
            if not data:
                return taken
            taken += len(data)

    def has_users(self) -> bool:
        """Tell whether anybody but us has the slave open.

        The kernel tells only whether the slave is open at all, so ours is closed for a moment.
        Where nobody else has it, what is in it is lost (`take_back` first), and it is raw again.
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
        """Open the slave again after a hang-up.

        Raises:
            OSError: the slave is gone for good.
        """
        slave = self._open_slave()
        os.close(self.slave)
        self.slave = slave
        self._set_raw()

    def close(self) -> None:
        """Close both ends; those who still have the slave open see a hang-up."""
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
    """Make a pty pair for the time of the `with`; its slave is for this user alone (0600).

    Raises:
        OSError: the system has no pty left.
    """
    master, slave = os.openpty()
    try:
        pty = RawPty(master, slave)
    except BaseException:
        os.close(master)
        os.close(slave)
        raise
    try:
        yield pty
    finally:
        pty.close()
