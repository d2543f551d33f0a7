"""What installed packages bring to the lab by entry points: scenarios, signatures, images, targets."""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points
from typing import Any, Literal

from emulator.clock import loading
from emulator.errors import SpecError
from emulator.guest_text.printable import visible
from emulator.lab_file.read import LabFile, current_lab, read_brought

Group = Literal["ttylab.scenarios", "ttylab.signatures", "ttylab.images", "ttylab.targets"]


@cache
def brought(group: Group) -> tuple[tuple[str, Any], ...]:
    """Return what packages bring in `group`, and who brings it; raises SpecError if it can't be loaded."""
    found = []
    for one in sorted(entry_points(group=group), key=lambda one: (one.name, one.value)):
        who = f"package {one.dist.name if one.dist else '?'}: {group} {one.name}"
        try:
            with loading():
                found.append((who, one.load()))
        except (Exception, SystemExit) as error:  # whatever a package does when it is imported
            reason = visible(f"{type(error).__name__}: {error}")
            raise SpecError(f"{who}: {one.value} can't be loaded: {reason}") from error
    return tuple(found)


def all_labs(group: Group) -> list[tuple[str, LabFile]]:
    """Return what holds here, by who says it: what packages bring in `group`, then this process's own lab."""
    lab = current_lab()
    return [*((who, read_brought(value, who=who)) for who, value in brought(group)), (str(lab.path), lab)]
