"""Record a console into a directory, with a person or a program at it."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from emulator.clock import SYSTEM_CLOCK, Clock, Deadline
from emulator.console.marks import Chunk
from emulator.console.transcript import CONSOLE_FILE, TIMELINE_FILE, DirectorySink
from emulator.errors import SpecError
from emulator.machine.ledger import Entry
from emulator.machine.machine import open_machine
from emulator.machine.spec import MachineSpec
from harness.recording.kept import open_private_directory
from harness.run.lab import Lab
from harness.targets.serial_port import open_port
from harness.terminal.interactive import links_in, links_of
from harness.terminal.terminal import Terminal, greet

QUIET_S = 2.0
"""After the end of a piped input: how long the guest may be silent before the recording ends."""
_ENDS = frozenset({"off", "gone"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordOptions:
    """How to record.

    Attributes:
        stay_s: leave after so many seconds; None leaves when the user, the input or the guest ends.
        writable: whether what is typed reaches the guest.
    """

    stay_s: float | None = None
    writable: bool = True
    clock: Clock = SYSTEM_CLOCK

    def apply(self, terminal: Terminal) -> Terminal:
        """Return `terminal` with these options."""
        if self.stay_s is None:
            return replace(terminal, quiet_s=QUIET_S)
        return replace(terminal, stay=Deadline.after(self.stay_s, self.clock))


@contextmanager
def private_files() -> Iterator[None]:
    """Let what is made in the block be the user's alone: files 0600, directories 0700."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def record_image(spec: MachineSpec, lab: Lab, *, label: str, options: RecordOptions) -> None:
    """Boot `spec`, record its console into the lab's run directory until the user or the guest ends.

    Raises:
        SpecError: the directory is not empty.
        MissingPrerequisite, LabError: the machine can't be started.
    """
    choice = lab.choice(spec.machine)
    opened = open_machine(spec, run_dir=lab.run_dir, qemu=lab.qemu, accelerator=choice, label=label)
    with open_private_directory(lab.run_dir), opened as machine:
        greet(f"recording {label} under {choice.accelerator}", writable=options.writable)
        terminal = Terminal(
            links=links_in(machine.links_dir),
            writable=options.writable,
            ended=lambda: any(mark.name in _ENDS for mark in machine.transcript.marks),
        )
        options.apply(terminal).run()


def record_port(url: str, *, baudrate: int, directory: Path, options: RecordOptions) -> None:
    """Record a serial port into `directory` until the user ends, or the port is gone.

    Raises:
        SpecError: there is no such port, or the directory is not empty.
        LabError: the pump failed.
    """
    with ExitStack() as stack:
        stack.enter_context(open_private_directory(directory))
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ttylab-port-")))
        sink = DirectorySink(directory, console=url)
        stack.callback(sink.close)
        target = stack.enter_context(open_port(url, baudrate=baudrate, sink=sink, links_dir=scratch))
        greet(f"recording {url} at {baudrate} baud", writable=options.writable)
        terminal = Terminal(links=links_in(scratch), writable=options.writable, ended=target.ended)
        options.apply(terminal).run()


def record_machine(entry: Entry, *, directory: Path, options: RecordOptions) -> None:
    """Record a running machine of ttylab from its first byte: its own stamps, its marks, all that is typed.

    Raises:
        SpecError: the directory is not empty, or the machine keeps no timeline.
        ConsoleClosed: the machine has ended.
    """
    with (
        open_private_directory(directory),
        _open_follower(Path(entry.run_dir), directory) as follower,
    ):
        greet(f"recording {entry.label} ({entry.id})", writable=options.writable)
        terminal = Terminal(links=links_of(entry), writable=options.writable, ended=follower.follow)
        options.apply(terminal).run()
        follower.follow()


class _Follower:
    """Copies a growing transcript, line by line; it outlives the files it reads."""

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
        """Write the last line, if the machine has not."""
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
