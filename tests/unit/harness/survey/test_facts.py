"""What a guest answers when it is asked what it can do; shells of this host answer the very command."""

import subprocess

import pytest

from emulator.guest_text.linux import LinuxProfile
from emulator.values import dump_json, load_json
from harness.scenario.stages import Stage
from harness.scenarios import LIBRARY
from harness.survey.facts import Questions, Survey, questions_for, read_answers, stages_in

PROFILE = LinuxProfile()
ASKED = Questions(
    settings=("kernel.panic", "kernel.nope"), programs=("cat", "no-such-program"), features=("nope",)
)
BOOT = (
    b"\x1bcWelcome to GRUB!\r\n[    0.000000] Linux version 6.1.0-50-amd64 (x) #1\r\n"
    b"\r\nvm login: root\r\nPassword: \r\n[root@vm ~]# "
)


def read(said: bytes, console: bytes = BOOT) -> Survey:
    return read_answers(said, ASKED, console=console, prompt=b"\x1b[1m[root@vm ~]# \x1b[0m", profile=PROFILE)


@pytest.mark.parametrize("shell", [["bash", "-c"], ["dash", "-c"], ["busybox", "sh", "-c"]])
def test_shells_answer(shell):
    said = subprocess.run([*shell, ASKED.command()], capture_output=True, check=False)
    found = read(said.stdout)
    assert said.stderr == b""
    assert (found.system, found.root) == ("Linux", True)
    assert found.settings.keys() == {"kernel.panic"}
    assert found.programs == {"cat"}
    assert found.features == frozenset()
    assert "" not in {found.release, found.architecture, found.user, found.command_line}


def test_answers_of_a_guest_are_read():
    found = read(
        b"uid=1000\r\nuser=tester\r\nsystem=Linux\r\nrelease=6.1.0\r\nline=root=/dev/vda1 quiet a=b\r\n"
        b"shell=/usr/bin/bash\r\nsudo=yes\r\nset=kernel/printk 4\t4\t1\t7\r\nset=kernel/sysrq 438\r\n"
        b"program=watchdog\r\nprogram=cat\r\nlacks=watchdog\r\ndriver=i6300esb\r\n"
    )
    assert (found.user, found.root, found.sudo, found.shell) == ("tester", False, True, "/usr/bin/bash")
    assert found.command_line == "root=/dev/vda1 quiet a=b"
    assert found.settings == {"kernel.printk": "4 4 1 7", "kernel.sysrq": "438"}
    assert (found.programs, found.features) == ({"cat"}, {"i6300esb"})
    assert found.prompt == "[root@vm ~]#"
    assert found.stages == (Stage.LOADER, Stage.KERNEL, Stage.LOGIN, Stage.SHELL)
    assert found.told == "Linux 6.1.0, bash of tester, sudo, SysRq 438, i6300esb"


@pytest.mark.parametrize(
    ("tty", "consoles", "elsewhere"),
    [
        ("ttyS0", ("tty0",), True),
        ("ttyS0", ("ttyS0", "tty0"), False),
        ("ttyS0", (), False),
        ("console", ("tty0",), False),
        ("pts/0", ("ttyS0",), False),
        ("hvc0", ("ttyAMA0",), True),
    ],
)
def test_kernel_that_writes_on_other_terminals_than_the_shells(tty, consoles, elsewhere):
    lines = "".join(f"console={one}\r\n" for one in consoles)
    found = read(f"uid=0\r\ntty=/dev/{tty}\r\n{lines}".encode())
    assert (found.tty, found.consoles) == (tty, consoles)
    assert found.kernel_is_elsewhere is elsewhere
    assert (f"kernel lines on {', '.join(consoles)} alone" in found.told) is elsewhere


def test_guest_that_tells_nothing_has_nothing():
    found = read(b"sh: not found\r\n", console=b"")
    assert (found.root, found.sudo, found.settings, found.stages) == (False, False, {}, (Stage.SHELL,))


def test_survey_is_read_back_as_it_was_written():
    found = read(b"uid=0\r\nset=kernel/panic 0\r\nprogram=cat\r\n")
    assert load_json(dump_json(found), Survey, origin="here") == found


@pytest.mark.parametrize(
    ("console", "stages"),
    [
        (b"", ()),
        (b"BdsDxe: loading Boot0001\r\nsystemd-boot\r\n", (Stage.LOADER,)),
        (b"Last login: Mon\r\n", ()),
        (b"vm login: ", (Stage.LOGIN,)),
    ],
)
def test_stages_that_a_console_shows(console, stages):
    assert stages_in(console, PROFILE) == stages


def test_library_asks_for_what_its_scenarios_want_and_for_nothing_of_other_guests():
    asked = questions_for(LIBRARY.values())
    assert {"kernel.sysrq", "kernel.panic", "kernel.unknown_nmi_panic"} <= set(asked.settings)
    assert {"taskset", "watchdog", "insmod"} <= set(asked.programs)
    assert set(asked.features) == {"i6300esb", "pvpanic", "spin"}
    assert asked.key != ASKED.key


def test_told_of_a_guest_without_a_shell_is_why():
    assert Survey(obstacle="the guest asks for a password").told == "no shell: the guest asks for a password"
