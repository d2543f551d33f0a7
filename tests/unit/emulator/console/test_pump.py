"""The pump on a pty: far ends that come and go, drains, failures, nothing left behind."""

import os
import queue
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from emulator.clock import Deadline
from emulator.console import pump
from emulator.console.marks import MarkKind, last_start
from emulator.console.pump import open_console, open_socket_console
from emulator.console.transcript import Transcript
from emulator.errors import DeadlineExceeded, LabError, SpecError, StateError


def soon() -> Deadline:
    return Deadline.after(60)


def open_slave(path) -> int:
    return os.open(path, os.O_RDWR | os.O_NOCTTY)


def run_far_end(path, text: str) -> None:
    """Run a process that leads a session: the slave becomes its controlling terminal, as with QEMU."""
    code = "import os, sys; os.write(os.open(sys.argv[1], os.O_RDWR), sys.argv[2].encode())"
    subprocess.run(
        [sys.executable, "-S", "-c", code, path, text], start_new_session=True, check=True, timeout=60
    )


def list_descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def test_console_outlives_far_ends_even_when_they_lead_a_session():
    with open_console() as console:
        for text in ("first ", "second"):
            run_far_end(console.path, text)
            console.drain(soon())
        assert console.transcript.read() == b"first second"
        far = open_slave(console.path)
        console.write(b"to the third", soon())
        assert os.read(far, 100) == b"to the third"
        os.close(far)


def test_drain_brings_in_everything_that_was_written():
    with open_console() as console:
        far = open_slave(console.path)
        for number in range(50):
            os.write(far, bytes([number]) * 3000)
            console.drain(soon())
            assert len(console.transcript) == (number + 1) * 3000
        os.close(far)


def test_leaving_brings_in_everything_that_was_written():
    with open_console() as console:
        far = open_slave(console.path)
        os.write(far, b"z" * 3000)
        os.close(far)
    assert console.transcript.read() == b"z" * 3000
    assert (console.transcript.closed, console.transcript.truncated) == ("the console was closed", None)


def test_detach_drops_typed_bytes_that_no_far_end_has_read():
    with open_console() as console:
        console.write(b"for nobody", soon())
        console.detach_far_end(soon())
        far = open_slave(console.path)
        console.write(b"for you", soon())
        assert os.read(far, 100) == b"for you"
        os.close(far)


def test_detach_drops_typed_bytes_that_did_not_even_fit_the_wire():
    with open_console() as console:
        console.post(b"for nobody" * 10_000)
        console.drain(soon())
        assert console.unsent > 0
        console.detach_far_end(soon())
        assert console.unsent == 0
        far = open_slave(console.path)
        console.write(b"for you", soon())
        assert os.read(far, 100) == b"for you"
        os.close(far)


def test_console_grows_a_transcript_of_somebody_else_and_leaves_it_open():
    transcript = Transcript()
    for word in (b"one", b"two"):
        with open_console(transcript=transcript) as console:
            assert console.transcript is transcript
            far = open_slave(console.path)
            os.write(far, word)
            os.close(far)
    assert (transcript.read(), transcript.closed) == (b"onetwo", None)


def test_full_far_end_gets_the_rest_when_it_reads_again():
    data = os.urandom(300_000)
    with open_console() as console:
        far = open_slave(console.path)
        thread = threading.Thread(target=console.write, args=(data, soon()))
        thread.start()
        seen = b""
        while len(seen) < len(data) and select.select([far], [], [], 60)[0]:
            seen += os.read(far, 65536)
        thread.join()
        os.close(far)
    assert seen == data


def test_pump_sleeps_when_nothing_happens_though_a_user_stalls():
    with open_console() as console:
        user, far = open_slave(console.endpoint.path), open_slave(console.path)
        thread = threading.Thread(target=os.write, args=(far, bytes(300_000)))
        thread.start()
        thread.join()
        console.drain(soon())
        before = console.turns
        for _ in range(20):
            console.drain(soon())
        assert console.turns - before <= 100
        os.close(user)
        os.close(far)


OLD, NEW = b"reboot: Restarting system\r\n", b"Linux version 6.1.0\r\nmore\r\n"


def wait_for_bytes(transcript, count: int) -> None:
    while len(transcript) < count:
        version = transcript.version
        assert transcript.wait_change(version, Deadline.after(60)) != version


def test_first_words_of_a_boot_wait_until_all_reports_are_marked_and_the_rest_waits_behind_them():
    asked: queue.Queue[Callable[[], None]] = queue.Queue()
    with open_console(settle=asked.put) as console:
        far = open_slave(console.path)
        os.write(far, OLD + NEW)
        done = asked.get(timeout=60)
        os.write(far, b"last")
        with pytest.raises(DeadlineExceeded):
            console.drain(Deadline.after(0.05))
        assert console.transcript.read() == OLD
        console.transcript.mark(MarkKind.QMP, "RESET")
        done()
        console.drain(soon())
        os.close(far)
    assert console.transcript.read() == OLD + NEW + b"last"
    assert last_start(console.transcript.marks).offset == len(OLD)
    assert asked.empty()


def test_first_words_are_noted_in_time_if_no_answer_comes(monkeypatch):
    monkeypatch.setattr(pump, "HOLD_S", 0.05)
    with open_console(settle=lambda done: None) as console:
        far = open_slave(console.path)
        for _ in range(3):
            before = len(console.transcript)
            os.write(far, NEW)
            wait_for_bytes(console.transcript, before + len(NEW))
        os.close(far)
    assert console.transcript.read() == 3 * NEW


def test_words_that_are_cut_off_are_put_together_again():
    with open_console(settle=lambda done: done()) as console:
        far = open_slave(console.path)
        for number in range(len(NEW)):
            os.write(far, NEW[number : number + 1])
            wait_for_bytes(console.transcript, number + 1)
        os.close(far)
    assert console.transcript.read() == NEW


@pytest.mark.parametrize("detaches", [True, False])
def test_far_end_that_ends_is_not_waited_for(monkeypatch, detaches):
    monkeypatch.setattr(pump, "HOLD_S", 3600.0)
    asked: queue.Queue[Callable[[], None]] = queue.Queue()
    with open_console(settle=asked.put) as console:
        far = open_slave(console.path)
        os.write(far, OLD + NEW)
        asked.get(timeout=60)
        os.write(far, OLD)
        os.close(far)
        if detaches:
            console.detach_far_end(soon())
            assert console.transcript.read() == OLD + NEW + OLD
    assert console.transcript.read() == OLD + NEW + OLD


def break_pump(console, monkeypatch) -> None:
    def fail(data: bytes) -> None:
        raise ValueError("bad luck")

    monkeypatch.setattr(console.transcript, "append", fail)
    far = open_slave(console.path)
    os.write(far, b"x")
    os.close(far)
    while console.transcript.closed is None:
        console.transcript.wait_change(console.transcript.version, soon())


def use_broken_pump(monkeypatch) -> None:
    with open_console() as console:
        break_pump(console, monkeypatch)
        assert console.transcript.closed == "the pump failed: ValueError('bad luck')"
        with pytest.raises(LabError, match="bad luck"):
            console.write(b"x", soon())
        with pytest.raises(LabError, match="bad luck"):
            console.drain(soon())


def test_pump_failure_is_raised_where_somebody_looks_and_at_the_end(monkeypatch):
    with pytest.raises(LabError, match=r"pump of ttyS0 failed: ValueError\('bad luck'\)"):
        use_broken_pump(monkeypatch)


def leave_broken_pump(monkeypatch) -> None:
    with open_console() as console:
        break_pump(console, monkeypatch)
        raise ZeroDivisionError


def test_pump_failure_does_not_hide_what_the_body_raised(monkeypatch):
    with pytest.raises(ZeroDivisionError):
        leave_broken_pump(monkeypatch)


def test_pump_reads_on_when_its_transcript_was_closed():
    with open_console() as console:
        console.transcript.close("powered off")
        far = open_slave(console.path)
        thread = threading.Thread(target=os.write, args=(far, bytes(300_000)))
        thread.start()
        thread.join()
        os.close(far)
    assert (console.transcript.read(), console.transcript.closed) == (b"", "powered off")


def test_console_leaves_nothing_behind(tmp_path):
    threads, descriptors = threading.active_count(), list_descriptors()
    with open_console(links_dir=tmp_path / "links", on_control=lambda request: request) as console:
        assert console.endpoint.path.exists()
        assert {path.name for path in (tmp_path / "links").iterdir()} == {"console.sock", "control.sock"}
    assert not list((tmp_path / "links").iterdir())
    assert (threading.active_count(), list_descriptors()) == (threads, descriptors)


def test_console_leaves_nothing_behind_when_its_links_cannot_be_opened(tmp_path):
    threads, descriptors = threading.active_count(), list_descriptors()
    with (
        pytest.raises(SpecError, match=r"can.t listen here"),
        open_console(links_dir=tmp_path / ("long" * 40)),
    ):
        pass
    assert (threading.active_count(), list_descriptors()) == (threads, descriptors)


def test_ptys_are_for_their_owner_alone():
    with open_console() as console:
        assert {path.stat().st_mode & 0o777 for path in (console.path, console.endpoint.path)} == {0o600}


def test_socket_console_has_no_path():
    ours, theirs = socket.socketpair()
    with (
        ours,
        theirs,
        open_socket_console(ours) as console,
        pytest.raises(StateError, match="bulk is not wired"),
    ):
        console.path  # noqa: B018
