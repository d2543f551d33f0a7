"""Children without huge pages, and a process that keeps its own."""

import ctypes
import subprocess
import sys

import pytest

from emulator.machine.process import forbid_huge_pages

_ASK = "import ctypes; print(ctypes.CDLL(None).prctl(42, 0, 0, 0, 0))"


def forbidden_here():
    return ctypes.CDLL(None).prctl(42, 0, 0, 0, 0)


def forbidden_in_a_child():
    asked = subprocess.run([sys.executable, "-c", _ASK], capture_output=True, text=True, check=True)
    return int(asked.stdout)


def test_only_children_of_the_block_are_forbidden_huge_pages():
    with forbid_huge_pages():
        assert forbidden_in_a_child() == 1
    assert forbidden_in_a_child() == forbidden_here() == 0


def test_setting_is_given_back_after_an_error():
    with pytest.raises(OSError, match="no such program"), forbid_huge_pages():
        raise OSError("no such program")
    assert forbidden_here() == 0


def test_process_that_forbade_them_itself_keeps_that():
    with forbid_huge_pages():
        pass
    script = (
        "import ctypes; prctl = ctypes.CDLL(None).prctl; prctl(41, 1, 0, 0, 0)\n"
        "from emulator.machine.process import forbid_huge_pages\n"
        "with forbid_huge_pages(): pass\n"
        "print(prctl(42, 0, 0, 0, 0))"
    )
    asked = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert asked.stdout == "1\n"
