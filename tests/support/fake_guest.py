"""A console without hardware: a scripted Linux guest behind a channel, on a clock that jumps.

Waits take no time: `ScriptedTranscript.wait_change` lets the next planned thing happen, or the deadline come.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from emulator.clock import Deadline
from emulator.console.channel import Write, make_system_request
from emulator.console.marks import MarkKind
from emulator.console.transcript import DirectorySink, Transcript
from emulator.errors import StateError
from emulator.machine.control import Capability
from harness.play.target import Target
from tests.support.fake_clock import FakeClock

KERNEL_LINE = b"[    0.000000] Linux version 6.1.0-50-cloud-amd64 (debian-kernel@lists.debian.org)\r\n"
PANIC = (
    b"[    9.110001] Kernel panic - not syncing: sysrq triggered crash\r\n"
    b"[    9.110002] CPU: 0 PID: 1 Comm: sh Not tainted 6.1.0\r\n"
    b"[    9.110003] Kernel Offset: 0x1000000 from 0xffffffff81000000\r\n"
    b"[    9.110004] ---[ end Kernel panic - not syncing: sysrq triggered crash ]---\r\n"
)
HELP = b"[    8.000001] sysrq: HELP : loglevel(0-9) reboot(b) crash(c) show-memory-usage(m)\r\n"
PROMPT = b"root@ttylab:~# "
_DRIVEN = re.compile(
    rb"""echo "ttyl""(?P<word>ab-\d+):"; command eval '(?P<command>.*)'; _t=\$\?; echo; echo "[^;]*""",
    re.DOTALL,
)
_ASKED = re.compile(rb"""command eval 'echo "ttyl""(?P<word>ab-\d+:1:).*""")
_ASKED_LAST = re.compile(rb"echo ttyl''(ab-\d+:0:)")
_SUM = re.compile(rb"echo \$\(\((\d+) \* (\d+)\)\)")


class ScriptedTranscript(Transcript):
    """A transcript on a FakeClock, with an agenda instead of a guest that works by itself."""

    def __init__(self, *, sink: DirectorySink | None = None, clock: FakeClock | None = None) -> None:
        self.fake = clock or FakeClock()
        super().__init__(clock=self.fake, sink=sink)
        self._agenda: list[tuple[float, int, Callable[[], object]]] = []
        self._planned = 0

    def later(self, seconds: float, act: Callable[[], object]) -> None:
        self._planned += 1
        self._agenda.append((self.fake.monotonic() + seconds, self._planned, act))
        self._agenda.sort()

    def wait_change(self, version: int, deadline: Deadline) -> int:
        while self.version == version and self.closed is None:
            if not self._agenda or self._agenda[0][0] > self.fake.monotonic() + deadline.remaining():
                least = 0.0 if deadline.clock is self.fake else 0.05  # a fair clock looks only so often
                self.fake.advance(max(least, deadline.remaining()))
                break
            at, _, act = self._agenda.pop(0)
            self.fake.advance(max(0.0, at - self.fake.monotonic()))
            act()
        return self.version


def whole(data: bytes) -> Iterable[bytes]:
    return (data,)


@dataclass
class FakeGuest:
    """getty, login and a shell that knows a few commands; `cut` says in which chunks it writes."""

    transcript: ScriptedTranscript = field(default_factory=ScriptedTranscript)
    cut: Callable[[bytes], Iterable[bytes]] = whole
    commands: Mapping[bytes, tuple[bytes, int]] = field(default_factory=dict)
    password: bytes = b"ttylab"
    look: bytes = b""  # what a second look at its kernel log shows; empty for a guest that gives none
    deaf: bool = False  # takes no input: nothing is echoed
    state: str = "off"
    line: bytes = b""
    unread: int = 0

    # -- the channel ---------------------------------------------------------------------------

    def write(self, data: bytes, deadline: Deadline) -> None:
        self.transcript.append_typed(data)
        for byte in data if not self.deaf else b"":
            self.take(bytes([byte]))

    @contextmanager
    def held(self) -> Iterator[Write]:
        yield self.write

    # -- the guest -----------------------------------------------------------------------------

    def say(self, data: bytes) -> None:
        for chunk in self.cut(data):
            self.transcript.append(chunk)

    def boot(self) -> None:
        self.transcript.append(b"SeaBIOS (version 1.16.2)\r\n" + KERNEL_LINE)
        self.ask_login()

    def ask_login(self) -> None:
        self.say(b"\r\nttylab login: ")
        self.state, self.line = "login", b""

    def take(self, byte: bytes) -> None:
        if self.state == "off":
            return
        if byte != b"\r":
            self.line += byte
            if self.state != "password":
                self.say(byte)
            return
        self.say(b"\r\n")
        line, self.line = self.line, b""
        {"login": self._named, "password": self._proven, "shell": self._run}[self.state](line)

    def _named(self, line: bytes) -> None:
        self.say(b"Password: ")
        self.state = "password"

    def _proven(self, line: bytes) -> None:
        if line == self.password:
            self.say(PROMPT)
            self.state = "shell"
        else:
            self.say(b"Login incorrect\r\n")
            self.ask_login()

    def _run(self, line: bytes) -> None:
        driven, asked, last = (form.fullmatch(line) for form in (_DRIVEN, _ASKED, _ASKED_LAST))
        if driven is not None:
            output, status = self._answer(driven["command"].replace(rb"'\''", b"'"))
            word = driven["word"]
            self.say(b"ttyl%s:\r\n%s\r\nttyl%s:%d:\r\n" % (word, output, word, status))
        elif asked is not None:
            self.say(b"ttyl%s+:c\r\n" % asked["word"])
        elif last is not None:
            self.say(b"ttyl%s\r\n" % last[1])
        else:
            self.say(self._answer(line)[0])
        self.say(PROMPT)

    def _answer(self, command: bytes) -> tuple[bytes, int]:
        if command in self.commands:
            return self.commands[command]
        if self.look and command.startswith(b"cat /proc/uptime"):
            return self.look, 0
        asked = _SUM.fullmatch(command)
        if asked is not None:
            return b"%d\r\n" % (int(asked[1]) * int(asked[2])), 0
        return b"-sh: %s: not found\r\n" % command.split(b" ")[0], 127


EVERYTHING = frozenset(Capability)


@dataclass
class FakeControl:
    """What can be done to the fake guest; `reactions` says what then happens, by name of the act."""

    guest: FakeGuest
    capabilities: frozenset[Capability] = EVERYTHING
    reactions: dict[str, Callable[[], object]] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)

    def _do(self, name: str) -> None:
        self.done.append(name)
        self.reactions.get(name, lambda: None)()

    def nmi(self, deadline: Deadline) -> None:
        self._do("nmi")

    def send_break(self, deadline: Deadline) -> None:
        self._do("send_break")

    def sysrq(self, key: str, deadline: Deadline) -> None:
        make_system_request(self.guest, key, deadline, send_break=self.send_break)

    def press_keys(self, keys: tuple[str, ...], deadline: Deadline) -> None:
        self._do("press_keys " + "-".join(keys))

    def reset(self, deadline: Deadline) -> None:
        self._do("reset")
        self.guest.state = "off"
        self.guest.transcript.mark(MarkKind.QMP, "RESET", {"guest": False})
        self.guest.transcript.later(2.0, self.guest.boot)

    def power_button(self, deadline: Deadline) -> None:
        self._do("power_button")

    def power_off(self, deadline: Deadline) -> None:
        if self.guest.state == "off":
            raise StateError("power_off: the machine is off; it must be on")
        self._do("power_off")
        self.guest.state = "off"
        self.guest.transcript.mark(MarkKind.MACHINE, "off", {"reason": "asked"})

    def power_on(self, deadline: Deadline) -> None:
        self._do("power_on")
        self.guest.transcript.mark(MarkKind.MACHINE, "started")
        self.guest.transcript.later(2.0, self.guest.boot)


def make_target(guest: FakeGuest | None = None, **control: object) -> tuple[Target, FakeGuest, FakeControl]:
    """Return a target whose guest was just switched on and will boot in two seconds."""
    guest = guest or FakeGuest()
    fake = FakeControl(guest, **control)
    fake.power_on(Deadline.after(1, guest.transcript.clock))
    return Target(name="fake", channel=guest, control=fake), guest, fake
