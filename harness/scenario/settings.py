"""What a block of a matrix adds to the machines of its cells: kernel parameters, memory, devices."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field

from emulator.machine.spec import MEMORY_MIB_MAX, MEMORY_MIB_MIN, Device, MachineSpec

_Word = Annotated[str, Field(min_length=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What cells have beside what their image, machine and scenario say; by default nothing.

    Attributes:
        append: kernel parameters, after those of the image; cells of a SAC guest can't have any.
        memory_mib: MiB; None leaves it to the image and the machine.
        devices: devices of the lab's own ("i6300esb", "pvpanic").
        args: more words for QEMU's command line.
    """

    append: tuple[_Word, ...] = ()
    memory_mib: Annotated[int, Field(ge=MEMORY_MIB_MIN, le=MEMORY_MIB_MAX)] | None = None
    devices: frozenset[Device] = frozenset()
    args: tuple[_Word, ...] = ()

    def applied(self, spec: MachineSpec) -> MachineSpec:
        """Return the machine with these settings; kernel parameters stand in it already. Raises SpecError."""
        return replace(
            spec,
            memory_mib=self.memory_mib or spec.memory_mib,
            devices=spec.devices | self.devices,
            args=(*spec.args, *self.args),
        )


PLAIN = Settings()
