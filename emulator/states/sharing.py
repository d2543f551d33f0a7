"""What every fork of a state has in common with the others, said in words; pure."""

from __future__ import annotations

from emulator.machine.spec import MachineSpec


def shared_facts(spec: MachineSpec, *, made_utc: str) -> tuple[str, ...]:
    """Return what forks of a state share although separate machines would not.

    Args:
        spec: the machine.
        made_utc: when the state was saved.
    """
    numbers = (
        "random numbers: told by vmgenid that they must be seeded anew, which Linux 5.18 and newer heeds"
        if spec.generation_id
        else "random numbers: the same state in each fork until the guest seeds them anew"
    )
    return (
        f"clock: the guest's clock and uptime go on from {made_utc}",
        numbers,
        "boot id and machine id: those of the saved boot, until the guest boots again",
        "MAC addresses: none, the machine has no network",
    )
