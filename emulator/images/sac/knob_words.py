"""Knobs of the SAC guest as words, `menu_timeout_s=10`: typed by people, kept in a VM's plan; pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from enum import StrEnum

from emulator.errors import SpecError
from emulator.images.sac.knobs import SacKnobs

_DEFAULTS = SacKnobs()
_BOOLEANS = {"0": False, "false": False, "1": True, "true": True}


def parse_knobs(words: Iterable[str]) -> SacKnobs:
    """Return the knobs that `words`, each "key=value", set.

    Raises:
        SpecError: a word is no knob, or its value is wrong; the text says what is allowed.
    """
    names = [field.name for field in fields(SacKnobs)]
    values: dict[str, object] = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not sign or name not in names:
            raise SpecError(
                f"{word!r} is no knob of the SAC guest; allowed: KEY=VALUE, keys: {' '.join(names)}"
            )
        values[name] = _read(value, getattr(_DEFAULTS, name))
    return SacKnobs(**values)  # type: ignore[arg-type]  # __post_init__ checks every value


def knob_words(knobs: SacKnobs) -> tuple[str, ...]:
    """Return words of which `parse_knobs` makes `knobs`."""
    return tuple(knobs.to_fw_cfg().splitlines())


def _read(value: str, default: object) -> object:
    """Return `value` as what `default` is, or as it stands where it is none: the knobs will say so."""
    if isinstance(default, bool):
        return _BOOLEANS.get(value, value)
    if isinstance(default, int):
        return int(value) if value.removeprefix("-").isdecimal() else value
    if isinstance(default, StrEnum):
        kind = type(default)
        return kind(value) if value in tuple(kind) else value
    if isinstance(default, tuple):
        return tuple(value.split("|")) if value else ()
    return value
