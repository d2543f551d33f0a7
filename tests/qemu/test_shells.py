"""Logins of every kind on a real guest, and kernel records in the middle of what its shells write."""

import pytest

from emulator.clock import Deadline
from harness.guests.linux import LinuxGuest
from harness.play.judge import judge
from harness.play.runner import Player
from harness.play.session import Session
from harness.play.target import Target
from harness.scenario.errors import WrongOutput
from harness.scenario.scenario import Scenario
from harness.scenario.stages import Stage
from harness.scenario.steps import Reach, Run, Shows
from harness.scenario.verdict import Status
from tests.support.shells_guest import log_in, open_shells_guest

pytestmark = [pytest.mark.qemu, pytest.mark.xdist_group("shells")]


def soon() -> Deadline:
    return Deadline.after(90)


@pytest.fixture(scope="module")
def machine(lab, tmp_path_factory):
    with open_shells_guest(lab, tmp_path_factory.mktemp("shells")) as machine:
        yield machine


def test_account_without_a_password_is_asked_for_none(machine):
    with log_in(machine, "nopass", password="never asked") as guest:
        typed = b"".join(one.data for one in machine.transcript.typed)
        assert b"never asked" not in typed
        assert guest.check_output("id -un", soon()) == b"root\r\n"


@pytest.mark.parametrize(
    ("user", "password", "says"),
    [
        ("plain", "wrong", "the guest refused the account plain"),
        ("nobody-here", "ttylab", "the guest refused the account nobody-here"),
        ("expired", "ttylab", "the guest wants another password of expired; set one first"),
    ],
)
def test_account_that_gets_no_shell_is_named(machine, user, password, says):
    with pytest.raises(WrongOutput, match=says), log_in(machine, user, password=password):
        pass


@pytest.mark.parametrize("user", ["rhel", "openwrt", "freebsd", "empty"])
def test_prompt_of_any_system_is_found(machine, user):
    with log_in(machine, user) as guest:
        guest.prove_life(soon())


@pytest.mark.kernel_args("ttylab.autologin")
def test_guest_that_asks_for_no_login_is_at_its_shell(request, machine_spec, target):
    scenario = Scenario(
        name="automatic",
        title="Automatic",
        description="For a test.",
        steps=(Reach(stage=Stage.LOGIN), Reach(stage=Stage.SHELL), Run(command="true")),
    )
    Player(scenario=scenario, target=target, open_guest=LinuxGuest).play()
    verdict = judge(scenario, target.channel.transcript, ()).verdict
    assert (verdict.status, verdict.message) == (Status.PASSED, "")


@pytest.fixture(scope="module", params=["debian", "plain", "fish"])
def guest(request, machine):
    with log_in(machine, request.param) as guest:
        yield guest


@pytest.fixture
def word(request):
    return f"llama-{request.node.callspec.params['guest']}-{request.node.originalname[-8:]}"


def test_record_in_the_middle_of_a_line_is_the_kernels(guest, word):
    command = f"printf 'be'; echo '<3>{word}' > /dev/kmsg; echo fore; echo 'own [    1.234567] line'"
    result = guest.run(command, soon())
    assert result.output == b"before\r\nown [    1.234567] line\r\n"
    assert len(result.records) == 1
    assert guest.session.transcript.read(*result.records[0]).endswith(b"] %s\r\n" % word.encode())


def test_records_that_a_command_finds_in_the_log_are_its_own(guest, word):
    guest.check_output(f"echo '<3>{word}' > /dev/kmsg", soon())
    found = guest.check_output(f"dmesg | grep {word}", soon())
    assert found.startswith(b"[")
    assert found.endswith(b"] %s\r\n" % word.encode())
    assert guest.check_output(f"dmesg | grep -c {word}", soon()) == b"1\r\n"


def test_record_that_comes_while_the_log_is_shown_is_shown_once(guest, word):
    command = f"echo '<3>{word} 1' > /dev/kmsg; dmesg | grep {word}; echo '<3>{word} 2' > /dev/kmsg"
    result = guest.run(command, soon())
    assert result.output.count(word.encode()) == 1
    assert result.output.endswith(b"] %s 1\r\n" % word.encode())
    assert len(result.records) == 2


def test_record_of_a_level_that_the_console_hides_is_the_commands(guest, word):
    guest.check_output("dmesg -n 4", soon())
    result = guest.run(f"echo '<6>{word}' > /dev/kmsg; dmesg | grep {word}", soon())
    guest.check_output("dmesg -n 7", soon())
    assert result.output.endswith(b"] %s\r\n" % word.encode())
    assert result.records == ()


def test_whole_log_is_the_commands_own(guest):
    lines = guest.check_output("dmesg", soon()).splitlines()
    assert int(guest.check_output("dmesg | wc -l", soon())) == len(lines)
    assert sum(b"Linux version" in line for line in lines) == 1


def test_player_and_judge_believe_a_line_of_the_log(machine, guest, word):
    guest.check_output(f"echo '<3>{word}' > /dev/kmsg", soon())
    shows = Shows(pattern=rf"\] {word}\r?\n", says="the record")
    scenario = Scenario(
        name="log",
        title="Log",
        description="For a test.",
        steps=(Run(command=f"dmesg | grep {word}", shows=shows),),
    )
    target = Target(name="shells", channel=machine.console, control=machine)

    def same_guest(session: Session) -> LinuxGuest:
        session.skip()
        return LinuxGuest(session)

    Player(scenario=scenario, target=target, open_guest=same_guest).play()
    verdict = judge(scenario, machine.transcript, ()).verdict
    assert (verdict.status, verdict.message) == (Status.PASSED, "")


def test_who_may_not_read_the_log_keeps_lines_that_the_console_had_shown(machine):
    with log_in(machine, "debian") as guest:
        guest.check_output(
            "sysctl -w kernel.dmesg_restrict=1; echo '<3>seen before' > /dev/kmsg; dmesg > /tmp/log", soon()
        )
    with log_in(machine, "mortal") as guest:
        assert guest.run("dmesg", soon()).status != 0
        assert guest.check_output("grep 'seen before' /tmp/log", soon()).endswith(b"] seen before\r\n")
        assert guest.check_output("echo '[99999.123456] fake'", soon()) == b"[99999.123456] fake\r\n"


def test_command_that_ends_the_shell_ends_the_wait(machine):
    with log_in(machine, "plain") as guest:
        with pytest.raises(WrongOutput, match="the guest is back at its login prompt"):
            guest.run("exit 3", soon())
        guest.reach(Stage.SHELL, soon())
        guest.prove_life(soon())
