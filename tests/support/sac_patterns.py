"""Regular expressions for the texts of a SAC profile, as the guest sends them."""

import re

from emulator.sac.profile import SacText

_FIELD = re.compile(rb"%(?:(?P<percent>%)|(?P<flags>[-0]*)(?P<width>\d*)l?(?P<kind>[sdxX]))")
_FIELD_PATTERNS = {b"s": rb"(.*?)", b"d": rb"(-?[0-9]+)", b"x": rb"([0-9a-f]+)", b"X": rb"([0-9A-F]+)"}


def pattern_of(text: SacText) -> bytes:
    """Return a pattern for `text` with one group per %-field."""
    wire = text.wire
    parts, end = [], 0
    for place in _FIELD.finditer(wire):
        parts += [re.escape(wire[end : place.start()]), _field_pattern(place)]
        end = place.end()
    return b"".join((*parts, re.escape(wire[end:])))


def _field_pattern(place: re.Match[bytes]) -> bytes:
    if place["percent"]:
        return b"%"
    padded = rb" *" if place["width"] and place["kind"] in b"sd" else b""
    return padded + _FIELD_PATTERNS[place["kind"]] + (rb" *" if b"-" in place["flags"] else b"")
