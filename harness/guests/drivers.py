"""Which driver plays which kind of guest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from emulator.errors import SpecError
from emulator.images import Image
from emulator.images.sac.image import SacImage
from harness.guests.guest import OpenGuest
from harness.guests.kind import GuestKind
from harness.guests.linux import LinuxGuest
from harness.guests.sac import SacGuest
from harness.guests.sac_channel import Account
from harness.scenario import Scenario


def open_guest(scenario: Scenario, image: Image | SacImage) -> OpenGuest:
    """Return what makes the driver of `image` as `scenario` sets it up.

    Raises:
        SpecError: the scenario is for another kind of guest.
    """
    return _DRIVERS[scenario.guest](scenario, image)


def _linux(scenario: Scenario, image: Image | SacImage) -> OpenGuest:
    del scenario, image
    return LinuxGuest


def _sac(scenario: Scenario, image: Image | SacImage) -> OpenGuest:
    if not isinstance(image, SacImage):
        raise SpecError(f"scenario {scenario.name} is for a SAC guest; image {image.name} is none")
    knobs = scenario.knobs
    account = Account(user=knobs.username, domain=knobs.domain, password=knobs.password)
    return partial(SacGuest, profile=image.profile, account=account)


_DRIVERS: Mapping[GuestKind, Callable[[Scenario, Image | SacImage], OpenGuest]] = MappingProxyType(
    {GuestKind.LINUX: _linux, GuestKind.SAC: _sac}
)
