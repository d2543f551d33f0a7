"""Choose a running machine by what a person types; pure."""

from __future__ import annotations

from collections.abc import Sequence

from emulator.errors import SpecError
from emulator.machine.ledger import Entry


def choose_machine(machines: Sequence[Entry], name: str) -> Entry:
    """Return the machine whose id is `name` or whose label contains it; the only one for "".

    Raises:
        SpecError: none or several fit; the text lists them.
    """
    exact = [one for one in machines if one.id == name]
    fitting = exact or [one for one in machines if name in one.label or one.id.startswith(name)]
    if len(fitting) == 1:
        return fitting[0]
    running = ", ".join(f"{one.id} ({one.label})" for one in (fitting or machines)) or "none"
    if not fitting:
        raise SpecError(f"no running machine fits {name!r}; running: {running}")
    raise SpecError(f"several machines fit {name!r}: {running}")
