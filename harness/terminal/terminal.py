"""Join this terminal to a machine's console: raw bytes both ways, and the escape menu."""

from __future__ import annotations

import errno
import os
import select
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from emulator.clock import SYSTEM_CLOCK, Clock, Deadline
from emulator.console.links import open_link, request_control
from emulator.errors import ControlError
from emulator.guest_text.printable import escape, visible
from harness.terminal.escape_menu import EscapeMenu, MenuAct, MenuRequest, SysRqKey, help_text

LINK_S = 5.0
REQUEST_S = 25.0
_SIZE = 65536
_ASK_S = 0.2
_TYPED_FIRST_S = 0.05  # typed bytes go through another socket than requests, and must arrive first
_KEEP_TITLE = b"\x1b[22;0t"
_UNDO = (
    b"\x1b[?1000;1002;1003;1004;1005;1006;1015l\x1b[?2004l"  # mouse, focus, bracketed paste
    b"\x1b[?1047l\x1b7\x1b[r\x1b8\x1b[?7h\x1b[?25h"  # main screen, no scroll region, wrapping, visible cursor
    b"\x1b[?1l\x1b>\x1b(B\x0f\x1b[0m\x1b[23;0t"  # keypad, character set, colours, title
)
"""Undoes what a guest's programs may have left set, in xterm's control sequences, which others follow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSockets:
    """Where a machine's console and control are served.

    Attributes:
        console: path of its console.sock.
        control: path of its control.sock, None if it can't be controlled.
    """

    console: Path
    control: Path | None


@dataclass(slots=True)
class Terminal:
    """One attached person or program.

    Attributes:
        links: what it is attached to.
        writable: whether typing and the menu's acts reach the machine.
        start: where replay of the console starts.
        stdin, stdout: file descriptors.
        stay: when to leave; None stays as long as the user and the console do.
        ended: polled; the terminal leaves once it returns True.
        quiet_s: seconds that the guest may be silent after the end of standard input; None: any time.
    """

    links: LinkSockets
    writable: bool
    start: Literal["start", "end"] = "start"
    stdin: int = 0
    stdout: int = 1
    clock: Clock = SYSTEM_CLOCK
    stay: Deadline | None = None
    ended: Callable[[], bool] | None = None
    quiet_s: float | None = None

    def run(self) -> bool:
        """Carry bytes until the user quits or the console ends; raises ConsoleClosed if none is served there.

        After the end of standard input (a pipe) the console is still read, for as long as `quiet_s` says; a
        terminal that has hung up ends it. Returns whether the console has ended, or `ended` says so.
        """
        mode: Literal["read", "write"] = "write" if self.writable else "read"
        deadline = Deadline.after(LINK_S, self.clock)
        opened = open_link(self.links.console, mode=mode, start=self.start, deadline=deadline)
        with opened as link, raw_terminal(self.stdin), kept_modes(self.stdout):
            return self._carry(link.fileno(), EscapeMenu())

    def _carry(self, link: int, menu: EscapeMenu) -> bool:
        sources = [link, self.stdin]
        quiet: Deadline | None = None
        while not any(one is not None and one.expired() for one in (self.stay, quiet)):
            if self.ended is not None and self.ended():
                self._show_rest(link)
                return True
            ready, _, _ = select.select(sources, [], [], self._wait_s())
            if link in ready and not self._show(link):
                return True
            if self.stdin in ready:
                typed = read_input(self.stdin)
                if not typed:
                    sources.remove(self.stdin)
                hung_up = not typed and os.isatty(self.stdin)
                if hung_up or not all(self._obey(request, link) for request in menu.feed(typed)):
                    return False
            if ready and self.stdin not in sources and self.quiet_s is not None:
                quiet = Deadline.after(self.quiet_s, self.clock)
        return False

    def _show(self, link: int) -> bool:
        """Show what has come; return whether the link goes on."""
        data = os.read(link, _SIZE)
        write_all(self.stdout, data)
        return bool(data)

    def _show_rest(self, link: int) -> None:
        """Show the last words of a guest that has ended, which may still be on their way."""
        while select.select([link], [], [], _ASK_S)[0] and self._show(link):
            pass

    def _wait_s(self) -> float | None:
        """Return how long to wait for bytes before `_is_over` is asked again; None waits for ever."""
        return None if (self.stay, self.ended, self.quiet_s) == (None, None, None) else _ASK_S

    def _obey(self, request: MenuRequest, link: int) -> bool:
        """Do what was typed; False ends the terminal."""
        if request is MenuAct.QUIT:
            return False
        if request is MenuAct.HELP:
            self.say(help_text(writable=self.writable and self.links.control is not None))
        elif not self.writable:
            pass
        elif isinstance(request, bytes):
            write_all(link, request)
        elif isinstance(request, SysRqKey):
            self.clock.sleep(_TYPED_FIRST_S)
            self._ask(f"sysrq {escape(request.key)}", {"do": "sysrq", "key": request.key.decode("latin-1")})
        else:
            self._ask(request.value.replace("_", " "), {"do": request.value})
        return True

    def _ask(self, what: str, request: dict[str, str]) -> None:
        if self.links.control is None:
            self.say(f"\r\n[ttylab: this target can't be controlled: {request['do']}]\r\n")
            return
        try:
            answer = request_control(self.links.control, request, Deadline.after(REQUEST_S, self.clock))
        except ControlError as error:
            answer = {"ok": False, "error": str(error)}
        words = "injected" if answer.get("ok") else visible(str(answer.get("error")))
        self.say(f"\r\n[ttylab: {what}: {words}]\r\n")

    def say(self, text: str) -> None:
        """Write a message from ttylab between the guest's bytes."""
        write_all(self.stdout, text.encode())


def read_input(descriptor: int) -> bytes:
    """Return what was typed; nothing at the end of a pipe, and where a terminal's window was closed."""
    try:
        return os.read(descriptor, _SIZE)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return b""


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of `data` to a blocking descriptor."""
    while data:
        data = data[os.write(descriptor, data) :]


@contextmanager
def raw_terminal(descriptor: int) -> Iterator[None]:
    """Put a terminal into raw mode for the block; leave anything else as it is."""
    if not os.isatty(descriptor):
        yield
        return
    before = termios.tcgetattr(descriptor)
    try:
        tty.setraw(descriptor)
        yield
    finally:
        with suppress(termios.error):  # its window was closed
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


@contextmanager
def kept_modes(descriptor: int) -> Iterator[None]:
    """After the block, undo what a guest has set in the terminal; nothing is written to a file."""
    if not os.isatty(descriptor):
        yield
        return
    write_all(descriptor, _KEEP_TITLE)
    try:
        yield
    finally:
        with suppress(OSError):  # its window was closed
            write_all(descriptor, _UNDO)


def greet(what: str, *, writable: bool, tell: Callable[[str], object] = sys.stderr.write) -> None:
    """Say what is attached and how to leave."""
    mode = "" if writable else ", read only"
    tell(f"ttylab: {escape(what.encode())}{mode}; Ctrl-] ? for the menu, Ctrl-] q to leave\n")
