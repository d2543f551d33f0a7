"""What a driver does at a shell before a scenario goes on: once for each boot, as root where it has to."""

import pytest

from emulator.clock import Deadline
from emulator.guest_text.linux import LinuxProfile
from harness.guests.linux import LinuxGuest
from harness.play.session import Session
from harness.scenario.errors import CommandFailed, Unsupported, WrongOutput
from harness.scenario.stages import Stage
from tests.support.fake_guest import FakeGuest, make_target
from tests.support.local_shell import open_local_shell

SET = b"echo 1 > /proc/sys/kernel/sysrq"


@pytest.fixture
def rig():
    target, fake, control = make_target(FakeGuest(commands={SET: (b"", 0), b"sudo -n sh": (b"", 0)}))
    return LinuxGuest(Session(target.channel)), fake, control


def soon(fake) -> Deadline:
    return Deadline.after(60, fake.transcript.clock)


def typed(fake, text: bytes) -> int:
    return b"".join(mark.data for mark in fake.transcript.typed).count(text)


def test_errands_are_run_once_for_each_boot(rig):
    guest, fake, control = rig
    guest.errands = (SET.decode(),)
    guest.reach(Stage.SHELL, soon(fake))
    guest.reach(Stage.SHELL, soon(fake))
    assert typed(fake, SET) == 1
    with guest.session.expecting("reset"):
        control.reset(soon(fake))
        guest.restarted()
        guest.reach(Stage.SHELL, soon(fake))
    assert typed(fake, SET) == 2


def test_nothing_is_typed_before_there_is_a_shell(rig):
    guest, fake, _ = rig
    guest.errands = (SET.decode(),)
    guest.reach(Stage.LOGIN, soon(fake))
    assert typed(fake, SET) == 0


def test_driver_becomes_root_first(rig):
    guest, fake, _ = rig
    guest.become, guest.errands = "sudo -n sh", (SET.decode(),)
    guest.reach(Stage.SHELL, soon(fake))
    said = b"".join(mark.data for mark in fake.transcript.typed)
    assert -1 < said.find(b"sudo -n sh\r") < said.find(SET)


def test_errand_that_fails_is_told(rig):
    guest, fake, _ = rig
    guest.errands = ("nonsense",)
    with pytest.raises(CommandFailed, match="'nonsense' ended with status 127"):
        guest.reach(Stage.SHELL, soon(fake))


def test_condition_that_does_not_hold_is_why_nothing_can_be_played():
    target, fake, _ = make_target(FakeGuest(commands={b"is-console": (b"ttyS0\r\n", 1), SET: (b"", 0)}))
    guest = LinuxGuest(Session(target.channel))
    guest.conditions, guest.errands = {"is-console": "no kernel on TTY: add console=TTY"}, (SET.decode(),)
    with pytest.raises(Unsupported, match=r"^no kernel on ttyS0: add console=ttyS0$"):
        guest.reach(Stage.SHELL, soon(fake))
    assert typed(fake, SET) == 0


def test_shell_of_root_is_proved_before_its_errands(tmp_path):
    sudo = tmp_path / "sudo"
    sudo.write_text('#!/bin/sh\nshift\nROOT=yes exec "$@"\n')
    sudo.chmod(0o755)
    environment = {"PS1": "ann@vm:~$ ", "PATH": f"{tmp_path}:/usr/bin:/bin"}
    with open_local_shell(["bash", "--norc", "-i"], environment=environment) as shell:
        guest = LinuxGuest(Session(shell))
        guest.become, guest.errands = "sudo -n sh", ('test "$ROOT" = yes',)
        guest.reach(Stage.SHELL, Deadline.after(60))
        assert guest.check_output("echo $ROOT", Deadline.after(60)).strip() == b"yes"


@pytest.mark.parametrize(("password", "why"), [(b"wrong", "wrong password?"), (b"", "no password was given")])
def test_refusal_says_why_in_one_line(password, why):
    target, fake, _ = make_target()
    guest = LinuxGuest(Session(target.channel), LinuxProfile(password=password))
    with pytest.raises(WrongOutput) as caught:
        guest.reach(Stage.SHELL, soon(fake))
    assert str(caught.value) == f"ttyS0: the guest refused the account root: {why}"


def test_password_that_nobody_gave_is_no_failure_of_the_guest_where_that_is_said():
    target, fake, _ = make_target()
    guest = LinuxGuest(Session(target.channel), LinuxProfile(password=b""))
    guest.no_password = "and none is given"
    with pytest.raises(Unsupported, match=r"^the guest asks for the password of root, and none is given$"):
        guest.reach(Stage.SHELL, soon(fake))
