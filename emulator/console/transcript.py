"""The evidence: all bytes both ways, with stamps and marks on one append-only timeline.

On disk a transcript is two files. `console.bin` has only the guest's bytes, `timeline.jsonl` one JSON object
per line: first `{"version": 1, "console": NAME}`, then `{"t", "out": [start, end]}`,
`{"t", "at", "in": base64}` (with `"secret": true` for a password that a step typed) and
`{"t", "at", "mark", "name", "detail"}`, last `{"t", "closed": REASON}`.
"""

from __future__ import annotations

import base64
import json
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import Any, Self

from emulator.clock import SYSTEM_CLOCK, Clock, Deadline
from emulator.console.marks import Chunk, Mark, MarkKind, Typed
from emulator.errors import LabError, SpecError, StateError
from emulator.files import make_missing, open_private

VERSION = 1
CONSOLE_FILE = "console.bin"
TIMELINE_FILE = "timeline.jsonl"


class DirectorySink:
    """Write a growing transcript into a directory; every call may raise OSError.

    It is unbuffered, so that what was appended survives `kill -9`.
    """

    def __init__(self, directory: Path, *, console: str) -> None:
        make_missing(directory)
        with ExitStack() as stack:
            self._console = stack.enter_context(open_private(directory / CONSOLE_FILE))
            self._timeline = stack.enter_context(open_private(directory / TIMELINE_FILE))
            self.record({"version": VERSION, "console": console})
            stack.pop_all()

    def output(self, data: bytes, chunk: Chunk) -> None:
        """Append what the guest wrote to `console.bin`, and its stamp to the timeline."""
        _write_all(self._console, data)
        self.record(_chunk_line(chunk))

    def past(self, data: bytes, lines: Iterable[Mapping[str, object]]) -> None:
        """Write an earlier transcript's bytes and timeline in one go, before anything else."""
        _write_all(self._console, data)
        _write_all(self._timeline, b"".join(_json_line(line) for line in lines))

    def record(self, line: Mapping[str, object]) -> None:
        """Append one JSON line to the timeline."""
        _write_all(self._timeline, _json_line(line))

    def close(self) -> None:
        """Close both files; calling it again does nothing."""
        self._console.close()
        self._timeline.close()


def _json_line(line: Mapping[str, object]) -> bytes:
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"


def _write_all(file: FileIO, data: bytes) -> None:
    """Write all of `data`: an unbuffered file writes less when the disk fills up."""
    written = 0
    while written < len(data):
        written += file.write(data[written:])


class Transcript:
    """Append-only record of one console; any thread may call anything.

    Attributes:
        name: the console's name ("ttyS0").
        clock: where stamps come from.
        epoch: `clock.monotonic()` of stamp 0.
        keep: how many of the latest bytes at least stay readable, None keeps all. Offsets do not change;
            `first` is where the readable part begins. The sink gets everything.
    """

    def __init__(
        self,
        name: str = "ttyS0",
        *,
        clock: Clock = SYSTEM_CLOCK,
        sink: DirectorySink | None = None,
        epoch: float | None = None,
        keep: int | None = None,
    ) -> None:
        self.name = name
        self.clock = clock
        self.epoch = clock.monotonic() if epoch is None else epoch
        self.keep = keep
        self._first = 0
        self._marks_forgotten = 0
        self._watchers: tuple[Callable[[], None], ...] = ()
        self._sink = sink
        self._changed = threading.Condition()
        self._data = bytearray()
        self._chunks: list[Chunk] = []
        self._typed: list[Typed] = []
        self._marks: list[Mark] = []
        self._secret_typists = 0
        self._version = 0
        self._closed: str | None = None
        self._truncated: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close("left")

    def append(self, data: bytes) -> None:
        """Add what the guest wrote; empty `data` adds nothing. A closed transcript raises LabError."""
        if not data:
            return
        with self._changed:
            self._require_open()
            start = len(self)
            self._data += data
            chunk = Chunk(at=self.now(), start=start, end=start + len(data))
            self._chunks.append(chunk)
            self._keep(lambda sink: sink.output(data, chunk))
            self._forget()
            self._notify()

    def append_typed(self, data: bytes) -> None:
        """Add what was sent to the guest; a closed transcript raises LabError."""
        with self._changed:
            self._require_open()
            typed = Typed(at=self.now(), offset=len(self), data=bytes(data), secret=self._secret_typists > 0)
            self._typed.append(typed)
            self._keep(lambda sink: sink.record(_typed_line(typed)))
            self._notify()

    @contextmanager
    def typing_secret(self, *, wanted: bool = True) -> Iterator[None]:
        """Note all that is sent within the block as secret, by whom ever; without `wanted` do nothing."""
        with self._changed:
            self._secret_typists += wanted
        try:
            yield
        finally:
            with self._changed:
                self._secret_typists -= wanted

    def mark(self, kind: MarkKind, name: str, detail: Mapping[str, object] | None = None) -> Mark:
        """Set a mark now and return it; after `close` it is not kept."""
        with self._changed:
            mark = Mark(kind=kind, name=name, at=self.now(), offset=len(self), detail=dict(detail or {}))
            if self._closed is None:
                self._marks.append(mark)
                self._keep(lambda sink: sink.record(mark_line(mark)))
                self._notify()
            return mark

    def continue_from(self, past: Transcript) -> None:
        """Begin with all of `past`, as if it had been written here until now.

        The epoch moves back by the time that `past` covers.

        Raises:
            StateError: something was added already.
        """
        with self._changed:
            self._require_open()
            if self._data or self._marks or self._typed:
                raise StateError(f"transcript of {self.name} has begun; it can't continue another")
            self._data += past.read()
            self._chunks, self._typed, self._marks = [*past.chunks], [*past.typed], [*past.marks]
            timeline = past.timeline()
            self.epoch = self.clock.monotonic() - (timeline[-1][0] if timeline else 0.0)
            self._keep(lambda sink: sink.past(bytes(self._data), (line for _, line in timeline)))
            self._notify()

    def keep_in(self, sink: DirectorySink, reason: str) -> None:
        """End the kept copy here, because of `reason`, and keep all so far and what follows in `sink`."""
        with self._changed:
            self._end_copy(reason)
            self._sink = sink
            past = [line for _, line in self.timeline()]
            self._keep(lambda one: one.past(bytes(self._data), past))

    def close(self, reason: str) -> None:
        """End the transcript and wake waiting threads; calling it again does nothing."""
        with self._changed:
            if self._closed is not None:
                return
            self._end_copy(reason)
            self._closed = reason
            self._notify()

    def __len__(self) -> int:
        return self._first + len(self._data)

    @property
    def first(self) -> int:
        """Offset of the oldest byte that can still be read; 0 unless `keep` is set."""
        return self._first

    @property
    def version(self) -> int:
        """A number that grows with every change."""
        return self._version

    @property
    def closed(self) -> str | None:
        """Why the transcript ended, or None while it grows."""
        return self._closed

    @property
    def truncated(self) -> str | None:
        """Why the files are incomplete (a full disk), or None; a truncated transcript proves nothing."""
        return self._truncated

    @property
    def marks(self) -> tuple[Mark, ...]:
        """All marks so far, in order."""
        with self._changed:
            return tuple(self._marks)

    @property
    def chunks(self) -> tuple[Chunk, ...]:
        """All stamps of guest output so far, in order; they tile `[first, len(self))`, or start before it."""
        with self._changed:
            return tuple(self._chunks)

    @property
    def typed(self) -> tuple[Typed, ...]:
        """All that was sent so far, in order."""
        with self._changed:
            return tuple(self._typed)

    def chunks_since(self, offset: int) -> tuple[Chunk, ...]:
        """Return the stamps of guest output from byte `offset` on; the first may start before it."""
        with self._changed:
            return tuple(self._chunks[bisect_right(self._chunks, offset, key=lambda chunk: chunk.end) :])

    def marks_since(self, index: int) -> tuple[Mark, ...]:
        """Return the marks from number `index` on, as far as they are kept."""
        with self._changed:
            return tuple(self._marks[max(0, index - self._marks_forgotten) :])

    def until(self, mark: Mark) -> Transcript:
        """Return a closed copy of all that came before `mark`."""
        past = Transcript(self.name, clock=self.clock, epoch=self.epoch)
        with self._changed:
            past._data += self._data[: mark.offset - self._first]
            past._chunks = [one for one in self._chunks if one.end <= mark.offset]
            past._typed = [one for one in self._typed if one.at <= mark.at]
            past._marks = self._marks[: self._marks.index(mark)]
        past.close("cut")
        return past

    def timeline(self) -> list[tuple[float, dict[str, object]]]:
        """Return all chunks, typed bytes and marks by time, as lines of a timeline file."""
        with self._changed:
            lines = [(chunk.at, _chunk_line(chunk)) for chunk in self._chunks]
            lines += [(typed.at, _typed_line(typed)) for typed in self._typed]
            lines += [(mark.at, mark_line(mark)) for mark in self._marks]
        return sorted(lines, key=lambda line: line[0])

    def read(self, start: int = 0, end: int | None = None) -> bytes:
        """Return the guest's bytes `[start, end)`, as far as they exist and are kept."""
        with self._changed:
            from_start = max(0, start - self._first)
            to = None if end is None else max(0, end - self._first)
            with memoryview(self._data) as data:  # one copy, not two
                return bytes(data[from_start:to])

    def arrival(self, offset: int) -> float:
        """Return when guest byte `offset` arrived, in seconds since the epoch; now if it has not."""
        with self._changed:
            index = bisect_right(self._chunks, offset, key=lambda chunk: chunk.start) - 1
            if index < 0 or offset >= self._chunks[index].end:
                return self.now()
            return self._chunks[index].at

    def now(self) -> float:
        """Return the present in seconds since the epoch, in whole microseconds as in the file.

        So a transcript equals itself when it is read back.
        """
        return round(self.clock.monotonic() - self.epoch, 6)

    def wait_change(self, version: int, deadline: Deadline) -> int:
        """Wait until `self.version` differs from `version`, or the deadline; return the version then.

        A closed transcript returns at once, since nothing will change any more.
        """
        with self._changed:
            while self._version == version and self._closed is None and (left := deadline.remaining()) > 0:
                self._changed.wait(left)
            return self._version

    def watch(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call `wake` after every change from now on, until the returned function is called.

        `wake` runs on the thread that made the change, under the transcript's lock: it must return at once
        and not use the transcript.
        """
        with self._changed:
            self._watchers = (*self._watchers, wake)

        def unwatch() -> None:
            with self._changed:
                self._watchers = tuple(one for one in self._watchers if one is not wake)

        return unwatch

    @classmethod
    def _restore(cls, name: str, data: bytes, kept: _Kept) -> Self:
        transcript = cls(name, epoch=0.0)
        transcript._data += data
        transcript._chunks, transcript._typed, transcript._marks = kept.chunks, kept.typed, kept.marks
        transcript._closed, transcript._truncated = kept.closed, kept.truncated
        return transcript

    def _notify(self) -> None:
        self._version += 1
        self._changed.notify_all()
        for wake in self._watchers:
            wake()

    def _forget(self) -> None:
        """Drop what is older than `keep` bytes, once for many appends."""
        if self.keep is None or len(self._data) <= 2 * self.keep:
            return
        surplus = len(self._data) - self.keep
        del self._data[:surplus]
        self._first += surplus
        del self._chunks[: bisect_right(self._chunks, self._first, key=lambda chunk: chunk.end)]
        del self._typed[: bisect_right(self._typed, self._first, key=lambda typed: typed.offset)]
        old_marks = bisect_right(self._marks, self._first, key=lambda mark: mark.offset)
        del self._marks[:old_marks]
        self._marks_forgotten += old_marks

    def _end_copy(self, reason: str) -> None:
        self._keep(lambda sink: sink.record({"t": self.now(), "closed": reason}))
        self._keep(lambda sink: sink.close())

    def _require_open(self) -> None:
        if self._closed is not None:
            raise LabError(f"transcript of {self.name} is closed ({self._closed}); nothing can be added")

    def _keep(self, write: Callable[[DirectorySink], None]) -> None:
        """Write to the sink; one that fails is given up, which a mark says."""
        if self._sink is None:
            return
        try:
            write(self._sink)
        except OSError as error:
            with suppress(OSError):
                self._sink.close()
            self._sink = None
            self._truncated = f"kept copy of {self.name} ends at byte {len(self)}: {error.strerror}"
            self.mark(MarkKind.LAB, "truncated", {"reason": self._truncated})


def _chunk_line(chunk: Chunk) -> dict[str, object]:
    return {"t": chunk.at, "out": [chunk.start, chunk.end]}


def _typed_line(typed: Typed) -> dict[str, object]:
    data = base64.b64encode(typed.data).decode()
    return {"t": typed.at, "at": typed.offset, "in": data} | ({"secret": True} if typed.secret else {})


def mark_line(mark: Mark) -> dict[str, object]:
    """Return a mark as a line of the timeline."""
    place = {"t": mark.at, "at": mark.offset}
    return {**place, "mark": mark.kind.value, "name": mark.name, "detail": dict(mark.detail)}


@dataclass(slots=True)
class _Kept:
    """What a timeline file says; `truncated` until its last line was read."""

    chunks: list[Chunk] = field(default_factory=list)
    typed: list[Typed] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    closed: str = "cut off"
    truncated: str | None = "the timeline has no end"

    def apply(self, line: dict[str, Any]) -> None:
        at = float(line["t"])
        if "out" in line:
            start, end = line["out"]
            self.chunks.append(Chunk(at=at, start=start, end=end))
        elif "in" in line:
            data, secret = base64.b64decode(line["in"]), line.get("secret", False)
            self.typed.append(Typed(at=at, offset=line["at"], data=data, secret=secret))
        elif "mark" in line:
            kind = MarkKind(line["mark"])
            mark = Mark(kind=kind, name=line["name"], at=at, offset=line["at"], detail=line["detail"])
            self.marks.append(mark)
        else:
            self.closed, self.truncated = line["closed"], None


def load_transcript(directory: Path) -> Transcript:
    """Read a transcript back, `truncated` if its files disagree; raises SpecError if there is none."""
    try:
        data = (directory / CONSOLE_FILE).read_bytes()
        lines = (directory / TIMELINE_FILE).read_bytes().splitlines()
        head = json.loads(lines[0]) if lines else {}
    except (OSError, ValueError, RecursionError) as error:
        raise SpecError(f"{directory}: no transcript here: {error}") from error
    if not isinstance(head, dict) or head.get("version") != VERSION:
        raise SpecError(f"{directory / TIMELINE_FILE}: the first line is {head!r}, need version {VERSION}")
    return Transcript._restore(str(head.get("console")), data, _read_timeline(lines[1:], len(data)))  # noqa: SLF001


def _read_timeline(lines: list[bytes], size: int) -> _Kept:
    kept = _Kept()
    for line in lines:
        try:
            kept.apply(json.loads(line))
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            kept.truncated = "a line of the timeline is cut"
            return kept
    stamped = 0
    for chunk in kept.chunks:
        if chunk.start != stamped or chunk.end <= chunk.start:
            kept.truncated = f"stamps do not tile: [{chunk.start}, {chunk.end}) follows {stamped}"
        stamped = chunk.end
    if stamped != size:
        kept.truncated = f"{size} bytes kept, {stamped} stamped"
    return kept
