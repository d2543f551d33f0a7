r"""The grammar of a terminal's escape sequences: what of a console's bytes is seen; pure, and the only one.

Sequences follow ECMA-48 as the VT500 and xterm read it (Paul Williams' state machine): CSI with all parameter
bytes, OSC, DCS, APC, PM and SOS up to ST or BEL, charset shifts and other short ones; CAN and SUB end a
sequence, ESC begins the next. NUL, DEL and other controls that move nothing are not seen either, nor, in a
line of text, 0xff: no character has it, and an idle or unpowered line reads so. In four places evidence
counts for more than a terminal's ways, since guests die amid sequences, and kernels print records there:

* A line end ends a string (OSC and its like); no boot writes one in them. So does LONGEST_STRING. The string
  was none then: only its introducer is dropped, and its bytes are seen.
* A CSI is broken off by any byte that does not belong to it; its parameters are dropped, that byte is seen.
* `[` ends no sequence (it would be SRS or PTX, which nothing writes), and ESC before a kernel's stamp stands
  alone: `\x1b[1[   12.345678] Oops` shows the whole record.
* C1 controls are text: their bytes are parts of UTF-8 characters.
"""

from __future__ import annotations

import re

from emulator.guest_text.linux import STAMP

LONGEST_STRING = 8192
"""Bytes of the longest OSC, DCS, APC, PM or SOS; systemd's context (OSC 3008), the longest that a boot
writes, has a dozen fields of at most 255 characters."""
_LONGEST_CSI = 1024
_LONGEST_TOKEN = LONGEST_STRING + 8

_BODY = rb"[^\x07\x18\x1a\x1b\r\n]{0,%d}+" % LONGEST_STRING
_STRING = rb"(?:[P^_X]|\](?!R|P[0-9A-Fa-f]{7}))"  # OSC R and OSC P, Linux' palette, have no terminator
_PARAMETERS, _BETWEEN = rb"[0-?]{0,%d}+" % _LONGEST_CSI, rb"[ -/]{0,16}+"

TOKEN = re.compile(
    rb"(?P<text>[^\x00-\x07\x0e-\x1f\x7f]+)"
    rb"|(?P<fill>[\x00-\x07\x0e-\x1a\x1c-\x1f\x7f]+)"
    rb"|\x1b(?=" + STAMP + rb")"
    rb"|\x1b\[(?P<parameters>" + _PARAMETERS + rb")" + _BETWEEN + rb"(?:(?P<final>[@-Z\\-~])|[\x18\x1a])?"
    rb"|(?P<string>\x1b" + _STRING + rb")(?:" + _BODY + rb"(?:\x07|\x1b\\|[\x18\x1a]|(?=\x1b)))?"
    rb"|\x1b\](?:R|P.{7})"
    rb"|\x1b(?:(?P<short>[0-OQ-WYZ\\`-~])|[ -/]{1,4}+[0-Z\\-~]?)?",
    re.DOTALL,
)
"""One piece of a whole stream; pieces tile it. One group tells which it is:

* `text`: bytes that are seen, with BS, HT, LF, VT, FF and CR;
* `fill`: controls that move nothing;
* `final` (with `parameters`): a complete CSI; without `final` it was broken off;
* `string`: an OSC or its like, or only its introducer if it was none;
* `short`: the byte after ESC; no group for other short ones and for what was broken off.
"""
_UNFINISHED = re.compile(
    rb"\x1b(?:\[ {0,4}\d{0,10}(?:\.\d{0,6})?|\[" + _PARAMETERS + _BETWEEN + rb"|[ -/]{0,4}+"
    rb"|" + _STRING + _BODY + rb"\x1b?)?\Z"
)
SEQUENCE = (
    rb"\x1b(?:\[" + _PARAMETERS + _BETWEEN + rb"[@-Z\\-~]|" + _STRING + _BODY + rb"(?:\x07|\x1b\\)"
    rb"|\](?:R|P[0-9A-Fa-f]{7})|[0-OQ-WYZ\\`-~]|[ -/]{1,4}+[0-Z\\-~])"
)
"""One complete sequence, to be put into other patterns."""
LEAD = rb"(?:" + SEQUENCE + rb"|[\r\x00\xff])*"
"""What may stand before a line's first words without being seen, to be put into other patterns."""
_UNSEEN = re.compile(rb"\xff+|" + TOKEN.pattern.partition(b"|")[2], re.DOTALL)

ROW_MOVES = frozenset(b"ABEFHdf")
"""Final bytes of a CSI after which text goes on in another row."""


def seen(data: bytes, *, instead: bytes = b"") -> bytes:
    """Return what is seen of `data`, a whole text or line, with `instead` for each piece that is not."""
    return _UNSEEN.sub(instead, data)


def numbers(parameters: bytes) -> list[int]:
    """Return the numbers of a CSI's `parameters`, 0 where none is given, without subparameters (`4:3`).

    Empty for private ones (`?7`) and for others that no number begins.
    """
    if not re.fullmatch(rb"[0-9;:]*", parameters):
        return []
    return [int(part.partition(b":")[0][:5] or b"0") for part in parameters.split(b";")]


def unfinished(data: bytes) -> int:
    """Return where a sequence begins that the end of `data` cuts off; the length of `data` if none does."""
    tail = _UNFINISHED.search(data, max(0, len(data) - _LONGEST_TOKEN))
    return len(data) if tail is None else tail.start()


class TokenReader:
    """Cuts a stream into tokens: bytes in, matches of TOKEN out, which tile the stream.

    Chunks only change where text and fill are cut into several tokens. At most LONGEST_STRING bytes and a few
    are held back.
    """

    def __init__(self) -> None:
        self._held = b""

    def feed(self, chunk: bytes) -> list[re.Match[bytes]]:
        """Take the next bytes and return the tokens that are decided."""
        data = self._held + chunk
        end = unfinished(data)
        self._held = data[end:]
        if end == len(data):
            return list(TOKEN.finditer(data))
        return [token for token in TOKEN.finditer(data) if token.start() < end]

    def flush(self) -> list[re.Match[bytes]]:
        """Return the held bytes as tokens: nothing more will come."""
        held, self._held = self._held, b""
        return list(TOKEN.finditer(held))
