"""From a Linux image of ours to a machine that boots it; pure."""

from __future__ import annotations

from collections.abc import Iterable

from emulator.images.image import Image
from emulator.machine.spec import Disk, Firmware, MachineSpec, MachineType, kernel_for

CONSOLE_ARGS = ("console=ttyS0,115200",)
FAST_ARGS = ("no_timer_check", "cryptomgr.notests")
"""What a guest whose command line is ours may leave out: 0.5 s of a boot under TCG (docs/facts/qemu.md 2)."""


def linux_spec(
    image: Image, *, machine: MachineType, firmware: Firmware, words: Iterable[str] = (), name: str = ""
) -> MachineSpec:
    """Return a machine that boots a Linux image of ours with `words` on its command line.

    An image with a disk boots from it: GRUB asks on ttyS0 and on the screen for 5 s, or for as long as the
    word `ttylab.grub_timeout=N` says. Each machine writes to a view of its own, which ends with QEMU; the
    store's file is never written. SeaBIOS shows itself on ttyS0, as OVMF always does. A microvm, which can
    have no disk, starts the same kernel directly.

    Everything else has its default; `dataclasses.replace` changes it.

    Raises:
        SpecError: there is no such machine, or GRUB would not hand on a word as it is.
    """
    if image.disk is not None and machine is not MachineType.MICROVM:
        return MachineSpec(
            name=name or image.name,
            machine=machine,
            firmware=firmware,
            disks=(Disk(path=image.disk, discard_writes=True),),
            firmware_on_serial=firmware is Firmware.SEABIOS,
            tell_tsc=True,
            generation_id=True,
            command_line=(*FAST_ARGS, *words),
        )
    return MachineSpec(
        name=name or image.name,
        machine=machine,
        firmware=firmware,
        kernel=kernel_for(image, firmware),
        initrd=image.initrd,
        tell_tsc=True,
        generation_id=machine is not MachineType.MICROVM,
        command_line=(*CONSOLE_ARGS, *FAST_ARGS, *words),
    )
