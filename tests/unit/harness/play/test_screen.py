"""Screens: a GRUB menu as its serial terminal draws it, waits armed with death, and garbage."""

import re

import pytest

from emulator.clock import Deadline
from emulator.console.marks import MarkKind
from emulator.errors import ConsoleClosed
from harness.play.screen import CursorPlace, Screen
from harness.play.session import Session
from harness.scenario.errors import ExpectTimeout, GuestDied, GuestLeft
from tests.support.fake_guest import PANIC, FakeGuest

ENTRIES = ("Debian GNU/Linux", "Advanced options for Debian GNU/Linux", "UEFI Firmware Settings")
WIDTH = 76


def at(row, column):
    return b"\x1b[%d;%dH" % (row, column)


def entry(index, *, chosen):
    text = (" *" if chosen else "  ") + ENTRIES[index].ljust(WIDTH - 3)
    on, off = (b"\x1b[7m", b"\x1b[m") if chosen else (b"", b"")
    return at(5 + index, 3) + on + text.encode() + off


def grub_menu():
    """Terminfo vt100: clear, title, box, entries with the first in reverse video, help, countdown."""
    rows = [b"\x1b[H\x1b[J\x1b[1;1H\x1b[m", at(2, 30) + b"GNU GRUB  version 2.06"]
    rows += [at(4, 2) + b"+" + b"-" * WIDTH + b"+", at(16, 2) + b"+" + b"-" * WIDTH + b"+"]
    rows += [at(row, 2) + b"|" + at(row, WIDTH + 3) + b"|" for row in range(5, 16)]
    rows += [entry(index, chosen=index == 0) for index in range(len(ENTRIES))]
    rows += [at(18, 6) + b"Use the ^ and v keys to select which entry is highlighted."]
    return b"".join([*rows, countdown(5), at(5, 78)])


def countdown(seconds):
    return at(22, 4) + b"The highlighted entry will be executed automatically in %ds. " % seconds


def arrow(frm, to):
    return at(22, 4) + b" " * 70 + entry(frm, chosen=False) + entry(to, chosen=True) + at(5 + to, 78)


@pytest.fixture
def guest():
    return FakeGuest()


@pytest.fixture
def screen(guest):
    return Screen(Session(guest))


def after(screen, seconds):
    return Deadline.after(seconds, screen.session.transcript.clock)


def test_screen_shows_a_grub_menu(guest, screen):
    guest.say(grub_menu())
    screen.update()
    lines = screen.lines()
    assert len(lines) == 24
    assert lines[1].strip() == "GNU GRUB  version 2.06"
    assert lines[4].startswith(" | *Debian GNU/Linux ")
    assert lines[4].endswith("|")
    assert lines[21] == "   The highlighted entry will be executed automatically in 5s."
    assert (screen.highlighted_row(), screen.cursor) == (4, CursorPlace(row=4, column=77))


def test_highlight_moves_with_the_arrow_keys(guest, screen):
    guest.say(grub_menu())
    for frm, to in ((0, 1), (1, 2), (2, 1)):
        guest.say(arrow(frm, to))
        screen.update()
        assert ENTRIES[to] in screen.lines()[screen.highlighted_row()]
    assert screen.lines()[21] == ""


def test_colours_highlight_as_reverse_video_does(guest, screen):
    guest.say(at(3, 1) + b"plain" + at(4, 1) + b"\x1b[30m\x1b[47mchosen\x1b[m")
    screen.update()
    assert screen.highlighted_row() == 3


def test_nothing_is_highlighted_on_a_plain_screen(guest, screen):
    guest.say(b"plain\r\n")
    screen.update()
    assert screen.highlighted_row() is None


@pytest.mark.parametrize("size", [1, 2, 7])
def test_chunks_do_not_matter(guest, screen, size):
    whole = grub_menu() + arrow(0, 2)
    for start in range(0, len(whole), size):
        guest.say(whole[start : start + size])
        screen.update()
    other = Screen(screen.session, start=0)
    other.update()
    assert (screen.lines(), screen.highlighted_row()) == (other.lines(), 6)
    assert screen.cursor == other.cursor


@pytest.mark.parametrize(
    "wanted",
    ["will be executed", re.compile(r"in 3s"), lambda screen: screen.highlighted_row() == 6],
    ids=["text", "pattern", "predicate"],
)
def test_wait_for_returns_once_the_screen_shows_it(guest, screen, wanted):
    guest.transcript.later(1.0, lambda: guest.say(grub_menu()))
    guest.transcript.later(
        3.0, lambda: guest.say(countdown(3) + entry(0, chosen=False) + entry(2, chosen=True))
    )
    screen.wait_for(wanted, after(screen, 10))
    assert guest.transcript.now() in {1.0, 3.0}


def test_wait_for_says_what_was_shown_instead(guest, screen):
    guest.say(at(3, 1) + b"GRUB loading" + at(9, 1) + b"error: no such device")
    with pytest.raises(
        ExpectTimeout, match=r"awaited .GNU GRUB. on the screen, which did not show in 4\.0 s"
    ) as caught:
        screen.wait_for("GNU GRUB", after(screen, 4))
    assert caught.value.__notes__ == ["GRUB loading\nerror: no such device"]


def test_wait_for_ends_at_once_when_the_guest_dies(guest, screen):
    guest.transcript.later(2.0, lambda: guest.say(PANIC + b"GNU GRUB"))
    with pytest.raises(GuestDied, match="awaiting 'GNU GRUB' on the screen"):
        screen.wait_for("GNU GRUB", after(screen, 60))
    assert guest.transcript.now() == 2.0


def test_wait_for_heeds_what_the_session_allows(guest, screen):
    guest.transcript.mark(MarkKind.QMP, "RESET")
    guest.say(grub_menu())
    with pytest.raises(GuestLeft):
        screen.wait_for("GNU GRUB", after(screen, 1))
    with screen.session.expecting("reset"):
        screen.wait_for("GNU GRUB", after(screen, 1))


def test_wait_for_says_so_when_the_console_ends(guest, screen):
    guest.transcript.later(1.0, lambda: guest.transcript.close("unplugged"))
    with pytest.raises(
        ConsoleClosed, match="what a predicate says on the screen, but the console ended: unplugged"
    ):
        screen.wait_for(lambda _: False, after(screen, 5))


def test_screen_consumes_nothing_of_the_session(guest, screen):
    guest.say(b"ttylab login: ")
    screen.wait_for("login:", after(screen, 1))
    screen.session.expect(rb"login: ", after(screen, 1))


def test_screen_begins_where_the_session_is(guest):
    guest.say(b"old\r\n")
    session = Session(guest)
    session.skip()
    screen = Screen(session)
    guest.say(b"new\r\n")
    screen.update()
    assert screen.lines()[0] == "new"


def test_screen_answers_no_question(guest, screen):
    guest.say(b"\x1b[6n\x1b[c\x1b[5n")
    screen.update()
    assert guest.transcript.typed == ()


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"\x1b[4:3mcurly\x1b[m", "curly"),
        (b"a\x1bPq#0;1;2~\x1b\\b", "ab"),
        (b"a\x1b_private\x07b", "ab"),
        (b"a\x1b]0;title\x07b", "ab"),
        (b"a\x1b[?1049hb", "ab"),
        (b"\xff\xfeok", "��ok"),
    ],
    ids=["sgr 4:3", "dcs", "apc", "osc", "unknown mode", "no utf-8"],
)
def test_sequences_that_pyte_stumbles_over_leave_no_trace(guest, screen, data, shown):
    guest.say(data)
    screen.update()
    assert screen.lines()[0] == shown


def test_sequence_that_never_ends_does_not_hide_what_follows(guest, screen):
    guest.say(b"\x1bP" + b"x" * 5000 + b"\r\nafter\r\n")
    screen.update()
    assert "after" in screen.lines()
