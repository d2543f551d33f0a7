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


def test_queue_keeps_back_what_is_put_while_it_is_held():
    queue, far = OutgoingQueue("ttyS0"), FarEnd(100)
    queue.put(b"before ")
    with queue.held():
        queue.put(b"later")
        with queue.held():
            queue.put(b" and last")
        queue.put(b"ahead ", ahead=True)
        assert (queue.going, queue.waiting) == (13, 27)
        hand_over(queue, far)
        assert (far.taken, queue.going, queue.waiting) == (b"before ahead ", 0, 14)
    hand_over(queue, far)
    assert far.taken == b"before ahead later and last"


@pytest.mark.parametrize("end", [OutgoingQueue.drop, OutgoingQueue.close])
def test_queue_gives_up_what_is_kept_back_too(end):
    queue, far = OutgoingQueue("ttyS0"), FarEnd(100)
    with queue.held():
        item = queue.put(b"later")
        end(queue, "the far end has ended")
        with pytest.raises(ConsoleClosed, match="the far end has ended"):
            queue.wait(item, Deadline.after(30))
    assert hand_over(queue, far) == (False, b"")


def test_queue_never_sends_what_was_kept_back_longer_than_its_writer_waited():
    queue, far = OutgoingQueue("ttyS0"), FarEnd(100)
    with queue.held(), pytest.raises(DeadlineExceeded, match="0 of 5 bytes"):
        queue.wait(queue.put(b"later"), Deadline.after(0))
    assert hand_over(queue, far) == (False, b"")
