"""The pump, one thread per console that always reads, and the console that it serves."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from emulator.clock import SYSTEM_CLOCK, Clock, Deadline
from emulator.console.channel import Write
from emulator.console.links import CONTROL_SOCKET, ControlHandler, open_control_link, open_links
from emulator.console.loop import Loop
from emulator.console.marks import FAR_END_GONE, MarkKind
from emulator.console.outgoing import OutgoingQueue
from emulator.console.pty_endpoint import PtyEndpoint, open_endpoint
from emulator.console.transcript import DirectorySink, Transcript
from emulator.console.wires import PtyWire, SocketWire, Wire, open_raw_pty
from emulator.errors import DeadlineExceeded, LabError, StateError
from emulator.guest_text.expected import find_first_words

_BURST = 1 << 20  # bytes read in one turn before the links are served
_SHORT = 4095  # a tty gives at most this much at once; less means that nothing is left


Settle: TypeAlias = Callable[[Callable[[], None]], None]
"""Calls back, on any thread, once all that the machine has reported by now is marked in the transcript."""

HOLD_S = 1.0
"""How long the first words of a boot wait at most for the mark that belongs before them."""


@dataclass(slots=True)
class _Held:
    """Bytes that were read and are noted at the moment `until`, or once they are released."""

    data: bytes
    until: float

    def release(self) -> None:
        """Let them be noted now; any thread."""
        self.until = 0.0


class FarEnd:
    """The port on the far end: reads into the transcript, writes from the queue.

    A machine reports its restarts on another way than its bytes, and either may be faster. Where a boot's
    first words are read, these wait until all reports so far are marked (`settle`): a guest that is up again
    after 60 ms would else be taken for one that has said nothing since its restart.

    Attributes:
        transcript: where everything is noted.
        gone: whether the far end has hung up.
        queue: what waits to be sent.
    """

    def __init__(self, wire: Wire, transcript: Transcript) -> None:
        self.transcript = transcript
        self.gone = False
        self.queue = OutgoingQueue(transcript.name)
        self._wire = wire
        self._settle: Settle | None = None
        self._held: _Held | None = None
        self._full = False
        self._drained = threading.Condition()
        self._asked = 0  # number of the newest drain
        self._answered = 0  # number of the newest drain that is done
        self._discarding = False

    def fileno(self) -> int:
        """Return the wire's descriptor."""
        return self._wire.fileno()

    def due(self) -> float | None:
        """Return when held bytes are noted; a past moment while somebody waits for the wire to be empty."""
        if self._held is not None:
            return self._held.until
        return 0.0 if self._asked > self._answered else None

    def prepare(self) -> int:
        """Hand over what waits; answer those who wait for the wire to be empty."""
        self._note_held()
        asked = self._asked
        if asked > self._answered and self._held is None and (self._read_all() or self.gone):
            self._answer(asked)
        if self.gone:
            return 0
        if not self._full:
            self._full = self._hand_over()
        reads = selectors.EVENT_READ if self._held is None else 0
        return reads | (self._wire.room_event if self._full else 0)

    def serve(self, events: int) -> None:
        """Let bytes gather, then read them; note that there is room again."""
        if events & self._wire.room_event:
            self._full = False
        if events & selectors.EVENT_READ:
            if self._wire.linger_s:
                self.transcript.clock.sleep(self._wire.linger_s)
            self._read_all(short=_SHORT)

    def count_unread(self) -> int:
        """Return how many handed-over bytes are unread, as far as the wire can tell; any thread."""
        return self._wire.count_unread()

    def close(self) -> None:
        """Give up what still waits; the wire's owner closes the wire."""
        self.fail("the console was closed")

    def fail(self, reason: str) -> None:
        """Wake everybody who waits: nothing more will happen."""
        self.queue.close(reason)
        with self._drained:
            self._answered = self._asked
            self._drained.notify_all()

    def fail_with(self, error: BaseException) -> None:
        """Tell everybody that the pump failed, and why."""
        reason = f"the pump failed: {error!r}"
        self.fail(reason)
        self.transcript.close(reason)

    def hold_first_words(self, settle: Settle | None) -> None:
        """Let the first words of a boot wait for `settle` from now on; None: nothing is reported any more."""
        self._settle = settle

    def ask_drain(self, *, discard: bool = False) -> int:
        """Ask to read all that is on the wire now, and perhaps to discard what nobody read; any thread."""
        with self._drained:
            self._asked += 1
            self._discarding = self._discarding or discard
            return self._asked

    def wait_drained(self, number: int, deadline: Deadline) -> bool:
        """Wait for the answer to `ask_drain`; False at the deadline."""
        with self._drained:
            while self._answered < number and (remaining := deadline.remaining()) > 0:
                self._drained.wait(remaining)
            return self._answered >= number

    def _answer(self, number: int) -> None:
        with self._drained:
            if self._discarding:
                self.queue.drop("the far end has ended or was reset")
                self._wire.discard_unread()
                self._discarding = False
            self._answered = number
            self._drained.notify_all()

    def _read_all(self, *, short: int = 0) -> bool:
        """Read until nothing is left (True) or a burst was read (False)."""
        total = 0
        while not self.gone and total < _BURST:
            data = self._wire.read()
            if data is None:
                return True
            if not data:
                self._hang_up(self._wire.loss)
            else:
                total += len(data)
                if self._take(data):
                    return False
                if len(data) < short:
                    return True
        return False

    def _take(self, data: bytes) -> bool:
        """Note what was read; hold back a boot's first words and the rest, and tell whether there are any."""
        settle = self._settle
        at = None if settle is None else find_first_words(data)
        if settle is None or at is None:
            self._note(self.transcript.append, data)
            return False
        self._note(self.transcript.append, data[:at])
        self._held = held = _Held(data[at:], until=self.transcript.clock.monotonic() + HOLD_S)
        settle(held.release)
        return True

    def _note_held(self) -> None:
        held = self._held
        if held is None:
            return
        is_over = self._discarding or self._settle is None
        if is_over or self.transcript.clock.monotonic() >= held.until:
            self._held = None
            self._note(self.transcript.append, held.data)

    def _hand_over(self) -> bool:
        note = partial(self._note, self.transcript.append_typed)
        try:
            return self.queue.hand_over(self._wire.write, note)
        except OSError as error:
            self._hang_up(f"{self._wire.loss} ({error.strerror})")
            return False

    def _note(self, append: Callable[[bytes], None], data: bytes) -> None:
        # If the owner closed the transcript first, the wire is still read: a full console keeps QEMU from
        # exiting (docs/facts/qemu.md 8).
        with suppress(LabError):
            append(data)

    def _hang_up(self, reason: str) -> None:
        self.gone = True
        self.queue.close(reason)
        self.transcript.mark(MarkKind.LAB, FAR_END_GONE, {"reason": reason})


class Console:
    """A live console: a growing transcript, a way to write, and an endpoint for others.

    Any thread may call anything; whatever writes or reads raises LabError once the pump has failed.

    Attributes:
        transcript: all bytes both ways.
        endpoint: ttylab's own pty for people and programs.
    """

    def __init__(self, *, far_end: FarEnd, loop: Loop, endpoint: PtyEndpoint, path: Path | None) -> None:
        self.transcript = far_end.transcript
        self.endpoint = endpoint
        self._far_end = far_end
        self._loop = loop
        self._path = path

    @property
    def path(self) -> Path:
        """What the far end opens; raises StateError where that is no path."""
        if self._path is None:
            raise StateError(f"{self.transcript.name} is not wired by a pty; it has no path")
        return self._path

    @property
    def far_end_gone(self) -> bool:
        """Whether the far end hung up; on a pty never, since the next far end may come."""
        return self._far_end.gone

    @property
    def turns(self) -> int:
        """How often the pump woke up; for benchmarks."""
        return self._loop.turns

    def write(self, data: bytes, deadline: Deadline, *, ahead: bool = False) -> None:
        """Hand all of `data` to the far end, `ahead` of what is held back; raises as `Channel.write`."""
        self.raise_failure()
        item = self._far_end.queue.put(data, ahead=ahead)
        self._loop.wake()
        self._far_end.queue.wait(item, deadline)

    def post(self, data: bytes) -> None:
        """Queue `data` for the far end and return at once; `unsent` says how much is waiting.

        What the far end has not taken by its end is lost silently.
        """
        self.raise_failure()
        self._far_end.queue.put(data)
        self._loop.wake()

    @property
    def unsent(self) -> int:
        """How many bytes wait for the far end to take them."""
        return self._far_end.queue.waiting

    @property
    def unread(self) -> int:
        """How many typed bytes, without those held back, the far end has not read, as far as one can tell."""
        return self._far_end.queue.going + self._far_end.count_unread()

    @contextmanager
    def held(self) -> Iterator[Write]:
        """Hold back what is written or typed during the `with`; gives a function that writes all the same.

        When nested, what is held back goes out at the end of the outermost `with`.
        """
        try:
            with self._far_end.queue.held():
                yield partial(self.write, ahead=True)
        finally:
            self._loop.wake()

    def drain(self, deadline: Deadline, *, discard: bool = False) -> None:
        """Return once all that it has written is in the transcript; DeadlineExceeded: it writes too fast."""
        self.raise_failure()
        number = self._far_end.ask_drain(discard=discard)
        if self._loop.wake() and not self._far_end.wait_drained(number, deadline):
            raise DeadlineExceeded(f"{self.transcript.name} could not be drained in time")
        self.raise_failure()

    def detach_far_end(self, deadline: Deadline) -> None:
        """Drain at the far end's end or reset, and discard what it did not read; raises as `drain`.

        Otherwise the next guest would read it in its first milliseconds, and GRUB stay in its menu.
        """
        self.drain(deadline, discard=True)

    def raise_failure(self) -> None:
        """Raise LabError if the pump has failed."""
        if (failure := self._loop.failure) is not None:
            raise LabError(f"the pump of {self.transcript.name} failed: {failure!r}") from failure


@contextmanager
def open_console(
    name: str = "ttyS0",
    *,
    sink: DirectorySink | None = None,
    clock: Clock = SYSTEM_CLOCK,
    keep: int | None = None,
    transcript: Transcript | None = None,
    links_dir: Path | None = None,
    on_control: ControlHandler | None = None,
    settle: Settle | None = None,
) -> Iterator[Console]:
    """Open a console on a new pty, whose slave, `console.path`, the far end opens.

    The console outlives its far ends: a machine may be powered off and on. At the end of the `with` the
    transcript is closed and complete; it keeps the latest `keep` bytes, or all. A `transcript` that is passed
    in grows instead, and its owner closes it. `settle` and errors are those of `run_console`.
    """
    with open_raw_pty() as pty:
        own = Transcript(name, clock=clock, sink=sink, keep=keep)
        with run_console(
            PtyWire(pty),
            own if transcript is None else transcript,
            closes=transcript is None,
            path=pty.path,
            links_dir=links_dir,
            on_control=on_control,
            settle=settle,
        ) as console:
            yield console


@contextmanager
def open_socket_console(
    link: socket.socket,
    name: str = "bulk",
    *,
    sink: DirectorySink | None = None,
    clock: Clock = SYSTEM_CLOCK,
    epoch: float | None = None,
) -> Iterator[Console]:
    """Open a console on a connected socket, which the caller closes; errors are those of `run_console`."""
    transcript = Transcript(name, clock=clock, sink=sink, epoch=epoch)
    with run_console(SocketWire(link), transcript) as console:
        yield console


@contextmanager
def run_console(
    wire: Wire,
    transcript: Transcript,
    *,
    closes: bool = True,
    path: Path | None = None,
    links_dir: Path | None = None,
    on_control: ControlHandler | None = None,
    settle: Settle | None = None,
) -> Iterator[Console]:
    """Pump `wire` into `transcript` during the `with`, and then close the transcript.

    Without `closes` it stays open, unless the pump fails. With `settle` a boot's first words come after the
    marks of what the machine had reported when they were read.

    Raises:
        LabError: the pump failed; raised at the end, unless something else is raised already.
    """
    with ExitStack() as stack:
        if closes:
            stack.callback(transcript.close, "the console was closed")
        far_end = FarEnd(wire, transcript)
        loop = stack.enter_context(
            Loop(transcript.name, clock=transcript.clock, on_failure=far_end.fail_with)
        )
        loop.add(far_end)
        if settle is not None:
            far_end.hold_first_words(partial(_settle_and_wake, settle, loop))
        endpoint = stack.enter_context(open_endpoint(transcript, far_end.queue, loop=loop))
        if links_dir is not None:
            stack.enter_context(open_links(links_dir, transcript, far_end.queue, loop=loop))
            if on_control is not None:
                stack.enter_context(open_control_link(links_dir / CONTROL_SOCKET, on_control))
        console = Console(far_end=far_end, loop=loop, endpoint=endpoint, path=path)
        with loop.running():
            yield console
            far_end.hold_first_words(None)
            far_end.ask_drain()  # to read what the far end wrote last
    console.raise_failure()


def _settle_and_wake(settle: Settle, loop: Loop, done: Callable[[], None]) -> None:
    def settled() -> None:
        done()
        loop.wake()

    settle(settled)
