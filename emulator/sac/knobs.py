"""What can be set on a SAC guest, which reads it through fw_cfg."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Annotated

from emulator.errors import SpecError
from emulator.values import Text, require_fields, wrong

PROFILES = ("2003", "2016", "2019", "2022", "2025")
FW_CFG_NAME = "opt/ttylab/sac"
FW_CFG_MAX = 2000
"""Bytes of knobs that the guest has room for."""
MAX_ENTRIES = 8


class Hang(StrEnum):
    """Ways in which the guest fails on purpose."""

    NONE = "none"
    NMI_IGNORED = "nmi-ignored"
    STUCK_DUMP = "stuck-dump"
    POWER_BUTTON_IGNORED = "power-button-ignored"
    BOOT_LOOP = "boot-loop"
    RECOVERY = "recovery"
    KERNEL_DEBUGGER = "kernel-debugger"
    EMS_OFF = "ems-off"
    CMD_TIMEOUT = "cmd-timeout"
    CMD_FAILS = "cmd-fails"


class DumpKind(StrEnum):
    """What a bugcheck writes to the disk."""

    NONE = "none"
    SMALL = "small"
    KERNEL = "kernel"
    COMPLETE = "complete"


_ADDRESS = r"(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])(?:\.(?!$)|$)){4}"
_MS = range(600_001)
_COMPUTER = Text(r"[A-Za-z0-9-]{1,15}", "1-15 of A-Z a-z 0-9 -")
_USER = Text(r"[!-~]{1,20}", "1-20 printable ASCII characters without a blank")
_DOMAIN = Text(r"[A-Za-z0-9.-]{0,15}", "0-15 of A-Z a-z 0-9 . -")
_PASSWORD = Text(r"[!-~]{1,32}", "1-32 printable ASCII characters without a blank")
_MODULE = Text(r"[A-Za-z0-9._-]{0,32}", "0-32 of A-Z a-z 0-9 . _ -")
_IP = Text(f"|{_ADDRESS}", "an IPv4 address, or none")
_NETMASK = Text(_ADDRESS, "an IPv4 netmask")
_GATEWAY = Text(_ADDRESS, "an IPv4 address")


@dataclass(frozen=True, slots=True, kw_only=True)
class SacKnobs:
    """How a SAC guest behaves. Delays are in milliseconds of the guest's time.

    Attributes:
        profile: the release whose texts it says.
        menu: whether the boot manager shows its menu.
        menu_timeout_s: seconds of the menu's countdown; 0 starts at once.
        menu_entries: the menu's entries, up to 8; empty means the profile's one. Each has `[EMS Enabled]`.
        cd_prompt_s: seconds of "Press any key to boot from CD or DVD" before the menu; 0 has none.
        computer_name: name of the machine.
        username, domain, password: who may log in; an empty domain means the computer's name.
        autoreboot: whether the machine restarts after a bugcheck.
        crash_dump: what is dumped.
        dump_step_ms: delay between two progress lines.
        boot_ms: delay between the boot manager and SAC's banner.
        cmd_event_ms: delay from the banner to "The CMD command is now available"; -1 never sends it.
        restart_wait_s: uptime up to which restart and shutdown wait; -1 takes the profile's 60 s.
        idle_timeout_s: seconds without input after which a CMD channel is closed; 0 never closes it.
        echo_ms: delay of each echoed character in a CMD channel.
        eat_after_prompt: how many characters are lost right after cmd's prompt has appeared.
        eat_ms: for how long after the prompt characters are lost.
        lose_doubled_ms: within this time a repeated character is lost; 0 loses none.
        event_while_typing: after how many characters typed at SAC an EVENT interrupts, once; 0 never.
        lf_ignored: whether cmd does not take a line feed for Enter.
        redraw: whether a channel is redrawn completely when it is viewed.
        paging: whether SAC pages long output at first.
        setup_channels: whether the channels of the setup logs exist.
        module: the driver that a bugcheck blames; empty blames none.
        ip, subnet, gateway: of the network interface; with an empty ip there is none.
        hang: how it fails on purpose.
        stuck_percent: where `stuck-dump` stops.

    Raises:
        SpecError: a knob is wrong; the text names it, its value and what is allowed.
    """

    profile: str = "2022"
    menu: bool = True
    menu_timeout_s: Annotated[int, range(1000)] = 0
    menu_entries: tuple[str, ...] = ()
    cd_prompt_s: Annotated[int, range(61)] = 0
    computer_name: Annotated[str, _COMPUTER] = "WIN-TTYLAB"
    username: Annotated[str, _USER] = "Administrator"
    domain: Annotated[str, _DOMAIN] = ""
    password: Annotated[str, _PASSWORD] = "Passw0rd!"  # noqa: S105  # of a guest that keeps no secrets
    autoreboot: bool = True
    crash_dump: DumpKind = DumpKind.KERNEL
    dump_step_ms: Annotated[int, _MS] = 5
    boot_ms: Annotated[int, _MS] = 0
    cmd_event_ms: Annotated[int, range(-1, 600_001)] = 20
    restart_wait_s: Annotated[int, range(-1, 601)] = 0
    idle_timeout_s: Annotated[int, range(86_401)] = 0
    echo_ms: Annotated[int, range(1001)] = 0
    eat_after_prompt: Annotated[int, range(81)] = 0
    eat_ms: Annotated[int, _MS] = 100
    lose_doubled_ms: Annotated[int, range(10_001)] = 0
    event_while_typing: Annotated[int, range(79)] = 0
    lf_ignored: bool = True
    redraw: bool = True
    paging: bool = True
    setup_channels: bool = False
    module: Annotated[str, _MODULE] = ""
    ip: Annotated[str, _IP] = "10.0.2.15"
    subnet: Annotated[str, _NETMASK] = "255.255.255.0"
    gateway: Annotated[str, _GATEWAY] = "10.0.2.2"
    hang: Hang = Hang.NONE
    stuck_percent: Annotated[int, range(101)] = 15

    def __post_init__(self) -> None:
        """Refuse what the guest can't do."""
        if self.profile not in PROFILES:
            raise wrong("profile", self.profile, allowed=" ".join(PROFILES))
        entries: object = self.menu_entries
        if not isinstance(entries, tuple) or len(entries) > MAX_ENTRIES or not all(map(_is_entry, entries)):
            allowed = f"up to {MAX_ENTRIES} texts of 1-60 printable ASCII characters without '|'"
            raise wrong("menu_entries", entries, allowed=allowed)
        require_fields(self)
        if len(self.to_fw_cfg()) > FW_CFG_MAX:
            raise wrong("menu_entries", self.menu_entries, allowed=f"{FW_CFG_MAX} bytes of knobs in all")

    def to_fw_cfg(self) -> str:
        """Return what the guest reads: one line "key=value" per knob."""
        return "".join(f"{field.name}={_shown(getattr(self, field.name))}\n" for field in fields(self))


_ENTRY = r"[ -{}~]{1,60}"


def _is_entry(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(_ENTRY, value) is not None


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, tuple):
        return "|".join(value)
    return str(value)


_DEFAULTS = SacKnobs()
_BOOLEAN_WORDS = {"0": False, "false": False, "1": True, "true": True}


def parse_knobs(words: Iterable[str]) -> SacKnobs:
    """Return the knobs that `words`, each "key=value", set; raises SpecError, which says what is allowed."""
    names = [field.name for field in fields(SacKnobs)]
    values: dict[str, object] = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not sign or name not in names:
            allowed = f"KEY=VALUE, keys: {' '.join(names)}"
            raise SpecError(f"{word!r} is not a knob of the SAC guest; allowed: {allowed}")
        values[name] = _read(value, getattr(_DEFAULTS, name))
    return SacKnobs(**values)  # type: ignore[arg-type]  # __post_init__ checks every value


def knob_words(knobs: SacKnobs) -> tuple[str, ...]:
    """Return the words from which `parse_knobs` makes `knobs`."""
    return tuple(knobs.to_fw_cfg().splitlines())


def _read(value: str, default: object) -> object:
    """Return `value` converted to the type of `default`, or unchanged: `SacKnobs` then refuses it."""
    if isinstance(default, bool):
        return _BOOLEAN_WORDS.get(value, value)
    if isinstance(default, int):
        return int(value) if value.removeprefix("-").isdecimal() else value
    if isinstance(default, StrEnum):
        kind = type(default)
        return kind(value) if value in tuple(kind) else value
    if isinstance(default, tuple):
        return tuple(value.split("|")) if value else ()
    return value
