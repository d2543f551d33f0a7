"""Real shells behind a real agetty and login: every prompt is found, every command's output is its own."""

from dataclasses import replace

import pytest

from emulator.clock import Deadline
from emulator.guest_text.linux import LinuxProfile
from emulator.machine.machine import open_machine
from harness.guests.linux import LinuxGuest
from harness.play.session import Session
from harness.scenario.errors import WrongOutput
from harness.scenario.stages import Stage
from tests.support.shells_guest import PROMPTS, open_overlay

pytestmark = [pytest.mark.qemu, pytest.mark.xdist_group("shells")]


def soon() -> Deadline:
    return Deadline.after(90)


@pytest.fixture(scope="module")
def machine(lab, tmp_path_factory):
    place = tmp_path_factory.mktemp("shells")
    image = lab.guest_image("bookworm")
    initrd = place / "initrd"
    initrd.write_bytes(image.initrd.read_bytes() + open_overlay())
    spec = replace(image.spec(image.usual_board), initrd=initrd, memory_mib=512, name="shells")
    with open_machine(spec, run_dir=place, qemu=lab.qemu, accelerator=lab.choice(spec.machine)) as machine:
        LinuxGuest(Session(machine.console)).reach(Stage.LOGIN, soon())
        yield machine


@pytest.fixture
def log_in(machine):
    """Log a user in at a new login prompt, and out at the end."""
    sessions = []

    def enter(user: str, password: str = "ttylab") -> LinuxGuest:
        session = Session(machine.console, start=len(machine.console.transcript))
        session.send(b"\x04", soon(), echo=False)  # an end of input brings a new prompt
        sessions.append(session)
        guest = LinuxGuest(session, LinuxProfile(user=user.encode(), password=password.encode()))
        guest.reach(Stage.SHELL, soon())
        return guest

    yield enter
    for session in sessions:
        session.send(b"\x03\x15exit\r", soon(), echo=False)
        session.wait_quiet(0.5, soon())


@pytest.mark.parametrize("user", [*PROMPTS, "nopass", "mortal"])
def test_user(log_in, user):
    guest = log_in(user)
    result = guest.run("echo hi; false", soon())
    assert (result.status, result.output) == (1, b"hi\r\n")
