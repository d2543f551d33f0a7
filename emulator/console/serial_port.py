"""A console on a real port, given by any pyserial URL, with BREAK where the line can carry it."""

from __future__ import annotations

import errno
import os
import select
import selectors
import socket
import stat
import termios
import threading
import warnings
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

import serial

from emulator.clock import SYSTEM_CLOCK, Clock, Deadline
from emulator.console.channel import make_system_request
from emulator.console.links import ControlHandler
from emulator.console.port_address import PortAddress, parse_port
from emulator.console.pty_endpoint import PtyEndpoint
from emulator.console.pump import Console, run_console
from emulator.console.returning_wire import ReturningWire, is_absent
from emulator.console.transcript import DirectorySink, Transcript
from emulator.console.wires import READ_SIZE, TTY_LINGER_S, LineWire, count_waiting
from emulator.errors import ConsoleClosed, LabError, SpecError, StateError

READ_TIMEOUT_S = 0.1  # pyserial's, hence how long a reader thread takes to end
_WRITE_SIZE = 1024
_JOIN_S = _DRAIN_S = 10.0


class DescriptorWire(LineWire):
    """A serial device or a `socket://`: pyserial opens and configures it, the pump reads the descriptor.

    pyserial's own `read` costs 1.9 s of CPU per megabyte (docs/facts/qemu.md 3), and its `write` does not say
    how many bytes were sent.
    """

    def __init__(self, port: serial.Serial) -> None:
        self.port = port
        self._descriptor = port.fileno()
        self._tty = os.isatty(self._descriptor)
        self.linger_s = TTY_LINGER_S if self._tty else 0.0
        self.loss = "the device hung up: was it unplugged?" if self._tty else "the peer closed the connection"
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
        if data or not self._tty:
            return data
        poll = select.poll()  # pyserial sets VMIN to 0, so an idle tty reads b"" like one that was unplugged
        poll.register(self._descriptor, 0)
        return data if poll.poll(0) else None

    def write(self, data: bytes) -> int:
        """Hand over what fits; raises OSError once the device or the peer is gone."""
        try:
            return os.write(self._descriptor, data)
        except BlockingIOError:
            return 0

    def count_unread(self) -> int:
        """Return how many bytes the device has not sent yet."""
        return count_waiting(self._descriptor, termios.TIOCOUTQ) if self._tty else 0

    def close(self) -> None:
        """Close the port."""
        self.port.close()


class ThreadWire(LineWire):
    """A port without a descriptor (`rfc2217://`, `loop://`): two threads wait so that the pump never does."""

    loss = "the port server closed the connection"
    room_event = selectors.EVENT_READ  # the writer signals on the same descriptor that it is free

    def __init__(self, port: serial.Serial) -> None:
        self.port = port
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
        """Return a descriptor that is readable when something was received or sent."""
        return self._ready

    def read(self) -> bytes | None:
        """Return what the reader has received, None for nothing, b"" when the port is gone."""
        with suppress(BlockingIOError):
            os.eventfd_read(self._ready)
        data = b"".join(self._received.popleft() for _ in range(len(self._received)))
        return data or (b"" if self._ended and not self._received else None)

    def write(self, data: bytes) -> int:
        """Give the writer its next piece, if it has sent the last one; raises OSError if the port is gone."""
        with self._changed:
            if self._ended:
                raise ConnectionResetError(errno.ECONNRESET, f"{self.port.port} is gone")
            if self._sending is not None:
                return 0
            self._sending = data[:_WRITE_SIZE]
            self._changed.notify_all()
            return len(self._sending)

    def count_unread(self) -> int:
        """Return how many bytes the writer has not sent yet."""
        return len(self._sending or b"")

    def close(self) -> None:
        """Close the port, then join the threads; raises LabError if one does not end."""
        self.port.close()  # it ends what they wait for
        self._end()
        for thread in self._threads:
            thread.join(_JOIN_S)
            if thread.is_alive():
                raise LabError(f"{thread.name} did not end within {_JOIN_S:g} s")
        os.close(self._ready)

    def _receive(self) -> None:
        # pyserial may raise any of these when a port is closed during a call; SerialException is an OSError.
        with suppress(OSError, ValueError, TypeError, AttributeError):
            while not self._ended:
                data = self.port.read(max(1, min(self.port.in_waiting, READ_SIZE)))
                if data:
                    self._received.append(data)
                    os.eventfd_write(self._ready, 1)
        self._end()

    def _send(self) -> None:
        with suppress(OSError, ValueError, TypeError, AttributeError):
            while (data := self._next_piece()) is not None:
                self.port.write(data)
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


_AnyWire: TypeAlias = "DescriptorWire | ThreadWire | ReturningWire"
BREAK_S = 0.25  # longer than a character at any speed, which is what makes it a BREAK
_PTY_MAJORS = range(136, 144)  # UNIX98 pty slaves, Documentation/admin-guide/devices.txt


class SerialConsole:
    """A console whose far end is on the other side of a serial port.

    Attributes:
        url: what was opened.
        transcript: all bytes both ways.
        endpoint: ttylab's own pty for people and programs.
    """

    def __init__(self, url: str, wire: _AnyWire, console: Console) -> None:
        self.url = url
        self.transcript: Transcript = console.transcript
        self.endpoint: PtyEndpoint = console.endpoint
        self._wire = wire
        self._console = console

    @property
    def break_obstacle(self) -> str | None:
        """Why `send_break` can't reach the far end; None if it can."""
        port = self._wire.port
        return "the port is away" if port is None else _find_break_obstacle(self.url, port)

    @property
    def is_away(self) -> bool:
        """Whether the port is not there, and may return."""
        return self._wire.port is None

    def let_go(self) -> None:
        """Let the port vanish without being lost, from now until `rejoin`; only where it may return."""
        if isinstance(self._wire, ReturningWire):
            self._wire.may_go = True

    def rejoin(self, deadline: Deadline) -> None:
        """Open the port again if it has vanished, as `ReturningWire.join`; from now on it may not."""
        if isinstance(self._wire, ReturningWire):
            self.drain(Deadline.after(_DRAIN_S, deadline.clock))  # sees that the port is gone
            self._wire.join(deadline)
            self._wire.may_go = False

    @property
    def far_end_gone(self) -> bool:
        """Whether the device was unplugged, or the peer closed."""
        return self._console.far_end_gone

    def write(self, data: bytes, deadline: Deadline) -> None:
        """Hand all of `data` to the port, and note it; errors are those of `Console.write`."""
        self._console.write(data, deadline)

    def drain(self, deadline: Deadline) -> None:
        """Return once all that has arrived is in the transcript; errors are those of `Console.drain`."""
        self._console.drain(deadline)

    def send_break(self, deadline: Deadline) -> None:
        """Hold the line in BREAK for BREAK_S.

        Raises:
            StateError: the line can't carry a BREAK, and would silently drop it.
            ConsoleClosed: the port is gone, or did not confirm; the line may still be in BREAK.
        """
        self._require_break()
        port = self._wire.port
        if port is None:
            raise ConsoleClosed(f"{self.url} is away")
        try:
            try:
                port.break_condition = True
                deadline.clock.sleep(BREAK_S)
            finally:  # also after Ctrl-C: an unconfirmed BREAK may hold, and a held line is dead
                port.break_condition = False
        except (OSError, ValueError) as error:  # ValueError: an RFC 2217 server that did not confirm
            raise ConsoleClosed(f"{self.url} did not take a BREAK: {error}") from error

    def sysrq(self, key: str, deadline: Deadline) -> None:
        """Make a magic system request with one key; errors are those of `make_system_request`."""
        self._require_break()
        make_system_request(self._console, key, deadline, send_break=self.send_break)

    def _require_break(self) -> None:
        if self.break_obstacle is not None:
            raise StateError(f"{self.url} can't send a BREAK: {self.break_obstacle}")


@contextmanager
def open_serial_console(
    url: str,
    *,
    baudrate: int = 115200,
    name: str | None = None,
    sink: DirectorySink | None = None,
    clock: Clock = SYSTEM_CLOCK,
    links_dir: Path | None = None,
    on_control: ControlHandler | None = None,
    returns: bool = False,
) -> Iterator[SerialConsole]:
    """Open a console on a device path, `socket://HOST:PORT`, `rfc2217://HOST:PORT` or another pyserial URL.

    The URL may say how DTR and RTS are set on open (`emulator.console.port_address`). The transcript is named
    `name`, or after the URL. A port that `returns` need not be there yet, and may vanish until
    `SerialConsole.rejoin`.

    Raises:
        SpecError: there is no such port, it can't be opened, has no such line, or somebody else has it.
        LabError: the pump failed; raised at the end, unless something else is raised already.
    """
    with ExitStack() as stack:
        wire = _open_wire(url, baudrate, returns=returns)
        stack.callback(wire.close)
        transcript = Transcript(name or url, clock=clock, sink=sink)
        console = stack.enter_context(
            run_console(wire, transcript, links_dir=links_dir, on_control=on_control)
        )
        yield SerialConsole(url, wire, console)


def _open_wire(url: str, baudrate: int, *, returns: bool) -> _AnyWire:
    if not returns:
        return _choose_wire(_open_port(url, baudrate))
    wire = ReturningWire(lambda: _choose_wire(_open_port(url, baudrate)))
    try:
        wire.join(Deadline.after(0))
    except SpecError as error:
        if not is_absent(error):
            wire.close()
            raise
    return wire


def _open_port(text: str, baudrate: int) -> serial.Serial:
    address = parse_port(text)
    try:
        port = serial.serial_for_url(address.url, do_not_open=True, baudrate=baudrate, timeout=READ_TIMEOUT_S)
    except (ValueError, OSError) as error:
        raise SpecError(f"port {text!r}: {error}") from error
    try:
        port.exclusive = True  # a second lab on the same board must not get half of the bytes
        _set_lines(port, address)
        with warnings.catch_warnings():
            # For rfc2217 pyserial 3.5 calls Thread.setDaemon, which fails where warnings are errors.
            warnings.simplefilter("ignore", DeprecationWarning)
            with _keeping_input(port):
                port.open()
    except (ValueError, OSError, NotImplementedError, termios.error) as error:
        port.close()
        raise SpecError(f"port {text!r} can't be opened: {error}") from error
    return port


@contextmanager
def _keeping_input(port: serial.Serial) -> Iterator[None]:
    """Keep what comes while a port is opened: pyserial 3.5 throws a board's first words away."""
    names = [name for name in ("reset_input_buffer", "_reset_input_buffer") if hasattr(port, name)]
    for name in names:
        setattr(port, name, lambda: None)
    try:
        yield
    finally:
        for name in names:
            delattr(port, name)


def _set_lines(port: serial.Serial, address: PortAddress) -> None:
    """Say what DTR and RTS are to be before the port is opened; raises ValueError where that does nothing."""
    if address.dtr is address.rts is None:
        return
    if address.url.lower().startswith("socket://"):
        raise ValueError("a plain TCP connection has no DTR or RTS; use rfc2217://")
    if address.dtr is not None:
        port.dtr = address.dtr
    if address.rts is not None:
        port.rts = address.rts


def port_identity(text: str) -> str:
    """Return what is the same for all names of one port: links to a device, names of a host, schemes."""
    url = _device_of(parse_port(text).url)
    with suppress(ValueError):
        parts = urlsplit(url)
        if parts.scheme in {"socket", "rfc2217"} and parts.hostname and parts.port:
            return f"tcp {_host_address(parts.hostname)} {parts.port}"
    with suppress(OSError, ValueError):
        status = Path(url).stat()
        if stat.S_ISCHR(status.st_mode):
            return f"device {os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
    return os.path.realpath(url) if url.startswith("/") else url


def _device_of(url: str) -> str:
    """Return the device behind pyserial's ways of searching or wrapping one; other URLs as they are."""
    scheme, _, rest = url.partition("://")
    if scheme.lower() in {"alt", "spy"}:
        return rest.partition("?")[0]
    if scheme.lower() == "hwgrep":
        with suppress(ValueError, OSError):
            return serial.serial_for_url(url, do_not_open=True).port or url
    return url


def _host_address(host: str) -> str:
    """Return the first of the host's addresses in the order of numbers; its name where none is known."""
    try:
        found = {entry[4][0] for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        return host
    parsed = (ip_address(str(address).partition("%")[0]) for address in found)
    first = min(parsed, key=lambda one: (one.version, int(one)))
    return "127.0.0.1" if first == ip_address("::1") else str(first)


def _choose_wire(port: serial.Serial) -> DescriptorWire | ThreadWire:
    return ThreadWire(port) if _find_descriptor(port) is None else DescriptorWire(port)


def _find_descriptor(port: serial.Serial) -> int | None:
    try:
        return port.fileno()
    except (OSError, AttributeError):  # io.UnsupportedOperation is an OSError
        return None


def _find_break_obstacle(url: str, port: serial.Serial) -> str | None:
    """Return why a BREAK would silently do nothing (docs/facts/hardware.md 2, 4, pyserial 3.5)."""
    descriptor = _find_descriptor(port)
    if descriptor is None:
        return None if url.lower().startswith("rfc2217://") else "this kind of port has no line to hold"
    status = os.fstat(descriptor)
    if stat.S_ISSOCK(status.st_mode):
        return "a plain TCP connection carries no BREAK; use rfc2217://"
    if os.major(status.st_rdev) in _PTY_MAJORS:
        return "a pty carries no BREAK"
    return None
