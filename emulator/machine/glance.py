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
_CPU = re.compile(r"[ER]IP=([0-9a-f]+) [ER]FL=([0-9a-f]+).*?HLT=([01])", re.DOTALL)
_TAKES_INTERRUPTS = 0x200  # the flag IF (Intel SDM 1, 3.4.3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """What a machine was seen to do.

    Attributes:
        rows: the text on its screen, without empty rows; empty in graphics.
        graphics: width and height of its picture, if it is no text; None if it is, or there is no screen.
        cpu: what its CPUs did, in words; empty where QEMU does not tell.
        is_stuck: whether none of them went on, nor takes an interrupt that could change it.
    """

    rows: tuple[str, ...] = ()
    graphics: tuple[int, int] | None = None
    cpu: str = ""
    is_stuck: bool = False


def glance(machine: Machine, deadline: Deadline, clock: Clock) -> Glance:
    """Look at a running machine: screen and CPUs; what can't be seen is left out, and nothing is raised.

    A picture in graphics is kept beside the transcript as screen.png.
    """
    size = _picture_size(machine, deadline)
    is_text = size in _TEXT_MODES
    cpu, is_stuck = read_cpus(_watch_cpus(machine, deadline, clock))
    return Glance(
        rows=_text_rows(machine, deadline) if is_text else (),
        graphics=None if is_text else size,
        cpu=cpu,
        is_stuck=is_stuck,
    )


def text_rows(memory: bytes) -> tuple[str, ...]:
    """Return the rows of text in VGA's memory (a character and its colours in turn), without empty ones."""
    text = memory[: _COLUMNS * _ROWS * 2 : 2].decode("cp437").replace("\0", " ")
    rows = (text[at : at + _COLUMNS].strip() for at in range(0, len(text), _COLUMNS))
    return tuple(row for row in rows if row)


def read_cpus(samples: Iterable[str]) -> tuple[str, bool]:
    """Return what CPUs do by several answers to `info registers -a`, and whether no interrupt changes that.

    Empty and False for those of which QEMU says less.
    """
    seen = [_CPU.findall(sample) for sample in samples]
    if not seen or not seen[0]:
        return "", False
    deaf = not any(int(flags, 16) & _TAKES_INTERRUPTS for cpus in seen for _, flags, _ in cpus)
    tracks = list(zip(*seen, strict=False))
    halted = [all(halt == "1" for *_, halt in track) for track in tracks]
    loops = [
        not ends and len({(at, halt) for at, _, halt in track}) == 1
        for track, ends in zip(tracks, halted, strict=True)
    ]
    stuck = deaf and all(ends or stays for ends, stays in zip(halted, loops, strict=True))
    off = " with interrupts off, and nothing changes that" if stuck else ""
    if all(halted):
        return f"is halted{off}" if stuck else "is halted and waits", stuck
    looping = (track[0][0] for track, stays in zip(tracks, loops, strict=True) if stays)
    return next((f"loops at {at}{off}" for at in looping), "works"), stuck


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
