"""One point of a matrix: a guest image on a machine, doing one scenario; pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from emulator.errors import SpecError, unknown_name
from emulator.machine.spec import MAX_VCPUS, Firmware, MachineType

_NAME = re.compile(r"[a-z0-9]+([.-][a-z0-9]+)*")
_SHAPE = "IMAGE.MACHINE.FIRMWARE.VCPUS.SCENARIO"
_E = TypeVar("_E", bound=StrEnum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What runs as one test.

    Attributes:
        image: name in the catalog.
        machine: the board.
        firmware: what starts the kernel.
        vcpus: 1 to 4.
        scenario: name in the library; without dots, so that an id can be taken apart.

    Raises:
        SpecError: a name that no image or scenario can have, or a wrong number of CPUs.
    """

    image: str
    machine: MachineType
    firmware: Firmware
    vcpus: int
    scenario: str

    def __post_init__(self) -> None:
        """Refuse what would make an id ambiguous."""
        if not _NAME.fullmatch(self.image):
            raise SpecError(f"image is {self.image!r}; allowed: lower-case letters, digits, '-' and '.'")
        if not _NAME.fullmatch(self.scenario) or "." in self.scenario:
            raise SpecError(f"scenario is {self.scenario!r}; allowed: lower-case letters, digits and '-'")
        if self.vcpus not in range(1, MAX_VCPUS + 1):
            raise SpecError(f"vcpus is {self.vcpus!r}; allowed: 1 to {MAX_VCPUS}")

    @property
    def id(self) -> str:
        """Stable name: in reports, in pytest's node ids, for `ttylab repro`."""
        return f"{self.image}.{self.machine}.{self.firmware}.{self.vcpus}.{self.scenario}"

    def words(self) -> dict[str, str | int]:
        """Return the fixed words for a cell, as `ttylab run --list --json` prints them."""
        return {
            "id": self.id,
            "image": self.image,
            "machine": self.machine.value,
            "firmware": self.firmware.value,
            "vcpus": self.vcpus,
            "scenario": self.scenario,
        }


def parse_cell_id(text: str, *, images: Collection[str] = (), scenarios: Collection[str] = ()) -> Cell:
    """Return the cell whose id is `text`.

    Args:
        text: an id.
        images: the images there are; empty lets any name pass.
        scenarios: the scenarios there are; empty lets any name pass.

    Raises:
        SpecError: not an id, or a part that does not exist; the text names the closest that does.
    """
    parts = text.rsplit(".", 4)
    if len(parts) != 5:
        raise SpecError(f"cell id {text!r} has {len(parts)} parts; it reads {_SHAPE}")
    image, machine, firmware, vcpus, scenario = parts
    where = f"cell id {text!r}"
    if re.fullmatch(r"[1-9]", vcpus) is None:
        raise SpecError(f"{where}: vcpus is {vcpus!r}; allowed: 1 to {MAX_VCPUS}")
    return Cell(
        image=_known("image", image, images, where=where),
        machine=_member("machine", machine, MachineType, where=where),
        firmware=_member("firmware", firmware, Firmware, where=where),
        vcpus=int(vcpus),
        scenario=_known("scenario", scenario, scenarios, where=where),
    )


def _member(axis: str, value: str, enum: type[_E], *, where: str) -> _E:
    _known(axis, value, [str(member) for member in enum], where=where)
    return enum(value)


def _known(axis: str, value: str, known: Collection[str], *, where: str) -> str:
    if known and value not in known:
        raise SpecError(f"{where}: {unknown_name(axis, value, known)}")
    return value


def spread(cells: Iterable[Cell], kind_of: Callable[[Cell], Hashable]) -> tuple[Cell, ...]:
    """Return the cells so that each kind lies evenly among the others; the order within a kind stays.

    A Linux guest computes, and a SAC guest mostly waits to be typed at: workers that play them at the same
    time keep all cores busy.
    """
    kinds: dict[Hashable, list[Cell]] = defaultdict(list)
    for cell in cells:
        kinds[kind_of(cell)].append(cell)
    placed = [
        ((index + 0.5) / len(some), number, cell)
        for number, some in enumerate(kinds.values())
        for index, cell in enumerate(some)
    ]
    return tuple(cell for _, _, cell in sorted(placed, key=lambda one: one[:2]))
