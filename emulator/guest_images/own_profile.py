"""What guests of users have in common: who logs in, what their prompts look like, that none has a SAC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from emulator.errors import SpecError
from emulator.guest_text.linux import LinuxProfile
from emulator.lab_file.read import password_of
from emulator.lab_file.tables import BoardTable, ImageTable, Prompts
from emulator.sac.image import SacConsole
from emulator.sac.knobs import SacKnobs

_COMMON = LinuxProfile()
_PROMPTS: Mapping[str, Prompts] = MappingProxyType(
    {
        "debian": Prompts(),
        "rhel": Prompts(prompt=r"\[[\w.-]{1,64}@[\w.-]{1,64} [^\]\r\n]{1,200}\][#$] "),
        "suse": Prompts(prompt=r"[\w.-]{1,64}:[^\r\n#>]{0,200}(?:#|>) "),
        "alpine": Prompts(prompt=r"[\w.-]{1,64}:[^\r\n#$]{0,200}[#$] "),
        "openwrt": Prompts(prompt=r"root@[\w.-]{1,64}:[^\r\n#]{0,200}# "),
        "freebsd": Prompts(prompt=r"[\w.-]{1,64}@[\w.-]{1,64}:[^\r\n#$%]{0,200}[#$%] "),
    }
)
"""A shell's prompt as each distribution ships it; all else is as `LinuxProfile` has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnGuest:
    """A guest of a user's; see `emulator.guest_images.kinds.GuestImage`.

    Attributes:
        name: what its user calls it.
        table: what its user said of it.
        profile: its prompts, and who may log in.
    """

    name: str
    table: ImageTable | BoardTable
    profile: LinuxProfile

    @property
    def boot_timeout_s(self) -> float:
        """What its table says; else no limit but that of the scenario."""
        return self.table.boot_timeout_s or 0.0

    def linux_console(self) -> LinuxProfile:
        """Return its prompts, and who may log in."""
        return self.profile

    def name_words(self, host_name: str) -> tuple[str, ...]:
        """Return nothing: its host name is its own."""
        del host_name
        return ()

    def sac_console(self, knobs: SacKnobs) -> SacConsole:
        """Refuse: Linux has no SAC."""
        del knobs
        raise SpecError(f"{self.name} has no SAC")


def profile_of(table: ImageTable | BoardTable, *, where: str) -> LinuxProfile:
    """Return the profile of an image or a board; `where` names it in the SpecError for a missing password."""
    prompts = _PROMPTS[table.prompts] if isinstance(table.prompts, str) else table.prompts or Prompts()
    given = {"login": prompts.login, "password_prompt": prompts.password, "prompt": prompts.prompt}
    patterns = {name: text.encode() for name, text in (given | {"refused": prompts.refused}).items() if text}
    login = table.login
    user = b"root" if login is None else login.user.encode()
    return replace(_COMMON, user=user, password=password_of(login, where=where), **patterns)
