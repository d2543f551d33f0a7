"""Random bytes on COM1: the guest never crashes, never hangs, never prints outside of its 80x24.

Each guest gets TTYLAB_SAC_FUZZ_S seconds, 8 unless it is set; the longest run so far was 600.
"""

import os
import random
import re

import pytest

from emulator.clock import Deadline
from tests.support.sac_guest import PROMPT, open_sac, soon

pytestmark = pytest.mark.qemu
SECONDS = float(os.environ.get("TTYLAB_SAC_FUZZ_S", "8"))
ROWS, COLUMNS = 24, 80
# Not among them: what ends the system.
WORDS = (
    *(
        b"cmd\r",
        b"ch\r",
        b"ch -si 1\r",
        b"ch -si 2\r",
        b"ch -ci 1\r",
        b"ch -cn Cmd0002\r",
        b"ch -?\r",
        b"t\r",
        b"p\r",
    ),
    *(
        b"f\r",
        b"id\r",
        b"i\r",
        b"i 11 1.2.3.4 ",
        b"s\r",
        b"s 02/31/2024 10:00\r",
        b"k 1592\r",
        b"l 1480\r",
        b"d\r",
    ),
    *(b"\x1b\t", b"\x1b\t0", b"\x1b\t", b"\r", b"\r\n", b"\x08" * 30, b"\x7f", b"\x03", b"\x1b[A", b"x" * 90),
    *(
        b"Administrator\r\rPassw0rd!\r",
        b"dir \\\r",
        b"cd ..\r",
        b"echo %CD% %X%\r",
        b"set X=%X%%X%\r",
        b"cls\r",
    ),
    *(
        b"powershell\r",
        b"powershell -enc AAAA\r",
        b"exit\r",
        b"mode con cols=1\r",
        b"prompt $P$P$P$P$P\r",
        b"tasklist\r",
    ),
    *(
        b"type \\..\\..\\a\\b\r",
        b'"' * 40,
        b"%" * 40,
        b"&" * 40 + b"\r",
        b"nope || nope && nope\r",
        b"\x00\xff\x80",
    ),
)
SEQUENCE = re.compile(rb"\x1b\[([0-9;]*)([HJKm])")


def complaints(output):
    """Yield what no terminal of 80x24 should be sent."""
    for match in SEQUENCE.finditer(output):
        if match[2] == b"H" and match[1]:
            row, column = (int(part) for part in match[1].split(b";"))
            if not (1 <= row <= ROWS and 1 <= column <= COLUMNS):
                yield f"cursor at {row};{column}"
    rest = SEQUENCE.sub(b"", output)
    yield from (f"byte {byte[0]}" for byte in re.findall(rb"[^ -~\r\n\x08\x07]", rest))


def pieces(seed):
    """Yield words, noise, and words with a hole, for ever the same."""
    source = random.Random(seed)
    while True:
        kind = source.random()
        if kind < 0.7:
            yield source.choice(WORDS)
        elif kind < 0.85:
            yield source.randbytes(source.randrange(1, 40))
        else:
            word = source.choice(WORDS)
            yield word[: source.randrange(len(word))]


def ask_for_an_answer(rig):
    """Get SAC's prompt from wherever it is, and an answer at it."""
    rig.press(b"\r\r\x1b\t\x1b\t0 \r\r\r\r")
    rig.session.wait_quiet(0.3, soon())
    rig.session.skip()
    rig.press(b"zzz\r")
    rig.expect(rb"zzz\r\n")  # a screen that is still being drawn may show the same answer to an earlier line
    rig.see("sac.unknown_command")
    rig.expect(PROMPT)


@pytest.mark.parametrize(("seed", "profile"), [(1, "2022"), (2, "2019"), (3, "2003"), (4, "2025")])
def test_guest_takes_any_bytes(tmp_path, seed, profile):
    with open_sac(tmp_path, profile=profile, setup_channels=seed == 4, dump_step_ms=0) as rig:
        rig.reach_prompt()
        end = Deadline.after(SECONDS)
        for count, piece in enumerate(pieces(seed)):
            rig.press(piece)
            if count % 200 == 0:
                rig.session.skip()
            if end.expired():
                break
        ask_for_an_answer(rig)
        output = rig.machine.transcript.read()
        assert rig.marks("RESET") == rig.marks("SHUTDOWN") == 0
    assert set(complaints(output)) == set()
    assert b"<BP>" not in output


def test_menu_takes_any_bytes(tmp_path):
    source = random.Random(5)
    with open_sac(tmp_path, menu_timeout_s=900, menu_entries=("One", "Two")) as rig:
        rig.see("menu.status")
        for _ in range(100):
            rig.press(bytes(byte for byte in source.randbytes(40) if byte not in b"\r\n\x1b"))
            rig.press(source.choice([b"\x1b[A", b"\x1b[B", b"\x1b8", b"\x1b\x1b[D", b"\t", b"\x1bx"]))
        rig.session.wait_quiet(0.3, soon())
        rig.machine.nmi(soon())
        rig.see("xml.bugcheck_open")
        assert set(complaints(rig.machine.transcript.read())) == set()


@pytest.mark.parametrize(
    ("output", "complaint"),
    [
        (b"\x1b[25;1H", "cursor at 25;1"),
        (b"\x1b[1;81H", "cursor at 1;81"),
        (b"\x1b[0;1H", "cursor at 0;1"),
        (b"a\x00", "byte 0"),
        (b"\xe4", "byte 228"),
        (b"\x1b]0;x", "byte 27"),
    ],
)
def test_complaints_say_no(output, complaint):
    assert set(complaints(output)) == {complaint}


def test_complaints_allow_the_whole_screen():
    assert list(complaints(b"\x1b[24;80H\x1b[2J\x1b[1;1H\x1b[0;1m\x1b[K~ \r\n\x08\x07\x1b[H")) == []
