"""A system request's rule on a line in memory: rest, BREAK, key, on a clock that jumps."""

from contextlib import contextmanager

import pytest

from emulator.clock import Deadline
from emulator.console.channel import make_system_request, require_key
from emulator.console.transcript import Transcript
from emulator.errors import ControlError, SpecError
from tests.support.fake_clock import FakeClock


class Reader:
    """A line whose guest reads what waits in it after `reads_after` seconds; `log` has what came when."""

    def __init__(self, *, reads_after: float = 0.0) -> None:
        self.clock = FakeClock(100.0)
        self.transcript = Transcript(clock=self.clock)
        self.log: list[tuple[float, str]] = []
        self.is_held = False
        self._reads_at = self.clock.monotonic() + reads_after

    @property
    def unread(self) -> int:
        return 0 if self.clock.monotonic() >= self._reads_at else 7

    @contextmanager
    def held(self):
        self.is_held = True
        yield self._write
        self.is_held = False

    def type(self, data: bytes) -> None:
        self.transcript.append_typed(data)

    def send_break(self, deadline: Deadline) -> None:
        assert self.is_held
        self.log.append((self.transcript.now(), "BREAK"))

    def sysrq(self, key: str, seconds: float = 60.0) -> None:
        deadline = Deadline.after(seconds, self.clock)
        make_system_request(self, key, deadline, send_break=self.send_break)

    def _write(self, data: bytes, deadline: Deadline) -> None:
        self.log.append((self.transcript.now(), data.decode()))
        self.type(data)


def test_idle_line_gets_a_break_at_once_and_the_key_after_a_pause():
    line = Reader()
    line.sysrq("h")
    assert line.log == [(0.0, "BREAK"), (pytest.approx(0.03), "h")]


@pytest.mark.parametrize(("age", "rest"), [(0.0, 0.05), (0.02, 0.03), (0.05, 0.0), (3.0, 0.0)])
def test_line_rests_until_the_last_typed_byte_is_old_enough(age, rest):
    line = Reader()
    line.type(b"x")
    line.clock.advance(age)
    line.sysrq("h")
    assert line.log[0] == (pytest.approx(age + rest), "BREAK")


def test_rest_begins_when_the_guest_has_read_all():
    line = Reader(reads_after=0.5)
    line.sysrq("h")
    assert 0.545 <= line.log[0][0] <= 0.556


def test_second_request_rests_behind_the_first_ones_key():
    line = Reader()
    line.sysrq("h")
    line.sysrq("m")
    assert [what for _, what in line.log] == ["BREAK", "h", "BREAK", "m"]
    assert line.log[2][0] - line.log[1][0] == pytest.approx(0.05)


def test_no_break_is_sent_in_front_of_bytes_that_nobody_reads():
    line = Reader(reads_after=1e6)
    with pytest.raises(ControlError, match="does not read its console: 7 typed bytes wait"):
        line.sysrq("b", seconds=5)
    assert line.log == []


def test_no_key_is_sent_without_its_break():
    line = Reader()

    def fail(deadline: Deadline) -> None:
        raise ControlError("QMP is closed")

    with pytest.raises(ControlError, match="QMP is closed"):
        make_system_request(line, "h", Deadline.after(1, line.clock), send_break=fail)
    assert line.log == []


@pytest.mark.parametrize("key", ["", "hh", "\n", "\x7f", "ä", None, 7, ["h"]])
def test_what_is_no_key_is_refused(key):
    line = Reader()
    with pytest.raises(SpecError, match="need one printable ASCII character"):
        line.sysrq(key)
    assert line.log == []


def test_key_is_any_printable_character():
    assert [require_key(key) for key in "h9 ~"] == list("h9 ~")
