"""Give a fork what is its own, over its console: clock, random numbers, boot id."""

from __future__ import annotations

import secrets

from emulator.clock import Deadline, utc_now
from harness.errors import CommandFailed
from harness.guests.guest import Guest, SacDialogue
from harness.stages import Stage


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
