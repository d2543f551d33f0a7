"""`ttylab console` and `ttylab send` as processes, against the service with guests in memory."""

import re
import signal
from dataclasses import replace

import pexpect
import pytest
import trustme

from emulator.cloud.records import PowerState
from emulator.cloud.settings import Fault, Settings
from harness.scenario.exit_codes import EXIT_BROKEN, EXIT_FAILED, EXIT_PASSED, EXIT_REFUSED, EXIT_USAGE
from tests.support.fake_guest import PANIC
from tests.support.served_lab import PATIENCE_S, command, serve_lab

pytestmark = pytest.mark.slow
BOOT = b"SeaBIOS\r\nlinux1 login: "


def talkative(guest):
    guest.echoes, guest.says_at_power_on = True, BOOT


@pytest.fixture
def lab(tmp_path):
    with serve_lab(tmp_path) as served:
        talkative(served.guest("linux1"))
        talkative(served.guest("ss1/0"))
        yield served


@pytest.fixture
def terminal(lab):
    opened = []

    def open_terminal(*words):
        program, *rest = command(*words)
        opened.append(pexpect.spawn(program, rest, env=lab.environment(), timeout=PATIENCE_S))
        return opened[-1]

    yield open_terminal
    for one in opened:
        one.close(force=True)


# -- through pipes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["linux1", "ss1/0"])
def test_console_types_a_pipe_and_streams_raw_bytes_until_it_is_quiet(lab, name):
    ended = lab.run("console", name, "--quiet", "300ms", typed=b"\x1dq \x1b[31m\r")
    assert (ended.returncode, ended.stderr) == (EXIT_PASSED, b"")
    assert ended.stdout == BOOT + b"\x1dq \x1b[31m\r"  # a pipe has no menu, and nothing is escaped
    assert bytes(lab.guest(name).typed) == b"\x1dq \x1b[31m\r"


def test_console_takes_a_resource_id_in_any_case(lab):
    name = str(lab.record("linux1").id).upper().replace("LINUX1", "linux1")
    assert lab.run("console", name, "--no-input", "--until", "login: ").returncode == EXIT_PASSED


def test_console_leaves_when_the_pattern_is_seen(lab):
    ended = lab.run("console", "linux1", "--no-input", "--until", "log[i]n: $", "--for", "20s")
    assert (ended.returncode, ended.stdout) == (EXIT_PASSED, BOOT)


def test_console_fails_when_the_pattern_is_not_seen_in_time(lab):
    ended = lab.run("console", "linux1", "--no-input", "--until", "root@", "--for", "3s")
    assert (ended.returncode, ended.stdout) == (EXIT_FAILED, BOOT)


def test_console_leaves_after_its_time(lab):
    ended = lab.run("console", "linux1", "--no-input", "--for", "3s")
    assert (ended.returncode, ended.stdout) == (EXIT_PASSED, BOOT)


def test_console_ends_quietly_when_nobody_reads_its_pipe(lab):
    with lab.started("console", "linux1", "--no-input") as console:
        assert console.stdout.read(1) == BOOT[:1]
        console.stdout.close()
        lab.guest("linux1").feed(b"x")
        assert console.wait(PATIENCE_S) == EXIT_BROKEN
        assert console.stderr.read() == b""


def test_console_is_left_by_ctrl_c_and_its_link_with_it(lab):
    with lab.started("console", "linux1", "--no-input") as console:
        assert console.stdout.read(len(BOOT)) == BOOT
        console.send_signal(signal.SIGINT)
        assert console.wait(PATIENCE_S) == 130
    lab.wait_mark("linux1", "disconnected")


# -- refusals and faults ---------------------------------------------------------------------------


def test_console_shows_why_the_service_refuses(lab):
    ended = lab.run("console", "stopped1", "--no-input")
    assert ended.returncode == EXIT_REFUSED
    assert b"Azure Serial Console requires a virtual machine to be running" in ended.stderr
    ended = lab.run("console", "linux1", "--no-input", TTYLAB_PRINCIPAL="reader")
    assert ended.returncode == EXIT_REFUSED
    assert b"AuthorizationFailed" in ended.stderr
    assert b"Virtual Machine Contributor" in ended.stderr
    ended = lab.run("console", "nobody", "--no-input")
    assert (ended.returncode, b"ResourceNotFound" in ended.stderr) == (EXIT_REFUSED, True)


def test_console_says_that_the_secret_is_wrong_without_showing_it(lab):
    ended = lab.run("console", "linux1", "--no-input", TTYLAB_SECRET="wrong-secret")
    assert ended.returncode == EXIT_REFUSED
    assert b"signing in as app was refused (401)" in ended.stderr
    assert b"wrong-secret" not in ended.stderr


def test_console_signs_a_user_in_by_password(lab):
    ended = lab.run(
        *("console", "linux1", "--no-input", "--until", "login: ", "--as", "dev@localhost"),
        TTYLAB_SECRET="ttylab",
    )
    assert (ended.returncode, ended.stderr) == (EXIT_PASSED, b"")


def test_console_says_that_nobody_answers(lab):
    ended = lab.run("console", "linux1", TTYLAB_ENDPOINT="https://localhost:1")
    assert ended.returncode == EXIT_BROKEN
    assert re.fullmatch(rb"ttylab: error: https://localhost:1 can't be reached: .*\n", ended.stderr)


def test_console_refuses_a_certificate_of_another_authority(lab, tmp_path):
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
    ended = lab.run("console", "linux1", "--ca", str(tmp_path / "other.pem"))
    assert (ended.returncode, b"certificate verify failed" in ended.stderr) == (EXIT_BROKEN, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["a/b/c"], b"allowed: VM, SCALESET/INSTANCE, or a resource id"),
        (["linux1", "--for", "soon"], b"--for is 'soon'"),
        (["linux1", "--until", "("], b"--until is '('"),
        (["linux1", "--real-azure", "--endpoint", "https://h"], b"give one of"),
        (["linux1", "--endpoint", "http://h"], b"endpoint is 'http://h'"),
        (["linux1", "--ca", "nowhere.pem"], b"nowhere.pem: no such file"),
        (["linux1", "--ready-file", "nowhere.json"], b"nowhere.json: not a ready file"),
    ],
)
def test_console_says_what_is_wrong_with_its_words(lab, words, said):
    ended = lab.run("console", *words)
    assert (ended.returncode, said in ended.stderr) == (EXIT_USAGE, True), ended.stderr


def test_console_without_a_service_says_how_to_name_one(lab):
    ended = lab.run("console", "linux1", TTYLAB_ENDPOINT="")
    assert (ended.returncode, b"TTYLAB_READY_FILE" in ended.stderr) == (EXIT_USAGE, True)


# -- links that end --------------------------------------------------------------------------------


def test_console_comes_back_after_a_dropped_link(lab):
    with lab.started("console", "linux1", "--no-input", "--until", "after") as console:
        lab.wait_mark("linux1", "connected")
        lab.end_links("linux1", 1011, "something broke")
        lab.wait_mark("linux1", "connected", times=2)
        lab.guest("linux1").feed(b"after")
        assert console.wait(PATIENCE_S) == EXIT_PASSED
        assert b"the link was dropped (1011: something broke); connecting again" in console.stderr.read()


def test_console_comes_back_when_good_tokens_are_refused_now_and_then(tmp_path):
    settings = Settings(faults=frozenset({Fault.REFUSED_TRUST}))
    with serve_lab(tmp_path, settings=settings) as lab:
        talkative(lab.guest("linux1"))
        ended = lab.run("console", "linux1", "--no-input", "--until", "login: ", "--for", "20s")
        assert (ended.returncode, b"Connection not trusted" in ended.stderr) == (EXIT_PASSED, True)


@pytest.mark.parametrize(("until", "code"), [("Welcome", EXIT_FAILED), ("end Kernel panic", EXIT_PASSED)])
def test_console_waits_no_longer_for_a_guest_that_has_died(lab, until, code):
    with lab.started("console", "linux1", "--no-input", "--until", until) as console:
        lab.wait_mark("linux1", "connected")
        lab.guest("linux1").feed(PANIC)
        assert console.wait(PATIENCE_S) == code
        assert (b"the guest died: " in console.stderr.read()) == (code == EXIT_FAILED)


def test_console_gives_up_at_once_when_asked_to(lab):
    with lab.started("console", "linux1", "--no-input", "--reconnect", "0") as console:
        lab.wait_mark("linux1", "connected")
        lab.end_links("linux1", 1011, "something broke")
        assert console.wait(PATIENCE_S) == EXIT_BROKEN
        assert b"the service ended the link: 1011: something broke" in console.stderr.read()


def test_console_that_was_taken_over_says_so_and_stays_away(lab):
    with lab.started("console", "linux1", "--no-input") as first:
        lab.wait_mark("linux1", "connected")
        assert lab.run("console", "linux1", "--no-input", "--for", "200ms").returncode == EXIT_PASSED
        assert first.wait(PATIENCE_S) == EXIT_REFUSED
        assert b"the console was taken over: 1000: " in first.stderr.read()


def test_console_takes_itself_back_when_told_to(lab):
    with lab.started("console", "linux1", "--no-input", "--take-back", "--until", "again") as first:
        lab.wait_mark("linux1", "connected")
        assert lab.run("console", "linux1", "--no-input", "--for", "200ms").returncode == EXIT_PASSED
        lab.wait_mark("linux1", "connected", times=3)
        lab.guest("linux1").feed(b"again")
        assert first.wait(PATIENCE_S) == EXIT_PASSED


def test_console_ends_with_the_reason_when_its_role_is_taken_away(lab):
    with lab.started("console", "linux1", "--no-input") as console:
        lab.wait_mark("linux1", "connected")
        lab.end_links("linux1", 1008, "Your role was \x1b[2Jtaken away.")
        assert console.wait(PATIENCE_S) == EXIT_REFUSED
        said = console.stderr.read()
        assert b"taken away." in said
        assert b"\x1b" not in said


# -- at a terminal ---------------------------------------------------------------------------------


def test_terminal_types_and_has_a_menu(lab, terminal):
    one = terminal("console", "linux1")
    one.expect(r"linux1 at https://localhost:\d+; Ctrl-\] \? for the menu")
    one.expect("login: ")
    one.send("root\r")
    one.expect("root")
    one.send("\x1d?")
    one.expect("inject an NMI")
    assert b"BREAK" not in one.before + one.after
    one.send("\x1dn")
    one.expect(r"\[ttylab: nmi: seen: nmi\]")
    one.send("\x1dsh")
    one.expect(r"\[ttylab: sysrq h: seen: sysrq h\]")
    one.send("\x1d\x1d")
    one.expect("\x1d")
    one.send("\x1dq")
    one.expect(pexpect.EOF)
    one.close()
    assert one.exitstatus == EXIT_PASSED
    assert bytes(lab.guest("linux1").typed) == b"root\r\x1d"


def test_terminal_that_was_taken_over_comes_back_by_enter(lab, terminal):
    one = terminal("console", "linux1")
    lab.wait_mark("linux1", "connected")
    lab.run("console", "linux1", "--no-input", "--for", "200ms")
    one.expect("press Enter to take it back, q to leave")
    one.send("\r")
    lab.wait_mark("linux1", "connected", times=3)
    lab.run("console", "linux1", "--no-input", "--for", "200ms")
    one.expect("press Enter to take it back, q to leave")
    one.send("q")
    one.expect(pexpect.EOF)
    one.close()
    assert one.exitstatus == EXIT_REFUSED


# -- send ------------------------------------------------------------------------------------------


def test_send_says_what_was_seen_and_does_not_disturb_the_console(lab):
    with lab.started("console", "linux1", "--no-input", "--until", "bye") as console:
        lab.wait_mark("linux1", "connected")
        for words, said in (
            (("nmi", "linux1"), b"nmi to linux1: effect seen: nmi\n"),
            (("sysrq", "REISUB", "linux1"), b"sysrq REISUB to linux1: effect seen: sysrq b\n"),
            (("reset", "linux1"), b"reset to linux1: effect seen: reset\n"),
        ):
            ended = lab.run("send", *words)
            assert (ended.returncode, ended.stdout) == (EXIT_PASSED, said)
        lab.guest("linux1").feed(b"bye")
        assert console.wait(PATIENCE_S) == EXIT_PASSED
        assert console.stderr.read() == b""


def test_send_fails_when_no_effect_is_seen(lab):
    lab.guest("linux1").shows_effects = False
    ended = lab.run("send", "nmi", "linux1")
    assert (ended.returncode, ended.stdout) == (EXIT_FAILED, b"nmi to linux1: injected, but no effect seen\n")


def test_send_fails_when_the_guest_refuses_and_says_its_words(lab):
    lab.guest("linux1").refusal = "sysrq: This sysrq operation is disabled."
    ended = lab.run("send", "sysrq", "m", "linux1")
    said = b"sysrq m to linux1: injected, but the guest refused: sysrq: This sysrq operation is disabled.\n"
    assert (ended.returncode, ended.stdout) == (EXIT_FAILED, said)


def test_send_changes_the_power_and_waits_for_it(lab):
    for act, state in (("stop", "stopped"), ("start", "running"), ("restart", "running")):
        ended = lab.run("send", act, "linux1")
        assert (ended.returncode, ended.stderr) == (EXIT_PASSED, b"")
        assert ended.stdout == f"{act} to linux1: effect seen: the VM is {state}\n".encode()
    assert lab.record("linux1").power is PowerState.RUNNING


def test_send_cuts_the_power_when_forced(lab):
    lab.guest("linux1").obeys = False
    assert lab.run("send", "stop", "linux1", "--force").returncode == EXIT_PASSED
    assert [call for call in lab.guest("linux1").calls if call.startswith("shut_down")] == []


def test_send_shows_why_it_was_refused(lab):
    ended = lab.run("send", "nmi", "stopped1")
    assert (ended.returncode, b"OperationNotAllowed" in ended.stderr) == (EXIT_REFUSED, True)
    ended = lab.run("send", "stop", "linux1", TTYLAB_PRINCIPAL="reader")
    assert (ended.returncode, b"AuthorizationFailed" in ended.stderr) == (EXIT_REFUSED, True)


def test_send_says_what_can_be_sent(lab):
    ended = lab.run("send", "love", "linux1")
    assert (ended.returncode, b"allowed: nmi, sysrq, reset, restart, stop, start" in ended.stderr) == (
        2,
        True,
    )


def test_stopped_console_is_told_in_band_and_stays(lab):
    with lab.started("console", "linux1", "--no-input", "--until", "go on") as console:
        lab.wait_mark("linux1", "connected")
        lab.put(replace(lab.record("linux1"), power=PowerState.STOPPED))
        lab.guest("linux1").feed(b"go on")
        assert console.wait(PATIENCE_S) == EXIT_PASSED
        assert b"this console goes on when it is started" in console.stdout.read()
