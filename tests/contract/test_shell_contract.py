"""What a command's output is in every shell: the same tests on shells of this host, on terminals, and on
those of a real guest behind a real agetty and login.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from emulator.clock import Deadline
from harness.guests.linux import LinuxGuest
from harness.play.session import Session
from harness.scenario.steps import View
from tests.support.local_shell import open_local_shell
from tests.support.shells_guest import PROMPTS, log_in, open_shells_guest

pytestmark = [pytest.mark.qemu, pytest.mark.xdist_group("shells")]

HERE = {
    "bash here": (
        ["bash", "--norc", "--noprofile", "-i"],
        {"PS1": PROMPTS["debian"][1].partition("'")[2].partition("'")[0]},
    ),
    "dash here": (["dash", "-i"], {"PS1": "$PWD # "}),
}
GUESTS = ("debian", "suse", "plain", "alpine", "zsh", "fish")


def soon() -> Deadline:
    return Deadline.after(120)


@dataclass(kw_only=True)
class Rig:
    """A guest that is logged in, or a shell of this host."""

    guest: LinuxGuest
    is_guest: bool


@pytest.fixture(scope="module")
def machine(lab, tmp_path_factory) -> Iterator[object]:
    with open_shells_guest(lab, tmp_path_factory.mktemp("shells")) as machine:
        yield machine


@pytest.fixture(scope="module", params=[*HERE, *GUESTS])
def rig(request) -> Iterator[Rig]:
    with ExitStack() as stack:
        if request.param in HERE:
            argv, environment = HERE[request.param]
            shell = stack.enter_context(open_local_shell(argv, environment=environment))
            yield Rig(guest=LinuxGuest(Session(shell)), is_guest=False)
        else:
            guest = stack.enter_context(log_in(request.getfixturevalue("machine"), request.param))
            yield Rig(guest=guest, is_guest=True)


COMMANDS = {
    "echo hi; false": (1, b"hi\r\n"),
    "printf abc": (0, b"abc"),
    "": (0, b""),
    "echo a;": (0, b"a\r\n"),
    "echo b # a comment": (0, b"b\r\n"),
    "echo 'q\"u' \"o'te\" a!b \\\\ %s": (0, b"q\"u o'te a!b \\ %s\r\n"),
    "cat <<END\none $((1 + 1))\n  'three'\nEND": (0, b"one 2\r\n  'three'\r\n"),
    "for i in 1 2\ndo\techo $i\ndone": (0, b"1\r\n2\r\n"),
    "printf 'a\\n\\n\\n'": (0, b"a\r\n\r\n\r\n"),
    "echo caf\u00e9": (0, "caf\u00e9\r\n".encode()),
    "[ -t 0 ] && [ -t 1 ]": (0, b""),
    "printf 'ttylab-0001:0:\\nlogin: \\n# '": (0, b"ttylab-0001:0:\r\nlogin: \r\n# "),
    "echo '[    1.234567] own'; printf '<3>[   12.345678] own too'": (
        0,
        b"[    1.234567] own\r\n<3>[   12.345678] own too",
    ),
    "echo " + "long " * 1000: (0, b"long " * 999 + b"long\r\n"),
    "printf '\\033[1mbold\\033[0m\\033]0;title\\007'": (0, b"\x1b[1mbold\x1b[0m\x1b]0;title\x07"),
}


@pytest.mark.parametrize("command", COMMANDS, ids=range(len(COMMANDS)))
def test_output_and_status_are_the_commands_own(rig, command):
    result = rig.guest.run(command, soon())
    assert (result.status, result.output) == COMMANDS[command]
    transcript, records = rig.guest.session.transcript, result.records or ()
    assert len(result.output) == result.end - result.start - sum(end - start for start, end in records)
    assert records or transcript.read(result.start, result.end) == result.output


def test_what_a_command_sets_stays_set(rig):
    rig.guest.check_output("cd /; x=5", soon())
    assert rig.guest.check_output("pwd; echo $x", soon()) == b"/\r\n5\r\n"


def test_every_byte_comes_as_the_terminal_makes_it(rig):
    octal = "".join(f"\\{byte:03o}" for byte in range(256))
    assert rig.guest.check_output(f"printf '{octal}'", soon()) == bytes(range(256)).replace(b"\n", b"\r\n")


def test_line_may_end_at_any_column(rig):
    for length in range(60, 100, 3):
        word = "y" * length
        assert rig.guest.check_output(f"echo {word}", soon()) == word.encode() + b"\r\n"


def test_syntax_error_and_what_ends_a_shells_line_have_a_status(rig):
    for command in ("if", "echo ${nothing?is here}"):
        result = rig.guest.run(command, soon())
        assert result.status != 0
        assert result.output.count(b"\n") == 1
        assert b"ttylab" not in result.output
    rig.guest.prove_life(soon())


def test_job_in_the_background_is_no_end(rig):
    assert rig.guest.run("sleep 0 &", soon()).status == 0
    rig.guest.run("wait", soon())
    rig.guest.prove_life(soon())


def test_line_that_looks_like_a_record_can_be_typed(rig):
    rig.guest.send_line(b"echo '[   12.345678] typed' | tr a-z A-Z", soon())
    rig.guest.session.expect(rb"\] TYPED\r\n", soon(), view=View.RAW)
    rig.guest.prove_life(soon())


def test_much_output_is_whole(rig):
    size = 1_000_000 if not rig.is_guest else 100_000
    command = f"head -c {size} /dev/zero | tr '\\000' x"
    assert rig.guest.check_output(command, soon()) == b"x" * size
