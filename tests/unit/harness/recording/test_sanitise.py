"""Sanitised recordings: what is found, what is kept, logins both ways, and a copy that is refused."""

import pytest

from emulator.console.marks import Mark, MarkKind, Typed
from emulator.errors import LabError
from harness.recording import sanitise as module
from harness.recording.record import ordinary_words
from harness.recording.sanitise import Recording, find_starred, name_answers, sanitise, split_typed
from harness.recording.secrets import KEPT_GUIDS, Placeholders, SecretKind, find_secrets, replacement

LOGIN = (
    b"Please enter login credentials.\r\nUsername: ",
    b"Domain  :",
    b"Password: ",
    b"\r\nMicrosoft Windows [Version 10.0.20348.587]\r\nC:\\Users\\jane.doe>",
)


def login(*answers: bytes, ahead: bool = False) -> Recording:
    """A login: each answer is echoed, the password as stars; `ahead` types all at the first question."""
    output, typed = LOGIN[0], []
    for number, answer in enumerate(answers):
        at = len(LOGIN[0]) if ahead else len(output)
        typed += [Typed(at=float(number), offset=at, data=bytes([one])) for one in answer + b"\r"]
        shown = b"*" * len(answer) if number == 2 else answer
        output += shown + b"\r\n" + LOGIN[number + 1]
    return Recording(output=output, typed=tuple(typed))


def typed_of(made) -> bytes:
    return b"".join(one.data for one in made.recording.typed)


@pytest.mark.parametrize("ahead", [False, True])
def test_login_is_hidden_in_both_directions(ahead):
    made = sanitise(login(b"jane.doe", b"CONTOSO", b"Geh3im!", ahead=ahead), ordinary=ordinary_words())
    assert typed_of(made) == b"USERxxx1\rDOMAIN1\rPASSWO1\r"
    assert b"Username: USERxxx1\r\nDomain  :DOMAIN1\r\nPassword: *******\r\n" in made.recording.output
    assert made.recording.output.endswith(b"[Version 10.0.20348.587]\r\nC:\\Users\\USERxxx1>")
    assert made.counts == {SecretKind.USER: 1, SecretKind.DOMAIN: 1, SecretKind.PASSWORD: 1}
    assert made.in_place == 0


def test_password_is_hidden_wherever_it_was_typed_or_shown():
    plain = login(b"jane.doe", b"", b"Geh3im!")
    end = len(plain.output)
    more = Typed(at=9.0, offset=end, data=b"net use x: /p:Geh3im!\r")
    made = sanitise(Recording(output=plain.output + b"net use x: /p:Geh3im!", typed=(*plain.typed, more)))
    assert b"Geh3im" not in made.recording.output + typed_of(made)


def test_ordinary_name_stays_and_a_password_that_is_a_word_is_hidden_where_it_was_typed():
    plain = login(b"Administrator", b"", b"restart")
    more = Typed(at=9.0, offset=len(plain.output), data=b"restart\r")
    made = sanitise(
        Recording(output=plain.output + b"\r\nSAC>restart", typed=(*plain.typed, more)),
        ordinary=ordinary_words(),
    )
    assert typed_of(made) == b"Administrator\r\rPASSWO1\rrestart\r"
    assert made.recording.output.endswith(b"SAC>restart")
    assert made.in_place == 1


@pytest.mark.parametrize("password", [b"%PATH%", b"*******", b"%", b"10.1.2.3"])
def test_password_is_hidden_whatever_it_looks_like(password):
    made = sanitise(login(b"Administrator", b"", password))
    assert password + b"\r" not in typed_of(made)
    assert b"Password: " + b"*" * len(password) + b"\r\n" in made.recording.output


def test_password_that_is_a_common_name_is_hidden_where_it_was_typed():
    made = sanitise(login(b"Administrator", b"", b"Guest"))
    assert typed_of(made) == b"Administrator\r\rPASS1\r"


def test_what_was_erased_of_an_answer_is_hidden_too():
    output = b"Username: "
    made = sanitise(Recording(output=output, typed=(Typed(at=0.0, offset=10, data=b"janf\x08e.doe\r"),)))
    assert typed_of(made) == b"USEx\x08Rxxx1\r"


def test_password_is_known_by_its_stars_where_no_question_told():
    lines = split_typed([(0, b"id\rGeh3im!\r")])
    name_answers(lines, ["SAC>", "SAC>"])
    assert [line.kind for line in lines] == [None, None]
    find_starred(lines, [(500, 7)])
    assert [line.kind for line in lines] == [None, SecretKind.PASSWORD]
    assert b"Geh3im" not in typed_of(
        sanitise(
            Recording(
                output=b"\x1b[2Jwait\r\nUsername: jane\r\nDomain  :\r\nPassword: *******\r\n",
                typed=(Typed(at=0.0, offset=0, data=b"x1jane\r\rGeh3im!\r"),),
            )
        )
    )


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("<machine-info>\r\n<name>DB7</name>", SecretKind.HOST, "DB7"),
        ("           Computer Name: DB7\r\n", SecretKind.HOST, "DB7"),
        ("   Host Name . . . . . . . . . . . . : DB7\r\n", SecretKind.HOST, "DB7"),
        ('{"vmName":"DB7"}', SecretKind.HOST, "DB7"),
        ("C:\\>hostname\nDB7\n", SecretKind.HOST, "DB7"),
        ("db7 login: ", SecretKind.HOST, "db7"),
        ("dir \\\\DB7\\share", SecretKind.HOST, "DB7"),
        ("contoso\\jane\n", SecretKind.USER, "jane"),
        ("contoso\\jane\n", SecretKind.DOMAIN, "contoso"),
        ("   Primary Dns Suffix  . . . . . . . : corp.example\n", SecretKind.DOMAIN, "corp.example"),
        ("net user jane S3cret! /add", SecretKind.PASSWORD, "S3cret!"),
        ("runas /user:contoso\\jane cmd", SecretKind.USER, "jane"),
        ("powershell -enc ZQBjAGgAbwAgAHgA", SecretKind.ENCODED, "ZQBjAGgAbwAgAHgA"),
        (" Volume Serial Number is 1A2B-3C4D", SecretKind.SERIAL, "1A2B-3C4D"),
        ("SerialNumber  \r\nPF0123XY", SecretKind.SERIAL, "PF0123XY"),
        ("Ip=192.168.7.9  Subnet=255.255.255.0", SecretKind.IPV4, "192.168.7.9"),
        ("fe80::1c2d:3e4f%12", SecretKind.IPV6, "fe80::1c2d:3e4f"),
        ("00-15-5D-01-02-03", SecretKind.MAC, "00-15-5D-01-02-03"),
        ("5f1e7a30-0c4b-4d7e-9a51-77ab39f1c0de", SecretKind.GUID, "5f1e7a30-0c4b-4d7e-9a51-77ab39f1c0de"),
    ],
)
def test_secret_is_found(text, kind, value):
    assert (kind, value) in {(one.kind, one.value) for one in find_secrets(text)}


@pytest.mark.parametrize(
    "text",
    [
        *sorted(KEPT_GUIDS),
        "Microsoft Windows [Version 10.0.20348.587]",
        "Time since last reboot: 0:00:12",
        "memory: 2097152 kb  uptime:  0  0:00:02.387",
        "Subnet=255.255.255.0 127.0.0.1 ::1 0.0.0.0",
        "<channel-switch>\r\n<name>SAC</name>",
        "<name>Cmd0012</name>",
        "Username: Administrator\r\n",
        "Password: *********\r\n",
        "PageFile: \\??\\C:\\pagefile.sys",
        "C:\\Windows\\system32>",
        "0xFFFF800CD3558010",
    ],
)
def test_what_windows_says_is_no_secret(text):
    assert list(find_secrets(text)) == []


def test_named_word_is_hidden_in_any_case():
    made = sanitise(Recording(output=b"Acme, ACME and acme\r\n"), words=["acme"])
    assert made.recording.output == b"HID1, HID1 and HID1\r\n"
    assert made.counts == {SecretKind.WORD: 1}


def test_marks_lose_their_secrets_and_keep_their_places():
    mark = Mark(
        kind=MarkKind.LAB, name="x", at=1.0, offset=2, detail={"a": ["on DB-700", 5, {"b": "10.1.2.3"}]}
    )
    made = sanitise(Recording(output=b"Computer Name: DB-700\r\n", marks=(mark,)))
    (kept,) = made.recording.marks
    assert kept.detail == {"a": ["on HOSTx1", 5, {"b": "10.1.2.4"}]} or "DB-700" not in str(kept.detail)
    assert "10.1.2.3" not in str(kept.detail)
    assert (kept.at, kept.offset, kept.name) == (1.0, 2, "x")


def test_names_of_other_alphabets_keep_their_bytes():
    output = "Computer Name: MÜLLER-é\u20ac\U0001f680\r\nMÜLLER-é\u20ac\U0001f680".encode()
    made = sanitise(Recording(output=output)).recording.output
    assert len(made) == len(output)
    assert "MÜLLER".encode() not in made
    made.decode()


def test_copy_in_which_a_secret_can_be_seen_is_refused(monkeypatch):
    monkeypatch.setattr(module._Patches, "write", lambda *_: None)
    with pytest.raises(
        LabError, match="a computer name can still be seen in the sanitised copy, which was not"
    ):
        sanitise(Recording(output=b"Computer Name: FIN-DB07\r\n"))


@pytest.mark.parametrize(
    ("kind", "value", "made"),
    [
        (SecretKind.IPV4, "10.20.3.115", "10.10.1.103"),
        (SecretKind.MAC, "00:15:5d:01:02:03", "02:00:00:00:00:03"),
        (SecretKind.SERIAL, "1A2B-3C4D", "0000-0003"),
        (SecretKind.IPV6, "fe80::1", "dddd::3"),
        (SecretKind.HOST, "AB", "H3"),
        (SecretKind.HOST, "A", "3"),
        (SecretKind.ENCODED, "ZQBj", "AAAA"),
    ],
)
def test_placeholder_has_the_shape_of_its_value(kind, value, made):
    assert replacement(kind, value, 3) == made


def test_placeholder_never_holds_a_value():
    names = Placeholders(["HOSTxxx1", "HOSTxxx2"])
    assert names.of(SecretKind.HOST, "FIN-DB07") == "HOSTxxx3"
