"""Every kind of guest goes on from its state, and what forks share is what the report says."""

import pytest

from emulator.clock import Deadline
from emulator.machine.power import FORKED
from harness.guests.linux import LinuxGuest
from harness.play.screen import Screen
from harness.play.session import Session
from harness.scenario.stages import Stage

pytestmark = pytest.mark.qemu


def soon() -> Deadline:
    return Deadline.after(120)


@pytest.mark.parametrize(
    ("image", "machine", "firmware", "vcpus"),
    [
        ("bullseye", "pc", "seabios", 1),
        ("bookworm", "q35", "ovmf", 1),
        ("bookworm", "microvm", "seabios", 1),
        ("trixie", "q35", "seabios", 4),
    ],
)
def test_linux_goes_on_from_its_shell_and_answers_every_stimulus(from_state, image, machine, firmware, vcpus):
    one = from_state("shell", image=image, machine=machine, firmware=firmware, vcpus=vcpus)
    assert one.start.says.startswith("forked from shell ")
    assert one.guest.stage is Stage.SHELL
    with one.console.expecting("nmi-unknown", "nmi-serr"):
        one.machine.nmi(soon())
        one.console.expect(rb"Dazed and confused, but trying to continue\r\n", soon())
    one.console.wait_quiet(0.2, soon())
    one.machine.sysrq("h", soon())
    one.console.expect(rb"sysrq: HELP : [^\n]*\n", soon())
    with one.console.expecting("reset"):
        one.machine.reset(soon())
        one.guest.restarted()
        one.guest.reach(Stage.SHELL, soon())
    assert one.guest.check_output("nproc", soon()).strip() == b"%d" % vcpus
    one.guest.prove_life(soon())


def test_sac_goes_on_from_its_prompt_under_uefi_too(from_state):
    for firmware in ("seabios", "ovmf"):
        one = from_state("sac", firmware=firmware, vcpus=2)
        assert one.start.says.startswith("forked from sac ")
        one.guest.reach(Stage.CMD, soon())
        assert one.guest.run("ver", soon()).status == 0


def test_grub_goes_on_from_its_menu(from_state):
    one = from_state("grub")
    assert one.start.says.startswith("forked from loader ")
    screen = Screen(one.console, start=0)
    screen.wait_for("GNU GRUB", soon())
    one.console.send(b"\r", soon(), echo=False)
    one.guest.reach(Stage.SHELL, soon())
    one.guest.prove_life(soon())


@pytest.mark.parametrize("image", ["bullseye", "bookworm", "trixie"])
def test_renewed_forks_share_neither_clock_nor_random_numbers_nor_boot_id(from_state, image):
    forks = [from_state("shell", image=image) for _ in range(2)]
    numbers, ids = set(), set()
    for one in forks:
        numbers.add(one.guest.check_output("head -c 16 /dev/urandom | hexdump -e '16/1 \"%02x\"'", soon()))
        ids.add(one.guest.check_output("cat /proc/sys/kernel/random/boot_id", soon()))
        clock = int(one.guest.check_output("date +%s", soon()))
        here = int(one.guest.check_output("cut -d. -f1 /proc/uptime", soon()))
        assert clock > 1_700_000_000
        assert here < clock
    assert len(numbers) == len(ids) == 2


def test_forks_that_are_not_renewed_say_what_they_share(from_state):
    forks = [from_state("shell", image="bookworm", renewed=False) for _ in range(2)]
    ids = {one.guest.check_output("cat /proc/sys/kernel/random/boot_id", soon()) for one in forks}
    assert len(ids) == 1
    mark = next(mark for mark in forks[0].machine.transcript.marks if mark.name == FORKED)
    said = " ".join(mark.detail["shared"])
    for word in ("clock", "random numbers", "boot id", "machine id", "MAC"):
        assert word in said


@pytest.mark.from_state("shell")
def test_marker_gives_the_machine_a_state(machine, console, guest, request):
    assert dict(request.node.user_properties)["start"].startswith("forked from shell ")
    assert isinstance(guest, LinuxGuest)
    assert machine.transcript.marks[0].name == "started"
    guest.prove_life(soon())


@pytest.mark.from_state("login")
def test_marker_gives_the_login_prompt_too(guest):
    guest.prove_life(soon())


def test_pool_hands_out_forks_that_waited(fork_pool):
    pool = fork_pool("shell", image="bullseye", size=2)
    for _ in range(3):
        with pool.take(soon()) as machine:
            LinuxGuest(Session(machine.console)).prove_life(soon())
