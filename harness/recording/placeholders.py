"""What stands in a sanitised recording in the place of a secret: as long as it, and of its shape; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum
from itertools import count


class Kind(StrEnum):
    """What a secret is."""

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
    WORD = "word that was named"


_STEMS = {
    Kind.HOST: "HOST",
    Kind.USER: "USER",
    Kind.DOMAIN: "DOMAIN",
    Kind.PASSWORD: "PASSWORD",
    Kind.WORD: "HIDDEN",
}
_FILLERS = {2: "\u00f8", 3: "\u2026", 4: "\U0001f636"}
"""Characters for those that UTF-8 writes with 2, 3 and 4 bytes."""
_TRIES = 4096


def replacement(kind: Kind, value: str, number: int) -> str:  # noqa: PLR0911  # one for each shape
    """Return the placeholder number `number` (from 1 on) for `value`; it has as many characters.

    It is of the same shape: digits, separators and their places stay what they are in addresses and GUIDs.
    """
    match kind:
        case Kind.GUID:
            return f"aaaaaaaa-0000-4000-8000-{number % 10**12:012d}"
        case Kind.MAC:
            digits = f"0200{number % 2**32:08X}"
            return value[2].join(digits[at : at + 2] for at in range(0, 12, 2))
        case Kind.IPV4:
            return _address(value, number)
        case Kind.IPV6:
            return _numbered(value, f"{number:x}", digits="0-9A-Fa-f", filler="d")
        case Kind.SERIAL:
            return _numbered(value, str(number), digits="0-9A-Za-z", filler="0")
        case Kind.ENCODED:
            return "A" * len(value)
        case _:
            return _name(_STEMS[kind], value, number)


def fit(character: str, size: int) -> str:
    """Return `character`, or one that has `size` bytes where it has not."""
    return character if size == 1 and character.isascii() else _FILLERS.get(size, "x")


class Placeholders:
    """Gives every value its placeholder, the same each time; none holds a value that is to be hidden.

    Attributes:
        values: all that is to be hidden, in lower case.
    """

    def __init__(self, values: Iterable[str]) -> None:
        self.values = frozenset(value.casefold() for value in values if value)
        self._given: dict[tuple[Kind, str], str] = {}
        self._numbers = {kind: count(1) for kind in Kind}

    def of(self, kind: Kind, value: str) -> str:
        """Return the placeholder of `value`; case makes no other value."""
        key = (kind, value.casefold())
        if key not in self._given:
            tries = (replacement(kind, value, next(self._numbers[kind])) for _ in range(_TRIES))
            made = next((one for one in tries if not self._tells(one)), None)
            self._given[key] = "*" * len(value) if made is None else made
        return self._given[key]

    @property
    def given(self) -> frozenset[str]:
        """All placeholders so far."""
        return frozenset(self._given.values())

    def _tells(self, made: str) -> bool:
        folded = made.casefold()
        return any(value in folded for value in self.values)


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
    """Return `value` with `filler` for all its digits, but `number` in the last of them."""
    count_of = len(re.findall(f"[{digits}]", value))
    shown = iter((number.rjust(count_of, filler))[-count_of:] if count_of else "")
    return re.sub(f"[{digits}]", lambda _: next(shown), value)
