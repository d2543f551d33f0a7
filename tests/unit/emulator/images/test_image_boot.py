"""How an image of ours is booted: from its disk if it has one, else by its kernel."""

from dataclasses import replace
from pathlib import Path

import pytest

from emulator.errors import SpecError
from emulator.images.image import Image, linux_spec
from emulator.machine.architectures import ARM64
from emulator.machine.spec import Board, Disk, Firmware, MachineType

PLAIN = Image(
    name="bookworm",
    suite="bookworm",
    flavour="cloud",
    kernel_version="6.1",
    kernel_release="6.1.0",
    bzimage=Path("/i/bzimage"),
    vmlinux=Path("/i/vmlinux"),
    initrd=Path("/i/initrd"),
    sha256={},
    packages=(),
    modules=frozenset(),
    directory=Path("/i"),
)
GRUB = replace(PLAIN, name="bookworm-grub", disk=Path("/i/disk.img"))


def test_image_without_a_disk_is_started_by_its_kernel():
    spec = linux_spec(PLAIN, Board(machine=MachineType.PC, firmware=Firmware.SEABIOS, words=("quiet",)))
    assert (spec.name, spec.kernel, spec.initrd, spec.disks) == ("bookworm", PLAIN.vmlinux, PLAIN.initrd, ())
    assert spec.command_line == ("console=ttyS0,115200", "no_timer_check", "cryptomgr.notests", "quiet")
    assert not spec.firmware_on_serial


@pytest.mark.parametrize("firmware", [Firmware.SEABIOS, Firmware.OVMF])
def test_image_with_a_disk_boots_from_a_view_of_its_own(firmware: Firmware):
    spec = linux_spec(GRUB, Board(machine=MachineType.Q35, firmware=firmware, words=("quiet",), name="vm"))
    assert (spec.name, spec.kernel, spec.initrd, spec.tell_tsc) == ("vm", None, None, True)
    assert spec.disks == (Disk(path=Path("/i/disk.img"), discard_writes=True),)
    assert spec.command_line == ("no_timer_check", "cryptomgr.notests", "quiet")  # the menu names the console
    assert spec.firmware_on_serial is (firmware is Firmware.SEABIOS)


def test_image_with_a_disk_is_started_by_its_kernel_where_there_can_be_no_disk():
    spec = linux_spec(GRUB, Board(machine=MachineType.MICROVM, firmware=Firmware.SEABIOS))
    assert (spec.kernel, spec.disks) == (GRUB.vmlinux, ())


def test_word_that_grub_would_change_is_refused():
    with pytest.raises(SpecError, match="where a disk boots"):
        linux_spec(
            GRUB, Board(machine=MachineType.PC, firmware=Firmware.SEABIOS, words=('dyndbg="file a +p"',))
        )


@pytest.mark.parametrize("firmware", [Firmware.NONE, Firmware.AAVMF])
def test_image_of_arm64_is_started_on_virt_with_a_console_of_its_own(firmware: Firmware):
    image = replace(PLAIN, name="arm", architecture=ARM64, vmlinux=PLAIN.bzimage)
    spec = linux_spec(image, Board(machine=MachineType.VIRT, firmware=firmware, words=("quiet",)))
    assert (spec.kernel, spec.tell_tsc, spec.generation_id) == (PLAIN.bzimage, False, False)
    assert spec.command_line == ("console=ttyAMA0,115200", "cryptomgr.notests", "quiet")
    assert (image.usual_board.machine, image.usual_board.firmware) == (MachineType.VIRT, Firmware.NONE)
    assert image.features == {"aarch64"}


def test_machine_of_another_architecture_is_refused():
    with pytest.raises(SpecError, match="is virt, which is aarch64; allowed: pc q35 microvm for bookworm"):
        linux_spec(PLAIN, Board(machine=MachineType.VIRT, firmware=Firmware.NONE))
