"""Which driver belongs to which kind of guest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import TypeAlias

from emulator.errors import SpecError
from emulator.guest_images.kinds import GuestImage
from emulator.sac.knobs import SacKnobs
from harness.guests.linux import LinuxGuest
from harness.guests.sac import SacGuest
from harness.play.guest import OpenGuest
from harness.scenario.kind import GuestKind, kind_of
from harness.scenario.scenario import Scenario

Said: TypeAlias = Callable[[], bytes]
_GUESTS = {GuestKind.LINUX: "Linux", GuestKind.SAC: "a SAC guest"}


def open_guest(scenario: Scenario, image: GuestImage, *, firmware_said: Said = bytes) -> OpenGuest:
    """Return what makes the driver of a guest of `image`, set up for `scenario`; raises as `require_pair`.

    `firmware_said` returns what SeaBIOS has reported so far, if the machine has it.
    """
    require_pair(scenario, image)
    return _DRIVERS[scenario.guest](scenario.knobs, image, firmware_said)


def require_pair(scenario: Scenario, image: GuestImage) -> None:
    """Check that `image` is of the kind of guest that `scenario` is for; raises SpecError if it is not."""
    if kind_of(image.features) is not scenario.guest:
        wanted = _GUESTS[scenario.guest]
        raise SpecError(f"scenario {scenario.name} is for {wanted}; image {image.name} is none")


def knock_of(kind: GuestKind) -> bytes:
    """Return what to type to a guest that is already running, so that it shows its first prompt again.

    At a shell or a login prompt of Linux, an end of input (Ctrl-D) leads to a new login prompt. The SAC
    driver finds out by itself where its guest stands.
    """
    return b"\x04" if kind is GuestKind.LINUX else b""


def image_driver(image: GuestImage) -> OpenGuest:
    """Return what makes the driver of a guest of `image`, which plays no scenario."""
    return _DRIVERS[kind_of(image.features)](SacKnobs(), image, bytes)


def _linux(_: SacKnobs, image: GuestImage, firmware_said: Said) -> OpenGuest:
    del firmware_said
    return partial(LinuxGuest, profile=image.linux_console())


def _sac(knobs: SacKnobs, image: GuestImage, firmware_said: Said) -> OpenGuest:
    console = image.sac_console(knobs)
    return partial(
        SacGuest,
        profile=console.profile,
        account=console.account,
        boots_from_cd=console.boots_from_cd,
        firmware_said=firmware_said,
    )


_DRIVERS: Mapping[GuestKind, Callable[[SacKnobs, GuestImage, Said], OpenGuest]] = MappingProxyType(
    {GuestKind.LINUX: _linux, GuestKind.SAC: _sac}
)
