"""What a system request does on every line: the scripted guest's, a pty, and a port behind RFC 2217.

What real guests make of it is in test_target_contract.py, which makes it on every target.
"""

import os
import select
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from emulator.clock import Deadline
from emulator.console.channel import make_system_request
from emulator.console.pump import open_console
from emulator.errors import ControlError, SpecError
from emulator.machine.control import Capability
from harness.play.target import Target
from harness.targets.serial_port import open_port
from tests.support.fake_guest import make_target
from tests.support.rfc2217_server import open_rfc2217_server

BREAK = b"<BREAK>"


def soon() -> Deadline:
    return Deadline.after(60)


@dataclass(kw_only=True)
class Rig:
    """A target with a far end that only notes: typed bytes and BREAKs, in the order of their coming."""

    target: Target
    came: bytearray = field(default_factory=bytearray)
    on_break: Callable[[], None] = lambda: None

    def take_break(self) -> None:
        self.on_break()
        self.came += BREAK

    def wait_for(self, wanted: bytes) -> None:
        deadline = soon()
        while bytes(self.came) != wanted:
            assert not deadline.expired(), bytes(self.came)
            deadline.clock.sleep(0.005)


def open_fake(stack: ExitStack) -> Rig:
    target, guest, control = make_target()
    rig = Rig(target=target)
    guest.take = rig.came.extend
    control.reactions["send_break"] = rig.take_break
    return rig


def open_pty(stack: ExitStack) -> Rig:
    """A console whose BREAK goes another way than its bytes, as a machine's goes by QMP."""
    console = stack.enter_context(open_console())

    class Control:
        capabilities = frozenset({Capability.SERIAL_BREAK})

        def send_break(self, deadline: Deadline) -> None:
            rig.take_break()

        def sysrq(self, key: str, deadline: Deadline) -> None:
            make_system_request(console, key, deadline, send_break=self.send_break)

    rig = Rig(target=Target(name="pty", channel=console, control=Control()))
    read_slave(console.path, rig.came, stack)
    return rig


def open_line(stack: ExitStack) -> Rig:
    console = stack.enter_context(open_console())

    def take_break() -> None:
        rig.take_break()

    server = open_rfc2217_server(console, on_break=take_break)
    host, port = stack.enter_context(server)
    rig = Rig(target=stack.enter_context(open_port(f"rfc2217://{host}:{port}")))
    read_slave(console.path, rig.came, stack)
    return rig


def read_slave(path, came: bytearray, stack: ExitStack) -> None:
    slave = os.open(path, os.O_RDWR | os.O_NOCTTY)
    stack.callback(os.close, slave)
    wake, stop = os.pipe()
    stack.callback(os.close, wake)

    def read() -> None:
        while wake not in select.select([slave, wake], [], [])[0]:
            came.extend(os.read(slave, 3))

    thread = threading.Thread(target=read)
    thread.start()
    stack.callback(thread.join)
    stack.callback(os.close, stop)  # first of all: the reader sees the end of its pipe


@pytest.fixture(params=[open_fake, open_pty, open_line])
def rig(request) -> Iterator[Rig]:
    with ExitStack() as stack:
        yield request.param(stack)


def test_break_and_key_come_behind_all_that_was_typed(rig):
    rig.target.channel.write(b"typed " * 50, soon())
    rig.target.control.sysrq("h", soon())
    rig.wait_for(b"typed " * 50 + BREAK + b"h")
    rig.target.control.sysrq("9", soon())
    rig.wait_for(b"typed " * 50 + BREAK + b"h" + BREAK + b"9")
    rig.target.channel.write(b"typed", soon())
    rig.wait_for(b"typed " * 50 + BREAK + b"h" + BREAK + b"9typed")


def test_request_without_a_key_is_refused_before_the_break(rig):
    for key in ("", "hh", "\n", "ä"):
        with pytest.raises(SpecError, match="need one printable ASCII character"):
            rig.target.control.sysrq(key, soon())
    rig.wait_for(b"")


def test_request_sets_no_mark_of_its_own(rig):
    before = rig.target.channel.transcript.marks
    rig.target.control.sysrq("h", soon())
    assert rig.target.channel.transcript.marks == before
    assert [typed.data for typed in rig.target.channel.transcript.typed] == [b"h"]


@pytest.mark.parametrize("open_", [open_fake, open_pty])
def test_key_stays_away_when_the_break_failed(open_):
    def fail() -> None:
        raise ControlError("QMP is closed")

    with ExitStack() as stack:
        rig = open_(stack)
        rig.on_break = fail
        with pytest.raises(ControlError, match="QMP is closed"):
            rig.target.control.sysrq("h", soon())
        rig.target.channel.write(b"x", soon())
        rig.wait_for(b"x")


def test_what_others_type_meanwhile_comes_after_the_key():
    with ExitStack() as stack:
        rig = open_pty(stack)
        console = rig.target.channel
        rig.on_break = lambda: console.post(b"abc")
        with console.held():
            console.post(b"held ")
            rig.target.control.sysrq("h", soon())
            rig.wait_for(BREAK + b"h")
            assert console.unsent == 8
        rig.wait_for(BREAK + b"hheld abc")


def test_request_is_not_made_in_front_of_bytes_that_nobody_reads():
    with open_console() as console:
        broken = []
        console.write(b"x" * 10, soon())
        assert console.unread == 10
        with pytest.raises(ControlError, match="does not read its console: 10 typed bytes wait"):
            make_system_request(console, "b", Deadline.after(0.1), send_break=broken.append)
        assert broken == []
        console.detach_far_end(soon())
        assert console.unread == 0
    assert console.unread == 0
