"""What a SAC says against its profile: its own texts are no difference, and each change is named."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.sac.knobs import PROFILES
from emulator.sac.profile import load_profile
from harness.conformance.blocks import Part, read_blocks
from harness.conformance.checks import release_of
from harness.conformance.compare import compare, render_json, render_text
from harness.conformance.expected import classify

GUID = "5f1e7a30-0c4b-4d7e-9a51-77ab39f1c0de"


def filled(text: str, *values: object) -> str:
    return (text % values).replace("\n", "\r\n")


def machine_info(profile) -> str:
    text = {key.removeprefix("xml.machine_"): one.text for key, one in profile.texts.items()}
    facts = {
        "name": "WIN-1",
        "guid": GUID,
        "architecture": profile.architecture,
        "version": profile.os_version,
        "build": profile.os_build,
        "product": profile.product,
        "service_pack": profile.service_pack,
    }
    body = "".join(filled(text[key], value) for key, value in facts.items())
    return filled(text["open"]) + body + filled(text["close"])


def answer(profile, command: str, *keys: str) -> str:
    return f"SAC>{command}\r\n" + "".join(profile.texts[key].wire.decode() for key in keys)


def session(profile) -> str:
    """A boot and some commands as the profile has them."""
    listed = [key for key in profile.texts if key.startswith("sac.help_")]
    if not profile.has_livedump:
        listed.remove("sac.help_livedump")
    return (
        profile.texts["boot.terminal_on"].wire.decode()
        + profile.texts["xml.head"].wire.decode()
        + machine_info(profile)
        + profile.texts["boot.banner"].wire.decode()
        + "SAC>\r\n"
        + profile.texts["sac.cmd_event"].wire.decode()
        + answer(profile, "?", *listed)
        + answer(profile, "what", "sac.unknown_command")
        + answer(profile, "lock", "sac.locked")
        + answer(profile, "ch -ci 0", "channel.sac_stays")
        + "SAC>"
    )


@pytest.mark.parametrize("name", PROFILES)
def test_profiles_own_texts_are_no_difference(name):
    profile = load_profile(name)
    made = session(profile).encode()
    assert compare(made, profile) == []
    assert {block.part for block in read_blocks(made)} >= {
        Part.MACHINE_INFO,
        Part.BANNER,
        Part.EVENT,
        Part.ANSWER,
    }


def test_another_release_differs_in_what_the_profiles_differ_in():
    found = compare(session(load_profile("2022")).encode(), load_profile("2019"))
    assert {one.key for one in found} == {"xml.machine_build", "xml.machine_product"}
    found = compare(session(load_profile("2022")).encode(), load_profile("2003"))
    assert [(one.section, one.key) for one in found] == [
        ("1.4", "xml.machine_architecture"),
        ("1.4", "xml.machine_version"),
        ("1.4", "xml.machine_build"),
        ("1.4", "xml.machine_product"),
        ("1.4", "xml.machine_service_pack"),
        ("1.6", "sac.help_i_set"),
        ("1.6", ""),  # livedump, which 2003 does not have
    ]
    assert found[-1].observed.startswith(b"livedump")


@given(data=st.data())
def test_a_line_that_is_changed_or_gone_is_one_difference_with_its_place(data):
    profile = load_profile("2022")
    lines = session(profile).split("\r\n")
    texts = [
        number
        for number, line in enumerate(lines)
        if line.startswith(("lock ", "Unrec", "<os-prod", "Use the"))
    ]
    number = data.draw(st.sampled_from(texts))
    was = lines[number]
    lines[number] = data.draw(st.sampled_from([f"{was} indeed", was[:-1], was.replace("e", "E", 1)]))
    made = "\r\n".join(lines).encode()
    (found,) = compare(made, profile)
    assert found.expected == was.rstrip()
    assert found.observed == lines[number].encode()
    assert made[found.start : found.end].startswith(found.observed)
    del lines[number]
    gone = compare("\r\n".join(lines).encode(), profile)
    if not was.startswith("Unrec"):  # an answer without lines is none
        assert [(one.expected, one.observed) for one in gone] == [(was.rstrip(), b"")]


def test_command_that_an_event_interrupts_is_put_together():
    profile = load_profile("2022")
    event = profile.texts["sac.cmd_event"].wire.decode()
    made = f"SAC>lo\r\n{event}SAC>ck\r\nLocked access to nothing.\r\nSAC>".encode()
    (found,) = compare(made, profile)
    assert (found.key, found.where) == ("sac.locked", "the answer to `lock`")


def test_screen_that_is_drawn_again_is_not_compared():
    profile = load_profile("2022")
    rows = [f"SAC>{word}".ljust(80) for word in ("what", "nonsense of an older answer")]
    drawn = "\x1b[2J\x1b[1;1H\x1b[0m" + "".join(
        f"\x1b[{row};1H{text}" for row, text in enumerate(rows, start=1)
    )
    assert compare((session(profile) + drawn + "\x1b[3;5H").encode(), profile) == []


def test_boot_order_and_clearing_are_looked_at():
    profile = load_profile("2022")
    made = session(profile)
    banner = profile.texts["boot.banner"].wire.decode()
    found = compare(made.replace(banner, "").replace("\x1b[2J\x1b[H", "").encode(), profile)
    assert {(one.section, one.key) for one in found} == {("1.2", "boot.order"), ("1.2", "boot.terminal_on")}


def test_differences_are_shown_by_section_with_guest_bytes_escaped():
    profile = load_profile("2022")
    made = session(profile).replace("Locked access", "\x9b31mLocked\u202e access").encode()
    found = compare(made, profile)
    text = render_text(found, profile="2022", kept="DIR/console.bin")
    assert "1.6 commands: 1 difference\n  sac.locked [R] in the answer to `lock`, bytes " in text
    assert "\u202e" not in text
    assert "\\u202e" in text
    (row,) = json.loads(render_json(found, profile="2022", kept="x"))["differences"]
    assert (row["section"], row["key"], row["source"]) == ("1.6", "sac.locked", "R")
    assert made[slice(*row["span"])].startswith(b"\xc2\x9b31mLocked")
    assert (
        render_text([], profile="2022", kept="x")
        == "no difference from profile 2022; the console is kept in x"
    )


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("?", ("?", "")),
        ("HELP me", ("?", "")),
        ("test", ("t", "")),
        ("ch -sn x", ("ch", "-sn x")),
        ("chat", ("", "")),
        ("  id ", ("id", "")),
        ("i 11 1.2.3.4", ("i", "11 1.2.3.4")),
        ("what", ("", "")),
    ],
)
def test_line_is_taken_for_the_command_that_sac_takes_it_for(line, command):
    assert classify(line) == command


@pytest.mark.parametrize(
    ("build", "name"),
    [(20348, "2022"), (26100, "2025"), (3790, "2003"), (17763, "2019"), (20400, "2022"), (1, "2003")],
)
def test_release_is_told_by_its_build(build, name):
    answered = b"           Computer Name: X\n            Build Number: %d" % build
    assert release_of(answered, load_profile("2016")).name == name
    assert release_of(b"nothing", load_profile("2016")).name == "2016"


def test_profile_with_another_text_is_another_expectation():
    profile = load_profile("2022")
    locked = replace(profile.texts["sac.locked"], text="Locked.\n", source="T")
    changed = replace(profile, texts={**profile.texts, "sac.locked": locked})
    (found,) = compare(session(profile).encode(), changed)
    assert (found.key, found.source, found.expected) == ("sac.locked", "T", "Locked.")


@pytest.mark.parametrize(("profile", "named"), [("2022", set()), ("2019", {"cmd.vt_mode"})])
def test_channel_that_writes_lines_is_told_from_one_that_draws(profile, named):
    of_2022 = load_profile("2022")
    said = "C:\\Windows\\system32>echo a word\r\na word\r\n\r\n" * 3 + "C:\\Windows\\system32>"
    login = "Please enter login credentials.\r\nUsername: a\r\nDomain  :\r\nPassword: *\r\n\r\n"
    version = filled(of_2022.texts["cmd.version"].text, load_profile(profile).cmd_version)
    found = compare((login + version + said).encode(), load_profile(profile))
    assert {one.key for one in found if one.key != "cmd.copyright"} == named
