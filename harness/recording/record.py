"""Recordings on the user's disk: record a console into a directory, read one, write its sanitised copy."""

from __future__ import annotations

import base64
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from emulator.clock import Deadline
from emulator.console.marks import Chunk
from emulator.console.transcript import (
    CONSOLE_FILE,
    TIMELINE_FILE,
    DirectorySink,
    Transcript,
    load_transcript,
    mark_line,
)
from emulator.errors import LabError, SpecError
from emulator.machine.ledger import Entry
from emulator.machine.spec import MachineSpec
from emulator.sac.knobs import PROFILES
from emulator.sac.profile import load_profile
from harness.recording.sanitise import Recording, Sanitised, sanitise
from harness.snapshots.lab import Lab
from harness.targets.serial_port import loss_of, open_port
from harness.terminal.interactive import gone, links_in, links_of
from harness.terminal.terminal import LinkSockets, Terminal, greet

RAW, SANITISED = "raw", "sanitised"
"""Directories inside a recording's: the user's own, and the one for others."""
QUIET_S = 2.0
"""After the end of a piped input: how long the guest may be silent before the recording ends."""
_ENDS = frozenset({"off", "gone"})
_SHORTEST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordOptions:
    """How to record.

    Attributes:
        stay_s: leave after so many seconds; None leaves when the user, the input or the guest ends.
        writable: whether typed keys reach the guest.
    """

    stay_s: float | None = None
    writable: bool = True

    def attach(self, links: LinkSockets, ended: Callable[[], bool]) -> None:
        """Let the user, or a program at standard input, use the console until the recording ends."""
        stay = None if self.stay_s is None else Deadline.after(self.stay_s)
        quiet_s = QUIET_S if stay is None else None
        Terminal(links=links, writable=self.writable, ended=ended, stay=stay, quiet_s=quiet_s).run()


@contextmanager
def private_files() -> Iterator[None]:
    """Make all files of the block private to the user: files 0600, directories 0700."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def record_image(spec: MachineSpec, lab: Lab, *, label: str, options: RecordOptions) -> LabError | None:
    """Boot `spec` and record its console into the lab's run directory until the user or the guest ends.

    Returns what cut the recording short: QEMU that ended unasked.

    Raises:
        SpecError: the directory is not empty.
        MissingPrerequisite, LabError: the machine can't be started.
    """
    with open_private_directory(lab.run_dir), lab.open(spec, label=label) as machine:
        greet(f"recording {label} under {lab.choice(spec).accelerator}", writable=options.writable)
        options.attach(
            links_in(machine.links_dir), lambda: any(one.name in _ENDS for one in machine.transcript.marks)
        )
        return gone(machine, label)


def record_port(url: str, *, baudrate: int, directory: Path, options: RecordOptions) -> LabError | None:
    """Record a serial port into `directory` until the user ends or the port is gone.

    Returns what cut the recording short: the far end that left. Raises SpecError if there is no such port, or
    the directory is not empty; LabError if the pump failed.
    """
    with ExitStack() as stack:
        stack.enter_context(open_private_directory(directory))
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ttylab-port-")))
        sink = DirectorySink(directory, console=url)
        stack.callback(sink.close)
        target = stack.enter_context(open_port(url, baudrate=baudrate, sink=sink, links_dir=scratch))
        greet(f"recording {url} at {baudrate} baud", writable=options.writable)
        options.attach(links_in(scratch), target.ended)
        return loss_of(target)


def record_machine(entry: Entry, *, directory: Path, options: RecordOptions) -> None:
    """Record a running machine of ttylab from its first byte: its own stamps, its marks, all that is typed.

    Raises:
        SpecError: the directory is not empty, or the machine keeps no timeline.
        ConsoleClosed: the machine has ended.
    """
    with open_private_directory(directory), _open_follower(Path(entry.run_dir), directory) as follower:
        greet(f"recording {entry.label} ({entry.id})", writable=options.writable)
        options.attach(links_of(entry), follower.follow)
        follower.follow()


class _Follower:
    """Copies a growing transcript line by line, also after its files were removed."""

    def __init__(self, console: int, timeline: int, sink: DirectorySink) -> None:
        self._console = console
        self._timeline = timeline
        self._sink = sink
        self._held = b""
        self._at = 0.0
        self._is_closed = False

    def follow(self) -> bool:
        """Copy what is new; return whether the machine has ended."""
        while data := os.read(self._timeline, 65536):
            *lines, self._held = (self._held + data).split(b"\n")
            for line in lines:
                self._take(json.loads(line))
        return self._is_closed

    def end(self) -> None:
        """Write the last line, unless the machine has."""
        if not self._is_closed:
            self._sink.record({"t": self._at, "closed": "the recording ended"})
        self._sink.close()

    def _take(self, line: dict[str, Any]) -> None:
        if "version" in line:
            return
        self._at = float(line["t"])
        self._is_closed = "closed" in line
        if "out" not in line:
            self._sink.record(line)
            return
        start, end = line["out"]
        data = os.pread(self._console, end - start, start)  # written before its stamp
        self._sink.output(data, Chunk(at=self._at, start=start, end=end))


@contextmanager
def _open_follower(source: Path, directory: Path) -> Iterator[_Follower]:
    with ExitStack() as stack:
        opened = []
        for name in (CONSOLE_FILE, TIMELINE_FILE):
            try:
                opened.append(os.open(source / name, os.O_RDONLY | os.O_CLOEXEC))
            except OSError as error:
                raise SpecError(
                    f"{source / name}: can't be read ({error.strerror}): this machine keeps no timeline;"
                    " record its pty (`ttylab attach --list`) by --port instead"
                ) from error
            stack.callback(os.close, opened[-1])
        follower = _Follower(opened[0], opened[1], DirectorySink(directory, console="ttyS0"))
        stack.callback(follower.end)
        yield follower


# -- directories -----------------------------------------------------------------------------------


def _make_directory(directory: Path) -> None:
    """Make a new directory that only its owner may enter.

    Raises:
        SpecError: it exists and is not empty, or it can't be made.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise SpecError(f"{directory} is not empty; a recording needs a directory of its own")
        directory.chmod(0o700)
    except OSError as error:
        raise SpecError(f"{directory}: can't be made: {error.strerror}") from error


@contextmanager
def open_private_directory(directory: Path) -> Iterator[None]:
    """Make a directory to record into; nothing of it is left after a failure before the first byte.

    Raises:
        SpecError: it exists and is not empty, or it can't be made.
    """
    made = [one for one in (directory, directory.parent) if not one.exists()]
    _make_directory(directory)
    try:
        yield
    except BaseException:
        console = directory / CONSOLE_FILE
        if not console.exists() or not console.stat().st_size:
            for name in (CONSOLE_FILE, TIMELINE_FILE):
                (directory / name).unlink(missing_ok=True)
            with suppress(OSError):  # QEMU's own messages are there, and say why
                for one in made:
                    one.rmdir()
        raise


def read_recording(directory: Path) -> tuple[Recording, Transcript]:
    """Return what a directory holds, and the transcript that it was read from.

    Raises:
        SpecError: it holds no transcript, or one whose bytes and stamps do not agree.
    """
    transcript = load_transcript(directory)
    chunks = transcript.chunks
    ends = (0, *(chunk.end for chunk in chunks))
    starts = (*(chunk.start for chunk in chunks), len(transcript))
    if ends != starts:
        raise SpecError(f"{directory}: {transcript.truncated}")
    recording = Recording(
        output=transcript.read(), chunks=chunks, typed=transcript.typed, marks=transcript.marks
    )
    return recording, transcript


def write_recording(directory: Path, recording: Recording, *, console: str, closed: str) -> None:
    """Write a recording into a new directory, in the form of a transcript.

    Raises SpecError if the directory is not empty, or can't be made; OSError if the disk is full.
    """
    _make_directory(directory)
    lines: list[tuple[float, Chunk | Mapping[str, object]]] = [
        *((one.at, one) for one in recording.chunks),
        *(
            (one.at, {"t": one.at, "at": one.offset, "in": base64.b64encode(one.data).decode()})
            for one in recording.typed
        ),
        *((one.at, mark_line(one)) for one in recording.marks),
    ]
    lines.sort(key=lambda one: one[0])  # stable: at one moment output comes first, and marks last
    with closing(DirectorySink(directory, console=console)) as sink:
        for _, line in lines:
            if isinstance(line, Chunk):
                sink.output(recording.output[line.start : line.end], line)
            else:
                sink.record(line)
        sink.record({"t": lines[-1][0] if lines else 0.0, "closed": closed})


def sanitise_directory(directory: Path, *, words: Iterable[str] = ()) -> tuple[Path, Sanitised]:
    """Write the sanitised copy of what `directory` holds, in place of an earlier one; return where it is.

    `directory` is a recording's, or any with a transcript (a cell's), whose copy is written beside it. The
    `words` are hidden too.

    Raises:
        SpecError: there is no recording, or it is not whole.
        LabError: a secret would survive; there is no copy then.
        OSError: the copy can't be written.
    """
    has_both = (directory / RAW).is_dir()
    source = directory / RAW if has_both else directory
    place = directory / SANITISED if has_both else directory.with_name(f"{directory.name}-{SANITISED}")
    recording, transcript = read_recording(source)
    for name in (CONSOLE_FILE, TIMELINE_FILE):
        (place / name).unlink(missing_ok=True)
    made = sanitise(recording, words=words, ordinary=ordinary_words())
    name = "console" if "/" in transcript.name else transcript.name  # a URL names hosts
    write_recording(place, made.recording, console=name, closed="the recording ended")
    return place, made


@cache
def ordinary_words() -> frozenset[str]:
    """Return the words of which Windows' own texts are made, in lower case."""
    texts = (text.text for name in PROFILES for text in load_profile(name).texts.values())
    found = (word for text in texts for word in re.findall(r"[A-Za-z]+", text))
    return frozenset(word.lower() for word in found if len(word) >= _SHORTEST)
