"""Who overrides the fixture `target` has `console`, `screen` and `guest` on it."""

import pytest

from emulator.clock import Deadline
from harness.targets.serial_port import open_port
from tests.support.rfc2217_server import open_rfc2217_server

pytestmark = pytest.mark.qemu


@pytest.fixture
def target(machine):
    with (
        open_rfc2217_server(machine.console) as (host, port),
        open_port(f"rfc2217://{host}:{port}") as opened,
    ):
        yield opened


def test_console_and_guest_follow_the_target(machine, target, console, guest):
    assert console.transcript is target.channel.transcript
    assert console.transcript is not machine.transcript
    guest.prove_life(Deadline.after(60.0))
