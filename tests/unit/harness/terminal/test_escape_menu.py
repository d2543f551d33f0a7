"""The escape menu: typed bytes in, text and wishes out, whatever the chunks."""

import pytest

from harness.terminal.escape_menu import Act, EscapeMenu, SysRqKey, help_text

ESC = b"\x1d"


def feed(data: bytes, size: int | None = None) -> list:
    menu, wishes = EscapeMenu(), []
    for start in range(0, len(data), size or max(1, len(data))):
        wishes += menu.feed(data[start : start + (size or len(data))])
    return wishes


@pytest.mark.parametrize(
    ("typed", "wished"),
    [
        (b"plain text\r", [b"plain text\r"]),
        (ESC + b"n", [Act.NMI]),
        (b"ab" + ESC + b"rcd", [b"ab", Act.RESET, b"cd"]),
        (ESC + b"p" + ESC + b"o" + ESC + b"O", [Act.POWER_BUTTON, Act.POWER_OFF, Act.POWER_ON]),
        (ESC + b"sh", [SysRqKey(key=b"h")]),
        (ESC + b"b", [Act.BREAK]),
        (ESC + ESC, [ESC]),
        (ESC + b"?" + ESC + b"h", [Act.HELP, Act.HELP]),
        (ESC + b"x", [Act.HELP]),
        (ESC + b"q", [Act.QUIT]),
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
    for wish in single:
        if isinstance(wish, bytes) and not isinstance(wish, Act) and joined and type(joined[-1]) is bytes:
            joined[-1] += wish
        else:
            joined.append(wish)
    assert b"".join(wish for wish in whole if type(wish) is bytes) == b"one" + ESC + b"two"
    assert [w for w in whole if type(w) is not bytes] == [w for w in joined if type(w) is not bytes]


def test_help_names_what_can_be_done():
    shown = help_text(writable=True)
    assert all(f"  {key}  " in shown for key in "nrpoOb?qs")
    reading = help_text(writable=False)
    assert "NMI" not in reading
    assert "--write" in reading
