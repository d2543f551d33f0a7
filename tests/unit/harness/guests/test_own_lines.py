"""A command's own lines and the kernel's, as a second look tells them apart."""

import pytest

from harness.guests.kernel_log import read_log
from harness.guests.own_lines import KernelLog, find_lines, find_records

LOG = KernelLog(levels={b"50.000001": 3, b"50.000002": 7}, oldest=10.0, shown=7, began=49.5, ended=51.0)
RECORD = b"[   50.000001] usb: a device\r\n"


def records(data, log=LOG):
    return [data[line.start : line.end] for line in find_records(find_lines(data), log)]


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"be" + RECORD + b"fore\r\n", [RECORD]),
        (b"<3>" + RECORD, [b"<3>" + RECORD]),
        (RECORD + RECORD, [RECORD]),  # the kernel prints it once
        (b"[    1.000000] old\r\n" + RECORD, [RECORD]),
        (b"[    1.000000] own, with a record in " + RECORD + b"its text\r\n", [RECORD]),
        (
            b"[   50.000001] [   50.000001] in its own text\r\n",
            [b"[   50.000001] [   50.000001] in its own text\r\n"],
        ),
        (b"[   50.000002] of a level that the console hides\r\n", []),
        (b"[   50.000003] of no record\r\n", []),
        (b"[   99.000000] of the future\r\n", []),
        (b"[   50.000001] without a line end", []),
    ],
)
def test_records_are_what_the_kernel_logged_while_the_command_ran(data, found):
    assert records(data) == found


def test_all_are_records_without_a_second_look():
    data = RECORD + b"[    1.000000] old\r\n" + RECORD
    assert b"".join(records(data, log=None)) == data


def test_record_that_the_log_has_forgotten_is_the_kernels():
    log = KernelLog(levels={b"50.500000": 4}, oldest=50.5, shown=7, began=49.5, ended=51.0)
    assert records(RECORD, log) == [RECORD]


def test_look_is_read_among_what_else_is_shown():
    said = b"51.00 80.12\r\n7\t4\t1\t7\r\n5 10.000000\r\n12 50.000001\r\n"
    log = read_log(said, elapsed=1.5)
    assert (log.levels, log.shown) == ({b"10.000000": 5, b"50.000001": 4}, 7)
    assert (log.oldest, log.began, log.ended) == (10.0, 49.5, 51.0)


def test_clock_of_a_log_that_is_ahead_of_the_uptime_is_the_logs_own():
    """As of arm64's 6.1 on a busy host: the uptime was 3.3 s behind."""
    log = read_log(b"12.27 4.58\r\n7\t4\t1\t7\r\n6 0.000000\r\n12 15.552716\r\n", elapsed=1.5)
    assert (log.began, log.ended) == (pytest.approx(14.052716), 15.552716)


def test_guest_that_does_not_know_how_long_it_is_up_gives_no_look():
    assert read_log(b"sh: cat: not found\r\n", elapsed=1.0) is None
    assert read_log(b"51.00 80.12\r\n", elapsed=1.0).oldest == float("inf")
