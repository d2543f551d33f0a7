"""The SAC driver on a scripted guest: stages, prompt, channels, its end, and every state it may find."""

import pytest

from emulator.clock import Deadline
from emulator.console.marks import MarkKind
from harness.guests.sac import SacGuest
from harness.guests.sac_channel import Account
from harness.play.session import Session
from harness.scenario.errors import ExpectTimeout, GuestDied, SacUnavailable, WrongOutput
from harness.scenario.stages import Stage
from tests.support.fake_sac import CMD_EVENT, GUID, FakeSac, make_sac_target


def soon(guest, seconds=300):
    return Deadline.after(seconds, guest.session.transcript.clock)


def switched_on(**fields):
    sac = FakeSac(**fields)
    sac.transcript.mark(MarkKind.MACHINE, "started")
    guest = SacGuest(Session(sac), sac.profile)
    return sac, guest


def booted(**fields):
    sac, guest = switched_on(**fields)
    sac.transcript.later(2.0, sac.boot)
    guest.reach(Stage.CMD, soon(guest))
    return sac, guest


def test_guest_comes_to_its_prompt_and_says_what_it_is():
    sac, guest = booted()
    assert guest.machine.guid == GUID
    assert guest.machine.product == "Windows Server 2022 Datacenter"
    stages = [mark.name for mark in sac.transcript.marks if mark.kind is MarkKind.STAGE]
    assert stages == ["kernel", "sac", "cmd"]


def test_command_gives_its_lines_and_nothing_of_what_is_around():
    _, guest = booted()
    assert guest.run_sac("id", soon(guest)).lines == (
        b"           Computer Name: WIN-TTYLAB", b"           Computer GUID: " + GUID.encode()
    )  # fmt: skip
    assert guest.run_sac("p", soon(guest)).text == b"Paging is now OFF."


def test_command_that_sac_would_cut_is_refused():
    _, guest = booted()
    with pytest.raises(WrongOutput, match="has 80 characters; SAC takes 77"):
        guest.run_sac("k" * 80, soon(guest))


def test_life_is_proved_by_the_guid_of_the_boot():
    _, guest = booted()
    guest.prove_life(soon(guest))


def test_life_is_not_proved_by_another_machine(monkeypatch):
    sac, guest = booted()
    monkeypatch.setattr(sac, "answer", lambda _: f"           Computer GUID: {GUID[::-1]}\r\n")
    with pytest.raises(WrongOutput, match="`id` says"):
        guest.prove_life(soon(guest))


def test_channel_is_opened_used_and_closed():
    _, guest = booted()
    guest.reach(Stage.SHELL, soon(guest))
    assert (guest.channel, guest.stage) == ("Cmd0001", Stage.SHELL)
    assert guest.run("lines 3", soon(guest)).output.count(b"of a long output\r\n") == 3
    assert guest.run("nonsense", soon(guest)).status == 9009
    guest.close_channel(soon(guest))
    assert guest.channel == "SAC"
    guest.prove_life(soon(guest))


@pytest.mark.parametrize("shown", ["Username:", "Username: ", "Username:" + 40 * " "])
def test_login_types_when_the_screen_is_drawn_whole(monkeypatch, shown):
    sac, guest = booted()

    rest, take = [], sac.take_in_cmd

    def view(byte):
        del byte
        sac.at = "sac"
        screen = sac.terminals[sac.channel].redraw()
        end = screen.index(shown) + len(shown)
        sac.send(screen[:end])
        rest.append(screen[end:])
        sac.transcript.later(0.03, draw_rest)

    def draw_rest():
        while rest:
            sac.send(rest.pop())

    def draw_and_take(byte):  # it echoes behind what it has to draw
        draw_rest()
        take(byte)

    monkeypatch.setattr(sac, "view", view)
    monkeypatch.setattr(sac, "take_in_cmd", draw_and_take)
    guest.reach(Stage.SHELL, soon(guest))
    assert [one.data for one in sac.transcript.typed].count(b"A") == 1


def test_output_longer_than_the_screen_is_whole_where_lines_are_written():
    _, guest = booted()
    result = guest.run("lines 60", soon(guest))
    assert result.status == 0
    assert [line for line in result.output.split(b"\r\n") if line] == [
        b"line %d of a long output" % number for number in range(60)
    ]


def test_second_channel_has_its_own_name():
    _, guest = booted()
    assert [guest.open_channel(soon(guest)) for _ in range(2)] == ["Cmd0001", "Cmd0002"]


def test_channel_that_is_not_there_is_an_error():
    _, guest = booted()
    with pytest.raises(WrongOutput, match="no channel 'Cmd0099'"):
        guest.switch("Cmd0099", soon(guest))
    guest.prove_life(soon(guest))


def test_only_the_password_of_a_login_is_noted_as_secret():
    sac, guest = booted()
    guest.reach(Stage.LOGIN, soon(guest))
    guest.log_in(soon(guest), account := Account())
    assert b"".join(one.data for one in sac.transcript.typed if one.secret) == account.password.encode()
    assert account.password not in repr(account)


def test_refused_account_is_an_error_and_sac_has_the_terminal_again():
    _, guest = booted()
    guest.reach(Stage.LOGIN, soon(guest))
    with pytest.raises(WrongOutput, match="refused the account 'Administrator'"):
        guest.log_in(soon(guest), Account(password="wrong"))
    guest.prove_life(soon(guest))


def test_restart_comes_back_and_the_redrawn_banner_is_no_boot():
    sac, guest = booted()
    guest.reach(Stage.SHELL, soon(guest))
    guest.close_channel(soon(guest))
    assert sac.transcript.read().count(b"Computer is booting") > 1  # redrawn
    boots = sac.transcript.read().count(b"<machine-info>")
    guest.restart(soon(guest))
    assert sac.transcript.read().count(b"<machine-info>") == boots + 1
    guest.prove_life(soon(guest))


def test_reach_after_a_reset_waits_for_the_new_boot():
    target, sac, control = make_sac_target()
    guest = SacGuest(Session(target.channel), sac.profile)
    guest.reach(Stage.CMD, soon(guest))
    guest.reach(Stage.SHELL, soon(guest))
    with guest.session.expecting("reset"):
        control.reset(soon(guest))
        guest.reach(Stage.SAC, soon(guest))
    assert sac.transcript.read().count(b"<machine-info>") == 2
    assert guest.channel == "SAC"


def test_menu_is_a_stage():
    sac, guest = switched_on()
    sac.transcript.later(1.0, sac.show_menu)
    guest.reach(Stage.LOADER, soon(guest))
    assert guest.stage is Stage.LOADER


def test_bugcheck_ends_a_wait_and_is_read():
    sac, guest = booted()
    sac.transcript.later(1.0, lambda: sac.crash(0x80, "NMI_HARDWARE_FAILURE"))
    with pytest.raises(GuestDied, match="bugcheck"):
        guest.session.expect(b"never", soon(guest))
    bugcheck = guest.read_bugcheck()
    assert bugcheck is not None
    assert (bugcheck.title, bugcheck.parameters) == ("0x80 NMI_HARDWARE_FAILURE", (0x4F4454, 0, 0, 0))


# -- sync from every state -----------------------------------------------------------------------


def at_prompt(sac, guest):
    del sac, guest


def half_typed(sac, guest):
    guest.press_keys(b"shutdow", soon(guest))


def at_header(sac, guest):
    sac.switch("SAC")


def in_login(sac, guest):
    guest.reach(Stage.LOGIN, soon(guest))


def in_shell(sac, guest):
    guest.reach(Stage.SHELL, soon(guest))


def half_typed_in_shell(sac, guest):
    guest.reach(Stage.SHELL, soon(guest))
    guest.press_keys(b"format c:", soon(guest))


def at_another_header(sac, guest):
    guest.open_channel(soon(guest))
    sac.switch("Cmd0001")


def in_menu(sac, guest):
    sac.show_menu()


@pytest.mark.parametrize(
    "state",
    [
        at_prompt,
        half_typed,
        at_header,
        in_login,
        in_shell,
        half_typed_in_shell,
        at_another_header,
        in_menu,
    ],
)
def test_sync_comes_to_the_prompt_from(state):
    sac, guest = booted()
    state(sac, guest)
    guest.sync(soon(guest))
    assert (guest.channel, sac.channel, sac.line) == ("SAC", "SAC", "")
    assert guest.run_sac("p", soon(guest)).text == b"Paging is now OFF."


def test_sync_runs_no_command_that_somebody_left_half_typed():
    sac, guest = booted()
    guest.press_keys(b"crashdump", soon(guest))
    guest.sync(soon(guest))
    assert sac.at == "sac"


def test_command_is_not_joined_to_what_was_typed_before_an_event():
    sac, guest = booted()
    sac.line = "crashdum"  # in the guest's buffer, and nowhere on the screen
    assert guest.run_sac("p", soon(guest)).text == b"Paging is now OFF."


def test_sync_enters_nothing_that_was_typed_before_an_event():
    sac, guest = booted()
    guest.prove_life(soon(guest))
    guest.press_keys(b"crashdump", soon(guest))
    sac.event(CMD_EVENT)
    guest.sync(soon(guest))
    assert (sac.at, sac.line) == ("sac", "")


def test_sync_restarts_a_guest_that_waits_after_a_bugcheck():
    sac, guest = booted()
    sac.crash(0x80, "NMI_HARDWARE_FAILURE")
    with guest.session.expecting("bugcheck", "sac-crash-prompt", "reset"):
        guest.sync(soon(guest))
    assert sac.transcript.read().count(b"Computer is booting") == 2


def test_sync_finds_the_prompt_of_a_guest_joined_late():
    sac, guest = booted()
    late = SacGuest(Session(sac, start=len(sac.transcript)), sac.profile)
    late.sync(soon(late))
    late.prove_life(soon(late))
    assert late.run("lines 1", soon(late)).status == 0
    assert guest.profile is late.profile


def test_rejoin_forgets_and_finds_the_prompt_again():
    _, guest = booted()
    guest.reach(Stage.SHELL, soon(guest))
    guest.rejoin()
    guest.prove_life(soon(guest))
    assert guest.channel == "SAC"


# -- what will not come to SAC ---------------------------------------------------------------------

HEALTH = b"======== Microsoft Azure VM Health Report - Start 2026-11-23T08:00:00.0000000Z ========\r\n{}\r\n"


@pytest.mark.parametrize(
    ("bytes_", "state"),
    [
        (HEALTH, "EMS is off"),
        (b"iiii\x06\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", "a kernel debugger has the port"),
        (b"[    0.000000] Linux version 6.1.0-50-cloud-amd64 (debian)\r\n", "no Windows"),
        (b"GNU GRUB  version 2.06\r\n", "no Windows"),
        (
            b"\x1b[2J\x1b[1;1H\x1b[3;1HIt looks like Windows didn't load correctly\x1b[5;1HEnter=Restart",
            "the recovery menu",
        ),
    ],
)
def test_reach_names_the_state_that_does_not_become_sac(bytes_, state):
    sac, guest = switched_on()
    sac.transcript.later(1.0, lambda: sac.transcript.append(bytes_))
    with pytest.raises(SacUnavailable) as caught:
        guest.reach(Stage.SAC, soon(guest))
    assert caught.value.state == state
    assert sac.transcript.now() < 31


def test_reach_names_a_menu_that_nobody_leaves_and_sync_leaves_it():
    sac, guest = switched_on()
    sac.transcript.later(1.0, sac.show_menu)
    with pytest.raises(SacUnavailable, match="the boot menu: its countdown was stopped"):
        guest.reach(Stage.SAC, soon(guest))
    assert sac.transcript.now() < 31
    guest.sync(soon(guest))
    guest.prove_life(soon(guest))


def test_reach_waits_for_a_menu_that_counts_down():
    sac, guest = switched_on()
    sac.transcript.later(1.0, sac.show_menu)
    for second in range(60):
        row = b"\x1b[17;1HSeconds until the highlighted choice will be started automatically: %d" % (
            60 - second
        )
        sac.transcript.later(2.0 + second, lambda row=row: sac.transcript.append(row))
    sac.transcript.later(62.0, sac.boot)
    guest.reach(Stage.SAC, soon(guest))


def test_sync_says_that_nothing_answers():
    _, guest = switched_on()
    with pytest.raises(ExpectTimeout, match="nothing answers"):
        guest.sync(soon(guest, 60))


def test_sync_names_what_answers_and_is_no_sac():
    sac, guest = switched_on()
    sac.transcript.append(b"\r\nUser Access Verification\r\n\r\nRouter>")
    with pytest.raises(SacUnavailable, match="what answers is no SAC"):
        guest.sync(soon(guest, 60))


def test_event_between_two_commands_is_no_output():
    sac, guest = booted()
    sac.event(CMD_EVENT)
    assert guest.run_sac("p", soon(guest)).text == b"Paging is now OFF."


class SlowSac(FakeSac):
    """Draws a channel's screen as a line of 115200 baud does: in pieces, an echo behind the last of them."""

    drawn_at = 0.0

    def view(self, byte):
        self.at = "sac"
        drawn = self.terminals[self.channel].redraw()
        pieces = [drawn[at : at + 40] for at in range(0, len(drawn), 40)]
        for number, piece in enumerate(pieces):
            self.transcript.later(0.004 * number, lambda piece=piece: super(SlowSac, self).send(piece))
        self.drawn_at = self.transcript.fake.monotonic() + 0.004 * len(pieces)

    def send(self, text):
        wait = self.drawn_at - self.transcript.fake.monotonic()
        if wait > 0:
            self.transcript.later(wait, lambda: super(SlowSac, self).send(text))
        else:
            super().send(text)


def test_login_waits_until_the_channel_is_drawn():
    sac = SlowSac()
    sac.transcript.mark(MarkKind.MACHINE, "started")
    guest = SacGuest(Session(sac), sac.profile)
    sac.transcript.later(2.0, sac.boot)
    assert guest.run("echo a word", soon(guest)).output.strip() == b"a word"
    typed = b"".join(one.data for one in sac.transcript.typed)
    assert typed.count(b"Administrator\r") == 1
    assert b"\x08" not in typed[typed.index(b"Admin") :]  # nothing had to be taken back


class SilentSac(FakeSac):
    """Stands behind a serial port: no machine says what happens to it."""

    def restart(self):
        self.at = "off"
        self.transcript.later(1.0, self.boot)


def behind_a_port():
    sac = SilentSac()
    guest = SacGuest(Session(sac), sac.profile)
    sac.transcript.later(2.0, sac.boot)
    guest.reach(Stage.CMD, soon(guest))
    return sac, guest


def test_restart_is_told_by_the_wire_where_no_machine_tells():
    sac, guest = behind_a_port()
    guest.reach(Stage.SHELL, soon(guest))
    sac.restart()
    guest.await_restart(soon(guest))
    (mark,) = (one for one in sac.transcript.marks if one.name == "RESET")
    assert (mark.kind, mark.detail["seen"]) == (MarkKind.MACHINE, "machine-info")
    guest.reach(Stage.CMD, soon(guest))
    assert (guest.stage, guest.channel) == (Stage.CMD, "SAC")
    guest.prove_life(soon(guest))


def test_redrawn_banner_is_no_restart_on_the_wire():
    _, guest = behind_a_port()
    guest.reach(Stage.SHELL, soon(guest))
    guest.close_channel(soon(guest))
    with pytest.raises(ExpectTimeout, match="no boot begins on the wire"):
        guest.await_restart(soon(guest, 5))
    assert guest.stage is not Stage.FIRMWARE


def make_slow(sac, monkeypatch, seconds):
    """Let every typed byte reach the guest `seconds` later."""

    def write(data, _):
        sac.transcript.append_typed(data)
        for byte in data.decode("ascii"):
            sac.transcript.later(seconds, lambda byte=byte: sac.take(byte))

    monkeypatch.setattr(sac, "write", write)


def test_echo_that_is_late_is_not_taken_for_a_lost_one(monkeypatch):
    sac, guest = booted()
    guest.reach(Stage.SHELL, soon(guest))
    make_slow(sac, monkeypatch, 1.0)
    assert guest.run("lines 3", soon(guest)).output.count(b"of a long output\r\n") == 3


@pytest.mark.parametrize("stage", [Stage.CMD, Stage.SHELL])
def test_time_that_is_over_while_the_guest_still_echoes_is_told_as_that(monkeypatch, stage):
    sac, guest = booted()
    guest.reach(stage, soon(guest))
    make_slow(sac, monkeypatch, 0.5)
    with pytest.raises(ExpectTimeout, match=r"not all of which was typed.* while the guest still answers"):
        guest.send_line(b"powershell -encodedCommand " + 40 * b"QX", soon(guest, 10))


def test_guest_that_shows_something_else_is_told_as_that(monkeypatch):
    sac, guest = booted()
    guest.reach(Stage.SHELL, soon(guest))
    monkeypatch.setattr(sac, "write", lambda data, _: sac.transcript.append_typed(data))
    with pytest.raises(WrongOutput, match="the guest does not show what is typed: b'ver'"):
        guest.send_line(b"ver", soon(guest))
