"""A terminal or pipe on a VM's console through a cloud service: bytes both ways, menu, reconnection."""

from __future__ import annotations

import os
import select
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum, auto

from emulator.clock import SYSTEM_CLOCK, Clock, Deadline
from emulator.errors import ConsoleClosed, DeadlineExceeded
from emulator.guest_text.printable import escape
from harness.azure.address import ServiceAddress
from harness.azure.arm import open_arm
from harness.azure.link import ConsoleLink, LinkEnd, open_link
from harness.azure.names import EndKind, PatternWatch, Reconnection, parse_vm
from harness.azure.virtual_machine import Act, AzureVm
from harness.scenario.errors import ServiceRefused, ServiceUnreachable
from harness.scenario.exit_codes import EXIT_BROKEN, EXIT_FAILED, EXIT_PASSED, EXIT_REFUSED
from harness.signatures.scanner import Scanner
from harness.terminal.escape_menu import EscapeMenu, MenuAct, MenuRequest, SysRqKey, help_text
from harness.terminal.terminal import greet, kept_modes, raw_terminal, read_input, write_all

CONNECT_S = 60.0
INPUT_S = 60.0
HOLD_S = 5.0
"""Seconds that a pipe is held back while the guest writes nothing: a machine that starts on demand would
lose what is typed before it is up."""
COMMAND_S = 90.0
POWER_S = 300.0
_SIZE = 65536
_COMMANDS = {MenuAct.NMI: Act.NMI, MenuAct.RESET: Act.RESET}


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminalOptions:
    """How a console is used.

    Attributes:
        reads_input: whether standard input is typed into the guest.
        stay_s: seconds after which to leave; None stays.
        until: leave once this has appeared, or once the guest has shown that it can't go on.
        quiet_s: seconds of silence, after the end of a piped input, after which to leave.
        reconnect_s: seconds for which to try to reconnect after a dropped link.
        take_back: whether to take the console back without asking when somebody else takes it.
    """

    reads_input: bool = True
    stay_s: float | None = None
    until: PatternWatch | None = None
    quiet_s: float = 2.0
    reconnect_s: float = 60.0
    take_back: bool = False


def run_console(address: ServiceAddress, name: str, options: TerminalOptions) -> int:
    """Join the console of the VM called `name` until there is a reason to leave; return the exit code.

    Raises:
        SpecError: `name` can't be a VM.
        ServiceRefused, ServiceUnreachable, BrokenPipeError: as `ServiceTerminal.run`.
    """
    vm = parse_vm(name, subscription=address.subscription, group=address.group)
    with open_arm(address) as arm:
        if options.reads_input and os.isatty(0):
            greet(f"{vm.name} at {address.endpoint}", writable=True)
        return ServiceTerminal(AzureVm(arm, vm), options).run()


class _Leave(Enum):
    """Why carrying bytes ended."""

    USER = auto()
    SEEN = auto()
    DIED = auto()
    TIME = auto()
    QUIET = auto()
    LINK = auto()


class ServiceTerminal:
    """One person or program at a VM's console; `run` does it all.

    The link's thread writes to standard output, so a slow reader slows only its own link.
    """

    def __init__(
        self,
        vm: AzureVm,
        options: TerminalOptions,
        *,
        stdin: int = 0,
        stdout: int = 1,
        tell: Callable[[str], object] = sys.stderr.write,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._vm = vm
        self._options = options
        self._stdin = stdin
        self._stdout = stdout
        self._tell = tell
        self._clock = clock
        self._on_tty = options.reads_input and os.isatty(stdin)
        self._menu = EscapeMenu()
        self._input_open = options.reads_input
        self._seen = threading.Event()
        self._scanner = None if options.until is None else Scanner()
        self._death = ""
        self._failure: OSError | None = None
        self._last_change = clock.monotonic()
        self._wake_out, self._wake_in = -1, -1
        self._leave_at: Deadline | None = None
        self._type_at = 0.0

    def run(self) -> int:
        """Carry bytes until there is a reason to leave, and return the exit code.

        Raises:
            ServiceRefused: the service refused, and trying again would not help.
            ServiceUnreachable: it was never reached.
            BrokenPipeError: nobody reads standard output any more.
        """
        with raw_terminal(self._stdin), kept_modes(self._stdout), self._waking():
            return self._stay()

    def _stay(self) -> int:
        again, connected = Reconnection(self._options.reconnect_s), False
        while True:
            try:
                began = self._clock.monotonic()
                leave, end = self._attach()
                connected = True
            except ServiceUnreachable as error:
                if not connected:
                    raise
                leave, end = _Leave.LINK, LinkEnd(kind=EndKind.DROPPED, code=1006, reason=str(error))
            except ServiceRefused as error:
                if error.status not in {404, 409, 429, 500, 502, 503, 504} or not connected:
                    raise
                leave, end = _Leave.LINK, LinkEnd(kind=EndKind.DROPPED, code=error.status, reason=str(error))
            if leave is not _Leave.LINK or end is None:
                return self._code_of(leave)
            again.was_good(self._clock.monotonic() - began)
            code = self._come_back(end, again)
            if code is not None:
                return code

    def _attach(self) -> tuple[_Leave, LinkEnd | None]:
        deadline = Deadline.after(CONNECT_S, self._clock)
        url = self._vm.connect(deadline)
        opened = open_link(
            url,
            receive=self._show,
            deadline=deadline,
            ca=self._vm.arm.address.ca,
            token=self._vm.arm.credential.token(deadline),
            on_end=self._wake,
        )
        with opened as link:
            self._begin()
            leave = self._carry(link)
            return leave, link.end

    def _begin(self) -> None:
        """Start the timeouts that count from an open link."""
        now, stay = self._clock.monotonic(), self._options.stay_s
        self._type_at = now if self._on_tty else now + HOLD_S
        if self._leave_at is None and stay is not None:
            self._leave_at = Deadline.after(stay, self._clock)

    def _come_back(self, end: LinkEnd, again: Reconnection) -> int | None:
        """Say why the link ended and wait before the next try; return an exit code to give up instead."""
        if end.kind is EndKind.TAKEN:
            self._say(f"the console was taken over: {end}")
            return self._ask_back()
        pause = again.pause_after(end.kind, end.reason)
        if pause is None:
            self._say(f"the service ended the link: {end}")
            return EXIT_REFUSED if end.kind is EndKind.REFUSED else EXIT_BROKEN
        self._say(f"the link was dropped ({end}); connecting again")
        if self._leave_at is not None and pause >= self._leave_at.remaining():
            return self._code_of(_Leave.TIME)
        self._clock.sleep(pause)
        return None

    def _ask_back(self) -> int | None:
        if self._options.take_back:
            self._clock.sleep(1.0)
            return None
        if not self._on_tty:
            return EXIT_REFUSED
        self._say("press Enter to take it back, q to leave")
        while True:
            typed = os.read(self._stdin, 1)
            if typed in {b"q", b"\x03", b"\x04", b""}:
                return EXIT_REFUSED
            if typed in {b"\r", b"\n"}:
                return None

    def _code_of(self, leave: _Leave) -> int:
        missed = self._options.until is not None and leave is _Leave.TIME
        return EXIT_FAILED if missed or leave is _Leave.DIED else EXIT_PASSED

    def _carry(self, link: ConsoleLink) -> _Leave:
        while True:
            if (leave := self._reason_to_leave(link)) is not None:
                return leave
            types = self._input_open and self._clock.monotonic() >= self._type_at
            sources = [self._wake_out, *([self._stdin] if types else [])]
            ready, _, _ = select.select(sources, [], [], self._timeout())
            if self._wake_out in ready:
                with suppress(BlockingIOError):
                    os.read(self._wake_out, _SIZE)
            if self._stdin in ready and not self._type(read_input(self._stdin), link):
                return _Leave.USER

    def _reason_to_leave(self, link: ConsoleLink) -> _Leave | None:
        if self._failure is not None:
            raise self._failure
        if self._seen.is_set():
            return _Leave.SEEN
        if self._death:
            self._say(f"the guest died: {self._death}")
            return _Leave.DIED
        if link.ended.is_set():
            return _Leave.LINK
        if self._leave_at is not None and self._leave_at.expired():
            return _Leave.TIME
        return _Leave.QUIET if self._quiet_left() == 0 else None

    def _timeout(self) -> float | None:
        held = self._type_at - self._clock.monotonic()
        waits = [
            self._quiet_left(),
            None if self._leave_at is None else self._leave_at.remaining(),
            held if self._input_open and held > 0 else None,
        ]
        return min((one for one in waits if one is not None), default=None)

    def _quiet_left(self) -> float | None:
        """Return how long the guest must still be quiet; None if input is open or something else decides."""
        options = self._options
        ends_otherwise = options.stay_s is not None or options.until is not None
        if self._input_open or not options.reads_input or ends_otherwise:
            return None
        return max(0.0, self._last_change + options.quiet_s - self._clock.monotonic())

    def _show(self, data: bytes) -> None:
        """Write what the guest wrote; called on the link's thread."""
        try:
            write_all(self._stdout, data)
        except OSError as error:
            self._failure = error
            self._wake()
            raise
        self._last_change = self._clock.monotonic()
        if self._type_at > self._last_change:
            self._type_at = 0.0
            self._wake()
        if self._options.until is not None:
            self._watch(self._options.until, data)

    def _watch(self, until: PatternWatch, data: bytes) -> None:
        """Note what ends a wait for `until`; a text that was awaited counts, even if it tells of a death."""
        found = () if self._scanner is None else self._scanner.feed(data)
        died = next((one.title for one in found if one.fatal), "")
        if until.feed(data):
            self._seen.set()
        elif died:
            self._death = died
        if self._seen.is_set() or self._death:
            self._wake()

    def _type(self, typed: bytes, link: ConsoleLink) -> bool:
        """Do what was typed; return False to leave."""
        if not typed:
            self._input_open = False
            self._last_change = self._clock.monotonic()
            return not self._on_tty
        requests: list[MenuRequest] = self._menu.feed(typed) if self._on_tty else [typed]
        return all(self._obey(request, link) for request in requests)

    def _obey(self, request: MenuRequest, link: ConsoleLink) -> bool:
        if request is MenuAct.QUIT:
            return False
        if request is MenuAct.HELP:
            self._tell(help_text(writable=True, without=frozenset({MenuAct.BREAK})))
        elif isinstance(request, SysRqKey):
            self._do(f"sysrq {escape(request.key)}", lambda: self._command(Act.SYSRQ, keys=request.key))
        elif isinstance(request, MenuAct):
            self._do(request.value.replace("_", " "), lambda: self._act(request))
        else:
            with suppress(ConsoleClosed, DeadlineExceeded):  # the loop sees the link's end
                link.send(request, Deadline.after(INPUT_S, self._clock))
        return True

    def _do(self, what: str, act: Callable[[], str]) -> None:
        try:
            self._say(f"{what}: {act()}")
        except (ServiceRefused, ServiceUnreachable) as error:
            self._say(f"{what}: {error}")

    def _act(self, act: MenuAct) -> str:
        if act in _COMMANDS:
            return self._command(_COMMANDS[act])
        if act is MenuAct.BREAK:
            return "the service sends a BREAK only with a key: s and the key"
        deadline = Deadline.after(POWER_S, self._clock)
        if act is MenuAct.POWER_ON:
            self._vm.power(Act.START, deadline)
        else:
            cut = act is MenuAct.POWER_OFF
            self._vm.power(Act.STOP, deadline, force=cut, wait=cut)
        return "accepted" if act is MenuAct.POWER_BUTTON else "done"

    def _command(self, command: Act, *, keys: bytes = b"") -> str:
        deadline = Deadline.after(COMMAND_S, self._clock)
        session = self._vm.connect(deadline)
        observed = self._vm.command(session, command, deadline, keys=keys.decode("latin-1"))
        if observed.seen is None:
            return "injected"
        said = "seen" if observed.seen else observed.unseen
        return f"{said}: {observed.evidence}" if observed.evidence else said

    def _say(self, text: str) -> None:
        """Write a message from ttylab; guest and service can't put control characters into it."""
        shown = escape(text.encode())
        self._tell(f"\r\n[ttylab: {shown}]\r\n" if self._on_tty else f"ttylab: {shown}\n")

    @contextmanager
    def _waking(self) -> Iterator[None]:
        self._wake_out, self._wake_in = os.pipe()
        os.set_blocking(self._wake_in, False)
        os.set_blocking(self._wake_out, False)
        try:
            yield
        finally:
            os.close(self._wake_in)
            os.close(self._wake_out)

    def _wake(self) -> None:
        with suppress(OSError):
            os.write(self._wake_in, b"!")
