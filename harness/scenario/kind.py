"""Kinds of guests: who speaks what on the console decides how it boots, and who drives it; pure."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum


class GuestKind(StrEnum):
    """What speaks on the console."""

    LINUX = "linux"
    SAC = "sac"


def kind_of(features: Collection[str]) -> GuestKind:
    """Return the kind of an image that offers `features`; Linux where they say nothing of it."""
    return next((kind for kind in GuestKind if kind.value in features), GuestKind.LINUX)
