"""How far a guest has come, in order."""

from __future__ import annotations

from enum import StrEnum


class Stage(StrEnum):
    """Stages of a boot."""

    FIRMWARE = "firmware"
    LOADER = "loader"
    KERNEL = "kernel"
    LOGIN = "login"
    SHELL = "shell"


ORDER = tuple(Stage)
"""The stages from power-on to a prompt."""


def is_behind(stage: Stage, other: Stage) -> bool:
    """Tell whether `stage` comes before `other`."""
    return ORDER.index(stage) < ORDER.index(other)
