"""What every channel does, whatever its far end hangs on."""

import hashlib
import os
import random
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from emulator.clock import Deadline
from emulator.console.channel import Channel, Cursor
from emulator.console.marks import MarkKind
from emulator.console.pump import Console, open_console, open_socket_console
from emulator.console.serial_port import SerialConsole, open_serial_console
from emulator.console.transcript import Transcript
from emulator.errors import ConsoleClosed, DeadlineExceeded
from tests.support.rfc2217_server import open_rfc2217_server

PATIENCE_S = 60.0


class FarEnd:
    """The far side of a wire, on a blocking descriptor."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        os.set_blocking(descriptor, True)

    def write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self.descriptor, rest) :]

    def read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            assert select.select([self.descriptor], [], [], PATIENCE_S)[0], f"only {data!r} came"
            data += os.read(self.descriptor, size - len(data))
        return data

    @contextmanager
    def writing(self, data: bytes) -> Iterator[None]:
        thread = threading.Thread(target=self.write, args=(data,))
        thread.start()
        try:
            yield
        finally:
            thread.join()


@dataclass(kw_only=True)
class Rig:
    """A channel under test and both of its ends."""

    channel: Console | SerialConsole
    far: FarEnd
    close: Callable[[], None]
    hang_up: Callable[[], None]
    bulk: int = 2_000_000


def open_far_end(path: Path) -> FarEnd:
    return FarEnd(os.open(path, os.O_RDWR | os.O_NOCTTY))


def open_pty_rig(stack: ExitStack) -> Rig:
    owner = stack.enter_context(ExitStack())
    console = owner.enter_context(open_console())
    far = open_far_end(console.path)
    stack.callback(os.close, far.descriptor)
    return Rig(channel=console, far=far, close=owner.close, hang_up=lambda: None)


def open_socket_rig(stack: ExitStack) -> Rig:
    owner = stack.enter_context(ExitStack())
    ours, theirs = socket.socketpair()
    stack.enter_context(theirs)
    owner.enter_context(ours)
    console = owner.enter_context(open_socket_console(ours))
    return Rig(channel=console, far=FarEnd(theirs.fileno()), close=owner.close, hang_up=theirs.close)


def open_url_rig(stack: ExitStack, *, choose_url: Callable[[Console, ExitStack], str], bulk: int) -> Rig:
    behind = stack.enter_context(ExitStack())
    inner = behind.enter_context(open_console())
    far = open_far_end(inner.path)
    stack.callback(os.close, far.descriptor)
    owner = stack.enter_context(ExitStack())
    console = owner.enter_context(open_serial_console(choose_url(inner, behind)))
    return Rig(channel=console, far=far, close=owner.close, hang_up=behind.close, bulk=bulk)


def serve_rfc2217(inner: Console, stack: ExitStack) -> str:
    host, port = stack.enter_context(open_rfc2217_server(inner))
    return f"rfc2217://{host}:{port}"


RIGS = {
    "pty": open_pty_rig,
    "socket": open_socket_rig,
    "serial": lambda stack: open_url_rig(
        stack, choose_url=lambda inner, _: str(inner.endpoint.path), bulk=2_000_000
    ),
    # pyserial's client takes its bytes one by one through a queue: 0.3 MB/s.
    "rfc2217": lambda stack: open_url_rig(stack, choose_url=serve_rfc2217, bulk=200_000),
}


@pytest.fixture(params=sorted(RIGS))
def rig(request) -> Iterator[Rig]:
    with ExitStack() as stack:
        yield RIGS[request.param](stack)


def soon() -> Deadline:
    return Deadline.after(PATIENCE_S)


def wait_until(transcript: Transcript, condition: Callable[[], bool]) -> None:
    deadline = soon()
    while not condition():
        version = transcript.version
        if condition():
            return
        assert not deadline.expired(), f"never came; the last bytes are {transcript.read()[-80:]!r}"
        transcript.wait_change(version, deadline)


def wait_length(transcript: Transcript, length: int) -> None:
    wait_until(transcript, lambda: len(transcript) >= length)


def wait_link_mark(channel: Channel, name: str) -> None:
    marks = lambda: [mark.name for mark in channel.transcript.marks if mark.kind is MarkKind.LINK]  # noqa: E731
    wait_until(channel.transcript, lambda: name in marks())


def read_typed(channel: Channel) -> bytes:
    return b"".join(typed.data for typed in channel.transcript.typed)


def random_bytes(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def test_write_arrives_whole_and_is_noted(rig):
    everything = bytes(range(256))
    rig.channel.write(everything, soon())
    assert rig.far.read(256) == everything
    assert read_typed(rig.channel) == everything


def test_output_arrives_exactly_and_in_order(rig):
    everything = bytes(range(256)) * 20
    with rig.far.writing(everything):
        wait_length(rig.channel.transcript, len(everything))
    assert rig.channel.transcript.read() == everything


def test_two_cursors_see_the_same_bytes(rig):
    transcript = rig.channel.transcript
    first, second = Cursor(transcript), Cursor(transcript)
    rig.far.write(b"once")
    wait_length(transcript, 1)
    seen = first.read(1)
    rig.far.write(b"twice")
    wait_length(transcript, 9)
    assert (seen + first.read(), second.read()) == (b"oncetwice", b"oncetwice")


def test_stalled_user_of_the_endpoint_costs_neither_side_a_byte(rig):
    data = random_bytes(rig.bulk)
    user = open_far_end(rig.channel.endpoint.path)
    wait_link_mark(rig.channel, "endpoint-opened")
    with rig.far.writing(data):
        wait_length(rig.channel.transcript, len(data))
    assert hashlib.sha256(rig.channel.transcript.read()).digest() == hashlib.sha256(data).digest()
    assert hashlib.sha256(user.read(len(data))).digest() == hashlib.sha256(data).digest()
    os.close(user.descriptor)


def test_endpoint_goes_on_where_it_was_when_closed_and_opened_again(rig):
    data = random_bytes(150_000)
    user = open_far_end(rig.channel.endpoint.path)
    with rig.far.writing(data[:100_000]):
        seen = user.read(1_000)
    os.close(user.descriptor)
    wait_link_mark(rig.channel, "endpoint-closed")
    with rig.far.writing(data[100_000:]):
        wait_length(rig.channel.transcript, len(data))
    # This user flushes what it finds when it opens: it must find nothing.
    with open_serial_console(str(rig.channel.endpoint.path)) as again:
        wait_length(again.transcript, len(data) - len(seen))
        assert seen + again.transcript.read() == data


def test_user_of_the_endpoint_types_to_the_far_end(rig):
    user = open_far_end(rig.channel.endpoint.path)
    typed = random_bytes(30_000)
    with user.writing(typed):
        assert rig.far.read(len(typed)) == typed
    os.close(user.descriptor)
    wait_until(rig.channel.transcript, lambda: read_typed(rig.channel) == typed)


def test_closing_ends_a_wait(rig):
    transcript = rig.channel.transcript
    version, seen = transcript.version, []
    thread = threading.Thread(
        target=lambda: seen.append(transcript.wait_change(version, Deadline.after(600)))
    )
    thread.start()
    rig.close()
    thread.join()
    assert seen[0] > version
    assert transcript.read() == b""
    assert rig.channel.transcript.closed is not None


def test_write_is_refused_when_closed(rig):
    rig.close()
    with pytest.raises(ConsoleClosed, match="0 of 1 bytes were handed over"):
        rig.channel.write(b"x", soon())


def test_write_hits_its_deadline_when_the_far_end_takes_no_more(rig):
    with pytest.raises(DeadlineExceeded, match=r"\d+ of 16000000 bytes were handed over"):
        rig.channel.write(bytes(16_000_000), Deadline.after(0.3))


def test_reading_goes_on_when_the_far_end_takes_no_more(rig):
    with pytest.raises(DeadlineExceeded):
        rig.channel.write(bytes(16_000_000), Deadline.after(0.3))
    rig.far.write(b"still here")
    wait_length(rig.channel.transcript, 10)
    assert rig.channel.transcript.read() == b"still here"


@pytest.mark.parametrize("rig", sorted(RIGS.keys() - {"pty"}), indirect=True)
def test_transcript_stays_open_and_writes_are_refused_when_the_far_end_hangs_up(rig):
    rig.far.write(b"last words")
    wait_length(rig.channel.transcript, 10)
    rig.hang_up()
    wait_until(rig.channel.transcript, lambda: rig.channel.far_end_gone)
    with pytest.raises(ConsoleClosed, match="0 of 1 bytes were handed over"):
        rig.channel.write(b"x", soon())
    assert (rig.channel.transcript.read(), rig.channel.transcript.closed) == (b"last words", None)
