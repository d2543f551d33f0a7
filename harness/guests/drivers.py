"""Which driver plays which kind of guest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import TypeAlias

from emulator.errors import SpecError
from emulator.images import Image
from emulator.images.sac.image import SacImage
from emulator.images.windows.windows_image import Level, WindowsImage
from harness.guests.guest import OpenGuest
from harness.guests.kind import GuestKind
from harness.guests.linux import LinuxGuest
from harness.guests.sac import SacGuest
from harness.guests.sac_channel import Account
from harness.scenario import Scenario

GuestImage: TypeAlias = Image | SacImage | WindowsImage


def open_guest(scenario: Scenario, image: GuestImage) -> OpenGuest:
    """Return what makes the driver of `image` as `scenario` sets it up.

    Raises:
        SpecError: the scenario is for another kind of guest.
    """
    return _DRIVERS[scenario.guest](scenario, image)


def _linux(scenario: Scenario, image: GuestImage) -> OpenGuest:
    del scenario, image
    return LinuxGuest


def _sac(scenario: Scenario, image: GuestImage) -> OpenGuest:
    if isinstance(image, WindowsImage):
        own = Account(user=image.user, domain=image.domain, password=image.password)
        from_cd = image.level is Level.ISO
        return partial(SacGuest, profile=image.profile, account=own, boots_from_cd=from_cd)
    if not isinstance(image, SacImage):
        raise SpecError(f"scenario {scenario.name} is for a SAC guest; image {image.name} is none")
    knobs = scenario.knobs
    account = Account(user=knobs.username, domain=knobs.domain, password=knobs.password)
    return partial(SacGuest, profile=image.profile, account=account)


_DRIVERS: Mapping[GuestKind, Callable[[Scenario, GuestImage], OpenGuest]] = MappingProxyType(
    {GuestKind.LINUX: _linux, GuestKind.SAC: _sac}
)
