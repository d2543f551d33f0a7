"""A disk of ours boots through GRUB under both firmwares; its menu is on ttyS0, and on the screen too.

Each firmware has one machine; the tests use it in their order.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from emulator.clock import Deadline
from emulator.images.image import hash_file, linux_spec
from emulator.machine.machine import Machine, open_machine
from emulator.machine.spec import Board, Firmware, MachineType
from harness.play.screen import Screen
from harness.play.session import Session
from harness.scenario.steps import View

pytestmark = pytest.mark.qemu

BOARDS = {Firmware.SEABIOS: MachineType.PC, Firmware.OVMF: MachineType.Q35}
# SeaBIOS may put cursor movements into any of its words, and into GRUB's first ones: "Welco\\x1b[04;06Hme".
FIRST_WORDS = {Firmware.SEABIOS: b"\x1bc", Firmware.OVMF: b"BdsDxe: starting "}
DOWN, ESCAPE, CTRL_X = b"\x1b[B", b"\x1b", b"\x18"
RECOVERY = "(recovery mode)"
LIT_PIXELS = 2000
PASTED = 40


def soon() -> Deadline:
    return Deadline.after(60)


@dataclass(kw_only=True)
class Rig:
    """A machine that boots from a disk, the dialogue with its console, and the disk's hash."""

    machine: Machine
    session: Session
    disk_sha256: str

    def screen(self) -> Screen:
        return Screen(self.session)

    def press(self, keys: bytes) -> None:
        self.session.send(keys, soon(), echo=False)

    def menu(self) -> Screen:
        """Wait for the menu, stop its clock by moving to the second entry, and return its screen."""
        screen = self.screen()
        screen.wait_for("executed automatically", soon())
        self.press(DOWN)
        screen.wait_for(re.compile(r"\*Debian GNU/Linux, with .*\(recovery mode\)"), soon())
        return screen


@pytest.fixture(
    scope="module",
    params=[pytest.param(each, marks=pytest.mark.xdist_group(f"grub-{each}")) for each in BOARDS],
)
def rig(request, lab, tmp_path_factory) -> Iterator[Rig]:
    image = lab.guest_image("bookworm-grub")
    words = ("ttylab.hostname=web-1.example", "sysctl.kernel.sysrq=1")
    spec = linux_spec(image, Board(machine=BOARDS[request.param], firmware=request.param, words=words))
    choice = lab.choice(spec)
    run_dir = tmp_path_factory.mktemp(f"grub-{request.param}")
    with open_machine(spec, run_dir=run_dir, qemu=lab.qemu(spec), accelerator=choice) as machine:
        yield Rig(machine=machine, session=Session(machine.console), disk_sha256=image.sha256["disk.img"])


def lit_pixels(machine: Machine, path: Path) -> int:
    machine.screendump(path, soon())
    magic, _size, _depth, pixels = path.read_bytes().split(b"\n", 3)
    assert magic == b"P6"
    return len(pixels) - pixels.count(0)


def test_grub_shows_firmware_and_menu_on_the_line_and_on_the_screen(rig: Rig, tmp_path: Path):
    screen = rig.menu()
    lines = [line.strip("| ") for line in screen.lines()]
    assert lines.count("Debian GNU/Linux") == 1
    assert any(
        line.startswith("*Debian GNU/Linux, with Linux 6.1.") and line.endswith(RECOVERY) for line in lines
    )
    said = rig.machine.transcript.read()
    assert FIRST_WORDS[rig.machine.spec.firmware] in said
    assert b"error" not in said
    assert said.count(b"GNU GRUB") == 1  # the firmware does not show GRUB's own console again
    assert lit_pixels(rig.machine, tmp_path / "menu.ppm") > LIT_PIXELS


def test_grub_takes_commands_and_every_pasted_byte(rig: Rig):
    with rig.session.expecting("grub-shell"):
        rig.press(b"c")
        rig.session.expect(rb"grub> ", soon())
        run_commands(rig)
        rig.press(ESCAPE)
        rig.screen().wait_for(RECOVERY, soon())


def run_commands(rig: Rig) -> None:
    # Each command reads the disk, which is when a firmware would take bytes from under GRUB.
    rig.press(b"".join(b"ls /boot/grub/none%03d\r" % number for number in range(PASTED)))
    for number in range(PASTED):
        rig.session.expect(rb"error: file `/boot/grub/none%03d' not found" % number, soon())
    rig.press(b"hello\r")  # a module that the core lacks
    rig.session.expect(rb"\rHello World\n", soon())


def test_grub_boots_an_edited_entry_to_the_login_prompt(rig: Rig, tmp_path: Path):
    rig.press(b"e")
    screen = rig.screen()
    screen.wait_for("Ctrl-x", soon())
    rig.press(ESCAPE)
    screen.wait_for("Press enter to boot", soon())
    rig.press(b"\x1b[A")
    screen.wait_for("*Debian GNU/Linux   ", soon())
    rig.press(b"e" + DOWN * 3 + b"\x05 ttylab.edited")
    screen.wait_for("ttylab.edited", soon())
    rig.press(CTRL_X)
    rig.session.expect(rb"Loading Linux 6\.1\.\S+ \.\.\.", soon())
    rig.session.expect(rb"Command line: [^\n]* sysctl\.kernel\.sysrq=1 [^\n]*ttylab\.edited", soon())
    rig.session.expect(rb"[\r\n]web-1\.example login: ", soon())
    assert lit_pixels(rig.machine, tmp_path / "login.ppm") > LIT_PIXELS


def test_reset_shows_grub_again_and_the_recovery_entry_gives_root_a_shell(rig: Rig):
    with rig.session.expecting("reset"):
        rig.machine.reset(soon())
        rig.session.expect(re.escape(FIRST_WORDS[rig.machine.spec.firmware]), soon())
        rig.menu()
        rig.press(b"\r")
        rig.session.expect(rb"root@web-1:~# ", soon(), view=View.USER)
    rig.session.send_line(b"cat /proc/cmdline /sys/class/dmi/id/product_sku", soon())
    told = rig.session.expect(rb"single [^\n]*\n[^\n]*\n", soon()).data
    assert b"ttylab.edited" not in told
    assert told.count(b"ttylab.hostname=web-1.example sysctl.kernel.sysrq=1") == 2
    rig.session.send_line(b"dd if=/dev/zero of=/dev/vda bs=1M count=1 conv=fsync", soon())
    rig.session.expect(rb"1\+0 records out", soon())
    assert hash_file(rig.machine.spec.disks[0].path) == rig.disk_sha256


def test_guest_takes_a_host_name_and_keeps_it_when_another_is_none(lab, tmp_path: Path):
    wrong = ("", "-x", "x.", "a_b", "$(reboot)", "a" * 65)
    words = [f"ttylab.hostname={name}" for name in ("good-1", *wrong)]
    image = lab.guest_image("bookworm")
    spec = linux_spec(image, Board(machine=MachineType.PC, firmware=Firmware.SEABIOS, words=words))
    opened = open_machine(spec, run_dir=tmp_path / "run", qemu=lab.qemu(spec), accelerator=lab.choice(spec))
    with opened as machine:
        match = Session(machine.console).expect(rb"[\r\n]good-1 login: ", soon())
    assert match.before.count(b"ttylab.hostname: not a host name, kept good-1\r\n") == len(wrong)
