"""Who logs in to a user's own guest, and what its prompts look like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from emulator.guest_text.linux import LinuxProfile
from emulator.lab_file.read import password_of
from emulator.lab_file.tables import BoardTable, ImageTable, Prompts

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


def profile_of(table: ImageTable | BoardTable, *, where: str) -> LinuxProfile:
    """Return the profile of an image or a board; `where` names it in the SpecError for a missing password."""
    prompts = _PROMPTS[table.prompts] if isinstance(table.prompts, str) else table.prompts or Prompts()
    given = {"login": prompts.login, "password_prompt": prompts.password, "prompt": prompts.prompt}
    patterns = {name: text.encode() for name, text in (given | {"refused": prompts.refused}).items() if text}
    login = table.login
    user = b"root" if login is None else login.user.encode()
    return replace(_COMMON, user=user, password=password_of(login, where=where), **patterns)
