"""How far a guest has come, in order."""

from __future__ import annotations

from enum import StrEnum


class Stage(StrEnum):
    """Stages of a boot. Linux has no SAC and CMD; a SAC guest has LOGIN and SHELL in a channel of its own."""

    FIRMWARE = "firmware"
    LOADER = "loader"
    KERNEL = "kernel"
    SAC = "sac"  # the SAC prompt
    CMD = "cmd"  # the CMD command is available
    LOGIN = "login"
    SHELL = "shell"


ORDER = tuple(Stage)
"""The stages from power-on to a prompt."""


def is_behind(stage: Stage, other: Stage) -> bool:
    """Tell whether `stage` comes before `other`."""
    return ORDER.index(stage) < ORDER.index(other)
