"""Bring a machine that was just powered on to the stage of a snapshot, and let it come to rest."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from emulator.clock import Deadline, utc_now
from emulator.errors import SnapshotError
from emulator.machine.machine import Machine
from harness.guests.linux import LinuxGuest
from harness.play.guest import Guest, OpenGuest, SacDialogue
from harness.play.screen import Screen
from harness.play.session import Session
from harness.scenario.errors import CommandFailed, GuestError
from harness.scenario.stages import Stage

REST_S = 1.0
"""Silence after which a guest is taken to rest: late lines of the kernel come within 2 s of a boot (6.1)."""
MENU_REST_S = 0.3
"""The same for a menu, whose countdown writes each second."""


def reach_stage(open_guest: OpenGuest, stage: Stage) -> Callable[[Machine, Deadline], None]:
    """Return what drives a machine to `stage`, for `SnapshotStore.ensure`.

    It raises SnapshotError where the guest does not come there, or does not come to rest.
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
                raise SnapshotError(f"{machine.spec.name}: did not come to rest at {stage}")
            session.check()
        except GuestError as error:
            raise SnapshotError(f"{machine.spec.name}: did not come to {stage}: {error}") from error

    return reach


def renew(guest: Guest, stage: Stage, deadline: Deadline) -> None:
    """Step a fork's clock to the host's, seed its random numbers, and give it a boot id of its own.

    At a Linux shell all of it, by the image's `renew`. At a SAC prompt the clock, to the minute, by `s`; that
    guest has neither random numbers nor a boot id. At a menu or a login prompt nothing can be done.

    Raises:
        CommandFailed: the guest could not.
        ExpectTimeout, GuestDied, MachineGone, ConsoleClosed: as `Session.expect`.
    """
    if isinstance(guest, SacDialogue) and stage in {Stage.SAC, Stage.CMD}:
        guest.reach(stage, deadline)
        guest.run_sac(f"s {utc_now():%m/%d/%Y %H:%M}", deadline)
    elif stage is Stage.SHELL:
        command = f"renew {utc_now().timestamp():.0f} {secrets.token_hex(16)}"
        result = guest.run(command, deadline)
        if result.status != 0:
            message = (
                f"{guest.session.transcript.name}: {command!r} ended with status {result.status}, need 0"
            )
            raise CommandFailed(message, status=result.status, output=result.output)
