"""Kinds of guests: what runs on the console decides how the guest boots and which driver it needs; pure."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum


class GuestKind(StrEnum):
    """What runs on the console."""

    LINUX = "linux"
    SAC = "sac"


def kind_of(features: Collection[str]) -> GuestKind:
    """Return the kind of an image that offers `features`; Linux unless they name another."""
    return next((kind for kind in GuestKind if kind.value in features), GuestKind.LINUX)
