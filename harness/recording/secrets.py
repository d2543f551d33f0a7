"""The words of a console's text that are private: names, passwords, addresses, numbers; pure.

A name is known by what stands before it, an address by its shape. What Windows itself says is not private:
the GUIDs and names of docs/facts/sac.md, and accounts that every system has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from itertools import count


class SecretKind(StrEnum):
    """Kinds of secrets."""

    HOST = "computer name"
    USER = "user name"
    DOMAIN = "domain name"
    PASSWORD = "password"  # noqa: S105  # the word for it
    GUID = "GUID"
    IPV4 = "IPv4 address"
    IPV6 = "IPv6 address"
    MAC = "MAC address"
    SERIAL = "serial number"
    ENCODED = "encoded command"
    WORD = "given word"


_STEMS = {
    SecretKind.HOST: "HOST",
    SecretKind.USER: "USER",
    SecretKind.DOMAIN: "DOMAIN",
    SecretKind.PASSWORD: "PASSWORD",
    SecretKind.WORD: "HIDDEN",
}
_FILLERS = {2: "\u00f8", 3: "\u2026", 4: "\U0001f636"}
"""Characters for those that UTF-8 writes with 2, 3 and 4 bytes."""
_TRIES = 4096


def replacement(kind: SecretKind, value: str, number: int) -> str:  # noqa: PLR0911  # one for each shape
    """Return placeholder number `number` (from 1 on) for `value`, with as many characters.

    It has the same shape: in addresses and GUIDs separators stay where they are.
    """
    match kind:
        case SecretKind.GUID:
            return f"aaaaaaaa-0000-4000-8000-{number % 10**12:012d}"
        case SecretKind.MAC:
            digits = f"0200{number % 2**32:08X}"
            return value[2].join(digits[at : at + 2] for at in range(0, 12, 2))
        case SecretKind.IPV4:
            return _address(value, number)
        case SecretKind.IPV6:
            return _numbered(value, f"{number:x}", digits="0-9A-Fa-f", filler="d")
        case SecretKind.SERIAL:
            return _numbered(value, str(number), digits="0-9A-Za-z", filler="0")
        case SecretKind.ENCODED:
            return "A" * len(value)
        case _:
            return _name(_STEMS[kind], value, number)


def fit(character: str, size: int) -> str:
    """Return `character` if it has `size` bytes, else one that has."""
    return character if size == 1 and character.isascii() else _FILLERS.get(size, "x")


class Placeholders:
    """Gives each value its placeholder, the same each time; none contains a value that is to be hidden.

    Args:
        hidden: all values that are to be hidden.
    """

    def __init__(self, hidden: Iterable[str]) -> None:
        self._hidden = frozenset(value.casefold() for value in hidden if value)
        self._given: dict[tuple[SecretKind, str], str] = {}
        self._numbers = {kind: count(1) for kind in SecretKind}

    def of(self, kind: SecretKind, value: str) -> str:
        """Return the placeholder of `value`, the same in upper and lower case."""
        key = (kind, value.casefold())
        if key not in self._given:
            tries = (replacement(kind, value, next(self._numbers[kind])) for _ in range(_TRIES))
            harmless = (made for made in tries if not any(one in made.casefold() for one in self._hidden))
            self._given[key] = next(harmless, "*" * len(value))
        return self._given[key]

    @property
    def given(self) -> frozenset[str]:
        """All placeholders so far."""
        return frozenset(self._given.values())


def _name(stem: str, value: str, number: int) -> str:
    digits = str(number)
    if len(value) <= len(digits):
        return digits[-len(value) :]
    return stem.ljust(len(value), "x")[: len(value) - len(digits)] + digits


def _address(value: str, number: int) -> str:
    octets: list[str] = []
    for part in reversed(value.split(".")):
        low, span = {1: (1, 9), 2: (10, 90)}.get(len(part), (100, 100))
        octets.append(str(low + number % span))
        number //= span
    return ".".join(reversed(octets))


def _numbered(value: str, number: str, *, digits: str, filler: str) -> str:
    """Return `value` with `number` in the last of its digits, and `filler` for the others."""
    places = len(re.findall(f"[{digits}]", value))
    shown = iter(number.rjust(places, filler)[-places:] if places else "")
    return re.sub(f"[{digits}]", lambda _: next(shown), value)


KEPT_GUIDS = frozenset({
    "00000000-0000-0000-0000-000000000000",
    "1aee4cc0-cff3-11d6-9a3d-806e6f6e6963",
    "63d02270-8aa4-11d5-bccf-806d6172696f",
    "63d02271-8aa4-11d5-bccf-00b0d014a2d0",
    "5ed3bac7-a2f9-4e45-9875-b259ea3f291f",
    "773d2759-19b8-4d6e-8045-26bf38402252",
    "d37c67ba-89e7-44ba-ae5a-112c6806b0dd",
})  # fmt: skip
"""The GUIDs of docs/facts/sac.md 1.4 and 1.7, the same on every machine."""
_KEPT_NAMES = re.compile(
    r"SAC|Cmd[0-9]{4}|setup(?:log\.txt|err\.log|act\.log)|Administrator|Guest|DefaultAccount|SYSTEM|root"
    r"|(?:LOCAL|NETWORK) SERVICE|NT AUTHORITY|BUILTIN|WORKGROUP|localhost|Public|Default|All Users"
    r"|\.",
    re.IGNORECASE,
)
"""Names that every system has."""
_NO_WORD = re.compile(r"\*+|%.*")
"""What is shown in place of a word: a password's stars, a variable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """A private word, and where it stands in the text.

    Attributes:
        kind: its kind.
        value: the word.
        start: its first character's index.
    """

    kind: SecretKind
    value: str
    start: int


_NAME = r"([\w.$-]+)"
_WORDS = r"(\S+(?: \S+)*)"
"""With single blanks at most: in a drawn row, several blanks end a value."""
_HEX = "[0-9A-Fa-f]"
_HOST, _USER, _DOMAIN, _SERIAL = SecretKind.HOST, SecretKind.USER, SecretKind.DOMAIN, SecretKind.SERIAL
_CONTEXTS: tuple[tuple[str, tuple[SecretKind, ...]], ...] = (
    (r"<machine-info>\s*<name>([^<\r\n]+)</name>", (_HOST,)),
    (r"<name>([^<\r\n]+)</name>", (_HOST,)),
    (r"Computer Name: +(\S+)", (_HOST,)),
    (r"Host ?Name[ .]*: *(\S+)", (_HOST,)),
    (r'"vmName":"([^"]+)"', (_HOST,)),
    (r"COMPUTERNAME=(\S+)", (_HOST,)),
    (r"\\\\([A-Za-z0-9][A-Za-z0-9.-]*)(?=[\\\s])", (_HOST,)),
    (rf">hostname[ ]*\r?\n{_NAME}[ ]*$", (_HOST,)),
    (rf"^{_NAME} login: ", (_HOST,)),
    (rf"^[ ]*Computer: {_NAME}[ ]*$", (_HOST,)),
    (rf"\b{_NAME}@{_NAME}:[~/]", (_USER, _HOST)),
    (rf"Username: +{_WORDS}", (_USER,)),
    (rf"^Domain +: ?{_WORDS}", (_DOMAIN,)),
    (r"\blogin: ([\w.$-]+)", (_USER,)),
    (r"User ?name +(\S+)", (_USER,)),
    (r"USERNAME=(\S+)", (_USER,)),
    (r"USER(?:DNS)?DOMAIN(?:_ROAMINGPROFILE)?=(\S+)", (_DOMAIN,)),
    (r"[A-Z]:\\(?:Users|Documents and Settings)\\([^\\\s<>|:*?\"]+)", (_USER,)),
    (r"^([\w.-]+)\\([\w.$-]+(?: [\w.$-]+)?)[ ]*$", (_DOMAIN, _USER)),
    (r"\bnet user ([^\s/]+)(?: +([^\s/]+))?", (_USER, SecretKind.PASSWORD)),
    (r"/user:(?:([\w.-]+)\\)?([^\s\\]+)", (_DOMAIN, _USER)),
    (r"(?:DNS Suffix|Dns Suffix|Suffix Search List)[ .]*: *([\w-][\w.-]*)", (_DOMAIN,)),
    (r"^Domain: +(\S+)", (_DOMAIN,)),
    (r"\b(?:password|passwd|pwd)=(\S+)", (SecretKind.PASSWORD,)),
    (r"[ ]/p:(\S+)", (SecretKind.PASSWORD,)),
    (r"[ ]-password +[\"']?([^\"'\s]+)", (SecretKind.PASSWORD,)),
    (r"ConvertTo-SecureString +[\"']?([^\"'\s]+)", (SecretKind.PASSWORD,)),
    (r"[ ]-e(?:nc|ncodedcommand)? +([A-Za-z0-9+/=]{16,})", (SecretKind.ENCODED,)),
    (r"Serial ?Number(?: is| *[=:])?\s+((?=\S*\d)[A-Za-z0-9-]{4,})", (_SERIAL,)),
    (r"Serial ?Number=([A-Za-z0-9-]{4,})", (_SERIAL,)),
)
_RULES = tuple((re.compile(text, re.MULTILINE | re.IGNORECASE), kinds) for text, kinds in _CONTEXTS)
_SHAPES: Mapping[SecretKind, re.Pattern[str]] = {
    SecretKind.GUID: re.compile(
        rf"(?<!{_HEX}){_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}(?!{_HEX})"
    ),
    SecretKind.MAC: re.compile(
        rf"(?<![\w:-])(?:(?:{_HEX}{{2}}-){{5}}|(?:{_HEX}{{2}}:){{5}}){_HEX}{{2}}(?![\w:-])"
    ),
    SecretKind.IPV4: re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?!\d|\.\d)"),
    SecretKind.IPV6: re.compile(rf"(?<![\w:.]){_HEX}{{0,4}}(?::{_HEX}{{0,4}}){{2,7}}(?![\w:])"),
}


def find_secrets(text: str) -> Iterator[Secret]:
    """Give the secrets that `text` shows; some may come twice."""
    for pattern, kinds in _RULES:
        for found in pattern.finditer(text):
            for group, kind in enumerate(kinds, start=1):
                if found[group] and not is_kept(kind, found[group]):
                    yield Secret(kind=kind, value=found[group], start=found.start(group))
    for kind, pattern in _SHAPES.items():
        for found in pattern.finditer(text):
            if not is_kept(kind, found[0]):
                yield Secret(kind=kind, value=found[0], start=found.start())


def is_common_name(value: str) -> bool:
    """Tell whether every system has an account or domain of this name."""
    return _KEPT_NAMES.fullmatch(value) is not None


def is_kept(kind: SecretKind, value: str) -> bool:  # noqa: PLR0911  # one for each kind
    """Tell whether `value` is not private, or not of that kind at all."""
    match kind:
        case SecretKind.GUID:
            return value.lower() in KEPT_GUIDS
        case SecretKind.MAC:
            return len(set(value.lower())) == 2 and value[0] in "0fF"
        case SecretKind.IPV4:
            return _is_common(value)
        case SecretKind.IPV6:
            return not _is_address(value)
        case SecretKind.PASSWORD:
            return _NO_WORD.fullmatch(value) is not None
        case SecretKind.HOST | SecretKind.USER | SecretKind.DOMAIN:
            return (
                is_common_name(value)
                or _NO_WORD.fullmatch(value) is not None
                or any(shape.fullmatch(value) for shape in _SHAPES.values())
            )
        case _:
            return False


def _is_common(value: str) -> bool:
    try:
        address = IPv4Address(".".join(str(int(part)) for part in value.split(".")))
    except ValueError:  # a version
        return True
    return address.packed[0] in {0, 127, 255}


def _is_address(value: str) -> bool:
    try:
        return int(IPv6Address(value)) > 1
    except ValueError:  # a time of day
        return False
