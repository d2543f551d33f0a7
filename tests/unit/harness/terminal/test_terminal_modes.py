"""What a guest has set in the user's terminal is taken back when the user leaves."""

import os

import pytest

from harness.terminal.terminal import kept_modes


def read_some(screen):
    """Return some of what a closed terminal was sent, b"" behind its end, which Linux calls EIO."""
    try:
        return screen.read(4096)
    except OSError:
        return b""


def test_modes_are_taken_back_on_a_terminal_also_after_a_failure():
    master, slave = os.openpty()
    try:
        with pytest.raises(KeyboardInterrupt), kept_modes(slave):
            raise KeyboardInterrupt
    finally:
        os.close(slave)
    with os.fdopen(master, "rb", buffering=0) as screen:
        written = b"".join(iter(lambda: read_some(screen), b""))
    assert written.startswith(b"\x1b[22;0t")
    assert [word for word in (b"1003", b"?25h", b"?1047l", b"\x1b[23;0t") if word not in written] == []


def test_file_gets_no_byte(tmp_path):
    with (tmp_path / "log").open("wb") as log, kept_modes(log.fileno()):
        log.write(b"guest")
    assert (tmp_path / "log").read_bytes() == b"guest"
