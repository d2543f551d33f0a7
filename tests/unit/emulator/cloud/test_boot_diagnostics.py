"""The boot log: guest bytes untouched, a line of its own for each visit."""

from datetime import UTC, datetime

from emulator.cloud.boot_diagnostics import render_boot_log, render_session_line
from emulator.console.marks import Mark, MarkKind

EPOCH = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def a_mark(offset: int, *, name: str = "connected", kind: MarkKind = MarkKind.LINK, **detail) -> Mark:
    return Mark(kind=kind, name=name, at=5.0, offset=offset, detail={"by": "app", **detail})


def log(data: bytes, *marks: Mark, first: int = 0) -> bytes:
    return render_boot_log(data, first=first, marks=marks, epoch=EPOCH)


LINE = b"[2026-03-01T12:00:05Z] Serial console: connected by app\r\n"


def test_log_is_the_guests_bytes_where_nobody_came() -> None:
    assert log(b"\xff\x00Booting\r\n") == b"\xff\x00Booting\r\n"


def test_line_stands_between_two_lines_of_the_guest() -> None:
    assert log(b"one\r\ntwo\r\n", a_mark(5)) == b"one\r\n" + LINE + b"two\r\n"


def test_line_begins_on_its_own_where_the_guest_is_in_mid_line() -> None:
    assert log(b"login: ", a_mark(7)) == b"login: \r\n" + LINE


def test_line_of_grub_is_ended_too() -> None:
    assert log(b"Loading ...\n\r", a_mark(13)) == b"Loading ...\n\r" + LINE


def test_carriage_return_alone_ends_no_line() -> None:
    assert log(b"50%\r", a_mark(4)) == b"50%\r\r\n" + LINE


def test_two_visits_at_one_place_give_two_lines() -> None:
    assert log(b"x", a_mark(1), a_mark(1)) == b"x\r\n" + LINE + LINE


def test_visit_before_the_first_byte_needs_no_new_line() -> None:
    assert log(b"x", a_mark(0)) == LINE + b"x"


def test_marks_of_others_and_of_what_is_forgotten_are_left_out() -> None:
    assert log(b"x", a_mark(3, kind=MarkKind.QMP), a_mark(2), a_mark(5), first=3) == b"x"


def test_command_says_what_and_who() -> None:
    line = render_session_line(a_mark(0, name="command", command="sysrq b"), epoch=EPOCH)
    assert line == b"[2026-03-01T12:00:05Z] Serial console: command sysrq b by app\r\n"


def test_hostile_name_stays_one_line_of_ascii() -> None:
    line = render_session_line(a_mark(0, name="command", command="a\r\nb\x1b[2J\xe9"), epoch=EPOCH)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\r\n")
    assert all(32 <= byte < 127 for byte in line[:-2])
