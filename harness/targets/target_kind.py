"""What a kind of target offers so that cells can be played on it.

To add a kind, write a module whose KIND implements `TargetKind`, and add its line to `TARGETS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol, TypeAlias

from emulator.machine.control import Capability
from emulator.machine.spec import MachineSpec
from harness.scenario.scenario import Scenario

if TYPE_CHECKING:  # a list of cells is made without what runs guests
    from harness.azure.address import ServiceAddress
    from harness.play.target import Target
    from harness.snapshots.lab import Lab
    from harness.snapshots.start import WantedGuest

_NO_REASONS: Mapping[Capability, str] = MappingProxyType({})

Address: TypeAlias = "ServiceAddress | str | None"
"""Where a target is: a service, or a serial port's URL; None for a machine here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetPlace:
    """Where and with what a target is opened.

    Attributes:
        lab: the lab.
        directory: where its evidence goes.
        label: a cell's id, for messages and lists of machines.
        address: of the target.
        on_turn: called once others have let go of what the target shares with them.
    """

    lab: Lab
    directory: Path
    label: str
    address: Address = None
    on_turn: Callable[[], None] = lambda: None


class TargetKind(Protocol):
    """One kind of target."""

    @property
    def name(self) -> str:
        """Its name in matrix files and reports."""

    @property
    def is_emulated(self) -> bool:
        """Whether QEMU runs the guest."""

    def misfit(self, scenario: Scenario, features: frozenset[str], spec: MachineSpec) -> str | None:
        """Return why a scenario can't be played with an image of these features on a machine like `spec`."""
        ...

    def open(self, wanted: WantedGuest, place: TargetPlace) -> AbstractContextManager[Target]:
        """Open a target with the guest that is wanted, powered on, and with its own transcript.

        Raises:
            Unsupported: such a target can't have that guest.
            SpecError: the address is wrong.
            LabError: it can't be opened.
        """
        ...


def lacking(
    scenario: Scenario, able: frozenset[Capability], who: str, *, why: Mapping[Capability, str] = _NO_REASONS
) -> str | None:
    """Return what `who` lacks of what a scenario needs, with the reasons that `why` has, or None."""
    missing = sorted(scenario.needs - able)
    reasons = "; ".join(dict.fromkeys(why[one] for one in missing if one in why))
    return f"{who} can't do: {', '.join(missing)}{f' ({reasons})' if reasons else ''}" if missing else None
