"""The lines that a profile expects in each part of a session; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

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
    """One line that is expected.

    Attributes:
        key: of the profile's text.
        text: as a person reads it, with its fields.
        patterns: regular expressions, one of which must match the whole line.
        source: class of its source; that of the fact in it, where it has one.
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
class _Item:
    """A text of the profile, the fields that are known of it, and another text that will do in its place."""

    key: str
    fields: tuple[str | None, ...] = ()
    repeats: bool = False
    also: str = ""


_Form = Sequence[_Item]


def _items(prefix: str, *names: str) -> list[_Item]:
    return [_Item(key=prefix + name) for name in names]


def expected_of(block: Block, profile: SacProfile) -> list[list[ExpectedLine]]:
    """Return what `block` may be by `profile`: a list of lines for each form; none if nothing is known."""
    return [_lines(form, profile) for form in _forms(block, profile)]


def classify(command: str) -> tuple[str, str]:
    """Return the command that SAC takes a line for, and its arguments; "" if none (docs/facts/sac.md 1.5)."""
    line = command.strip().lower()
    word, _, rest = line.partition(" ")
    if word in _WORDS:
        return word, rest.strip()
    found = next((prefix for prefix in _PREFIXES if line.startswith(prefix)), "")
    return {"help": "?"}.get(found, found), ""


def _forms(block: Block, profile: SacProfile) -> Iterable[_Form]:  # noqa: C901, PLR0911  # one for each part
    match block.part:
        case Part.MENU:
            return [_menu(profile)]
        case Part.MACHINE_INFO:
            return [[_Item(key="xml.head"), *_machine_info(profile)]]
        case Part.BANNER:
            return [[_Item(key="boot.banner")]]
        case Part.EVENT:
            keys = ("sac.cmd_event", "sac.cmd_gone_event", "channel.created", "channel.closed")
            return [[_Item(key=key)] for key in keys]
        case Part.SWITCH:
            return [[_Item(key="xml.channel_switch", fields=_channel(block, profile))]]
        case Part.HEADER:
            fields = _channel(block, profile)
            return [[_Item(key="channel.header", fields=fields), _Item(key="channel.header_keys")]]
        case Part.LOGIN:
            return _logins(profile)
        case Part.UNKNOWN:
            return [[_Item(key="cmd.unknown_command")]]
        case Part.BUGCHECK:
            return [_bugcheck(block, profile, module=module) for module in (False, True)]
        case Part.ANSWER:
            return _answers(*classify(block.command), profile)


def _machine_info(profile: SacProfile) -> list[_Item]:
    facts = {
        "architecture": profile.architecture,
        "version": profile.os_version,
        "build": profile.os_build,
        "product": profile.product,
        "service_pack": profile.service_pack,
    }
    return [
        *_items("xml.machine_", "open", "name", "guid"),
        *(_Item(key=f"xml.machine_{name}", fields=(fact,)) for name, fact in facts.items()),
        _Item(key="xml.machine_close"),
    ]


def _menu(profile: SacProfile) -> list[_Item]:
    return [
        *_items("menu.", "title", "choose", "keys"),
        _Item(key="menu.entry", fields=(profile.menu_entry,)),
        *_items("menu.", "advanced_hint", "countdown", "tools", "memory_diagnostic", "status"),
    ]


def _channel(block: Block, profile: SacProfile) -> tuple[str | None, ...]:
    text = _text_of(block)
    if re.search(rb"(?:Name: +|<name>)SAC\b", text):
        return ("SAC", _SAC_DESCRIPTION, "VT-UTF8", None, _TYPES["SAC"])
    if re.search(rb"(?:Name: +|<name>)Cmd\d+", text):
        return (None, profile.cmd_description, "VT-UTF8", None, _TYPES["Cmd"])
    return (None, None, None, None, None)


def _text_of(block: Block) -> bytes:
    return b"\n".join(line.text for line in block.lines)


def _logins(profile: SacProfile) -> list[list[_Item]]:
    asks = _items("cmd.", "login", "username", "domain", "password")
    version = _Item(key="cmd.version", fields=(profile.cmd_version,))
    year = (str(profile.copyright_year),) if profile.copyright_year else ()
    entered = [*asks, version, _Item(key="cmd.copyright", fields=year), _Item(key="cmd.directory")]
    refused = [*asks, *_items("cmd.", "refused", "refused_key")]
    return [entered, refused, asks, asks[:3], asks[:2]]


def _bugcheck(block: Block, profile: SacProfile, *, module: bool) -> list[_Item]:
    text = _text_of(block)
    names = {b'"0x80"': "name_nmi", b'"0xE2"': "name_crashdump"}
    known = next((key for code, key in names.items() if code in text), None)
    name = None if known is None else profile.texts[f"bugcheck.{known}"].text
    return [
        *_items("xml.", "head", "bugcheck_open"),
        *_machine_info(profile),
        _Item(key="xml.bugcheck_close"),
        *_items("bugcheck.", "prompt", "problem"),
        _Item(key="bugcheck.give", fields=(name,)),
        *_items("bugcheck.", *(["module"] if module else []), "parameters"),
        _Item(key="bugcheck.progress", repeats=True, also="bugcheck.progress_no_restart"),
    ]


def _answers(command: str, arguments: str, profile: SacProfile) -> Iterable[_Form]:
    if command in {"id", "?", "t", "i", "ch"}:
        return _lists(command, arguments, profile)
    failed = "failed_status"
    forms: dict[str, tuple[tuple[str, ...], ...]] = {
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
    made = [_items("sac.", *names) for names in forms.get(command, ())]
    return [*made, _items("channel.", "too_many")] if command == "cmd" else made


def _lists(command: str, arguments: str, profile: SacProfile) -> Iterable[_Form]:
    if command == "id":
        facts = (
            *(("name", None), ("guid", None)),
            *(("architecture", profile.architecture), ("version", profile.os_version)),
            *(("build", profile.os_build), ("product", profile.product)),
            *(("service_pack", profile.service_pack), ("uptime", None)),
        )
        return [[_Item(key=f"sac.id_{name}", fields=(fact,)) for name, fact in facts]]
    if command == "?":
        listed = [*_HELP, *(["livedump"] if profile.has_livedump else [])]
        return [_items("sac.help_", *listed)]
    if command == "t":
        head = _items("sac.tlist_", "head", "pagefile", "pagefile_size", "memory", "commit", "columns")
        return [[*head, _Item(key="sac.tlist_row", repeats=True, also="sac.tlist_thread")]]
    if command == "i":
        head = _items("sac.", "ip_retrieving")
        ends = ("ip_set", "ip_set_failed", "ip_bad_address", "ip_bad_subnet", "ip_bad_gateway")
        sets = [_items("sac.", name) for name in (*ends, "ip_no_number", "bad_arguments")]
        rows = _Item(key="sac.ip_row", repeats=True)
        return sets if arguments else [[*head, rows], [*head, *_items("sac.", "ip_none")]]
    return _channel_lists(arguments)


def _channel_lists(arguments: str) -> Iterable[_Form]:
    if not arguments:
        return [[_Item(key="channel.list_head"), _Item(key="channel.list_row", repeats=True)]]
    if arguments == "-?":
        legend = ("legend", "legend_a", "active", "legend_b", "type")
        return [_items("channel.help_", "head", "list", *legend, "si", "sn", "ci", "cn", "keys")]
    keys = ("channel.bad_index", "channel.bad_name", "channel.sac_stays", "sac.bad_arguments")
    return [[_Item(key=key)] for key in keys]


# -- texts into lines ------------------------------------------------------------------------------


def _lines(form: _Form, profile: SacProfile) -> list[ExpectedLine]:
    """Return the lines of texts that follow one another; a line belongs to the text that begins it."""
    made: list[ExpectedLine] = []
    is_open = False
    for item in form:
        text = _text(item.key, profile)
        filled = _filled(text.text, item.fields)
        for number, part in enumerate(filled.split("\n")):
            if number == 0 and is_open and made:
                begun = made[-1]
                line = _line(item, text, begun.text + part, profile)
                made[-1] = replace(line, key=begun.key, source=begun.source, section=begun.section)
            elif part.strip():
                made.append(_line(item, text, part, profile))
        # A text without a line end is a line of its own on a screen, or as a prompt.
        stands_alone = item.key.startswith(("menu.", "cmd.")) or item.key == "bugcheck.prompt"
        is_open = not filled.endswith("\n") and not stands_alone
    return made


def _text(key: str, profile: SacProfile) -> SacText:
    if key == "menu.entry":
        suffix = profile.texts["menu.ems_suffix"]
        return replace(suffix, text="%s" + suffix.text)
    return profile.texts[key]


def _filled(text: str, fields: Sequence[str | None]) -> str:
    """Return `text` with the fields filled in that are known."""
    known = iter(fields)

    def fill(found: re.Match[str]) -> str:
        value = next(known, None)
        return found[0] if value is None else value.replace("%", "%%")

    return re.sub(r"%(?!%)[-0-9l]*[sdxX]", fill, text)


_TAILS = {"cmd.username": rb" ?.*", "cmd.domain": rb" ?.*", "cmd.password": rb" ?\**", "cmd.directory": rb">"}
"""What may follow a text in its line: the answer to a question."""


def _line(item: _Item, text: SacText, line: str, profile: SacProfile) -> ExpectedLine:
    is_menu = item.key.startswith("menu.")
    shown = line.strip() if is_menu else line.rstrip()
    lead = rb"(?:> *)?" if item.key == "menu.entry" else rb""
    tail = rb"(?: *>)?" if is_menu else _TAILS.get(item.key, b"")
    patterns = [lead + _pattern(shown) + tail]
    if item.also:
        patterns.append(_pattern(profile.texts[item.also].text.strip("\n")))
    has_fact = any(field is not None for field in item.fields)
    return ExpectedLine(
        key=item.key,
        text=shown,
        patterns=tuple(patterns),
        source=profile.source if has_fact else text.source,
        section=text.section,
        repeats=item.repeats,
    )


def _pattern(text: str) -> bytes:
    return SacText(text=text, source="X", section="1").pattern
