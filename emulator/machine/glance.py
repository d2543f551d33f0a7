"""What a machine shows besides its console: the text on its screen, and what its CPUs do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from emulator.clock import Clock, Deadline
from emulator.errors import LabError
from emulator.machine.machine import Machine

_TEXT_AT, _COLUMNS, _ROWS = 0xB8000, 80, 25
_TEXT_MODES = ((720, 400), (640, 400))  # sizes of QEMU's picture of VGA's mode 3, 80 x 25 characters
_SAMPLES = 4
_BETWEEN_S = 0.05
_PICTURE = "screen.png"
_CPU = re.compile(r"[ER]IP=([0-9a-f]+).*?HLT=([01])", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """What a machine was seen to do.

    Attributes:
        rows: the text on its screen, without empty rows; empty in graphics.
        graphics: width and height of its picture, if it is no text; None if it is, or there is no screen.
        cpu: what its CPUs did, in words; empty where QEMU does not tell.
    """

    rows: tuple[str, ...] = ()
    graphics: tuple[int, int] | None = None
    cpu: str = ""


def glance(machine: Machine, deadline: Deadline, clock: Clock) -> Glance:
    """Look at a running machine: screen and CPUs; what can't be seen is left out, and nothing is raised.

    A picture in graphics is kept beside the transcript as screen.png.
    """
    size = _picture_size(machine, deadline)
    is_text = size in _TEXT_MODES
    return Glance(
        rows=_text_rows(machine, deadline) if is_text else (),
        graphics=None if is_text else size,
        cpu=read_cpus(_watch_cpus(machine, deadline, clock)),
    )


def text_rows(memory: bytes) -> tuple[str, ...]:
    """Return the rows of text in VGA's memory (a character and its colours in turn), without empty ones."""
    text = memory[: _COLUMNS * _ROWS * 2 : 2].decode("cp437").replace("\0", " ")
    rows = (text[at : at + _COLUMNS].strip() for at in range(0, len(text), _COLUMNS))
    return tuple(row for row in rows if row)


def read_cpus(samples: Iterable[str]) -> str:
    """Return what CPUs do by several answers to `info registers -a`; empty for those that it says less of."""
    seen = [_CPU.findall(sample) for sample in samples]
    if not seen or not seen[0]:
        return ""
    if all(halt == "1" for cpus in seen for _, halt in cpus):
        return "is halted and waits"
    for tracks in zip(*seen, strict=False):
        if {halt for _, halt in tracks} == {"0"} and len({at for at, _ in tracks}) == 1:
            return f"loops at {tracks[0][0]}"
    return "works"


def _picture_size(machine: Machine, deadline: Deadline) -> tuple[int, int] | None:
    path = machine.run_dir / _PICTURE
    with suppress(LabError, OSError):
        machine.screendump(path, deadline)
        with path.open("rb") as file:
            head = file.read(24)
        size = int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")
        if size in _TEXT_MODES:
            path.unlink()
        return size
    return None


def _text_rows(machine: Machine, deadline: Deadline) -> tuple[str, ...]:
    path = machine.run_dir / "screen.bin"
    with suppress(LabError, OSError):
        words = {"val": _TEXT_AT, "size": _COLUMNS * _ROWS * 2, "filename": str(path.resolve())}
        machine.query("pmemsave", words, deadline=deadline)
        rows = text_rows(path.read_bytes())
        path.unlink()
        return rows
    return ()


def _watch_cpus(machine: Machine, deadline: Deadline, clock: Clock) -> Iterator[str]:
    with suppress(LabError):
        for _ in range(_SAMPLES):
            words = {"command-line": "info registers -a"}
            yield str(machine.query("human-monitor-command", words, deadline=deadline))
            clock.sleep(_BETWEEN_S)
