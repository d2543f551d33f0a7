"""The first line of a link."""

import pytest

from emulator.console.links import read_greeting
from emulator.errors import SpecError


@pytest.mark.parametrize(
    ("line", "greeting"),
    [
        (b"{}", (False, 100)),
        (b'{"mode": "write"}', (True, 100)),
        (b'{"mode": "read", "from": "start"}', (False, 0)),
        (b'{"mode": "write", "from": "end"}', (True, 100)),
        (b'{"from": 0}', (False, 0)),
        (b'{"from": 100}', (False, 100)),
    ],
)
def test_greeting_is_read(line, greeting):
    assert read_greeting(line, 100) == greeting


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"", "not JSON"),
        (b"\xff\x00", "not JSON"),
        (b"[]", "first line"),
        (b'{"mood": "read"}', "first line"),
        (b'{"mode": "steal"}', "mode is 'steal'"),
        (b'{"mode": ["read"]}', "mode is"),
        (b'{"from": -1}', "from is -1"),
        (b'{"from": 101}', "0 to 100"),
        (b'{"from": true}', "from is True"),
        (b'{"from": 1.5}', "from is 1.5"),
        (b'{"from": "middle"}', "from is 'middle'"),
        (b'{"from": null}', "from is None"),
    ],
)
def test_greeting_is_refused_when_it_is_wrong(line, why):
    with pytest.raises(SpecError, match=why):
        read_greeting(line, 100)
