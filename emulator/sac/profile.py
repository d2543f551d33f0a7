"""What a release of Windows says on COM1, as data: texts by key, each with the class of its source."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import Field

from emulator.errors import SpecError
from emulator.sac.knobs import PROFILES
from emulator.values import load_toml

SourceClass = Literal["T", "D", "R", "P", "M", "X"]
"""Transcript, documentation, ReactOS, public test suite, measured, unconfirmed (docs/facts/sac.md)."""
VtMode = Literal["screen", "plain"]
Section = Annotated[str, Field(pattern=r"^[1-5](\.[0-9]+)?$")]
Word = Annotated[str, Field(min_length=1)]
Bound = Annotated[int, Field(gt=0)]
IDENTITY = "ttylab SAC guest (not Windows)"
"""What every place that names an image's origin must say."""
_COMMON = "common"
_FIELD = re.compile(rb"%(?:(?P<percent>%)|(?P<flags>[-0]*)(?P<width>\d*)l?(?P<kind>[sdxX]))")
_FIELD_PATTERNS = {b"s": rb"(.*?)", b"d": rb"(-?[0-9]+)", b"x": rb"([0-9a-f]+)", b"X": rb"([0-9A-F]+)"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SacText:
    """One text.

    Attributes:
        text: with %-fields, and a line feed where the wire has CR LF.
        source: the class of its source.
        section: section of docs/facts/sac.md.
    """

    text: Annotated[str, Field(pattern=r"^[^\r]*$")]
    source: SourceClass
    section: Section

    @property
    def wire(self) -> bytes:
        """The text as it is sent, with its %-fields left in."""
        return self.text.replace("\n", "\r\n").encode()

    @property
    def pattern(self) -> bytes:
        """A regular expression for the text as it is sent, with one group per %-field."""
        wire = self.wire
        parts, end = [], 0
        for place in _FIELD.finditer(wire):
            parts += [re.escape(wire[end : place.start()]), _field_pattern(place)]
            end = place.end()
        return b"".join((*parts, re.escape(wire[end:])))


_Texts = Mapping[str, Mapping[str, SacText]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    source: SourceClass
    section: Section
    product: Word
    os_version: Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]+$")]
    os_build: Annotated[str, Field(pattern=r"^[0-9]+$")]
    service_pack: Word
    architecture: Literal["x86", "AMD64"]
    menu_entry: Word
    cmd_description: Word
    cmd_version: Word
    copyright_year: int
    vt_mode: VtMode
    has_livedump: bool
    has_powershell: bool
    shell_commands: Annotated[tuple[str, ...], Field(min_length=1)]
    restart_wait_s: Annotated[int, Field(ge=0)]
    boot_timeout_s: Bound
    cmd_event_timeout_s: Bound
    command_timeout_s: Bound
    bugcheck_timeout_s: Bound


@dataclass(frozen=True, slots=True, kw_only=True)
class _CommonFile:
    texts: _Texts


@dataclass(frozen=True, slots=True, kw_only=True)
class _ProfileFile:
    facts: _Facts
    texts: _Texts = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SacProfile(_Facts):
    """A release of Windows as COM1 shows it.

    Attributes:
        name: "2003" to "2025".
        source, section: where the facts come from.
        product, os_version, os_build, service_pack, architecture: as `machine-info` shows them.
        menu_entry: the boot manager's entry, without the suffix for EMS.
        cmd_description: "Description:" in the header of a CMD channel.
        cmd_version: the version in cmd's first line.
        copyright_year: the year in cmd's second line; 0 if there is none.
        vt_mode: "screen" if the CMD channel moves the cursor, "plain" if it writes lines.
        has_livedump, has_powershell: whether the command exists.
        shell_commands: the commands of `!SAC>`.
        restart_wait_s: uptime up to which SAC does not restart, seconds.
        boot_timeout_s, cmd_event_timeout_s, command_timeout_s, bugcheck_timeout_s: how long a driver waits
            for real Windows, seconds.
        texts: the texts by key ("sac.prompt").
    """

    name: str
    texts: Mapping[str, SacText]


@cache
def load_profile(name: str) -> SacProfile:
    """Return the profile `name`: the common texts, replaced by its own; errors are `read_profile`'s."""
    if name not in PROFILES:
        raise SpecError(f"profile is {name!r}; allowed: {' '.join(PROFILES)}")
    return read_profile(name, directory=Path(str(resources.files("emulator.sac"))) / "profiles")


def read_profile(name: str, *, directory: Path) -> SacProfile:
    """Return the profile `name` from a directory with `common.toml` and one file per profile.

    Raises SpecError for a wrong file, and for a text that `common.toml` does not have.
    """
    path = directory / f"{name}.toml"
    own = load_toml(path, _ProfileFile)
    texts = _flat(load_toml(directory / f"{_COMMON}.toml", _CommonFile).texts)
    replaced = _flat(own.texts)
    if unknown := sorted(replaced.keys() - texts.keys()):
        raise SpecError(f"{path}: texts {', '.join(unknown)}; allowed: keys of {_COMMON}.toml")
    return SacProfile(name=name, **asdict(own.facts), texts=MappingProxyType(texts | replaced))


def _flat(groups: _Texts) -> dict[str, SacText]:
    return {f"{group}.{key}": one for group, table in groups.items() for key, one in table.items()}


def _field_pattern(place: re.Match[bytes]) -> bytes:
    if place["percent"]:
        return b"%"
    padded = rb" *" if place["width"] and place["kind"] in b"sd" else b""
    return padded + _FIELD_PATTERNS[place["kind"]] + (rb" *" if b"-" in place["flags"] else b"")
