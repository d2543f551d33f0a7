"""When a boot counts as over."""

import pytest

from emulator.clock import FakeClock
from emulator.console.transcript import Transcript
from emulator.guest_text.boots import BOOT_S, LONG_SILENCE_S, SILENCE_S, BootWatch

KERNEL = b"[    0.000000] Linux version 6.1.0\r\n"


@pytest.fixture
def clock():
    return FakeClock(100.0)


@pytest.fixture
def transcript(clock):
    return Transcript(clock=clock)


def watch(transcript):
    return BootWatch(position=len(transcript), began=transcript.now())


@pytest.mark.parametrize(
    "prompt", [b"\r\nttylab login: ", b"\r\nwin1-linux-stand-in login: [  5.0] x\r\n", b"\r\nSAC>"]
)
@pytest.mark.parametrize("size", [1, 5, 100])
def test_boot_is_over_at_a_prompt(transcript, prompt, size):
    boot, text = watch(transcript), KERNEL + prompt
    for start in range(0, len(text), size):
        transcript.append(text[start : start + size])
        left = boot.look(transcript)
    assert left == 0


@pytest.mark.parametrize("text", [b"\r\nthe last login: today", b"\r\n !SAC>", b"Booting from Hard Disk..."])
def test_boot_is_not_over_at_other_text(transcript, text):
    boot = watch(transcript)
    transcript.append(text)
    assert boot.look(transcript) == pytest.approx(LONG_SILENCE_S)


def test_boot_is_over_after_a_silence_that_depends_on_who_spoke(transcript, clock):
    boot = watch(transcript)
    clock.advance(5)
    assert boot.look(transcript) == pytest.approx(LONG_SILENCE_S - 5)
    transcript.append(KERNEL)
    assert boot.look(transcript) == pytest.approx(SILENCE_S)
    clock.advance(SILENCE_S / 2)
    transcript.append(b"more\r\n")
    clock.advance(SILENCE_S / 2)
    assert boot.look(transcript) == pytest.approx(SILENCE_S / 2)
    clock.advance(SILENCE_S)
    assert boot.look(transcript) == 0


def test_boot_that_never_ends_is_over_after_a_minute(transcript, clock):
    boot = watch(transcript)
    for _ in range(int(BOOT_S)):
        transcript.append(KERNEL)
        assert boot.look(transcript) > 0
        clock.advance(1)
    assert boot.look(transcript) == 0


def test_what_came_before_the_power_on_does_not_count(transcript):
    transcript.append(b"\r\nttylab login: ")
    boot = watch(transcript)
    assert boot.look(transcript) == pytest.approx(LONG_SILENCE_S)
