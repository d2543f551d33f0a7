"""The SAC guest as an image: one name for each profile; pure. It is not Windows, and says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from emulator.errors import SpecError
from emulator.sac.knobs import PROFILES
from emulator.sac.profile import IDENTITY, SacProfile, load_profile

DEFAULT_PROFILE = "2022"
SAC_IMAGES: Mapping[str, str] = MappingProxyType(
    {"sac": DEFAULT_PROFILE} | {f"sac-{name}": name for name in PROFILES if name != DEFAULT_PROFILE}
)
"""Profiles by image name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SacImage:
    """A SAC guest that can be booted.

    Attributes:
        name: "sac", "sac-2016".
        profile: the release whose texts it says.
    """

    name: str
    profile: SacProfile

    @property
    def sha256(self) -> Mapping[str, str]:
        """Nothing: it is the package's own data."""
        return {}

    def provenance(self) -> dict[str, object]:
        """Return, ready for JSON, what the guest is: for reports."""
        return {"name": self.name, "guest": IDENTITY, "profile": self.profile.name}


def sac_image(name: str) -> SacImage:
    """Return the SAC guest called `name`.

    Raises:
        SpecError: there is none.
    """
    if name not in SAC_IMAGES:
        raise SpecError(f"unknown image {name!r}; SAC guests are: {', '.join(SAC_IMAGES)}")
    return SacImage(name=name, profile=load_profile(SAC_IMAGES[name]))


def sac_features(name: str) -> frozenset[str]:
    """Return what a SAC guest offers to scenarios: the capability flags of its profile, and its knobs.

    Real Windows has `real_windows` instead of `has_knobs`.

    Raises:
        SpecError: there is no such guest.
    """
    profile = sac_image(name).profile
    flags = {"has_powershell": profile.has_powershell, "has_livedump": profile.has_livedump}
    return frozenset({"sac", "has_knobs"} | {flag for flag, is_there in flags.items() if is_there})
