"""A fair clock: a deadline is a budget of what the host gave, and nothing waits for ever."""

import signal
import threading

import pytest

from emulator.clock import STAND_MOST_S, STRETCH_MOST, Deadline, FairClock, loading
from tests.support.fake_clock import FakeClock


class BusyHost(FakeClock):
    """Withholds a share of the time."""

    share = 0.0
    withheld = 0.0

    def sleep(self, seconds):
        super().sleep(seconds)
        self.withheld += self.share * seconds


@pytest.fixture
def host():
    return BusyHost(100.0)


@pytest.fixture
def fair(host):
    return FairClock(host, withheld=lambda: host.withheld)


def test_free_host_counts_every_second(host, fair):
    deadline = Deadline.after(10, fair)
    host.sleep(9.5)
    assert not deadline.expired()
    host.sleep(0.5)
    assert deadline.expired()
    assert fair.unmet == 0


def test_busy_host_makes_a_second_longer_and_a_pause_too(host, fair):
    host.share, began = 0.75, host.monotonic()
    fair.sleep(5)
    assert host.monotonic() - began == pytest.approx(20, abs=0.1)


@pytest.mark.parametrize("share", [0.999, 4.0])
def test_host_that_gives_nothing_ends_a_wait_all_the_same_and_that_is_known(host, fair, share):
    host.share, began = share, host.monotonic()
    fair.sleep(1)
    assert host.monotonic() - began == pytest.approx(STRETCH_MOST, abs=0.1)
    assert fair.unmet > 0


def test_wait_that_the_kernel_tells_of_only_at_its_end_counts_all_the_same(host, fair):
    for _ in range(10):
        for _ in range(9):
            host.sleep(0.02)
            fair.monotonic()
        host.withheld += 0.1  # a thread runs again that had waited for half of the time
    host.sleep(0.2)
    assert fair.monotonic() == pytest.approx(100 + 1.0, abs=0.05)
    assert fair.unmet == 0


def test_slow_host_is_slow_all_the_time(host):
    fair, began = FairClock(host, slow=3.0), host.monotonic()
    fair.sleep(2)
    assert host.monotonic() - began == pytest.approx(6, abs=0.1)


def test_time_never_goes_back_between_two_looks(host, fair):
    host.share, seen = 0.9, []
    for _ in range(500):
        host.sleep(0.003)
        seen.append(fair.monotonic())
    assert seen == sorted(seen)


def test_no_time_counts_while_somebody_has_stopped_the_guest(host, fair):
    deadline, stands = Deadline.after(10, fair), [True]
    with fair.standing_while(lambda: stands[0]):
        for _ in range(100):
            host.sleep(10)
            assert not deadline.expired()
        stands[0] = False
        host.sleep(5)
        assert not deadline.expired()
        host.sleep(5)
        assert deadline.expired()


def test_a_stop_that_was_forgotten_counts_after_an_hour(host, fair):
    deadline = Deadline.after(10, fair)
    with fair.standing_while(lambda: True):
        host.sleep(STAND_MOST_S)
        assert not deadline.expired()
        host.sleep(10)
        assert deadline.expired()


def test_time_counts_again_behind_the_block_and_never_goes_back(host, fair):
    seen = []
    with fair.standing_while(lambda: True):
        for seconds in (0.01, 0.01, 0.5, 0.01):
            host.sleep(seconds)
            seen.append(fair.monotonic())
    host.sleep(3)
    seen.append(fair.monotonic())
    assert seen == sorted(seen)
    assert seen[-1] - seen[-2] == pytest.approx(3, abs=0.02)


def test_code_that_loads_in_time_is_left_alone_and_another_timer_goes_on():
    before = signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 1000.0, 5.0)
    try:
        with loading():
            pass
        left, again = signal.getitimer(signal.ITIMER_REAL)
        assert 0 < left <= 1000
        assert again == 5.0
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_thread_that_signals_do_not_reach_loads_without_a_limit():
    ended = []

    def load():
        with loading(0.0):
            ended.append(True)

    thread = threading.Thread(target=load)
    thread.start()
    thread.join()
    assert ended == [True]
