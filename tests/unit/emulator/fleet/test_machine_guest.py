"""What a guest's calls read off its transcript."""

import pytest

from emulator.console.marks import MarkKind
from emulator.console.transcript import Transcript
from emulator.fleet.boot_follower import HELD_UP_S
from emulator.fleet.machine_guest import BootFollower, events_after
from emulator.guest_text.expected import BOOT_S, LONG_SILENCE_S, SILENCE_S
from tests.support.fake_clock import FakeClock

KERNEL = b"[    0.000000] Linux version 6.1.0\r\n"


@pytest.fixture
def clock():
    return FakeClock(100.0)


@pytest.fixture
def transcript(clock):
    return Transcript(clock=clock)


def test_boot_is_followed_from_the_moment_of_its_begin(transcript, clock):
    transcript.append(b"\r\nttylab login: ")
    clock.advance(7)
    boot = BootFollower(transcript)
    assert boot.look() == pytest.approx(LONG_SILENCE_S)
    clock.advance(5)
    assert boot.look() == pytest.approx(LONG_SILENCE_S - 5)
    transcript.append(KERNEL)
    clock.advance(1)
    transcript.append(b"more")
    clock.advance(0.5)
    assert boot.look() == pytest.approx(SILENCE_S - 0.5)
    transcript.append(b"\r\nttylab login: ")
    assert boot.look() == 0


def test_boot_is_followed_from_its_mark_and_over_after_a_minute(transcript, clock):
    transcript.append(b"\r\nttylab login: ")
    start = transcript.mark(MarkKind.QMP, "RESET")
    transcript.append(b"\x1bcSeaBIOS")
    boot = BootFollower(transcript, start)
    assert boot.look() == LONG_SILENCE_S
    clock.advance(BOOT_S)
    transcript.append(KERNEL)
    assert boot.look() == 0


def test_silence_does_not_count_in_full_while_a_busy_host_holds_the_guest_up(transcript, clock):
    spun = [0.0]
    boot = BootFollower(transcript, transcript.mark(MarkKind.MACHINE, "started"), spun_s=lambda: spun[0])
    clock.advance(LONG_SILENCE_S)
    spun[0] = 3.0  # it got a fifth of a processor
    assert boot.look() > 0
    spun[0] = 6.0
    assert boot.look() == 0
    spun[0] = 3.0
    clock.advance(20)
    assert boot.look() > 0
    transcript.append(b"hello")
    assert boot.look() == LONG_SILENCE_S
    clock.advance(16)
    spun[0] = 6.0  # 3.0 since then
    assert boot.look() > 0
    clock.advance(HELD_UP_S - 16 + 0.001)
    assert boot.look() == 0
    spun[0] = 0.1  # it sleeps
    assert boot.look() == 0


def test_events_after_a_mark_are_those_of_qemu_in_order_with_their_reasons(transcript):
    transcript.mark(MarkKind.QMP, "RESET", {"reason": "before"})
    since = transcript.mark(MarkKind.STIMULUS, "x")
    assert events_after(since, transcript.marks) == []
    transcript.mark(MarkKind.QMP, "RESET", {"reason": "guest-reset"})
    transcript.mark(MarkKind.MACHINE, "off")
    transcript.mark(MarkKind.QMP, "RESUME")
    assert events_after(since, transcript.marks) == [("RESET", "guest-reset"), ("RESUME", "")]


def test_events_after_a_mark_that_is_forgotten_are_those_of_later_moments(transcript, clock):
    transcript.mark(MarkKind.QMP, "STOP")
    clock.advance(1)
    since = transcript.mark(MarkKind.STIMULUS, "x")
    clock.advance(1)
    transcript.mark(MarkKind.QMP, "RESUME")
    kept = [mark for mark in transcript.marks if mark is not since]
    assert events_after(since, kept) == [("RESUME", "")]
