"""A SAC guest for a test: its machine, and a dialogue with its console that no alarm ends."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from emulator.clock import Deadline
from emulator.machine.machine import Machine, open_machine
from emulator.machine.probe import Choice
from emulator.machine.spec import MachineSpec, MachineType
from emulator.sac.image import SacBoot, sac_spec
from emulator.sac.knobs import SacKnobs
from emulator.sac.profile import SacProfile, load_profile
from harness.play.alarms import NAMES
from harness.play.screen import Screen
from harness.play.session import Match, Session
from harness.signatures.rules import shipped_rules

TCG = Choice(accelerator="tcg", reason="what every host has")
ALARMS = tuple(rule.id for rule in shipped_rules().rules)
PROMPT = b"SAC>"
CMD_PROMPT = rb"C:\\Windows\\system32>"


def soon() -> Deadline:
    return Deadline.after(30)


@dataclass(kw_only=True)
class SacRig:
    """A guest that has power."""

    machine: Machine
    session: Session
    profile: SacProfile

    def press(self, keys: bytes) -> None:
        self.session.send(keys, soon(), echo=False)

    def expect(self, pattern: bytes) -> Match:
        return self.session.expect(pattern, soon())

    def see(self, key: str) -> Match:
        """Wait for the text of `key`; its %-fields are groups."""
        return self.expect(self.profile.texts[key].pattern)

    def reach_prompt(self) -> None:
        """Wait until SAC offers the CMD command."""
        self.see("sac.cmd_event")
        self.expect(PROMPT)

    def run(self, line: bytes) -> bytes:
        """Type `line` at SAC; return what it answers up to its next prompt."""
        self.press(line + b"\r")
        self.expect(re.escape(line) + rb"\r\n")
        return self.expect(PROMPT).before

    def open_channel(self, name: bytes = b"Cmd0001") -> None:
        """Launch a CMD channel and view it: it asks for the user's name."""
        self.press(b"cmd\r")
        self.see("channel.created")
        self.expect(PROMPT)
        self.view(name)
        self.see("cmd.username")

    def view(self, name: bytes) -> None:
        self.press(b"ch -sn " + name + b"\r")
        self.see("channel.header_keys")
        self.press(b"\r")

    def log_in(self, password: bytes = b"Passw0rd!") -> None:
        self.press(b"Administrator\r")
        self.see("cmd.domain")
        self.press(b"\r")
        self.expect(rb"Password:")  # where cells are drawn, the blank behind it is none
        self.press(password + b"\r")

    def enter_cmd(self, name: bytes = b"Cmd0001") -> None:
        """Launch a CMD channel and log in: it shows its prompt."""
        self.open_channel(name)
        self.log_in()
        self.see("cmd.version")
        self.expect(CMD_PROMPT)

    def leave_to_sac(self) -> None:
        """Go to SAC's screen from wherever, and wait for its prompt."""
        self.press(b"\x1b\t0")
        self.expect(rb"Name:                  SAC\r\n")
        self.see("channel.header_keys")
        self.press(b" ")
        self.expect(rb"\x1b\[[0-9]+;5H")
        self.press(b"\r")
        self.expect(PROMPT)

    def shell(self, line: bytes) -> bytes:
        """Type `line` at cmd; return what it answers up to its next prompt."""
        self.press(line + b"\r")
        self.expect(rb"\r\n")
        return self.expect(CMD_PROMPT).before

    def screen(self) -> Screen:
        return Screen(self.session, start=0)

    def marks(self, name: str) -> int:
        return sum(mark.name == name for mark in self.machine.transcript.marks)

    def wait_mark(self, *names: str, since: int = 0) -> None:
        self.session.wait_mark(frozenset(names), soon(), since=since)


@contextmanager
def open_sac_machine(spec: MachineSpec, run_dir: Path, *, profile: str = "2022") -> Iterator[SacRig]:
    with open_machine(spec, run_dir=run_dir, accelerator=TCG) as machine:
        session = Session(machine.console)
        with session.expecting(*NAMES, *ALARMS):
            yield SacRig(machine=machine, session=session, profile=load_profile(profile))


@contextmanager
def open_sac(
    tmp_path: Path,
    *,
    way: SacBoot = SacBoot.PVH,
    machine: MachineType = MachineType.Q35,
    disk: Path | None = None,
    vcpus: int = 1,
    **knobs: object,
) -> Iterator[SacRig]:
    spec = sac_spec(
        way=way,
        machine=machine,
        disk=disk,
        vcpus=vcpus,
        knobs=SacKnobs(**knobs),
        uuid="12345678-9abc-def0-1122-334455667788",
        root=tmp_path / "images",
    )
    with open_sac_machine(spec, tmp_path / "run", profile=str(knobs.get("profile", "2022"))) as rig:
        yield rig
