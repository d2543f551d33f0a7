"""What a profile says of each part of a session: the lines that must stand there; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from emulator.sac.profile import SacProfile, SacText
from harness.conformance.blocks import Block, Part

_SAC_DESCRIPTION = "Special Administration Console"
_TYPES = {"SAC": "63d02270-8aa4-11d5-bccf-806d6172696f", "Cmd": "63d02271-8aa4-11d5-bccf-00b0d014a2d0"}
_PREFIXES = ("t", "?", "help", "f", "p", "id", "crashdump", "lock", "shutdown", "restart", "d", "cmd")
_WORDS = ("ch", "k", "l", "r", "m", "s", "i")
_HELP = (
    *("ch", "cmd", "d", "f", "help", "i", "i_set", "id", "k", "l", "lock", "m", "p", "r", "s", "s_set", "t"),
    *("restart", "shutdown", "crashdump"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedLine:
    """One line that must stand there.

    Attributes:
        key: of the profile's text; a fact is named behind a slash.
        text: as a person reads it, with its fields.
        patterns: regular expressions, one of which the line must match whole.
        source: class of its source.
        section: of docs/facts/sac.md.
        repeats: whether any number of such lines will do.
    """

    key: str
    text: str
    patterns: tuple[bytes, ...]
    source: str
    section: str
    repeats: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    key: str
    fields: tuple[str | None, ...] = ()
    repeats: bool = False
    also: str = ""  # another text that will do in its place


def wanted_of(block: Block, profile: SacProfile) -> list[list[ExpectedLine]]:
    """Return what `block` may be by `profile`: one list of lines for each way; none if nothing is known."""
    return [_lines(pieces, profile) for pieces in _ways(block, profile)]


def classify(command: str) -> tuple[str, str]:
    """Return the command that SAC takes a line for, and its arguments; "" if none (docs/facts/sac.md 1.5)."""
    line = command.strip().lower()
    word, _, rest = line.partition(" ")
    if word in _WORDS:
        return word, rest.strip()
    found = next((prefix for prefix in _PREFIXES if line.startswith(prefix)), "")
    return {"help": "?"}.get(found, found), ""


def _ways(block: Block, profile: SacProfile) -> Iterable[Sequence[_Piece]]:  # noqa: C901, PLR0911  # one for each part
    match block.part:
        case Part.MENU:
            return [_menu(profile)]
        case Part.MACHINE_INFO:
            return [[_Piece(key="xml.head"), *_machine_info(profile)]]
        case Part.BANNER:
            return [[_Piece(key="boot.banner")]]
        case Part.EVENT:
            keys = ("sac.cmd_event", "sac.cmd_gone_event", "channel.created", "channel.closed")
            return [[_Piece(key=key)] for key in keys]
        case Part.SWITCH:
            return [[_Piece(key="xml.channel_switch", fields=_channel(block, profile))]]
        case Part.HEADER:
            fields = _channel(block, profile)
            return [[_Piece(key="channel.header", fields=fields), _Piece(key="channel.header_keys")]]
        case Part.LOGIN:
            return _logins(profile)
        case Part.UNKNOWN:
            return [[_Piece(key="cmd.unknown_command")]]
        case Part.BUGCHECK:
            return [_bugcheck(block, profile, module=module) for module in (False, True)]
        case Part.ANSWER:
            return _answers(*classify(block.command), profile)


def _machine_info(profile: SacProfile) -> list[_Piece]:
    facts = {
        "architecture": profile.architecture,
        "version": profile.os_version,
        "build": profile.os_build,
        "product": profile.product,
        "service_pack": profile.service_pack,
    }
    return [
        *(_Piece(key=f"xml.machine_{name}") for name in ("open", "name", "guid")),
        *(_Piece(key=f"xml.machine_{name}", fields=(fact,)) for name, fact in facts.items()),
        _Piece(key="xml.machine_close"),
    ]


def _menu(profile: SacProfile) -> list[_Piece]:
    before, after = ("title", "choose", "keys"), ("advanced_hint", "countdown", "tools", "memory_diagnostic")
    return [
        *(_Piece(key=f"menu.{key}") for key in before),
        _Piece(key="menu.entry", fields=(profile.menu_entry,)),
        *(_Piece(key=f"menu.{key}") for key in (*after, "status")),
    ]


def _channel(block: Block, profile: SacProfile) -> tuple[str | None, ...]:
    text = b"\n".join(line.text for line in block.lines)
    if re.search(rb"(?:Name: +|<name>)SAC\b", text):
        return ("SAC", _SAC_DESCRIPTION, "VT-UTF8", None, _TYPES["SAC"])
    if re.search(rb"(?:Name: +|<name>)Cmd\d+", text):
        return (None, profile.cmd_description, "VT-UTF8", None, _TYPES["Cmd"])
    return (None, None, None, None, None)


def _logins(profile: SacProfile) -> list[list[_Piece]]:
    asks = [_Piece(key=f"cmd.{key}") for key in ("login", "username", "domain", "password")]
    version = _Piece(key="cmd.version", fields=(profile.cmd_version,))
    year = (str(profile.copyright_year),) if profile.copyright_year else ()
    entered = [*asks, version, _Piece(key="cmd.copyright", fields=year), _Piece(key="cmd.directory")]
    refused = [*asks, _Piece(key="cmd.refused"), _Piece(key="cmd.refused_key")]
    return [entered, refused, asks, asks[:3], asks[:2]]


def _bugcheck(block: Block, profile: SacProfile, *, module: bool) -> list[_Piece]:
    text = b"\n".join(line.text for line in block.lines)
    names = {b'"0x80"': "name_nmi", b'"0xE2"': "name_crashdump"}
    known = next((key for code, key in names.items() if code in text), None)
    name = None if known is None else profile.texts[f"bugcheck.{known}"].text
    return [
        *(_Piece(key=f"xml.{key}") for key in ("head", "bugcheck_open")),
        *_machine_info(profile),
        _Piece(key="xml.bugcheck_close"),
        _Piece(key="bugcheck.prompt"),
        _Piece(key="bugcheck.problem"),
        _Piece(key="bugcheck.give", fields=(name,)),
        *([_Piece(key="bugcheck.module")] if module else []),
        _Piece(key="bugcheck.parameters"),
        _Piece(key="bugcheck.progress", repeats=True, also="bugcheck.progress_no_restart"),
    ]


def _answers(command: str, arguments: str, profile: SacProfile) -> Iterable[Sequence[_Piece]]:
    if command in {"id", "?", "t", "i", "ch"}:
        return _lists(command, arguments, profile)
    failed = "failed_status"
    ways: dict[str, tuple[tuple[str, ...], ...]] = {
        "": (("unknown_command",),),
        "f": (("threads_on",), ("threads_off",)),
        "p": (("paging_on",), ("paging_off",)),
        "s": (("time_set",), ("year_range",), ("bad_arguments",)) if arguments else (("time",),),
        "k": (("kill_done",), ("kill_failed", failed), ("kill_pending",), ("bad_arguments",)),
        "l": (("lower_done",), ("lower_failed", failed), ("bad_arguments",)),
        "r": (
            *(("raise_done",), ("raise_failed", failed), ("raise_not_lowered",), ("raise_no_higher",)),
            ("bad_arguments",),
        ),
        "m": (("limit_done",), ("limit_failed", failed), ("bad_arguments",)),
        "lock": (("locked",),),
        "restart": (("restarting", "going_down"), ("restart_failed",)),
        "shutdown": (("shutting_down", "going_down"), ("shutdown_failed",)),
        "crashdump": (("crashdump_failed",),),
        "cmd": (
            *(("cmd_launched",), ("cmd_locked",), ("cmd_failed", failed)),
            *(("cmd_too_early", "cmd_too_early_tail"), ("cmd_timeout", "cmd_timeout_tail")),
        ),
    }
    made = [[_Piece(key=f"sac.{key}") for key in keys] for keys in ways.get(command, ())]
    return [*made, [_Piece(key="channel.too_many")]] if command == "cmd" else made


def _lists(command: str, arguments: str, profile: SacProfile) -> Iterable[Sequence[_Piece]]:
    if command == "id":
        facts = (
            *((name, None) for name in ("name", "guid")),
            *(("architecture", profile.architecture), ("version", profile.os_version)),
            *(("build", profile.os_build), ("product", profile.product)),
            *(("service_pack", profile.service_pack), ("uptime", None)),
        )
        return [[_Piece(key=f"sac.id_{name}", fields=(fact,)) for name, fact in facts]]
    if command == "?":
        listed = [*_HELP, *(["livedump"] if profile.has_livedump else [])]
        return [[_Piece(key=f"sac.help_{name}") for name in listed]]
    if command == "t":
        names = ("head", "pagefile", "pagefile_size", "memory", "commit", "columns")
        head = [_Piece(key=f"sac.tlist_{name}") for name in names]
        return [[*head, _Piece(key="sac.tlist_row", repeats=True, also="sac.tlist_thread")]]
    if command == "i":
        rows = [_Piece(key="sac.ip_retrieving"), _Piece(key="sac.ip_row", repeats=True)]
        ends = ("ip_set", "ip_set_failed", "ip_bad_address", "ip_bad_subnet", "ip_bad_gateway")
        sets = [[_Piece(key=f"sac.{key}")] for key in (*ends, "ip_no_number", "bad_arguments")]
        return sets if arguments else [rows, [rows[0], _Piece(key="sac.ip_none")]]
    return _channel_lists(arguments)


def _channel_lists(arguments: str) -> Iterable[Sequence[_Piece]]:
    if not arguments:
        return [[_Piece(key="channel.list_head"), _Piece(key="channel.list_row", repeats=True)]]
    if arguments == "-?":
        legend = ("legend", "legend_a", "active", "legend_b", "type")
        names = ("head", "list", *legend, "si", "sn", "ci", "cn", "keys")
        return [[_Piece(key=f"channel.help_{name}") for name in names]]
    keys = ("channel.bad_index", "channel.bad_name", "channel.sac_stays", "sac.bad_arguments")
    return [[_Piece(key=key)] for key in keys]


# -- texts into lines ------------------------------------------------------------------------------


def _lines(pieces: Iterable[_Piece], profile: SacProfile) -> list[ExpectedLine]:
    """Return the lines of texts that stand behind one another; a line is the text's that begins it."""
    made: list[ExpectedLine] = []
    is_open = False
    for piece in pieces:
        text = _text(piece.key, profile)
        filled = _filled(text.text, piece.fields)
        for number, part in enumerate(filled.split("\n")):
            if number == 0 and is_open and made:
                made[-1] = _wanted(piece, text, made[-1].text + part, profile=profile, owner=made[-1])
            elif part.strip():
                made.append(_wanted(piece, text, part, profile=profile))
        is_open = not filled.endswith("\n") and not _stands_alone(piece.key)
    return made


def _stands_alone(key: str) -> bool:
    """Tell whether a text without a line end is a line of its own: on a screen, or a prompt."""
    return key.startswith(("menu.", "cmd.")) or key == "bugcheck.prompt"


def _text(key: str, profile: SacProfile) -> SacText:
    if key == "menu.entry":
        suffix = profile.texts["menu.ems_suffix"]
        return SacText(text="%s" + suffix.text, source=suffix.source, section=suffix.section)
    return profile.texts[key]


def _filled(text: str, fields: Sequence[str | None]) -> str:
    """Return `text` with those of its fields filled in that are known."""
    known = iter(fields)

    def fill(found: re.Match[str]) -> str:
        value = next(known, None)
        return found[0] if value is None else value.replace("%", "%%")

    return re.sub(r"%(?!%)[-0-9l]*[sdxX]", fill, text)


def _wanted(
    piece: _Piece, text: SacText, line: str, *, profile: SacProfile, owner: ExpectedLine | None = None
) -> ExpectedLine:
    shown = line.rstrip()
    tail = {
        "cmd.username": rb" ?.*",
        "cmd.domain": rb" ?.*",
        "cmd.password": rb" ?\**",
        "cmd.directory": rb">",
    }
    lead = rb"(?:> *)?" if piece.key == "menu.entry" else rb""
    trail = rb"(?: *>)?" if piece.key.startswith("menu.") else tail.get(piece.key, b"")
    stripped = shown.strip() if piece.key.startswith("menu.") else shown
    patterns = [lead + SacText(text=stripped, source="X", section="1").pattern + trail]
    if piece.also:
        patterns.append(
            SacText(text=profile.texts[piece.also].text.strip("\n"), source="X", section="1").pattern
        )
    return ExpectedLine(
        key=piece.key if owner is None else owner.key,
        text=stripped,
        patterns=tuple(patterns),
        source=_source(piece, text, profile) if owner is None else owner.source,
        section=text.section if owner is None else owner.section,
        repeats=piece.repeats,
    )


def _source(piece: _Piece, text: SacText, profile: SacProfile) -> str:
    """Return the class of a line: the fact's in it, where it has one."""
    return profile.source if any(field is not None for field in piece.fields) else text.source
