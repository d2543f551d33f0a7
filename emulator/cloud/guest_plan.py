"""What really runs behind a VM: an image of the catalog on a board; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from emulator.cloud.documents import table
from emulator.machine.spec import Device, Firmware, MachineType, WatchdogAction
from emulator.sac.image import SAC_IMAGES
from emulator.sac.knobs import parse_knobs

DEFAULT_IMAGE = "bookworm-grub"
SAC_IMAGE = "sac"
"""ttylab's own guest that speaks EMS and SAC like Server 2022; it is not Windows, and in no image store."""
SAC_MEMORY_MIB = 64
MEMORY_MIB = 256
VCPUS_OF_SIZE: Mapping[str, int] = {"standard_b2s": 2, "standard_b2ms": 2, "standard_b4ms": 4}


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestPlan:
    """A guest to boot.

    Attributes:
        image: name of an image in the catalog, or of a SAC guest.
        machine: the board.
        firmware: SeaBIOS for generation 1, OVMF for generation 2.
        vcpus: 1 to 4.
        memory_mib: MiB.
        words: kernel parameters to add to the image's own; for a SAC guest its knobs, "KEY=VALUE".
        devices: parts beyond the board's own.
        watchdog_action: what happens when the i6300esb expires.
        seed: seed of the machine's random numbers; None takes the host's.
        uuid: the machine's UUID, which a guest can show; None means the VM's id.
        stands_in_for: what the guest is shown as but is not ("Windows"), or None.

    Raises:
        SpecError: a word is not a knob of the SAC guest.
    """

    image: str = DEFAULT_IMAGE
    machine: MachineType = MachineType.PC
    firmware: Firmware = Firmware.SEABIOS
    vcpus: int = 1
    memory_mib: int = MEMORY_MIB
    words: tuple[str, ...] = ()
    devices: frozenset[Device] = frozenset()
    watchdog_action: WatchdogAction = WatchdogAction.RESET
    seed: int | None = None
    uuid: str | None = None
    stands_in_for: str | None = None

    def __post_init__(self) -> None:
        """Refuse words for a SAC guest that are not knobs."""
        if self.is_sac:
            parse_knobs(self.words)

    @property
    def is_sac(self) -> bool:
        """Whether it is a SAC guest of ttylab's."""
        return self.image in SAC_IMAGES

    @property
    def generation(self) -> str:
        """Hyper-V generation as Azure writes it."""
        return "V2" if self.firmware.is_uefi else "V1"


def plan_guest(properties: Mapping[str, Any], *, known_images: frozenset[str]) -> GuestPlan:
    """Return what to boot for a VM's `properties`.

    `imageReference.offer` names an image of the catalog; any other offer gives the default. A sku or offer
    with "gen2" in it gives generation 2. The SAC guest stands in for Windows.
    """
    reference = table(properties, "storageProfile", "imageReference")
    offer, sku = str(reference.get("offer", "")), str(reference.get("sku", ""))
    second = "gen2" in f"{offer} {sku}".lower().replace("-", "").replace("_", "")
    size = str(table(properties, "hardwareProfile").get("vmSize", "")).lower()
    windows = is_windows(properties)
    linux = offer if offer in known_images else DEFAULT_IMAGE
    return GuestPlan(
        image=SAC_IMAGE if windows else linux,
        memory_mib=SAC_MEMORY_MIB if windows else MEMORY_MIB,
        machine=MachineType.Q35 if second else MachineType.PC,
        firmware=Firmware.OVMF if second else Firmware.SEABIOS,
        vcpus=VCPUS_OF_SIZE.get(size, 1),
        stands_in_for="Windows" if windows else None,
    )


def is_windows(properties: Mapping[str, Any]) -> bool:
    """Tell whether a VM is shown as Windows: by its disk's type or its image's offer, as az does."""
    storage = table(properties, "storageProfile")
    os_type = str(table(storage, "osDisk").get("osType", ""))
    offer = str(table(storage, "imageReference").get("offer", ""))
    return os_type.lower() == "windows" or "windows" in offer.lower()
