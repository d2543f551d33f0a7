"""The escape menu: typed bytes in, text and options out, whatever the chunks."""

import pytest

from harness.terminal.escape_menu import EscapeMenu, MenuAct, SysRqKey, help_text

ESC = b"\x1d"


def feed(data: bytes, size: int | None = None) -> list:
    menu, options = EscapeMenu(), []
    for start in range(0, len(data), size or max(1, len(data))):
        options += menu.feed(data[start : start + (size or len(data))])
    return options


@pytest.mark.parametrize(
    ("typed", "wished"),
    [
        (b"plain text\r", [b"plain text\r"]),
        (ESC + b"n", [MenuAct.NMI]),
        (b"ab" + ESC + b"rcd", [b"ab", MenuAct.RESET, b"cd"]),
        (ESC + b"p" + ESC + b"o" + ESC + b"O", [MenuAct.POWER_BUTTON, MenuAct.POWER_OFF, MenuAct.POWER_ON]),
        (ESC + b"sh", [SysRqKey(key=b"h")]),
        (ESC + b"b", [MenuAct.BREAK]),
        (ESC + ESC, [ESC]),
        (ESC + b"?" + ESC + b"h", [MenuAct.HELP, MenuAct.HELP]),
        (ESC + b"x", [MenuAct.HELP]),
        (ESC + b"q", [MenuAct.QUIT]),
        (ESC, []),
        (b"", []),
    ],
)
def test_menu_understands(typed, wished):
    assert feed(typed) == wished


def test_chunks_do_not_matter():
    typed = b"one" + ESC + b"n" + ESC + b"sc" + ESC + ESC + b"two" + ESC + b"q"
    whole, single = feed(typed), feed(typed, 1)
    joined = []
    for request in single:
        if (
            isinstance(request, bytes)
            and not isinstance(request, MenuAct)
            and joined
            and type(joined[-1]) is bytes
        ):
            joined[-1] += request
        else:
            joined.append(request)
    assert b"".join(request for request in whole if type(request) is bytes) == b"one" + ESC + b"two"
    assert [w for w in whole if type(w) is not bytes] == [w for w in joined if type(w) is not bytes]


def test_help_names_what_can_be_done():
    shown = help_text(writable=True)
    assert all(f"  {key}  " in shown for key in "nrpoOb?qs")
    reading = help_text(writable=False)
    assert "NMI" not in reading
    assert "--write" in reading
