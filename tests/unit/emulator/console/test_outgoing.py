"""The queue of typed bytes: exact counts, whatever ends it."""

import pytest

from emulator.clock import Deadline
from emulator.console.outgoing import OutgoingQueue
from emulator.errors import ConsoleClosed, DeadlineExceeded


class FarEnd:
    """Takes `room` bytes, at most `piece` at once, and then nothing."""

    def __init__(self, room: int, piece: int = 1 << 20) -> None:
        self.room = room
        self.piece = piece
        self.taken = b""

    def write(self, data: bytes) -> int:
        size = min(len(data), self.room, self.piece)
        self.room -= size
        self.taken += data[:size]
        return size


def hand_over(queue: OutgoingQueue, far: FarEnd) -> tuple[bool, bytes]:
    noted: list[bytes] = []
    return queue.hand_over(far.write, noted.append), b"".join(noted)


def test_queue_hands_over_in_order():
    queue, far = OutgoingQueue("ttyS0"), FarEnd(100, piece=2)
    items = [queue.put(b"abc"), queue.put(b"defg")]
    assert hand_over(queue, far) == (False, b"abcdefg")
    assert far.taken == b"abcdefg"
    assert all(item.settled for item in items)


def test_queue_says_that_something_is_left_when_the_far_end_is_full():
    queue = OutgoingQueue("ttyS0")
    item = queue.put(b"abcdef")
    assert hand_over(queue, FarEnd(4)) == (True, b"abcd")
    assert (item.sent, item.settled) == (4, False)


def test_queue_settles_an_empty_run_at_once():
    queue = OutgoingQueue("ttyS0")
    queue.wait(queue.put(b""), Deadline.after(0))
    assert hand_over(queue, FarEnd(4)) == (False, b"")


def test_wait_says_how_many_bytes_went_at_the_deadline():
    queue = OutgoingQueue("ttyS0")
    item = queue.put(b"abcdef")
    hand_over(queue, FarEnd(4))
    with pytest.raises(DeadlineExceeded, match="4 of 6 bytes were handed over on ttyS0"):
        queue.wait(item, Deadline.after(0))


def test_queue_never_sends_the_rest_when_its_writer_gave_up():
    queue, far = OutgoingQueue("ttyS0"), FarEnd(100)
    given_up = queue.put(b"abc")
    with pytest.raises(DeadlineExceeded):
        queue.wait(given_up, Deadline.after(0))
    queue.put(b"next")
    hand_over(queue, far)
    assert far.taken == b"next"


def test_wait_says_how_many_bytes_went_when_the_queue_is_closed():
    queue = OutgoingQueue("ttyS0")
    item = queue.put(b"abcdef")
    hand_over(queue, FarEnd(2))
    queue.close("the far end hung up")
    with pytest.raises(ConsoleClosed, match=r"ttyS0 is closed \(the far end hung up\); 2 of 6 bytes"):
        queue.wait(item, Deadline.after(30))


def test_queue_refuses_what_comes_when_closed():
    queue = OutgoingQueue("ttyS0")
    queue.close("first")
    queue.close("second")
    with pytest.raises(ConsoleClosed, match="first"):
        queue.wait(queue.put(b"x"), Deadline.after(30))


def test_queue_goes_on_after_it_dropped_what_waited():
    queue, far = OutgoingQueue("ttyS0"), FarEnd(2)
    item = queue.put(b"abcdef")
    hand_over(queue, far)
    queue.drop("the far end has ended")
    with pytest.raises(ConsoleClosed, match=r"the far end has ended\); 2 of 6 bytes"):
        queue.wait(item, Deadline.after(30))
    assert queue.waiting == 0
    far = FarEnd(100)
    queue.put(b"next")
    hand_over(queue, far)
    assert far.taken == b"next"
