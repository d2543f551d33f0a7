"""Serial ports as targets: whose turn it is on a port, under any of its names, and how long that took."""

import pytest

from emulator.console.pump import open_console
from emulator.console.serial_port import port_identity
from emulator.errors import LabError
from harness.targets import serial_port
from harness.targets.serial_port import open_port


@pytest.fixture
def names(tmp_path, monkeypatch):
    """Two names of one port."""
    monkeypatch.setenv("TTYLAB_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(serial_port, "TURN_S", 0.0)
    with open_console() as console:
        (tmp_path / "by-id").symlink_to(console.endpoint.path)
        yield str(console.endpoint.path), str(tmp_path / "by-id")


def test_two_names_of_one_port_take_turns(names):
    one, other = names
    told = []
    with (
        serial_port.port_turn(one, lambda: told.append("one")),
        pytest.raises(LabError, match="by-id: another cell has been on this port for 0 s"),
        serial_port.port_turn(other, lambda: told.append("other")),
    ):
        pass
    with serial_port.port_turn(other, lambda: told.append("again")):
        assert told == ["one", "other", "again"]


def test_port_is_let_go_after_a_failure(names):
    with pytest.raises(ZeroDivisionError), serial_port.port_turn(names[0], lambda: None):
        raise ZeroDivisionError
    with serial_port.port_turn(names[1], lambda: None):
        assert port_identity(names[0]) == port_identity(names[1])


def test_lines_may_be_set_on_a_port_that_has_none(names):
    with open_port(names[0], dtr=False, rts=False) as target:
        assert target.name == f"{names[0]}?dtr=off&rts=off"
