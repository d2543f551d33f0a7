"""Which driver plays which kind of guest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import TypeAlias

from emulator.errors import SpecError
from emulator.images.image import Image
from emulator.sac.image import SacImage
from emulator.windows.image import Level, WindowsImage
from harness.guests.linux import LinuxGuest
from harness.guests.sac import SacGuest
from harness.guests.sac_channel import Account
from harness.play.guest import OpenGuest
from harness.scenario.kind import GuestKind
from harness.scenario.scenario import Scenario

GuestImage: TypeAlias = Image | SacImage | WindowsImage
Said: TypeAlias = Callable[[], bytes]


def open_guest(scenario: Scenario, image: GuestImage, *, firmware_said: Said = bytes) -> OpenGuest:
    """Return what makes the driver of `image` as `scenario` sets it up.

    Args:
        scenario: what it is to play.
        image: what it drives.
        firmware_said: returns what SeaBIOS has told of itself so far, where the image's machine has that.

    Raises:
        SpecError: the scenario is for another kind of guest.
    """
    return _DRIVERS[scenario.guest](scenario, image, firmware_said)


def _linux(scenario: Scenario, image: GuestImage, firmware_said: Said) -> OpenGuest:
    del scenario, image, firmware_said
    return LinuxGuest


def _sac(scenario: Scenario, image: GuestImage, firmware_said: Said) -> OpenGuest:
    if isinstance(image, WindowsImage):
        own = Account(user=image.user, domain=image.domain, password=image.password)
        return partial(
            SacGuest,
            profile=image.profile,
            account=own,
            boots_from_cd=image.level is Level.ISO,
            firmware_said=firmware_said,
        )
    if not isinstance(image, SacImage):
        raise SpecError(f"scenario {scenario.name} is for a SAC guest; image {image.name} is none")
    knobs = scenario.knobs
    account = Account(user=knobs.username, domain=knobs.domain, password=knobs.password)
    return partial(SacGuest, profile=image.profile, account=account)


_DRIVERS: Mapping[GuestKind, Callable[[Scenario, GuestImage, Said], OpenGuest]] = MappingProxyType(
    {GuestKind.LINUX: _linux, GuestKind.SAC: _sac}
)
