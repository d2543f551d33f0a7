"""A scripted SAC guest behind a channel, on a clock that jumps: prompt, events, channels, cmd, bugcheck.

It knows just enough for the driver's tests to run on it as they run on the SAC guest under QEMU.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import pyte

from emulator.clock import Deadline
from emulator.console.marks import MarkKind
from emulator.sac.profile import SacProfile, load_profile
from harness.play.target import Target
from tests.support.fake_guest import FakeControl, ScriptedTranscript, whole

GUID = "5f1e7a30-0c4b-4d7e-9a51-77ab39f1c0de"
HEADER = (
    "\x1b[2J\x1b[1;1H\x1b[0mName:                  {0}\r\nDescription:           Command\r\n\r\n"
    "Press <esc><tab> for next channel.\r\nPress <esc><tab>0 to return to the SAC channel.\r\n"
    "Use any other key to view this channel.\r\n"
)
CREATED = 'EVENT:   A new channel has been created.  Use "ch -?" for channel help.\r\nChannel: {}\r\n'
CLOSED = "EVENT:   A channel has been closed.\r\nChannel: {}\r\n"
CMD_EVENT = "EVENT: The CMD command is now available.\r\n"
BUGCHECK = (
    "\r\n<?xml>\r\n<BP>\r\n"
    '<INSTANCE CLASSNAME="BLUESCREEN">\r\n<PROPERTY NAME="STOPCODE" TYPE="string"><VALUE>"0x{0:X}"</VALUE>'
    "</PROPERTY>{1}</INSTANCE>\r\n</BP>\r\n\r\n!SAC>\r\nYour PC ran into a problem and needs to restart.\r\n"
    "If you call a support person, give them this info:\r\n{2}\r\n\r\n"
    "0x00000000004F4454\r\n0x0000000000000000\r\n0x0000000000000000\r\n0x0000000000000000\r\n\r\n"
    "We're just collecting some error info, and then we'll restart for you. 100% complete\r\n"
)


def machine_info(profile: SacProfile) -> str:
    return (
        f"<machine-info>\r\n<name>WIN-TTYLAB</name>\r\n<guid>{GUID}</guid>\r\n"
        f"<os-version>{profile.os_version}</os-version>\r\n<os-build-number>{profile.os_build}</os-build-number>"
        f"\r\n<os-product>{profile.product}</os-product>\r\n</machine-info>\r\n"
    )


class Terminal:
    """What a channel's screen holds, to be drawn again."""

    def __init__(self) -> None:
        self.screen = pyte.Screen(80, 24)
        self.stream = pyte.Stream(self.screen)

    def redraw(self) -> str:
        rows = "".join(f"\x1b[{number};1H{row}" for number, row in enumerate(self.screen.display, start=1))
        cursor = self.screen.cursor
        return f"\x1b[2J\x1b[1;1H\x1b[0m{rows}\x1b[{cursor.y + 1};{cursor.x + 1}H"


@dataclass
class FakeSac:
    """`cut` says in which chunks it writes; `eats`, `doubles` and `drops` how it treats what is typed in cmd.

    `interrupts` are numbers of bytes typed at SAC, counted over all lines, at which an event comes first.
    """

    transcript: ScriptedTranscript = field(default_factory=ScriptedTranscript)
    cut: Callable[[bytes], Iterable[bytes]] = whole
    profile: SacProfile = field(default_factory=lambda: load_profile("2022"))
    eats: int = 0  # characters behind each of cmd's prompts
    drops: frozenset[int] = frozenset()  # numbers of characters typed in cmd that are lost
    doubles: frozenset[int] = frozenset()
    interrupts: frozenset[int] = frozenset()
    at: str = "off"  # off, sac, header, menu, crashed
    channel: str = "SAC"

    def __post_init__(self) -> None:
        self.line, self.typed, self.typed_in_cmd, self.eaten = "", 0, 0, 0
        self.terminals = {"SAC": Terminal()}
        self.snapshots: dict[str, str] = {}
        self.made = 0
        self.escape = ""
        self.level = 0

    # -- the channel ---------------------------------------------------------------------------

    def write(self, data: bytes, deadline: Deadline) -> None:
        self.transcript.append_typed(data)
        for byte in data.decode("ascii"):
            self.take(byte)

    # -- writing -------------------------------------------------------------------------------

    def send(self, text: str) -> None:
        for chunk in self.cut(text.encode()):
            self.transcript.append(chunk)

    def say(self, channel: str, text: str) -> None:
        self.terminals[channel].stream.feed(text)
        if channel == self.channel and self.at == "sac":
            self.send(text)

    def event(self, text: str) -> None:
        self.say("SAC", f"\r\n{text}SAC>")

    # -- life ----------------------------------------------------------------------------------

    def boot(self) -> None:
        self.terminals, self.snapshots, self.channel, self.line = {"SAC": Terminal()}, {}, "SAC", ""
        self.at = "sac"
        self.send(f"\x1b[2J\x1b[H<?xml>\r\n{machine_info(self.profile)}")
        self.say("SAC", self.profile.texts["boot.banner"].wire.decode() + "SAC>")
        self.transcript.later(0.5, lambda: self.event(CMD_EVENT))

    def restart(self) -> None:
        self.at = "off"
        self.transcript.mark(MarkKind.QMP, "RESET", {"guest": True})
        self.transcript.later(1.0, self.boot)

    def crash(self, code: int, name: str) -> None:
        self.at = "crashed"
        self.send(BUGCHECK.format(code, machine_info(self.profile), name))

    def show_menu(self) -> None:
        self.at = "menu"
        self.send("\x1b[2J\x1b[1;1H\x1b[0m\x1b[37;40m\x1b[1;30HWindows Boot Manager")
        self.send("\x1b[3;1HChoose an operating system to start, or press TAB to select a tool:")
        self.send("\x1b[6;5HWindows Server [EMS Enabled]")

    # -- typing --------------------------------------------------------------------------------

    def take(self, byte: str) -> None:
        if self.at == "off":
            return
        if self.at in {"sac", "header"} and (self.escape or byte == "\x1b"):
            self.escape += byte
            if self.escape == "\x1b\t0":
                self.escape = ""
                self.switch("SAC")
            elif self.escape not in {"\x1b", "\x1b\t"}:
                self.escape = ""
            return
        handler = {"menu": self.choose, "header": self.view, "crashed": self.after_crash}
        (handler.get(self.at) or (self.take_at_sac if self.channel == "SAC" else self.take_in_cmd))(byte)

    def choose(self, byte: str) -> None:
        if byte == "\r":
            self.boot()

    def view(self, byte: str) -> None:
        self.at = "sac"
        self.send(self.terminals[self.channel].redraw())

    def after_crash(self, byte: str) -> None:
        self.line += byte
        if byte == "\r":
            line, self.line = self.line, ""
            if line == "restart\r":
                self.restart()

    def switch(self, channel: str) -> None:
        self.channel, self.at = channel, "header"
        self.send(f"<channel-switch>\r\n<name>{channel}</name>\r\n</channel-switch>\r\n")
        self.send(HEADER.format(channel))

    def take_at_sac(self, byte: str) -> None:
        if self.typed in self.interrupts:
            self.event(CMD_EVENT)
        self.typed += 1
        if byte == "\x08":
            if self.line:
                self.line = self.line[:-1]
                self.say("SAC", "\x08 \x08")
        elif byte != "\r":
            self.line += byte
            self.say("SAC", byte)
        else:
            self.say("SAC", "\r\n")
            line, self.line = self.line, ""
            self.command(line)

    def command(self, line: str) -> None:
        if line == "restart":
            self.say("SAC", "SAC preparing to restart the system.\r\n")
            self.say("SAC", "The SAC will become unavailable soon.  The computer is shutting down.\r\n\r\n")
            self.transcript.later(1.0, self.restart)
        elif line.startswith("ch -sn "):
            name = line.removeprefix("ch -sn ")
            if name in self.terminals:
                self.switch(name)
            else:
                self.say("SAC", "Error: Could not find a channel with that name.\r\nSAC>")
        elif line == "cmd":
            self.open_channel()
        elif line == "crashdump":
            self.crash(0xE2, "MANUALLY_INITIATED_CRASH")
        else:
            self.say("SAC", self.answer(line) + "SAC>")

    def answer(self, line: str) -> str:
        if line == "id":
            return f"           Computer Name: WIN-TTYLAB\r\n           Computer GUID: {GUID}\r\n"
        if line == "p":
            return "Paging is now OFF.\r\n"
        unknown = "Unrecognized command.  Try the 'help' command for more details.\r\n"
        return unknown if line else ""

    # -- cmd -----------------------------------------------------------------------------------

    def open_channel(self) -> None:
        self.made += 1
        name = f"Cmd{self.made:04d}"
        self.say("SAC", "The Command Prompt session was successfully launched.\r\nSAC>")
        self.terminals[name] = Terminal()
        self.snapshots[name] = "Username: "
        self.say(name, "Please enter login credentials.\r\nUsername: ")
        self.event(CREATED.format(name))

    def take_in_cmd(self, byte: str) -> None:
        name, state = self.channel, self.snapshots[self.channel]
        self.typed_in_cmd += 1
        if state == "refused":
            self.close(name)
            return
        if state == ">" and self.eaten < self.eats and byte != "\r":
            self.eaten += 1
            return
        if self.typed_in_cmd in self.drops and byte not in "\r\x08":
            return
        if byte == "\r":
            self.say(name, "\r\n")
            line, self.line = self.line, ""
            self.enter(name, state, line)
        elif byte == "\x08":
            if self.line:
                self.line = self.line[:-1]
                self.say(name, "\x08 \x08")
        else:
            count = 2 if self.typed_in_cmd in self.doubles else 1
            self.line += byte * count
            self.say(name, ("*" if state == "Password: " else byte) * count)

    def enter(self, name: str, state: str, line: str) -> None:
        if state == "Username: ":
            self.prompt(name, "Domain  :")
        elif state == "Domain  :":
            self.prompt(name, "Password: ")
        elif state == "Password: ":
            if line == "Passw0rd!":
                self.say(name, "\r\nMicrosoft Windows [Version 10.0]\r\n")
                self.next_prompt(name)
            else:
                self.say(name, "Unable to authenticate.\r\n")
                self.snapshots[name] = "refused"
        elif line == "exit":
            self.close(name)
        else:
            self.say(name, self.run(line))
            self.next_prompt(name)

    def run(self, line: str) -> str:
        if line == "cls":
            return "\x1b[2J\x1b[1;1H"
        if line.startswith("echo "):
            return line.removeprefix("echo ").replace("%ERRORLEVEL%", str(self.level)) + "\r\n"
        found = re.fullmatch(r"lines (\d+)", line)
        self.level = 0 if found else 9009
        if found:
            return "".join(f"line {number} of a long output\r\n" for number in range(int(found[1])))
        return f"'{line}' is not recognized\r\n"

    def prompt(self, name: str, label: str) -> None:
        self.snapshots[name] = label
        self.say(name, label)

    def next_prompt(self, name: str) -> None:
        self.snapshots[name], self.eaten = ">", 0
        self.say(name, "\r\nC:\\Windows\\system32>")

    def close(self, name: str) -> None:
        del self.terminals[name], self.snapshots[name]
        self.line = ""
        self.terminals["SAC"].stream.feed(f"\r\n{CLOSED.format(name)}SAC>")
        self.switch("SAC")


def make_sac_target(sac: FakeSac | None = None) -> tuple[Target, FakeSac, FakeControl]:
    """Return a target whose SAC guest was just switched on and will boot in two seconds."""
    sac = sac or FakeSac()
    control = FakeControl(sac)
    control.power_on(Deadline.after(1, sac.transcript.clock))
    return Target(name="fake SAC", channel=sac, control=control), sac, control
