"""What a guest image is asked to boot on: each kind of image makes a machine of it; pure."""

from __future__ import annotations

from dataclasses import dataclass

from emulator.machine.spec import Firmware, MachineType


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A machine as people name it; all else is the image's own.

    Attributes:
        machine: the board.
        firmware: what starts the image.
        words: what the guest is told: kernel parameters, or knobs of the SAC guest.
        name: the machine's; default the image's.
        uuid: the machine's, which some guests show; None leaves it to QEMU.
    """

    machine: MachineType
    firmware: Firmware
    words: tuple[str, ...] = ()
    name: str = ""
    uuid: str | None = None
