"""pexpect over a transcript: the guest's death ends any wait, and a match is a value with byte spans."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from pexpect.spawnbase import SpawnBase

from emulator.clock import Clock, Deadline
from emulator.console.channel import Channel
from emulator.console.marks import Mark
from emulator.console.transcript import Transcript
from emulator.errors import ConsoleClosed, LabError, MachineGone, StateError
from emulator.guest_text.escapes import SEQUENCE
from emulator.guest_text.printable import escape
from emulator.guest_text.records import RECORD_LIKE, UserView, held_tail
from harness.play.alarms import GONE, OF_THE_LAB, OFF, RESET, SHUTDOWN, Listener, is_signal
from harness.play.views import PlainView
from harness.scenario.errors import Alarm, ExpectTimeout, GuestDied, GuestLeft
from harness.scenario.steps import View

T = TypeVar("T")
_LINE_MOST = 200


def show_tail(transcript: Transcript, lines: int) -> str:
    """Return the last `lines` lines that are not empty, escaped, each cut to 200 bytes."""
    data = transcript.read(max(0, len(transcript) - (_LINE_MOST + 80) * lines))
    kept = [line.strip(b"\r") for line in data.split(b"\n")]
    return "\n".join(escape(line[:_LINE_MOST]) for line in [line for line in kept if line][-lines:])


MAXREAD = 65536
SEARCH_WINDOW = 2 * MAXREAD
"""Less than twice MAXREAD silently loses matches (docs/facts/parts.md 2)."""
FIFO_BYTES = 16
"""What a 16550 holds: if more than that is unechoed, some may be lost."""
ECHO_S = 5.0
"""Seconds that an echo may take; it usually takes milliseconds."""
ANSWERS_S = 2.0
"""Seconds for which a guest that has written something counts as still answering."""
PULSE_S = 3.0
"""Seconds of silence in a wait after which, and then as often, it is asked whether the guest is gone."""

_BETWEEN_ECHOES = rb"(?:[\r\n\x08]| [\r\x08]|" + SEQUENCE + rb")*"
"""What a line editor may put between two echoed bytes where the line wraps (readline: space and CR)."""
_SOME_ECHO = rb"[^\r\n]{0,40}?"
"""How a guest may echo what is not plain ASCII."""


if TYPE_CHECKING:
    _BytesSpawn = SpawnBase[bytes]
else:  # generic in its stubs only
    _BytesSpawn = SpawnBase


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """What an expectation found.

    Attributes:
        index: number of the pattern that matched.
        data: the matched bytes, in the view that was searched.
        before: the bytes between the session's place and the match, in that view.
        groups: the pattern's groups.
        start: raw offset of the first matched byte in the transcript.
        end: one past the last.
    """

    index: int
    data: bytes
    before: bytes
    groups: tuple[bytes | None, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When a transcript is looked at.

    Attributes:
        late: whether the deadline had come by then.
        closed: why the transcript had ended by then; None if it had not.
    """

    late: bool
    closed: str | None


def watch_changes(
    transcript: Transcript, deadline: Deadline, *, every_s: float = math.inf
) -> Iterator[Moment]:
    """Yield at once, after every change of `transcript`, and every `every_s`: the loop in every wait on it.

    The last moment is the first that is late or finds the transcript closed. Each is taken before the
    caller looks, so what came in time is always seen.
    """
    while True:
        version = transcript.version
        moment = Moment(late=deadline.expired(), closed=transcript.closed)
        yield moment
        if moment.late or moment.closed is not None:
            return
        transcript.wait_change(version, deadline.sooner(every_s))


class Session:
    """One dialogue with a console, for the thread that owns it.

    Attributes:
        channel: the console.
        listener: raises alarms.
        position: raw offset up to which output has been consumed.
        allowed: names of the alarms that do not end a wait now.
        told: the alarms that have ended a wait.
        is_gone: tells whether a guest that is silent can't go on, which ends a wait; None does not ask.
    """

    def __init__(self, channel: Channel, *, start: int = 0) -> None:
        self.channel = channel
        self.listener = Listener(channel.transcript, start=start)
        self.position = start
        self.allowed: frozenset[str] = frozenset()
        self.told: set[Alarm] = set()
        self.is_gone: Callable[[], bool] | None = None

    @property
    def transcript(self) -> Transcript:
        """The console's transcript."""
        return self.channel.transcript

    @contextmanager
    def expecting(self, *names: str) -> Iterator[None]:
        """Allow alarms by name within the block: rule ids of signatures, or `harness.play.alarms.NAMES`."""
        before = self.allowed
        self.allowed = before | frozenset(names)
        try:
            yield
        finally:
            self.listener.update()
            self.listener.first_unexpected(self.allowed)  # what is allowed here stays allowed
            self.allowed = before

    def skip(self) -> None:
        """Consume all output so far without looking for anything in it."""
        self.position = len(self.transcript)

    def check(self) -> None:
        """Look at what has come so far; raises GuestDied, GuestLeft or MachineGone at an alarm."""
        self.listener.update()
        self.raise_alarm("checking")

    def expect(
        self,
        patterns: bytes | re.Pattern[bytes] | Sequence[bytes | re.Pattern[bytes]],
        deadline: Deadline,
        *,
        view: View = View.RAW,
    ) -> Match:
        """Wait for the first of `patterns` after the session's place, and consume up to its end.

        A pattern should end in something that the guest is certain to send: `[0-9]+` at the end matches
        whatever the chunking gives (docs/facts/parts.md 2).

        Raises:
            ExpectTimeout: none came before the deadline; nothing is consumed.
            GuestDied: an alarm came first (GuestLeft for a reset or power-off); nothing is consumed.
                Output before the alarm still matches, output after it never does.
            MachineGone: the machine ended unasked.
            ConsoleClosed: the transcript ended.
        """
        wanted = _compiled(patterns)
        awaited = " or ".join(repr(one.pattern)[1:] for one in wanted)
        return self._expect(wanted, deadline, view=view, awaited=awaited)

    def wait_mark(self, names: frozenset[str], deadline: Deadline, *, since: int) -> Mark:
        """Wait for a QMP or machine mark with one of `names`, from number `since` on; raises as `expect`.

        The alarm that this mark itself may raise does not end this wait; unless it is allowed, it ends the
        next one.
        """

        def look(_: Moment) -> Mark | None:
            mark = next((m for m in self.transcript.marks_since(since) if is_signal(m, names)), None)
            alarm = self.listener.first_unexpected(self.allowed)
            return None if mark is not None and alarm is not None and alarm.start < mark.offset else mark

        awaited = " or ".join(sorted(names))
        missed = self.missing(awaited, deadline.clock)
        return self.wait(look, deadline, doing=f"awaiting {awaited}", missed=missed)

    def send(self, data: bytes, deadline: Deadline, *, echo: bool = True) -> None:
        """Type `data`, no faster than a UART takes it; raises as `expect`.

        With `echo` each run of FIFO_BYTES waits for its echo, for ECHO_S, which is consumed; without it, all
        bytes are sent at once (passwords, full-screen programs, a flooded console).
        """
        if not echo:
            self.check()
            self.channel.write(data, deadline)
            return
        # What looks like a kernel record is no user text when it is echoed.
        view = View.RAW if RECORD_LIKE.search(data) else View.USER
        for run in _runs(data):
            self.channel.write(run, deadline)
            pattern = _echo_of(run)
            if pattern is not None:
                soon, awaited = deadline.sooner(ECHO_S), f"the echo of '{escape(run)}'"
                self._expect([re.compile(pattern)], soon, view=view, awaited=awaited)

    def send_line(self, line: bytes, deadline: Deadline, *, echo: bool = True) -> None:
        """Type `line` and Enter; raises as `send`."""
        self.send(line + b"\r", deadline, echo=echo)

    def wait_quiet(self, seconds: float, deadline: Deadline, *, armed: bool = True) -> bool:
        """Wait until the guest has written nothing for `seconds`; False if the deadline comes first.

        Unless it is not `armed` it raises as `check`, and ConsoleClosed: nothing is known of a guest then.
        """

        def is_quiet_now(moment: Moment) -> bool:
            if armed:
                self.listener.update()
                self.raise_alarm("awaiting silence")
            if armed and moment.closed is not None:
                raise self.missing("silence", deadline.clock)(moment.closed)
            return len(self.transcript) == size

        while True:
            size, pause = len(self.transcript), Deadline.after(seconds, deadline.clock)
            moments = watch_changes(self.transcript, deadline.sooner(seconds))
            is_quiet = all(map(is_quiet_now, moments))
            if is_quiet and (pause.expired() or self.transcript.closed is not None):
                return True
            if deadline.expired():
                return False

    def wait(
        self,
        look: Callable[[Moment], T | None],
        deadline: Deadline,
        *,
        doing: str,
        missed: Callable[[str | None], Exception],
    ) -> T:
        """Wait until `look` finds something, and return that; alarms can end such a wait.

        Args:
            look: called once the listener knows everything new; returns None to go on waiting.
            deadline: when to give up.
            doing: what is being done, for the message of an alarm.
            missed: makes the error if nothing was found, from why the console ended; None at the deadline.

        Raises:
            GuestDied: an alarm that is not allowed came first (GuestLeft for a reset or power-off).
            MachineGone: the machine ended unasked.
        """
        since, every_s = self.transcript.now(), math.inf if self.is_gone is None else PULSE_S
        for moment in watch_changes(self.transcript, deadline, every_s=every_s):
            self.listener.update()
            found = look(moment)
            if found is not None:
                return found
            self.raise_alarm(doing)
            if self.is_gone is not None and self._silent_s(since) >= PULSE_S and self.is_gone():
                break
        raise missed(moment.closed)

    def _silent_s(self, since: float) -> float:
        last = self.transcript.chunks_since(len(self.transcript))
        return self.transcript.now() - max([since, *(chunk.at for chunk in last)])

    def missing(self, awaited: str, clock: Clock) -> Callable[[str | None], Exception]:
        """Return the `missed` of a `wait` for `awaited` that begins now, measured with `clock`."""
        began, since = clock.monotonic(), self.transcript.now()

        def missed(closed: str | None) -> Exception:
            if closed is not None:
                return ConsoleClosed(f"{self._where()}: awaited {awaited}, but the console ended: {closed}")
            seconds = clock.monotonic() - began
            return self.late(f"awaited {awaited}, which did not come in {seconds:.1f} s", since)

        return missed

    def late(self, says: str, since: float, *, note: str = "") -> ExpectTimeout:
        """Return the error about a time that is over, with what came last.

        It says so if the guest still answers: its last output came no more than ANSWERS_S ago, and after
        `since`, when the wait began, in seconds from the transcript's epoch.
        """
        last = self.transcript.chunks[-1].at if self.transcript.chunks else since
        ago = self.transcript.now() - last
        answers = last > since and ago <= ANSWERS_S
        says += f"; last came {show_tail(self.transcript, 1)!r}"
        if answers:
            says += f", {ago:.1f} s ago: the time was over while the guest still answers"
        error = ExpectTimeout(f"{self._where()}: {says}", answers=answers)
        error.add_note(note or show_tail(self.transcript, 15))
        return error

    def _expect(
        self, wanted: list[re.Pattern[bytes]], deadline: Deadline, *, view: View, awaited: str
    ) -> Match:
        spawn = _CursorSpawn(self, deadline, view=view, awaited=awaited)
        match = spawn.to_match(spawn.expect([*wanted], timeout=None))  # the spawn keeps the deadline
        self.position = match.end
        return match

    # -- for the spawn below -------------------------------------------------------------------

    def readable(self, start: int, view: View) -> int:
        """Return the offset (in `view`) up to which bytes may be read now: an alarm's start, or the end."""
        alarm = self.listener.first_unexpected(self.allowed)
        seen = self.seen(view)
        if seen is None:
            return self.listener.heard if alarm is None else max(start, alarm.start)
        return len(seen) if alarm is None else max(start, seen.user_offset(alarm.start))

    def seen(self, view: View) -> UserView | PlainView | None:
        """Return the view that maps its offsets to raw ones; None for the raw bytes themselves."""
        if view is View.RAW:
            return None
        return self.listener.view if view is View.USER else self.listener.plain

    def raise_alarm(self, doing: str) -> None:
        """Raise if there is an alarm that is not allowed; like `check`, but without looking again."""
        alarm = self.listener.first_unexpected(self.allowed)
        if alarm is not None:
            self.told.add(alarm)
            raise _death(alarm, f"{self._where()}, {doing}: {alarm.title}", self.transcript)

    def _where(self) -> str:
        return f"{self.transcript.name} at byte {len(self.transcript)}, {self.transcript.now():.1f} s"


class _CursorSpawn(_BytesSpawn):
    """pexpect's view of a session: it reads from the session's place up to the first alarm.

    pexpect's own timeout is not used: it runs on another clock, and gives up with bytes unread.
    """

    def __init__(self, session: Session, deadline: Deadline, *, view: View, awaited: str) -> None:
        super().__init__(timeout=None, maxread=MAXREAD, searchwindowsize=SEARCH_WINDOW)
        self.delayafterread = None
        self._session = session
        self._deadline = deadline
        self._view = view
        self._doing = f"awaiting {awaited}"
        self._missed = session.missing(awaited, deadline.clock)
        self._last: int | None = None
        session.listener.update()
        self._seen = session.seen(view)
        self._base = session.position if self._seen is None else self._seen.user_offset(session.position)
        self._next = self._base

    def read_nonblocking(self, size: int = 1, timeout: float | None = None) -> bytes:
        """Return what is there, or wait for it; the name is pexpect's, but it does block."""
        del timeout  # the deadline is the session's
        session = self._session
        return session.wait(
            lambda moment: self._take(size, late=moment.late),
            self._deadline,
            doing=self._doing,
            missed=self._missed,
        )

    def to_match(self, index: int) -> Match:
        """Return the last match with raw offsets; raises StateError if nothing has matched."""
        before, found = self.before, self.match
        if before is None or not isinstance(found, re.Match):
            raise StateError("to_match: no pattern has matched")
        start = self._base + len(before)
        end = start + len(found.group())
        span = (start, end) if self._seen is None else self._seen.raw_span(start, end)
        return Match(
            index=index, data=found.group(), before=before, groups=found.groups(), start=span[0], end=span[1]
        )

    def _take(self, size: int, *, late: bool) -> bytes | None:
        """Return the next bytes, at most `size`; None if there are none to read."""
        end = self._session.readable(self._next, self._view)
        if late:
            # What came in time still counts; a flood must not carry the wait past its deadline.
            end = self._last = end if self._last is None else min(end, self._last)
        if end <= self._next:
            return None
        source = self._session.transcript if self._seen is None else self._seen
        data = source.read(self._next, min(end, self._next + size))
        self._next += len(data)
        return data


def _compiled(
    patterns: bytes | re.Pattern[bytes] | Sequence[bytes | re.Pattern[bytes]],
) -> list[re.Pattern[bytes]]:
    several = [patterns] if isinstance(patterns, (bytes, re.Pattern)) else list(patterns)
    return [re.compile(one, re.DOTALL) if isinstance(one, bytes) else one for one in several]


def _runs(data: bytes) -> Iterator[bytes]:
    """Cut `data` into runs of at most FIFO_BYTES whose echo can't be mistaken for a kernel record's start."""
    while data:
        run = data[:FIFO_BYTES]
        held = held_tail(run)
        if 0 < held < len(run):
            run = run[:-held]  # "if [" ends like the start of a record; the next run shows that it is none
        yield run
        data = data[len(run) :]


def _echo_of(run: bytes) -> bytes | None:
    """Return the pattern of a terminal's echo of `run`; None if that is up to the guest."""
    if run in (b"\r", b"\n"):
        return rb"\r\n"
    plain = [word for word in re.split(rb"[^\x20-\x7e]+", run) if word]
    if not plain or held_tail(run):
        return None  # a bare "[": until more comes, its echo may be the start of a record
    shown = [_BETWEEN_ECHOES.join(re.escape(bytes([byte])) for byte in word) for word in plain]
    return _SOME_ECHO.join(shown) + (_SOME_ECHO + rb"\s*?\r\n" if run[-1:] in b"\r\n" else b"")


def _death(alarm: Alarm, message: str, transcript: Transcript) -> Exception:
    error: Exception
    if alarm.name in OF_THE_LAB:
        error = MachineGone(message) if alarm.name == GONE else LabError(message)
    else:
        left = alarm.name in {RESET, SHUTDOWN, OFF}
        error = (GuestLeft if left else GuestDied)(message, alarm=alarm)
    error.add_note(show_tail(transcript, 15))
    return error
