"""Frames: a command as it is typed to a shell, between markers by which its output is found again; pure.

What is typed holds neither marker, so no echo of it is mistaken for one, however a line editor draws it. It
looks like no kernel record, completes nothing, and asks for no second line: a here-document, a comment, a
`;` or `&` at the command's end stay inside a quoted word that `eval` reads.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from emulator.guest_text.records import RECORD_LIKE

_LONGEST = 800
"""Bytes of a command in one typed line; with the frame they stay below the 1,024 that any terminal takes."""
_TYPED_ODDLY = re.compile(rb"[^\x20-\x7e]")
_IN_FORMAT = re.compile(rb"[^\x20-\x7e]|['!]|" + RECORD_LIKE.pattern)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """What a POSIX shell has.

    Attributes:
        command: `command eval`, which goes on behind a syntax error where `eval` alone would not.
        printf: `printf`, which makes what can't be typed.
    """

    command: bool = True
    printf: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A command to be typed.

    Attributes:
        before: lines to type first, each at a prompt of its own.
        line: the line that runs the command.
        begin: what the guest shows before the output.
        end: what it shows behind the output and a line end; its group is the status.
        again: a line that asks for the end once more, for a shell that gave up the rest of `line`.
    """

    before: tuple[bytes, ...]
    line: bytes
    begin: re.Pattern[bytes]
    end: re.Pattern[bytes]
    again: bytes


def make_frame(command: str, number: str, shell: Shell) -> Frame:
    """Return the frame for `command`, without NUL, in `shell`; `number` has digits not used before."""
    data = command.encode("utf-8", "surrogateescape")
    # the end stands on a line of its own, whatever the command wrote last
    asks = b'_t=$?; echo; echo "ttyl""ab-%s:$_t:"' % number.encode()
    evaluates = b"command eval" if shell.command else b"eval"
    before, word = _word(data, shell)
    line = b'echo "ttyl""ab-%s:"; %s %s; %s' % (number.encode(), evaluates, word, asks)
    return Frame(
        before=before,
        line=line,
        begin=re.compile(rb"ttylab-%s:\r*\n" % number.encode()),
        end=re.compile(rb"ttylab-%s:(\d+):\r*\n" % number.encode()),
        again=asks,
    )


def _word(data: bytes, shell: Shell) -> tuple[tuple[bytes, ...], bytes]:
    """Return lines to type first, and the shell word that is `data`."""
    if not shell.printf or (len(data) <= _LONGEST and not _TYPED_ODDLY.search(data)):
        pieces = [_quoted(data[at : at + _LONGEST]) for at in range(0, len(data), _LONGEST)] or [b"''"]
        return _assigned(pieces) if len(pieces) > 1 else ((), pieces[0])
    text = _format(data)
    pieces = [b"'%s'" % text[at : at + _LONGEST] for at in range(0, len(text), _LONGEST)]
    if len(pieces) == 1:
        return (), b'"$(printf %s)"' % pieces[0]
    return _assigned(pieces)[0], b'"$(printf "$_c")"'


def _assigned(pieces: list[bytes]) -> tuple[tuple[bytes, ...], bytes]:
    return (b"_c=" + pieces[0], *(b"_c=$_c" + piece for piece in pieces[1:])), b'"$_c"'


def _quoted(data: bytes) -> bytes:
    """Return `data` in single quotes, which are closed and opened where it might look like a record."""
    quoted = data.replace(b"'", rb"'\''")
    return b"'%s'" % RECORD_LIKE.sub(lambda found: found[0] + b"''", quoted)


def _format(data: bytes) -> bytes:
    """Return a format from which `printf` makes `data`; it stands in single quotes and has none itself."""
    plain = data.replace(b"\\", b"\\\\").replace(b"%", b"%%")
    return _IN_FORMAT.sub(lambda found: b"\\%03o" % found[0][0], plain)


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """Questions to something that may be a POSIX shell.

    Attributes:
        lines: to type, all of them at once. Shells of any kind read the first and answer the second.
        end: the answer to the second.
        answer: what only a POSIX shell answers to the first; its groups tell what it has.
    """

    lines: tuple[bytes, ...]
    end: re.Pattern[bytes]
    answer: re.Pattern[bytes]

    def shell(self, said: bytes) -> Shell | None:
        """Return what the shell has, from what it said before the end; None if it is no POSIX shell."""
        answers = self.answer.findall(said)
        printf, command = (any(found) for found in zip(*answers, strict=True)) if answers else (False, False)
        return Shell(command=command, printf=printf) if answers else None


def make_challenge(number: str) -> Challenge:
    """Return the questions; what answers has read them, since they do not hold the answers."""
    digits = number.encode()
    # fish and csh refuse the braces, but not before they read what is quoted
    asks = b'eval \'echo "ttyl""ab-%s:1:${_t+}$(printf +):' % digits
    return Challenge(
        lines=(b"command %sc\"'; %s\"'" % (asks, asks), b"echo ttyl''ab-%s:0:" % digits),
        end=re.compile(rb"ttylab-%s:0:\r*\n" % digits),
        answer=re.compile(rb"ttylab-%s:1:(\+?):(c?)\r*\n" % digits),
    )
