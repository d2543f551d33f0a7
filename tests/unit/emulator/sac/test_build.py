import re

from emulator.sac.build import FACTS, make_header, make_tables
from emulator.sac.knobs import PROFILES
from emulator.sac.profile import load_profile

ALL = [load_profile(name) for name in PROFILES]


def test_header_names_every_text_and_fact():
    header = make_header(ALL[0])
    assert re.findall(r"    T_(\w+),", header) == [key.replace(".", "_").upper() for key in ALL[0].texts]
    assert re.findall(r"    F_(\w+),", header) == [key.upper() for key in FACTS]


def pool_of(tables):
    """Read the pool back: its bytes by offset."""
    rows = re.findall(r'^    /\* (.*?) \*/ "(.*)"$', tables, re.MULTILINE)
    joined = b"".join(re.sub(rb"\\(\d{3}|0)", octal, text.encode()) for _, text in rows)
    return joined, [comment for comment, _ in rows]


def octal(found):
    return bytes([int(found[1], 8)])


def test_tables_lead_to_every_text_of_every_profile():
    tables = make_tables(ALL)
    pool, _ = pool_of(tables)
    rows = [
        [int(number) for number in row.split(", ")]
        for row in re.findall(r"^    \{([0-9, ]+)\},$", tables, re.MULTILINE)
    ]
    for profile, row in zip(ALL, rows[: len(ALL)], strict=True):
        wires = [text.wire for text in profile.texts.values()]
        assert [pool[at : pool.index(b"\0", at)] for at in row] == wires
    for profile, row in zip(ALL, rows[len(ALL) :], strict=True):
        assert pool[row[1] : pool.index(b"\0", row[1])] == profile.os_version.encode()


def test_tables_tell_where_a_text_comes_from_and_keep_it_once():
    pool, comments = pool_of(make_tables(ALL))
    assert "2003 sac.prompt: T 1.5" in comments
    assert pool.count(b"\0SAC>\0") == 1
