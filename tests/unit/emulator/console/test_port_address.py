"""The name of a serial port, and what it says of DTR and RTS."""

import pytest

from emulator.console.port_address import PortAddress, parse_port, with_lines
from emulator.errors import SpecError


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("/dev/ttyUSB0", PortAddress(url="/dev/ttyUSB0")),
        ("/dev/ttyUSB0?dtr=off&rts=on", PortAddress(url="/dev/ttyUSB0", dtr=False, rts=True)),
        ("rfc2217://h:1?rts=off&timeout=9", PortAddress(url="rfc2217://h:1?timeout=9", rts=False)),
        ("spy:///dev/ttyS0?file=x", PortAddress(url="spy:///dev/ttyS0?file=x")),
        ("", PortAddress(url="")),
    ],
)
def test_port_is_read(text: str, address: PortAddress) -> None:
    assert parse_port(text) == address


@pytest.mark.parametrize("text", ["/dev/ttyS0?dtr=0", "/dev/ttyS0?rts", "/dev/ttyS0?x=1&dtr="])
def test_wrong_setting_is_named(text: str) -> None:
    with pytest.raises(SpecError, match="allowed: on, off"):
        parse_port(text)


def test_options_go_over_what_the_url_says() -> None:
    assert with_lines("/dev/ttyS0?dtr=off") == "/dev/ttyS0?dtr=off"
    assert with_lines("/dev/ttyS0?dtr=off", rts=False) == "/dev/ttyS0?dtr=off&rts=off"
    assert with_lines("/dev/ttyS0?dtr=off", dtr=True) == "/dev/ttyS0?dtr=on"
    assert with_lines("rfc2217://h:1?timeout=9", dtr=False) == "rfc2217://h:1?timeout=9&dtr=off"
    with pytest.raises(SpecError, match="no port is given"):
        with_lines("", dtr=False)
