"""The wait for a silent guest ends once its machine can't go on, and not before."""

from types import SimpleNamespace

import pytest

from emulator.clock import Deadline
from emulator.console.marks import MarkKind
from emulator.machine.glance import Glance
from emulator.machine.power import MachineState
from emulator.machine.spec import Device
from harness.play import vitals
from harness.play.session import Session
from harness.play.vitals import Vitals, watching
from harness.scenario.errors import ExpectTimeout
from tests.support.fake_guest import FakeGuest

STUCK, LOOPS = (Glance(cpu=cpu, is_stuck=True) for cpu in ("is halted for ever", "loops at a"))
WAITS = Glance(rows=("vm login:",), cpu="is halted and waits")
NO_DISK = Glance(rows=("Booting from Hard Disk...", "No bootable device."), cpu="is halted and waits")


@pytest.fixture
def guest():
    guest = FakeGuest(state="shell")
    guest.transcript.mark(MarkKind.MACHINE, "started")
    return guest


@pytest.fixture
def wait(guest, monkeypatch):
    """Wait a minute for a login prompt while the machine shows what is given, look by look."""

    def wait(*looks, state=MachineState.RUNNING, devices=()):
        shown = iter(looks)
        monkeypatch.setattr(vitals, "glance", lambda *_: next(shown, looks[-1]))
        spec = SimpleNamespace(kernel=None, devices=devices)
        session = Session(guest)
        with watching(session, Vitals(SimpleNamespace(state=state, spec=spec))):
            session.expect(rb"login: ", Deadline.after(60, guest.transcript.clock))

    return wait


@pytest.mark.parametrize(
    ("looks", "after", "says"),
    [
        ([STUCK], 6, "no byte came on ttyS0, the screen is empty, the CPU is halted for ever"),
        ([WAITS, STUCK, STUCK], 9, "the CPU is halted for ever"),
        ([NO_DISK], 3, "nothing boots from this disk"),
        ([WAITS], 60, "its console is the screen"),
        ([STUCK, LOOPS] * 20, 60, "the screen is empty"),
    ],
)
def test_wait_for_a_silent_guest_ends_when_it_is_gone(guest, wait, looks, after, says):
    with pytest.raises(ExpectTimeout, match=says) as caught:
        wait(*looks)
    assert guest.transcript.now() == pytest.approx(after)
    assert f"did not come in {after:.1f} s; last came ''; no byte" in str(caught.value)
    assert caught.value.final is (after < 60)
    assert caught.value.__notes__ == [""]


def test_guest_that_speaks_is_not_looked_at(guest, wait):
    for second in range(1, 20):
        guest.transcript.later(float(second), lambda: guest.say(b"."))
    guest.transcript.later(20.0, lambda: guest.say(b"vm login: "))
    wait(STUCK)


@pytest.mark.parametrize("how", [{"state": MachineState.PAUSED}, {"devices": (Device.I6300ESB,)}])
def test_machine_that_something_else_may_wake_is_waited_for(guest, wait, how):
    with pytest.raises(ExpectTimeout):
        wait(STUCK, **how)
    assert guest.transcript.now() == pytest.approx(60)


def test_wait_for_a_target_without_a_machine_is_left_alone(guest):
    session = Session(guest)
    with pytest.raises(ExpectTimeout, match=r"in 60\.0 s; last came ''$"), watching(session, None):
        session.expect(rb"login: ", Deadline.after(60, guest.transcript.clock))
