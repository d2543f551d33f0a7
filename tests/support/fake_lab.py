"""A pytest plug-in (`-p tests.support.fake_lab`): cells play on scripted guests instead of QEMU.

`behaviours.json` in the working directory says which cell does otherwise than boot and answer: its id to
"fail", "break", "skip", "panic", "kill" (the worker) or "tells" (of work).
"""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

import harness.plugin.fixtures
from emulator.clock import Deadline
from emulator.console.transcript import DirectorySink
from emulator.errors import LabError
from emulator.machine.control import Capability
from emulator.machine.spec import Accelerator, MachineSpec
from emulator.work import tell_work, working
from harness.snapshots.lab import Lab
from tests.support.fake_clock import FakeClock
from tests.support.fake_guest import (
    EVERYTHING,
    KERNEL_LINE,
    PANIC,
    FakeControl,
    FakeGuest,
    ScriptedTranscript,
)
from tests.support.linux_images import linux_image

CLOCK = FakeClock()
BEHAVIOURS = Path("behaviours.json")


class FakeMachine(FakeControl):
    """What `CellRun` uses of a machine."""

    argv = ("qemu-system-x86_64", "-S")

    def __init__(
        self, behaviour: str, transcript: ScriptedTranscript, spec: MachineSpec, run_dir: Path
    ) -> None:
        self.spec, self.run_dir = spec, run_dir
        commands = {} if behaviour == "fail" else {b"tty": (b"/dev/ttyS0\r\n", 0)}
        nothing = frozenset[Capability]()
        self.console = FakeGuest(transcript=transcript, commands=commands)
        self.transcript = transcript
        self.behaviour = behaviour
        if behaviour == "panic":
            self.console.ask_login = lambda: transcript.append(PANIC)
        super().__init__(self.console, capabilities=nothing if behaviour == "skip" else EVERYTHING)

    def power_on(self, deadline: Deadline, *, runs: bool = True) -> None:
        if self.behaviour == "tells":
            with working("disk b.vhd", "copying"):
                tell_work("disk b.vhd", "half of it", 0.5)
        if self.behaviour == "break":
            raise LabError("QEMU did not like it")
        super().power_on(deadline)
        if self.behaviour == "kill":
            self.transcript.append(KERNEL_LINE)
            os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def open_fake_machine(spec, *, run_dir, label) -> Iterator[FakeMachine]:
    behaviours = json.loads(BEHAVIOURS.read_text()) if BEHAVIOURS.exists() else {}
    with ScriptedTranscript(sink=DirectorySink(run_dir, console="ttyS0"), clock=CLOCK) as transcript:
        yield FakeMachine(behaviours.get(label, "pass"), transcript, spec, run_dir)


class FakeLab(Lab):
    """A bench without QEMU and without images; scripted guests can't be saved, so they are cold."""

    def qemu(self, spec):
        return SimpleNamespace(version="7.2.22")

    def guest_image(self, name):
        return linux_image(name)

    def choice(self, spec):
        return SimpleNamespace(accelerator=Accelerator.TCG)

    def open(self, spec, *, run_dir, label, **_: object):
        return open_fake_machine(spec, run_dir=run_dir, label=label)


def use_fakes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        harness.plugin.fixtures, "Lab", lambda **fields: FakeLab(clock=CLOCK, **fields | {"cold": True})
    )


_PATCH = pytest.MonkeyPatch()


def pytest_configure() -> None:
    use_fakes(_PATCH)


def pytest_unconfigure() -> None:
    _PATCH.undo()
