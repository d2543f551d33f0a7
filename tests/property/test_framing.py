"""Frames carry any command: what a shell reads is what was meant, and what is typed is harmless."""

import re
import subprocess

from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.guest_text.records import RECORD_LIKE
from harness.guests.framing import Shell, make_frame

COMMANDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=60) | st.lists(
    st.sampled_from(
        [
            "[    1.234567] x",
            "<6>",
            "'",
            '"',
            "\\",
            "%s",
            "!",
            "$x",
            "`",
            "\n",
            "\t",
            "#",
            ";",
            "&",
            "é",
            "y" * 700,
        ]
    ),
    max_size=8,
).map("".join)


@settings(max_examples=60)
@given(command=COMMANDS)
def test_shell_reads_the_command_that_was_meant(command):
    frame = make_frame(command, "12345678", Shell())
    line = frame.line.replace(b"command eval", b"printf '%s.'").partition(b"; _t=")[0].partition(b"; ")[2]
    script = b"\n".join((*frame.before, line))
    read = subprocess.run(["dash"], input=script, capture_output=True, check=True, timeout=10).stdout
    assert read.rstrip(b".").rstrip(b"\n") == command.encode().rstrip(b".").rstrip(b"\n")


@given(command=COMMANDS)
def test_what_is_typed_is_plain_and_looks_like_no_record_and_no_marker(command):
    frame = make_frame(command, "12345678", Shell())
    for line in (*frame.before, frame.line, frame.again):
        assert re.fullmatch(rb"[\x20-\x7e]{1,1000}", line)
        assert not RECORD_LIKE.search(line)
        assert not frame.begin.search(line + b"\r\n")
        assert not frame.end.search(line + b"\r\n")


@given(command=st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=60))
def test_shell_without_printf_is_typed_the_same(command):
    frame = make_frame(command, "12345678", Shell(command=False, printf=False))
    line = frame.line.partition(b"; ")[2].partition(b"; _t=")[0].replace(b"eval", b"printf '%s.'", 1)
    read = subprocess.run(["dash", "-c", line], capture_output=True, check=True, timeout=10).stdout
    assert read == command.encode() + b"."
