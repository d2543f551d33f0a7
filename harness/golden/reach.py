"""Bring a machine that was just powered on to the stage of a golden state, and let it come to rest."""

from __future__ import annotations

from collections.abc import Callable

from emulator.clock import Deadline
from emulator.errors import SavedStateError
from emulator.machine.machine import Machine
from harness.errors import GuestError
from harness.guests.guest import OpenGuest
from harness.guests.linux import LinuxGuest
from harness.screen import Screen
from harness.session import Session
from harness.stages import Stage

REST_S = 1.0
"""Silence after which a guest is taken to rest: late lines of the kernel come within 2 s of a boot (6.1)."""
MENU_REST_S = 0.3
"""The same for a menu, whose countdown writes each second."""


def reach_stage(open_guest: OpenGuest, stage: Stage) -> Callable[[Machine, Deadline], None]:
    """Return what drives a machine to `stage`, for `StateStore.ensure`.

    It raises SavedStateError where the guest does not come there, or does not come to rest.
    """

    def reach(machine: Machine, deadline: Deadline) -> None:
        session = Session(machine.console)
        guest = open_guest(session)
        try:
            if stage is Stage.LOADER and isinstance(guest, LinuxGuest):
                Screen(session).wait_for("GNU GRUB", deadline)
            else:
                guest.reach(stage, deadline)
            rest_s = MENU_REST_S if stage is Stage.LOADER else REST_S
            if not session.wait_quiet(rest_s, deadline):
                raise SavedStateError(f"{machine.spec.name}: did not come to rest at {stage}")
            session.check()
        except GuestError as error:
            raise SavedStateError(f"{machine.spec.name}: did not come to {stage}: {error}") from error

    return reach
