"""How a serial port is named: any URL of pyserial's, and behind `?` how DTR and RTS are set on open."""

from __future__ import annotations

from dataclasses import dataclass

from emulator.errors import SpecError

_WORDS = {"on": True, "off": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class PortAddress:
    """A port, and what its modem lines are when it is opened.

    Attributes:
        url: what pyserial opens: a device, `socket://`, `rfc2217://`.
        dtr, rts: whether the line is asserted; None leaves it as pyserial does, asserted.
    """

    url: str
    dtr: bool | None = None
    rts: bool | None = None


def parse_port(text: str) -> PortAddress:
    """Return the port that `text` names, such as `/dev/ttyUSB0?dtr=off&rts=off`; raises SpecError."""
    url, mark, query = text.partition("?")
    lines: dict[str, bool] = {}
    others = []
    for word in query.split("&"):
        key, _, value = word.partition("=")
        if key not in {"dtr", "rts"}:
            others.append(word)
        elif value in _WORDS:
            lines[key] = _WORDS[value]
        else:
            raise SpecError(f"port {text!r}: {key} is {value!r}; allowed: on, off")
    rest = "&".join(others)  # pyserial has options of its own there
    return PortAddress(url=url + (mark + rest if rest else ""), **lines)


def with_lines(text: str, *, dtr: bool | None = None, rts: bool | None = None) -> str:
    """Return the port `text` with other settings of DTR and RTS, None as it says; a wrong one: SpecError."""
    if dtr is rts is None:
        return text
    if not text:
        raise SpecError("DTR and RTS are lines of a serial port, and no port is given")
    given = parse_port(text)
    lines = {"dtr": given.dtr if dtr is None else dtr, "rts": given.rts if rts is None else rts}
    words = [f"{key}={'on' if value else 'off'}" for key, value in lines.items() if value is not None]
    return given.url + ("&" if "?" in given.url else "?") + "&".join(words)
