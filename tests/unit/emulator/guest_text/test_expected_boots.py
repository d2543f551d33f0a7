"""When a boot counts as over."""

import pytest

from emulator.guest_text.expected import (
    BOOT_S,
    LOADER,
    LONG_SILENCE_S,
    SILENCE_S,
    SYSTEM,
    BootWatch,
    find_first_words,
)

KERNEL = b"[    0.000000] Linux version 6.1.0\r\n"


@pytest.mark.parametrize(
    "prompt", [b"\r\nttylab login: ", b"\r\nwin1-linux-stand-in login: [  5.0] x\r\n", b"\r\nSAC>"]
)
@pytest.mark.parametrize("size", [1, 5, 100])
def test_boot_is_over_at_a_prompt(prompt, size):
    boot, text = BootWatch(began=100), KERNEL + prompt
    for start in range(0, len(text), size):
        boot.feed(text[start : start + size], 100)
    assert boot.remaining(100) == 0


@pytest.mark.parametrize("text", [b"\r\nthe last login: today", b"\r\n !SAC>", b"Booting from Hard Disk..."])
def test_boot_is_not_over_at_other_text(text):
    boot = BootWatch(began=100)
    boot.feed(text, 101)
    assert boot.remaining(101) == LONG_SILENCE_S


def test_boot_is_over_after_a_silence_that_depends_on_who_spoke():
    boot = BootWatch(began=100)
    assert boot.remaining(105) == LONG_SILENCE_S - 5
    boot.feed(KERNEL, 105)
    assert boot.remaining(105) == SILENCE_S
    boot.feed(b"more\r\n", 106)
    assert boot.remaining(107) == SILENCE_S - 1
    assert boot.remaining(109) == 0


@pytest.mark.parametrize(
    "said", [b"  Booting `Debian'\n\r", b"Loading initial ramdisk ...\n\r", b"EFI stub: Loaded initrd\r\n"]
)
def test_boot_is_not_over_while_a_kernel_that_was_started_has_not_spoken_yet(said):
    boot = BootWatch(began=100)
    boot.feed(said, 105)
    assert boot.remaining(105 + LONG_SILENCE_S) > 0
    boot.feed(KERNEL, 121)
    assert boot.remaining(121) == SILENCE_S


def test_boot_that_never_ends_is_over_after_a_minute():
    boot = BootWatch(began=100)
    for second in range(int(BOOT_S)):
        boot.feed(KERNEL, 100 + second)
        assert boot.remaining(100 + second) > 0
    assert boot.remaining(100 + BOOT_S) == 0


@pytest.mark.parametrize("caller", [b"", b"[    T1]", b"[  C10]"])
def test_kernel_is_known_by_its_stamp(caller):
    boot = BootWatch(began=100)
    boot.feed(b"x\r\n[   12.345678]" + caller + b" usb", 100)
    assert boot.remaining(100) == SILENCE_S


@pytest.mark.parametrize("text", [b"[  OK  ] Started x", b"[12] 345", b"[1.5] x", b"[    1.234567"])
def test_other_brackets_are_no_kernel(text):
    boot = BootWatch(began=100)
    boot.feed(text, 100)
    assert boot.remaining(100) == LONG_SILENCE_S


def test_first_words_of_loaders_and_systems_are_told_apart():
    for words in (b"GNU GRUB  version 2.06", b"EFI stub: Loaded", b"Windows Boot Manager"):
        assert (LOADER.search(words) is None, SYSTEM.search(words)) == (False, None)
    for words in (KERNEL, b"\r\n<?xml>\r\n<machine-info>\r\n"):
        assert (LOADER.search(words), SYSTEM.search(words) is None) == (None, False)
    assert SYSTEM.search(b"<machine-info>") is None


@pytest.mark.parametrize("lead", [b"", b"\x1b[2J\x1b[H", b"\0\r", b"[    0.000000] ", b"<5>[    0.000000] "])
@pytest.mark.parametrize("word", [b"Linux version ", b"GNU GRUB", b"<?xml>\r\n<machine-info>"])
@pytest.mark.parametrize("before", [b"", b"SAC>", b"reboot: Restarting system\r\n"])
def test_first_words_of_a_boot_are_found_whole_or_cut_off_and_with_what_leads_them(before, lead, word):
    assert find_first_words(before + lead + word + b"and more\r\nGNU GRUB") == len(before)
    for length in range(3, len(word)):
        assert find_first_words(before + lead + word[:length]) == len(before)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"Li",
        b"<?xml>\r\n<BP>\r\n",
        b"linux version 6.1",
        b"Linux\r\n",
        b"GNU\r\n",
        b"\x1b[2J",
        b"[    0.000000] x",
    ],
)
def test_other_text_has_no_first_words(data):
    assert find_first_words(data) is None
