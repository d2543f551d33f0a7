"""How far a guest has booted, in order."""

from __future__ import annotations

from enum import StrEnum


class Stage(StrEnum):
    """Stages of a boot. Linux has no SAC and CMD; a SAC guest has LOGIN and SHELL in a separate channel."""

    FIRMWARE = "firmware"
    LOADER = "loader"
    KERNEL = "kernel"
    SAC = "sac"  # the SAC prompt
    CMD = "cmd"  # SAC's `cmd` command is available
    LOGIN = "login"
    SHELL = "shell"


_ORDER = tuple(Stage)


def is_before(stage: Stage, other: Stage) -> bool:
    """Tell whether `stage` comes before `other` in a boot."""
    return _ORDER.index(stage) < _ORDER.index(other)
