"""Signals that end a process unwind it, once or each time; Enter at the terminal is one more way."""

import os
import pty
import signal
import subprocess
import sys
import threading

import pytest

from harness.run.interrupts import uninterrupted, unwind_on, unwinding


@pytest.fixture(autouse=True)
def handlers():
    numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
    before = {one: signal.getsignal(one) for one in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def come(number):
    """Send it; return whether it unwound."""
    try:
        os.kill(os.getpid(), number)
    except KeyboardInterrupt:
        return True
    return False


def test_only_the_first_signal_unwinds():
    came = unwind_on(signal.SIGTERM, signal.SIGHUP)
    assert [come(signal.SIGHUP), come(signal.SIGTERM)] == [True, False]
    assert came == [signal.SIGHUP, signal.SIGTERM]


def test_each_signal_unwinds_if_wanted():
    unwind_on(signal.SIGTERM, again=True)
    assert [come(signal.SIGTERM), come(signal.SIGTERM)] == [True, True]


def test_ignored_signal_stays_ignored():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    unwind_on(signal.SIGHUP)
    assert come(signal.SIGHUP) is False


def test_block_puts_handlers_back_and_leaves_those_of_others():
    mine = lambda *_: None  # noqa: E731
    signal.signal(signal.SIGHUP, mine)
    with unwinding():
        assert signal.getsignal(signal.SIGHUP) is mine
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_what_is_held_back_can_be_taken():
    with uninterrupted() as came:
        assert not came()
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        assert came()
        assert not came()


ENTER = """
from harness.run.interrupts import enter_key
with enter_key() as entered:
    print("before", entered(), flush=True)
    while not entered():
        pass
    print("entered", flush=True)
"""


def test_enter_at_the_terminal_is_seen_although_standard_input_is_taken():
    pid, master = pty.fork()
    if pid == 0:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.execv(sys.executable, [sys.executable, "-c", ENTER])
    shown = b""
    while b"before False" not in shown:
        shown += os.read(master, 4096)
    os.write(master, b"\n")
    while b"entered" not in shown:
        shown += os.read(master, 4096)
    assert os.waitpid(pid, 0)[1] == 0
    os.close(master)


def test_without_a_terminal_nobody_enters():
    told = "from harness.run.interrupts import enter_key\nwith enter_key() as entered:\n    print(entered())"
    words = [sys.executable, "-c", told]
    ended = subprocess.run(words, start_new_session=True, capture_output=True, check=True, timeout=60)
    assert ended.stdout == b"False\n"
