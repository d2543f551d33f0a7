"""The pool's own rules, on machines that are made up; its contract is tested on real forks as well."""

import threading
from contextlib import contextmanager

import pytest

from emulator.clock import Deadline
from emulator.errors import DeadlineExceeded, LaunchError, SpecError, StateError
from emulator.snapshots.pool import SIZE_MOST, open_pool


def soon():
    return Deadline.after(120)


class FakeMachine:
    exit = None
    runs = False

    def resume(self, deadline):
        self.runs = True


class Opener:
    """Opens made-up machines; `gate` holds up the next, `refuse` makes the next fail."""

    def __init__(self):
        self.opened = []
        self.ended = []
        self.gate = threading.Event()
        self.gate.set()
        self.begun = threading.Semaphore(0)
        self.refuse = []

    @contextmanager
    def __call__(self):
        self.begun.release()
        assert self.gate.wait(120)
        if self.refuse:
            raise self.refuse.pop()
        machine = FakeMachine()
        self.opened.append(machine)
        try:
            yield machine
        finally:
            self.ended.append(machine)

    def begin(self, number):
        for _ in range(number):
            assert self.begun.acquire(timeout=120)

    def left(self):
        return [machine for machine in self.opened if machine not in self.ended]


@pytest.fixture
def opener():
    opener = Opener()
    yield opener
    assert opener.left() == []
    assert len(opener.ended) == len(set(opener.ended))


def refusal(text="no more memory"):
    return LaunchError(text, argv=("qemu",), exit_code=1, stderr=b"")


def test_pool_keeps_no_more_machines_than_its_size(opener):
    with open_pool(opener, size=2) as pool:
        opener.begin(2)
        with pool.take(soon()) as machine:
            assert machine.runs
            opener.begin(1)
            with pool.take(soon()):
                opener.begin(1)
        assert opener.begun.acquire(blocking=False) is False
    assert 3 <= len(opener.opened) <= 4


@pytest.mark.parametrize("size", [0, -1, SIZE_MOST + 1])
def test_pool_of_impossible_size_is_refused(opener, size):
    with pytest.raises(SpecError, match=f"size of a pool is {size}; allowed: 1 to {SIZE_MOST}"):
        open_pool(opener, size=size).__enter__()


def test_take_gives_up_at_its_deadline(opener):
    opener.gate.clear()
    with open_pool(opener) as pool:
        opener.begin(1)
        with (
            pytest.raises(DeadlineExceeded, match="no machine of the pool was ready"),
            pool.take(Deadline.after(0)),
        ):
            pass
        opener.gate.set()


def test_each_failure_is_raised_once_and_then_it_is_tried_again(opener):
    opener.refuse = [refusal("second"), refusal("first")]
    with open_pool(opener) as pool:
        for text in ("first", "second"):
            with pytest.raises(LaunchError, match=text), pool.take(soon()):
                pass
        with pool.take(soon()) as machine:
            assert machine.runs


def test_pool_begins_nothing_more_while_nobody_knows_of_a_failure(opener):
    opener.refuse = [refusal()]
    with open_pool(opener, size=2):
        opener.begin(1)
    assert opener.begun.acquire(blocking=False) is False


def test_an_error_in_the_block_is_not_hidden_by_one_of_the_end(opener):
    @contextmanager
    def bad_end():
        yield FakeMachine()
        raise RuntimeError("it did not end")

    with pytest.raises(RuntimeError, match="it did not end") as one, open_pool(bad_end, size=1):
        pass
    assert one.value.args == ("it did not end",)
    with (
        pytest.raises(ValueError, match="mine") as caught,
        open_pool(bad_end, size=1) as pool,
        pool.take(soon()),
    ):
        raise ValueError("mine")
    assert any("it did not end" in note for note in caught.value.__notes__)


def open_once_closed(opener, pool):
    with pool._changed:
        assert pool._changed.wait_for(lambda: pool._closed, 120)
    opener.gate.set()


def test_leaving_while_one_is_opened_ends_that_too(opener):
    opener.gate.clear()
    with open_pool(opener) as pool:
        opener.begin(1)
        open_gate = threading.Thread(target=open_once_closed, args=[opener, pool])
        open_gate.start()
    open_gate.join()
    assert len(opener.opened) == len(opener.ended) == 1


def test_keyboard_interrupt_ends_all(opener):
    with pytest.raises(KeyboardInterrupt), open_pool(opener, size=2) as pool, pool.take(soon()):
        raise KeyboardInterrupt
    assert opener.left() == []


def test_who_waits_when_the_pool_is_left_is_told(opener):
    opener.gate.clear()
    told = []

    def wait(pool):
        try:
            with pool.take(soon()):
                told.append("a machine")
        except StateError as error:
            told.append(str(error))

    with open_pool(opener, size=1) as pool:
        opener.begin(1)
        waiter = threading.Thread(target=wait, args=[pool])
        waiter.start()
        open_gate = threading.Thread(target=open_once_closed, args=[opener, pool])
        open_gate.start()
    waiter.join()
    open_gate.join()
    assert told == ["the pool is closed"]
    with pytest.raises(StateError, match="the pool is closed"), pool.take(soon()):
        pass
