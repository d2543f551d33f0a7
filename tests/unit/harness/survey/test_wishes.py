"""What scenarios want of their guests, read from their steps."""

import subprocess

import pytest

from harness.scenario.scenario import Scenario
from harness.scenario.stages import Stage
from harness.scenario.steps import Expect, Inject, Outcome, Reach, Run, Send, Shows
from harness.scenario.stimulus import Nmi, SysRq, Via
from harness.scenarios import LIBRARY
from harness.survey.wishes import IS_CONSOLE, mask_allows, programs_in, sysctl_of, wishes_of

SHELL = Reach(stage=Stage.SHELL)
DAZED = Inject(stimulus=Nmi(), effects=(Shows(pattern="Dazed", says="it goes on"),))


def scenario(*steps, **fields) -> Scenario:
    return Scenario(name="one", title="One", description="One.", steps=steps, **fields)


@pytest.mark.parametrize(
    ("word", "sysctl"),
    [
        ("sysctl.kernel.sysrq=176", ("kernel.sysrq", "176")),
        ("sysctl.kernel/panic=5", ("kernel.panic", "5")),
        ("panic=0", ("kernel.panic", "0")),
        ("unknown_nmi_panic", ("kernel.unknown_nmi_panic", "1")),
        ("oops=panic", ("kernel.panic_on_oops", "1")),
        ("loglevel=8", ("kernel.printk", "8")),
        ("rdinit=/nope", None),
        ("maxcpus=1", None),
        ("ttylab.power=ignore", None),
    ],
)
def test_kernel_parameter_as_a_sysctl(word, sysctl):
    assert sysctl_of(word) == sysctl


@pytest.mark.parametrize(
    ("command", "programs"),
    [
        ("tty", {"tty"}),
        ("taskset 2 cut -d ' ' -f 39 /proc/self/stat", {"taskset"}),
        ("while sleep 0.2; do echo tick; done & insmod /lib/modules/spin.ko", {"sleep", "echo", "insmod"}),
        (
            "(for i in $(seq 200); do echo record $i > /dev/kmsg; usleep 5000; done) &",
            {"seq", "echo", "usleep"},
        ),
        (
            "for cpu in 1 2; do taskset $cpu sh -c 'while :; do :; done' & done; sleep 0.3",
            {"taskset", "sleep"},
        ),
        ("LANG=C sort x | uniq -c 2>&1", {"sort", "uniq"}),
        ("echo 'a; rm b' \"c | d\"", {"echo"}),
        ("/opt/tool/run --fast; $TOOL", set()),
        ("", set()),
    ],
)
def test_programs_in_a_line_of_shell(command, programs):
    assert programs_in(command) == programs


def test_parameters_that_a_shell_can_set_are_told_from_those_that_it_can_not():
    wishes = wishes_of(scenario(SHELL, DAZED, kernel_args=("panic=1", "maxcpus=1")))
    assert (dict(wishes.settings), wishes.fixed) == ({"kernel.panic": "1"}, ("maxcpus=1",))


@pytest.mark.parametrize("first", [Reach(stage=Stage.LOGIN), Reach(stage=Stage.KERNEL), DAZED])
def test_parameter_that_is_needed_before_there_is_a_shell_stays_one(first):
    assert wishes_of(scenario(first, SHELL, kernel_args=("panic=1",))).fixed == ("panic=1",)


def test_line_that_answers_a_question_is_no_command():
    wishes = wishes_of(scenario(SHELL, Run(command="fsck"), Send(line="echo sure"), Send(line="y")))
    assert wishes.programs == {"fsck", "echo"}


@pytest.mark.parametrize(
    "name", ["sysrq-proc", "nmi-hung", "watchdog-reset", "power-command", "nmi-panic-sysctl"]
)
def test_scenario_that_only_root_can_play(name):
    assert wishes_of(LIBRARY[name]).root


@pytest.mark.parametrize("name", ["boot-login", "sysrq-help", "nmi-dazed", "reset-shell"])
def test_scenario_that_anybody_can_play(name):
    assert not wishes_of(LIBRARY[name]).root


def test_scenarios_that_await_a_kernels_first_lines_or_a_login_prompt():
    wanted = {name for name, one in LIBRARY.items() if wishes_of(one).kernel_lines}
    assert {"boot-kernel-log", "reset-login", "power-cycle"} <= wanted
    assert not {"nmi-panic", "sysrq-help", "boot-login"} & wanted
    assert wishes_of(LIBRARY["sysrq-terminate"]).login_prompt
    assert not wishes_of(LIBRARY["boot-login"]).login_prompt


def test_scenarios_that_await_or_count_on_lines_of_a_running_kernel():
    without = {name for name, one in LIBRARY.items() if one.guest == "linux" and not wishes_of(one).records}
    assert {"boot-login", "console-long-line", "watchdog-fed"} <= without
    assert not {"nmi-dazed", "sysrq-refused", "console-spliced-line", "power-cycle-panicked"} & without


@pytest.mark.parametrize(("console", "status"), [("ttyS0", 0), ("tty0", 1), ("", 0)])
def test_guest_is_asked_whether_its_kernel_writes_on_the_terminal_of_its_shell(tmp_path, console, status):
    consoles = tmp_path / "consoles"
    if console:
        consoles.write_text(f"{console:20} -WU (EC  p  )    4:64\n")
    command = IS_CONSOLE.replace("$(readlink /proc/self/fd/0)", "/dev/ttyS0")
    command = command.replace("/proc/consoles", str(consoles))
    for shell in ("bash", "dash"):
        asked = subprocess.run([shell, "-c", command], capture_output=True, check=False)
        assert (asked.returncode, asked.stdout) == (status, b"ttyS0\n" if status else b"")


def test_keys_are_those_of_requests_that_are_to_have_an_effect():
    refused = Inject(
        stimulus=SysRq(key="c"), outcome=Outcome.NO_EFFECT, unless=(Shows(pattern="x", says="x"),)
    )
    shown = (Shows(pattern="HELP", says="help"),)
    typed = Inject(stimulus=SysRq(key="m", via=Via.PROC), effects=shown)
    wishes = wishes_of(scenario(SHELL, refused, typed, Inject(stimulus=SysRq(key="h"), effects=shown)))
    assert wishes.keys == {"h"}


@pytest.mark.parametrize(
    ("mask", "keys", "allows"),
    [
        (1, "cbthq", True),
        (0, "h", False),
        (0, "", True),
        (438, "h", True),
        (438, "sub", True),
        (438, "c", False),
        (438, "e", False),
        (176, "s", True),
        (176, "n", False),
        (438, "q", False),
    ],
)
def test_mask_allows_as_the_kernel_documents_it(mask, keys, allows):
    assert mask_allows(mask, frozenset(keys)) is allows


def test_scenario_that_only_waits_wants_no_shell():
    assert not wishes_of(scenario(Expect(effects=(Shows(pattern="panic", says="it panics"),)))).shell
