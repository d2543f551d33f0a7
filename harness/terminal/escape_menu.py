"""The escape menu of an attached terminal: takes typed bytes, gives text to send and acts; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

ESCAPE = 0x1D
"""Ctrl-], as in telnet and virsh."""


class MenuAct(StrEnum):
    """What the menu can do; values for the machine are requests of its control socket."""

    NMI = "nmi"
    RESET = "reset"
    POWER_BUTTON = "power_button"
    POWER_OFF = "power_off"
    POWER_ON = "power_on"
    BREAK = "break"
    HELP = "help"
    QUIT = "quit"


@dataclass(frozen=True, slots=True, kw_only=True)
class SysRqKey:
    """A system request: BREAK and this byte."""

    key: bytes


MenuRequest: TypeAlias = bytes | MenuAct | SysRqKey

_KEYS: Mapping[int, tuple[MenuAct, str]] = {
    ord("n"): (MenuAct.NMI, "inject an NMI"),
    ord("r"): (MenuAct.RESET, "reset (hard)"),
    ord("p"): (MenuAct.POWER_BUTTON, "press the power button"),
    ord("o"): (MenuAct.POWER_OFF, "cut the power"),
    ord("O"): (MenuAct.POWER_ON, "turn the power on"),
    ord("b"): (MenuAct.BREAK, "send a serial BREAK"),
    ord("?"): (MenuAct.HELP, "this help"),
    ord("h"): (MenuAct.HELP, "this help"),
    ord("q"): (MenuAct.QUIT, "quit"),
}


def help_text(*, writable: bool, without: frozenset[MenuAct] = frozenset()) -> str:
    """Return the menu as lines for a terminal in raw mode, leaving out the acts in `without`."""
    lines = ["", "Ctrl-] and then:"]
    for key, (act, says) in _KEYS.items():
        if key != ord("h") and act not in without and (writable or act in {MenuAct.HELP, MenuAct.QUIT}):
            lines.append(f"  {chr(key)}  {says}")
    if writable:
        lines += [
            "  s  system request: the next key is the request (h: the guest's own help)",
            "  Ctrl-]  send Ctrl-]",
        ]
    else:
        lines.append("  (read only; attach with --write to type)")
    return "\r\n".join([*lines, ""])


class EscapeMenu:
    """Reads what is typed, byte by byte; keeps its state between calls."""

    def __init__(self) -> None:
        self._state = "text"

    def feed(self, typed: bytes) -> list[MenuRequest]:
        """Return what `typed` requests, in order; consecutive text stays together."""
        requests: list[MenuRequest] = []
        text = bytearray()
        for byte in typed:
            if self._state == "text" and byte != ESCAPE:
                text.append(byte)
                continue
            if text:
                requests.append(bytes(text))
                text.clear()
            requests += self._step(byte)
        return [*requests, bytes(text)] if text else requests

    def _step(self, byte: int) -> list[MenuRequest]:
        state, self._state = self._state, "text"
        if state == "text":
            self._state = "menu"
            return []
        if state == "sysrq":
            return [SysRqKey(key=bytes([byte]))]
        if byte == ESCAPE:
            return [bytes([byte])]
        if byte == ord("s"):
            self._state = "sysrq"
            return []
        act = _KEYS.get(byte)
        return [MenuAct.HELP if act is None else act[0]]
