"""Sessions on a scripted guest: matches, spans, deadlines, echoes, and every wait armed with death."""

import re

import pytest

from emulator.clock import Deadline
from emulator.console.marks import MarkKind
from emulator.errors import ConsoleClosed, LabError, MachineGone
from harness.play.screen import Screen
from harness.play.session import Session
from harness.scenario.errors import ExpectTimeout, GuestDied, GuestError, GuestLeft
from harness.scenario.steps import View
from tests.support.fake_guest import PANIC, FakeGuest

RECORD = b"[    3.141592] scsi host0: virtio_scsi\r\n"


@pytest.fixture
def guest():
    return FakeGuest(state="shell")


@pytest.fixture
def session(guest):
    return Session(guest)


def after(session, seconds):
    return Deadline.after(seconds, session.transcript.clock)


def test_expect_returns_a_value_with_spans_when_raw_text_matches(guest, session):
    guest.say(b"boot: alpha=17;rest")
    match = session.expect(rb"(\w+)=(\d+);", after(session, 1))
    assert (match.index, match.data, match.before) == (0, b"alpha=17;", b"boot: ")
    assert match.groups == (b"alpha", b"17")
    assert session.transcript.read(match.start, match.end) == match.data
    assert session.position == match.end
    assert session.expect(rb"rest", after(session, 0)).before == b""


def test_expect_in_user_view_looks_through_a_record(guest, session):
    guest.say(b"lo" + RECORD + b"gin: ")
    match = session.expect(rb"login: ", after(session, 1), view=View.USER)
    assert match.data == b"login: "
    assert session.transcript.read(match.start, match.end) == b"lo" + RECORD + b"gin: "


def test_expect_in_raw_view_does_not_look_through_a_record(guest, session):
    guest.say(b"lo" + RECORD + b"gin: ")
    with pytest.raises(ExpectTimeout):
        session.expect(rb"login: ", after(session, 1))


def test_expect_tells_which_of_several_patterns_came_first(guest, session):
    guest.say(b"two one two")
    wanted = [re.compile(rb"one"), rb"two"]
    found = [session.expect(wanted, after(session, 1)).index for _ in range(3)]
    assert found == [1, 0, 1]


def test_expect_waits_for_what_comes_later(guest, session):
    guest.transcript.later(3.0, lambda: guest.say(b"late\n"))
    session.expect(rb"late\n", after(session, 5))
    assert guest.transcript.now() == pytest.approx(3.0)


def test_expect_consumes_nothing_when_it_times_out(guest, session):
    guest.say(b"something else\n")
    with pytest.raises(ExpectTimeout) as caught:
        session.expect([rb"this", rb"that"], after(session, 2))
    assert session.position == 0
    text = str(caught.value)
    assert "ttyS0 at byte 15" in text
    assert "'this' or 'that'" in text
    assert "2.0 s" in text
    assert "something else" in text
    assert caught.value.__notes__ == ["something else"]
    session.expect(rb"something", after(session, 0))


def test_expect_sees_all_that_came_although_the_deadline_has_passed(guest, session):
    guest.say(b"x" * 300_000 + b"the end\n")
    session.expect(rb"the end\n", after(session, 0))


def test_expect_ends_at_its_deadline_although_the_guest_floods(guest, session):
    def flood():
        guest.say(b"y" * 70_000)
        guest.transcript.later(0.1, flood)

    flood()
    with pytest.raises(ExpectTimeout):
        session.expect(rb"never", after(session, 2))
    assert guest.transcript.now() == pytest.approx(2.0)


def test_expect_says_so_when_the_console_ends(guest, session):
    guest.transcript.later(1.0, lambda: guest.transcript.close("unplugged"))
    with pytest.raises(ConsoleClosed, match="awaited 'login: ', but the console ended: unplugged"):
        session.expect(rb"login: ", after(session, 5))


def test_expect_finds_what_came_before_the_console_ended(guest, session):
    guest.say(b"done\n")
    guest.transcript.close("unplugged")
    session.expect(rb"done\n", after(session, 5))


def test_session_begins_where_it_is_told(guest):
    guest.say(b"old\n" + PANIC)
    guest.transcript.mark(MarkKind.QMP, "RESET")
    guest.say(b"new\n")
    session = Session(guest, start=len(guest.transcript) - 4)
    assert session.expect(rb"\w+\n", after(session, 1)).data == b"new\n"


def test_skip_consumes_all_that_came(guest, session):
    guest.say(b"old prompt: ")
    session.skip()
    with pytest.raises(ExpectTimeout):
        session.expect(rb"prompt: ", after(session, 1))


# -- sending -----------------------------------------------------------------------------------


def test_send_waits_for_the_echo_of_each_sixteen_bytes(guest, session):
    session.send_line(b"0123456789abcdefGHIJ", after(session, 5))
    assert [len(typed.data) for typed in guest.transcript.typed] == [16, 5]
    assert session.transcript.read(0, session.position).endswith(b"GHIJ\r\n")


@pytest.mark.parametrize(
    "line", [b"if [ -d /proc ]; then echo 1 <2> x; fi", b"a[", b"0123456789abcd[ 12345.6 ]", b"[ 1"]
)
def test_send_is_not_held_up_by_text_that_may_begin_a_kernel_record(guest, session, line):
    session.send_line(line, after(session, 5))
    assert b"".join(typed.data for typed in guest.transcript.typed) == line + b"\r"


def test_send_goes_on_when_the_line_editor_wraps(guest, session):
    chunks = iter([b"\r\n", b" \x08"])
    guest.cut = lambda data: (data, next(chunks, b"")) if data in {b"7", b"c"} else (data,)
    session.send_line(b"0123456789abcdef", after(session, 5))
    assert guest.transcript.typed[-1].data == b"\r"


def test_send_gives_up_when_an_echo_is_lost(guest, session):
    guest.deaf = True
    with pytest.raises(ExpectTimeout, match="awaited the echo of '0123456789abcdef', which did not come"):
        session.send_line(b"0123456789abcdefgh", after(session, 60))
    assert [typed.data for typed in guest.transcript.typed] == [b"0123456789abcdef"]
    assert guest.transcript.now() == pytest.approx(5.0)


@pytest.mark.parametrize("line", ["naïve café".encode(), b"a\x16b", b"\x03", b"\x1b[A", b""])
def test_send_takes_any_bytes(guest, session, line):
    session.send_line(line, after(session, 5))
    assert b"".join(typed.data for typed in guest.transcript.typed) == line + b"\r"


def test_send_without_echo_hands_all_over_at_once(guest, session):
    guest.state = "password"
    session.send_line(b"a password longer than a FIFO", after(session, 5), echo=False)
    assert len(guest.transcript.typed) == 1


def test_send_refuses_to_type_into_a_dead_guest(guest, session):
    guest.say(PANIC)
    with pytest.raises(GuestDied):
        session.send_line(b"ls", after(session, 5), echo=False)
    assert guest.transcript.typed == ()


# -- quiet -------------------------------------------------------------------------------------


def test_wait_quiet_returns_once_nothing_came_for_so_long(guest, session):
    guest.transcript.later(0.5, lambda: guest.say(b"x"))
    assert session.wait_quiet(1.0, after(session, 10))
    assert guest.transcript.now() == pytest.approx(1.5)


def test_wait_quiet_is_false_when_the_deadline_comes_first(guest, session):
    def chatter():
        guest.say(b"x")
        guest.transcript.later(0.5, chatter)

    chatter()
    assert not session.wait_quiet(1.0, after(session, 3))
    assert guest.transcript.now() == pytest.approx(3.0)


def test_wait_quiet_never_waits_longer_than_its_deadline(guest, session):
    assert not session.wait_quiet(5.0, after(session, 1))
    assert guest.transcript.now() == pytest.approx(1.0)


# -- death -------------------------------------------------------------------------------------

DEATHS = {
    "panic": PANIC,
    "oops": b"[    5.000000] BUG: kernel NULL pointer dereference, address: 0000000000000000\r\n"
    b"[    5.000001] #PF: supervisor write access in kernel mode\r\n"
    b"[    5.000002] Oops: 0002 [#1] PREEMPT SMP NOPTI\r\n",
    "grub-rescue": b"error: unknown filesystem.\r\nEntering rescue mode...\r\ngrub rescue> ",
    "initramfs-shell": b"ALERT!  LABEL=nope does not exist.  Dropping to a shell!\r\n(initramfs) ",
    "maintenance-login": b"Give root password for maintenance\r\n",
}


@pytest.mark.parametrize("text", DEATHS.values(), ids=DEATHS)
def test_wait_ends_at_once_when_the_console_shows_death(guest, session, text):
    guest.transcript.later(1.0, lambda: guest.say(text))
    with pytest.raises(GuestDied, match="awaiting 'login: '") as caught:
        session.expect(rb"login: ", after(session, 60))
    assert guest.transcript.now() == pytest.approx(1.0)
    assert not isinstance(caught.value, GuestLeft)
    assert caught.value.alarm.title in str(caught.value)
    assert caught.value.alarm.start < len(text)
    assert caught.value.__notes__[0].splitlines()[-1] in text.decode()
    assert session.position == 0


MARKS = {
    "reset": (MarkKind.QMP, "RESET", GuestLeft),
    "shutdown": (MarkKind.QMP, "SHUTDOWN", GuestLeft),
    "panic-event": (MarkKind.QMP, "GUEST_PANICKED", GuestDied),
    "watchdog": (MarkKind.QMP, "WATCHDOG", GuestDied),
    "off": (MarkKind.MACHINE, "off", GuestLeft),
    "gone": (MarkKind.MACHINE, "gone", MachineGone),
}


@pytest.mark.parametrize("name", MARKS)
def test_wait_ends_at_once_when_the_machine_says_so(guest, session, name):
    kind, word, error = MARKS[name]
    guest.say(b"last words\r\n")
    guest.transcript.later(1.0, lambda: guest.transcript.mark(kind, word, {"reason": "why"}))
    with pytest.raises(error, match=f"{kind.value} {word} .reason why.") as caught:
        session.expect(rb"login: ", after(session, 60))
    assert type(caught.value) is error
    assert guest.transcript.now() == pytest.approx(1.0)
    assert caught.value.__notes__ == ["last words"]


QUIT = {"guest": False, "reason": "host-signal"}
LAB_FAULTS = {
    "stopped": (MarkKind.LAB, "stopped", {"reason": "QEMU (17) is stopped (state T)"}, LabError),
    "unplugged": (MarkKind.LAB, "far-end-gone", {"reason": "the far end hung up"}, MachineGone),
    "disk": (MarkKind.QMP, "BLOCK_IO_ERROR", {"device": "disk0", "action": "stop"}, LabError),
    "signal": (MarkKind.QMP, "SHUTDOWN", QUIT, MachineGone),
}
WAITS = {
    "expect": lambda session: session.expect(rb"login: ", after(session, 60)),
    "mark": lambda session: session.wait_mark(frozenset({"SHUTDOWN"}), after(session, 60), since=0),
    "quiet": lambda session: session.wait_quiet(30, after(session, 60)),
    "screen": lambda session: Screen(session).wait_for("GNU GRUB", after(session, 60)),
}


@pytest.mark.parametrize("wait", WAITS)
@pytest.mark.parametrize("fault", LAB_FAULTS)
def test_every_wait_ends_at_once_when_the_lab_fails_and_the_guest_is_not_blamed(guest, session, wait, fault):
    kind, word, detail, error = LAB_FAULTS[fault]
    guest.transcript.later(1.0, lambda: guest.transcript.mark(kind, word, detail))
    with session.expecting("shutdown", "off"), pytest.raises(error) as caught:
        WAITS[wait](session)
    assert guest.transcript.now() == pytest.approx(1.0)
    assert word in str(caught.value)
    assert not isinstance(caught.value, GuestError)


def test_power_that_the_lab_cuts_is_no_fault_of_anybody(guest, session):
    guest.transcript.mark(MarkKind.QMP, "SHUTDOWN", {**QUIT, "reason": "host-qmp-quit", "asked": True})
    with session.expecting("shutdown"):
        session.check()


@pytest.mark.parametrize("name", MARKS)
def test_expecting_allows_the_named_alarm_and_no_other(guest, session, name):
    kind, word, error = MARKS[name]
    other = "off" if name != "off" else "reset"
    guest.transcript.mark(kind, word)
    guest.say(b"done\n")
    with pytest.raises(error), session.expecting(other):
        session.expect(rb"done\n", after(session, 1))
    with session.expecting(name):
        session.expect(rb"done\n", after(session, 1))
    session.check()


@pytest.mark.parametrize("name", [name for name in DEATHS if name != "oops"])
def test_expecting_allows_a_signature_by_its_rule(guest, session, name):
    guest.say(DEATHS[name] + b"\r\nmore\n")
    with session.expecting(name):
        session.expect(rb"more\n", after(session, 1))


def test_expecting_ends_with_its_block(guest, session):
    with session.expecting("panic"):
        assert session.allowed == {"panic"}
    guest.say(PANIC)
    with pytest.raises(GuestDied):
        session.check()


def test_expecting_blocks_add_up(guest, session):
    guest.transcript.mark(MarkKind.QMP, "RESET")
    guest.say(PANIC + b"end\n")
    with session.expecting("panic"), session.expecting("reset"):
        session.expect(rb"end\n", after(session, 1))
    session.check()


def test_what_was_allowed_stays_so_although_the_block_raised(guest, session):
    guest.say(PANIC)
    with pytest.raises(ExpectTimeout), session.expecting("panic"):
        session.expect(rb"never", after(session, 1))
    session.check()


def test_panic_after_an_allowed_oops_still_ends_the_wait(guest, session):
    guest.say(DEATHS["oops"] + PANIC)
    names = {alarm.name for alarm in _alarms(session)} - {"panic"}
    with pytest.raises(GuestDied, match="panic") as caught, session.expecting(*names):
        session.expect(rb"login: ", after(session, 60))
    assert caught.value.alarm.name == "panic"


def _alarms(session):
    session.listener.update()
    return list(session.listener._alarms)


def test_alarm_stays_raised_for_later_waits_until_it_is_forgiven(guest, session):
    guest.say(PANIC + b"end\n")
    for _ in range(2):
        with pytest.raises(GuestDied):
            session.expect(rb"end\n", after(session, 1))
    session.listener.forgive()
    session.expect(rb"end\n", after(session, 1))


def test_match_before_the_alarm_wins(guest, session):
    guest.say(b"ttylab login: \r\n" + PANIC)
    session.expect(rb"login: ", after(session, 1))
    with pytest.raises(GuestDied):
        session.expect(rb"login: ", after(session, 1))


@pytest.mark.parametrize("view", View)
@pytest.mark.parametrize("restart", [True, False])
def test_login_prompt_after_a_panic_is_no_success(guest, session, view, restart):
    guest.say(PANIC)
    if restart:
        guest.transcript.mark(MarkKind.QMP, "RESET")
    guest.say(b"SeaBIOS\r\nttylab login: ")
    with pytest.raises(GuestDied, match="sysrq triggered crash"):
        session.expect(rb"login: ", after(session, 1), view=view)


def test_text_of_the_alarm_itself_is_no_success(guest, session):
    guest.say(PANIC)
    with pytest.raises(GuestDied):
        session.expect(rb"Kernel panic[^\n]*\n", after(session, 1))


def test_second_panic_after_a_reset_is_seen_again(guest, session):
    guest.say(PANIC)
    guest.transcript.mark(MarkKind.QMP, "RESET")
    with session.expecting("panic", "reset"):
        session.expect(rb"end Kernel panic[^\n]*\n", after(session, 1))
    guest.say(b"SeaBIOS\r\n" + PANIC)
    with pytest.raises(GuestDied) as caught:
        session.expect(rb"login: ", after(session, 1))
    assert caught.value.alarm.start > len(PANIC)


def test_three_reset_events_are_one_restart(guest, session):
    def restart():
        guest.transcript.mark(MarkKind.QMP, "RESET")
        for seconds in (0.1, 0.2):
            guest.transcript.later(seconds, lambda: guest.transcript.mark(MarkKind.QMP, "RESET"))

    restart()
    with session.expecting("reset"):
        session.wait_mark(frozenset({"RESET"}), after(session, 1), since=0)
    with pytest.raises(ExpectTimeout):
        session.expect(rb"login: ", after(session, 2))
    restart()
    with pytest.raises(GuestLeft):
        session.check()


# -- marks -------------------------------------------------------------------------------------


def test_wait_mark_returns_the_mark_that_comes(guest, session):
    guest.transcript.later(2.0, lambda: guest.transcript.mark(MarkKind.QMP, "RESET"))
    guest.transcript.later(1.0, lambda: guest.transcript.mark(MarkKind.STEP, "RESET"))
    mark = session.wait_mark(frozenset({"RESET"}), after(session, 5), since=0)
    assert (mark.kind, mark.at) == (MarkKind.QMP, pytest.approx(2.0))
    with pytest.raises(GuestLeft):
        session.check()


def test_wait_mark_passes_over_marks_before_its_start(guest, session):
    guest.transcript.mark(MarkKind.QMP, "RESET")
    with session.expecting("reset"), pytest.raises(ExpectTimeout, match="awaited RESET"):
        session.wait_mark(frozenset({"RESET"}), after(session, 1), since=1)


def test_wait_mark_ends_when_another_alarm_came_first(guest, session):
    guest.say(PANIC)
    guest.transcript.mark(MarkKind.QMP, "RESET")
    with pytest.raises(GuestDied, match="awaiting RESET") as caught, session.expecting("reset"):
        session.wait_mark(frozenset({"RESET"}), after(session, 1), since=0)
    assert caught.value.alarm.name == "panic"


def test_wait_mark_says_so_when_the_console_ends(guest, session):
    guest.transcript.later(1.0, lambda: guest.transcript.close("unplugged"))
    with pytest.raises(ConsoleClosed, match="unplugged"):
        session.wait_mark(frozenset({"RESET"}), after(session, 5), since=0)


@pytest.mark.parametrize(
    "text", [b"echo '[    1.234567] typed'", b"<3>[   12.345678] x", b"if [ -d / ] && [ 1 ]"]
)
def test_what_looks_like_a_record_can_be_typed(guest, session, text):
    session.send_line(text, after(session, 1))
    assert b"".join(typed.data for typed in guest.transcript.typed) == text + b"\r"
