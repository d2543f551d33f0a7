"""The clients' ways on real guests: what the user's document promises is seen where a user looks."""

import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from emulator.cloud.records import PowerState
from emulator.images.store import ImageStore
from emulator.service.console.gateway import FIRST_FRAME
from tests.clients.environments import python_of
from tests.clients.lab import BOUND_S, CloudLab, open_cloud_lab

pytestmark = [pytest.mark.clients, pytest.mark.qemu, pytest.mark.xdist_group("clients-guests")]

PLACES = {"linux1": "virtualMachines/linux1", "ss1/0": "virtualMachineScaleSets/ss1%2FvirtualMachines%2F0"}
PARENTS = PLACES | {"win1": "virtualMachines/win1"}
LOGIN = [["login: ", "root\r"], ["Password: ", "ttylab\r"]]
LEAVE = "exit\r"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudLab]:
    """The demo cloud with real guests; each test leaves its guest at a login prompt."""
    ImageStore().ensure("bookworm-grub")
    with open_cloud_lab(tmp_path_factory.mktemp("guests"), real=True) as lab:
        yield lab


def play(lab: CloudLab, behaviour: str, place: str = "linux1", **options: object) -> dict[str, Any]:
    facts = {"as": behaviour, "parent": PARENTS[place], **options}
    return lab.run_program(python_of("sdk2"), "frame_client.py", **facts)


def shown(said: dict[str, Any]) -> str:
    """Return what a console showed after its first frame."""
    first, *rest = said["frames"]
    assert first == FIRST_FRAME
    return "".join(rest)


def run_in_guest(lab: CloudLab, command: str, *, place: str = "linux1") -> str:
    """Return what a console of az showed of a command between login and logout."""
    talk = [*LOGIN, ["# ", f"{command}; echo e'n'd\r"], ["end\r\n", LEAVE]]
    said = play(lab, "b4", place, talk=talk, until="login: ")
    assert said["closed"][0] in (None, 1000)
    return shown(said)


def wait_login(lab: CloudLab, place: str = "linux1") -> None:
    """Look at a console until a login prompt is seen."""
    assert "login: " in shown(play(lab, "b4", place, talk=[], until="login: "))


def is_linked(lab: CloudLab, name: str) -> bool:
    """Tell whether a console has the link of a guest."""
    vm = lab.vm(name)
    return lab.on_loop(lambda service: service.links.holder(vm.id)) is not None


def evidence(said: dict[str, Any]) -> dict[str, Any]:
    """Return the answer to the one admin command that was posted."""
    ((status, body),) = said["posts"]
    assert status == 200, body
    return json.loads(body)


def test_u1_u2_console_is_ttys0_and_works_without_a_network(lab: CloudLab) -> None:
    text = run_in_guest(lab, "tty; ls /sys/class/net; uname -s")
    assert "/dev/ttyS0" in text
    assert "\r\nlo\r\n" in text or "lo\r\nLinux" in text
    assert "eth0" not in text
    assert "\r\nLinux\r\n" in text


@pytest.mark.parametrize("place", PLACES)
def test_u1_u4_lisa_types_at_the_login_prompt_of_vm_and_instance(lab: CloudLab, place: str) -> None:
    wait_login(lab, place)  # so that a busy machine's silences while booting are none of the client's
    said = play(lab, "lisa", place, type="echo back", silence_s=3.0)
    text = shown(said)
    assert "login: " in text
    assert text.rstrip().endswith("echo back")
    play(lab, "b4", place, talk=[["echo back", "\r"], ["Password: ", "\r"]], until="login: ")


def test_u14_sysrq_help_is_shown_by_the_kernel(lab: CloudLab) -> None:
    run_in_guest(lab, "sysctl -w kernel.sysrq=1 || echo 1 > /proc/sys/kernel/sysrq")
    answer = evidence(play(lab, "b4", command="sysrq", keys="h"))
    assert answer["effect"] == "seen"
    assert "HELP" in answer["evidence"]
    assert "sysrq: HELP" in run_in_guest(lab, "dmesg | grep -i sysrq")


def test_u15_nmi_reaches_the_kernel(lab: CloudLab) -> None:
    answer = evidence(play(lab, "b2", command="nmi"))
    assert answer["effect"] == "seen"
    assert "NMI" in answer["evidence"]
    assert "NMI" in run_in_guest(lab, "dmesg | grep -i nmi")


def test_u16_reset_keeps_the_link_and_shows_the_boot_from_its_first_byte(lab: CloudLab) -> None:
    talk = [["login: ", {"command": "reset"}], ["SeaBIOS", ""], ["GRUB", ""], ["Linux version", ""]]
    said = play(lab, "b4", talk=talk, until="login: ")
    assert evidence(said)["effect"] == "seen"
    assert said["closed"][0] in (None, 1000)


@pytest.fixture(scope="module")
def restarted(lab: CloudLab) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a restart of linux1 said, and what the console that was linked to it did."""
    wait_login(lab)
    lab.wait(lambda: not is_linked(lab, "linux1"))
    with ThreadPoolExecutor(1) as pool:
        talk = [["login: ", ""], ["SeaBIOS", ""], ["Linux version", ""]]
        console = pool.submit(play, lab, "b4", talk=talk, until="login: ")
        lab.wait(lambda: is_linked(lab, "linux1"))
        said = lab.run_program(python_of("sdk2"), "restart.py", vm="linux1")
        return said, console.result(BOUND_S)


def test_u16_restart_is_graceful_and_the_boot_log_tells_of_it(restarted) -> None:
    said, _ = restarted
    assert said["power"] == "VM running"
    assert "Power down" in said["log"] or "Restarting system" in said["log"] or "going down" in said["log"]
    assert said["screen"] == "BM"


def test_u16_restart_keeps_the_link_that_shows_it(restarted) -> None:
    _, console = restarted
    assert console["closed"][0] in (None, 1000)
    assert console["errors"] == []


def test_u7_account_with_a_password_logs_in_at_the_console(lab: CloudLab) -> None:
    talk = [["login: ", "tester\r"], ["Password: ", "wrong\r"], ["login: ", "tester\r"]]
    talk += [["Password: ", "ttylab\r"], ["$ ", "id -un; echo e'n'd\r"], ["end\r\n", LEAVE]]
    text = shown(play(lab, "b4", talk=talk, until="login: "))
    assert "Login incorrect" in text
    assert "\r\ntester\r\n" in text


def test_u17_grub_menu_gives_the_single_user_shell(lab: CloudLab) -> None:
    wait_login(lab)
    talk = [["login: ", {"command": "reset"}], ["recovery mode", "\x1b[B\r"]]
    talk += [["# ", "cat /proc/cmdline; echo e'n'd\r"], ["end\r\n", {"command": "reset"}]]
    text = shown(play(lab, "b4", talk=talk, until="login: "))
    assert " single " in text


def test_guest_that_is_killed_while_it_is_linked_is_shown_as_stopped_and_starts_again(lab: CloudLab) -> None:
    wait_login(lab)
    lab.wait(lambda: not is_linked(lab, "linux1"))
    with ThreadPoolExecutor(1) as pool:
        console = pool.submit(play, lab, "b4", talk=[["login: ", ""], ["stopped", ""]], until="login: ")
        lab.wait(lambda: is_linked(lab, "linux1"))
        key = lab.vm("linux1").key
        guest = lab.on_loop(lambda service: service.fleet.existing(key))
        os.kill(guest.machine.pid, signal.SIGKILL)
        lab.wait(lambda: lab.vm("linux1").power is PowerState.STOPPED)
        lab.run_program(python_of("sdk2"), "restart.py", vm="linux1")
        said = console.result(BOUND_S)
    assert said["closed"][0] in (None, 1000)


def test_u17_sac_answers_on_win1(lab: CloudLab) -> None:
    talk = [["SAC>", "id\r"], ["Computer Name", ""], ["GUID", ""]]
    text = shown(play(lab, "b4", "win1", talk=talk, until="SAC>"))
    assert "WIN1" in text
    assert lab.vm("win1").vm_id in text.lower()


def test_linux_guest_shows_the_id_of_its_vm_as_its_machine_uuid(lab: CloudLab) -> None:
    talk = [["login: ", "root\r"], ["Password: ", "ttylab\r"]]
    talk += [["# ", "cat /sys/class/dmi/id/product_uuid; echo e'n'd\r"], ["end\r\n", LEAVE]]
    text = shown(play(lab, "b4", talk=talk, until="login: "))
    assert lab.vm("linux1").vm_id in text.lower()
