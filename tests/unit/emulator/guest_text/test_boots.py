"""Tests of emulator/guest_text/boots.py: where boots begin in a log without marks."""

import pytest

from emulator.guest_text.boots import BootFinder

KERNEL = b"[    0.000000] Linux version 6.1.0 (gcc)\r\n"
OLD = b"Linux version 6.1.0 (gcc)\r\n"
SEABIOS = b"SeaBIOS (version 1.16.2-debian-1.16.2-1)\r\nBooting from ROM...\r\n"
OVMF = b'BdsDxe: loading Boot0001 "A" from B\r\nBdsDxe: starting Boot0001 "A" from B\r\n'
GRUB = b"\x1b[H\x1b[JWelcome to GRUB!\r\n"
BOARD = b"U-Boot SPL 2024.04\r\nOpenSBI v1.4\r\nU-Boot 2024.04\r\n"
TEXT = b"login: \r\n"


def boots(*parts):
    data = b"".join(parts)
    finder, found, at = BootFinder(), [], 0
    for line in data.splitlines(keepends=True):
        found += [at + start for start in finder.find(line)]
        at += len(line)
    assert found == list(BootFinder().find(data))
    return [data[start:].split(b"\n")[0].split()[0] for start in found], len(found)


@pytest.mark.parametrize(
    ("parts", "count"),
    [
        ((SEABIOS, GRUB, KERNEL, TEXT), 1),
        ((SEABIOS, KERNEL, TEXT, SEABIOS, KERNEL), 2),
        ((OVMF, OVMF, GRUB, KERNEL, TEXT, OVMF, GRUB, KERNEL), 2),
        ((BOARD, KERNEL, TEXT, BOARD, KERNEL), 2),
        ((BOARD, BOARD), 2),
        ((KERNEL, TEXT, KERNEL), 2),
        ((OLD, TEXT, OLD), 2),
        ((b"[    0.000000][    T0] Linux version 6.1\r\n", TEXT, KERNEL), 2),
        ((b"Jul  7 00:27:08 board kernel: Linux version 6.1\r\n", TEXT) * 2, 2),
        ((TEXT, b"[    2.1] Kernel panic\r\n", SEABIOS, KERNEL), 1),
        ((KERNEL, b"echo Linux version 6\r\n", b"see U-Boot 2024.04 and OpenSBI v1\r\n"), 1),
        ((TEXT,), 0),
    ],
)
def test_boots_are_found_by_their_first_words(parts, count):
    assert boots(*parts)[1] == count


def test_boot_begins_with_the_line_of_its_first_sign():
    data = TEXT + b"\xff\x00" + SEABIOS + KERNEL
    assert list(BootFinder().find(data)) == [len(TEXT)]
