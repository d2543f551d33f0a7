"""What installed packages bring to the lab by entry points: scenarios, signatures, images, targets."""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points
from typing import Any, Literal

from emulator.errors import SpecError
from emulator.guest_text.printable import visible

Group = Literal["ttylab.scenarios", "ttylab.signatures", "ttylab.images", "ttylab.targets"]


@cache
def brought(group: Group) -> tuple[tuple[str, Any], ...]:
    """Return what packages bring in `group`: who brings it, and the loaded object.

    Raises:
        SpecError: an object can't be loaded; the text names the package and what it has there.
    """
    found = []
    for one in sorted(entry_points(group=group), key=lambda one: (one.name, one.value)):
        who = f"package {one.dist.name if one.dist else '?'}: {group} {one.name}"
        try:
            found.append((who, one.load()))
        except (Exception, SystemExit) as error:  # whatever a package does when it is imported
            reason = visible(f"{type(error).__name__}: {error}")
            raise SpecError(f"{who}: {one.value} can't be loaded: {reason}") from error
    return tuple(found)
