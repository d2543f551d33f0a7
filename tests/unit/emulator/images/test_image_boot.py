"""How an image of ours is booted: from its disk if it has one, else by its kernel."""

from dataclasses import replace
from pathlib import Path

import pytest

from emulator.errors import SpecError
from emulator.images.image import Package, linux_spec
from emulator.machine.architectures import ARM64
from emulator.machine.spec import Board, Disk, Firmware, MachineType
from tests.support.linux_images import linux_image

PLAIN = linux_image(sha256={"vmlinux": "00"}, directory=Path("/i"))
GRUB = linux_image("bookworm-grub", sha256={"vmlinux": "00", "disk.img": "00"}, directory=Path("/i"))


def test_image_without_a_disk_is_started_by_its_kernel():
    spec = linux_spec(PLAIN, Board(machine=MachineType.PC, firmware=Firmware.SEABIOS, words=("quiet",)))
    assert (spec.name, spec.kernel, spec.initrd, spec.disks) == ("bookworm", PLAIN.vmlinux, PLAIN.initrd, ())
    assert spec.command_line == ("console=ttyS0,115200", "no_timer_check", "cryptomgr.notests", "quiet")
    assert not spec.firmware_on_serial


def test_kernel_is_the_elf_under_seabios_and_the_bzimage_under_ovmf():
    boards = [Board(machine=MachineType.Q35, firmware=one) for one in (Firmware.SEABIOS, Firmware.OVMF)]
    kernels = [linux_spec(PLAIN, board).kernel for board in boards]
    assert kernels == [Path("/i/vmlinux"), Path("/i/bzimage")]


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
    kernel = Package(name="linux-image", version="6.1", sha256="00", architecture=ARM64.debian)
    image = replace(PLAIN, name="arm", packages=(kernel,), sha256={})
    spec = linux_spec(image, Board(machine=MachineType.VIRT, firmware=firmware, words=("quiet",)))
    assert (spec.kernel, spec.tell_tsc, spec.generation_id) == (PLAIN.bzimage, False, False)
    assert spec.command_line == ("console=ttyAMA0,115200", "cryptomgr.notests", "quiet")
    assert (image.usual_board.machine, image.usual_board.firmware) == (MachineType.VIRT, Firmware.NONE)
    assert image.features == {"aarch64"}


def test_machine_of_another_architecture_is_refused():
    with pytest.raises(SpecError, match="is virt, which is aarch64; allowed: pc q35 microvm for bookworm"):
        linux_spec(PLAIN, Board(machine=MachineType.VIRT, firmware=Firmware.NONE))
