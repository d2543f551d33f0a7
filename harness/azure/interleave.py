"""Puts the marks of a console's timeline between the bytes of an Azure link; pure.

Azure's link carries text: bytes that are not UTF-8 arrive as U+FFFD, and the service's own notices arrive in
frames in between. ttylab's timeline carries the original bytes, with marks. The link's output is passed on as
far as the timeline confirms it, so each mark is exactly where it was set.
"""

from __future__ import annotations

import base64
import codecs
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from emulator.console.marks import MarkKind
from emulator.errors import SpecError

_SHOWN = frozenset({MarkKind.MACHINE, MarkKind.QMP})
"""Marks about the machine; the others are the service's own bookkeeping."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineMark:
    """A mark of the timeline."""

    kind: MarkKind
    name: str
    detail: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A frame of the link that the guest did not write: a notice of the service."""

    text: bytes


LinkPart: TypeAlias = bytes | TimelineMark | Notice


class Interleaver:
    """Joins one link and one timeline, which both begin with the guest's first byte."""

    def __init__(self) -> None:
        self._frames: deque[bytes] = deque()
        self._expected: deque[bytearray | TimelineMark] = deque()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def take_frame(self, data: bytes) -> Iterator[LinkPart]:
        """Take the content of one frame of the link; yield what is certain now."""
        self._frames.append(data)
        return self._drain()

    def take_line(self, line: Mapping[str, Any]) -> Iterator[LinkPart]:
        """Take one line of the timeline; yield what is certain now.

        Raises:
            SpecError: it is not a line of a timeline.
        """
        try:
            if "out" in line:
                self._expect(self._decoder.decode(base64.b64decode(line["data"])).encode())
            elif "mark" in line and MarkKind(line["mark"]) in _SHOWN:
                kind, name, detail = MarkKind(line["mark"]), str(line["name"]), dict(line["detail"])
                self._expected.append(TimelineMark(kind=kind, name=name, detail=detail))
        except (KeyError, TypeError, ValueError) as error:
            raise SpecError(f"the service sent an invalid timeline line: {error!r}") from error
        return self._drain()

    @property
    def waiting(self) -> int:
        """Bytes of the link that are not confirmed yet."""
        return sum(len(frame) for frame in self._frames)

    def _expect(self, text: bytes) -> None:
        if self._expected and isinstance(self._expected[-1], bytearray):
            self._expected[-1] += text
        elif text:
            self._expected.append(bytearray(text))

    def _drain(self) -> Iterator[LinkPart]:
        while self._expected:
            head = self._expected[0]
            if isinstance(head, TimelineMark):
                self._expected.popleft()
                yield head
            elif not self._frames or (piece := self._match()) is None:
                return
            else:
                yield from piece

    def _match(self) -> list[LinkPart] | None:
        """Return what the first frame is, or None while that is undecided."""
        frame, pieces, rest = self._frames[0], list[LinkPart](), 0
        for item in self._expected:
            if isinstance(item, TimelineMark):
                continue
            part = frame[rest : rest + len(item)]
            if bytes(item[: len(part)]) != part:
                self._frames.popleft()
                return [Notice(text=frame)]
            rest += len(part)
            if rest == len(frame):
                break
        if rest < len(frame):
            return None
        self._frames.popleft()
        self._consume(frame, pieces)
        return pieces

    def _consume(self, frame: bytes, pieces: list[LinkPart]) -> None:
        while frame:
            item = self._expected[0]
            if isinstance(item, TimelineMark):
                pieces.append(item)
                self._expected.popleft()
                continue
            part, frame = frame[: len(item)], frame[len(item) :]
            pieces.append(part)
            del item[: len(part)]
            if not item:
                self._expected.popleft()
