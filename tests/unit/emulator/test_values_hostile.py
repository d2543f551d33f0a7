"""Files that no reader should trust: each is refused in a line, at once, and no secret is shown."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from emulator.errors import SpecError
from emulator.files import read_whole
from emulator.values import TOML_MOST, load_json, load_toml, parse_json, read_value
from harness.cli import main
from harness.report.model import load_run

BOMBS = {
    "arrays": b"a = " + b"[" * 50_000,
    "tables": b"a = " + b"{a = " * 20_000,
    "key": b".".join([b"a"] * 200_000) + b" = 1",
    "header": b"[" + b" . ".join([b"a"] * 200_000) + b"]",
    "quoted key": b"x = {" + rb'."a\" b".'.join([b"a"] * 20_000) + b" = 1}",
    "integer": b"a = " + b"9" * 5000,
    "date": b"a = 2026-02-31",
    "size": b"#" * (TOML_MOST + 1),
    "NUL": b'a = "\0"',
    "bytes": b"\xff\xfe",
    "backslashes": rb'"\ '[:2] * 100_000,
    "escape": b'"\\u001b]0;x\\u0007\\u202e" = 1\n[matrix]\nname = 5',
}


@pytest.fixture
def refused(capsys):
    def run(*arguments):
        assert main(["run", "--list", *map(str, arguments)]) == 2
        said = capsys.readouterr().err
        assert "Traceback" not in said
        assert not {"\x1b", "\x07", "\u202e", "\0"} & set(said)
        return said

    return run


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS)
def test_toml_bomb_is_one_line_and_exit_2(tmp_path, refused, text):
    path = tmp_path / "matrix.toml"
    path.write_bytes(text)
    said = refused(path)
    assert said.count("\n") == (1 if text is not BOMBS["escape"] else 4)
    assert str(path) in said
    assert len(said) < 2000


@pytest.mark.parametrize("kind", ["FIFO", "directory", "device"])
def test_what_is_no_file_is_refused_at_once(tmp_path, refused, kind):
    path = Path("/dev/zero") if kind == "device" else tmp_path / "matrix.toml"
    if kind == "FIFO":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    said = refused(path)
    assert f"{path}: can't be read: is a {kind}, not a file" in said
    if kind == "directory":
        (path / "run.json").mkdir()
    with pytest.raises(SpecError, match=f"is a {kind}, not a file"):
        load_run(path)


def test_file_that_grows_is_read_up_to_its_bound(tmp_path):
    (tmp_path / "file").write_bytes(b"12345")
    assert read_whole(tmp_path / "file", most=5) == b"12345"
    with pytest.raises(OSError, match="it has 5 bytes; allowed: 4"):
        read_whole(tmp_path / "file", most=4)
    with pytest.raises(OSError, match="it has more than 5 bytes"):
        read_whole(Path("/proc/self/status"), most=5)  # its size is said to be 0


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "9" * 5000, "\ud800", ""])
def test_json_bomb_is_refused_in_a_line(text):
    with pytest.raises(SpecError, match=r"^here: not JSON: [^\n]*$"):
        parse_json(text, origin="here")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    name: str
    password: str = ""
    client_secret: str = ""
    hidden: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    accounts: tuple[Account, ...] = ()
    named: dict[str, Account] = field(default_factory=dict)
    size: int = 0


SECRETS = [
    {"accounts": [{"name": "a", "password": 1234567}]},
    {"accounts": [{"name": "a", "client_secret": ["hunter2"]}]},
    {"accounts": [{"name": "a", "hidden": {"x": "hunter2"}}]},
    {"accounts": [{"name": "a", "pasword": "hunter2"}]},
    {"accounts": [{"name": "a", "clientSecrets": "hunter2"}]},
    {"accounts": [{"name": "a", "api_key": "hunter2"}]},
    {"accounts": [["a", "hunter2"]]},
    {"accounts": "a:hunter2"},
    {"named": {"a": "hunter2"}},
    {"acounts": [{"name": "a", "password": "hunter2"}]},
    {"size": {"token": "hunter2"}},
    {"deep": {"a": {"b": {"c": {"d": "hunter2"}}}}},
]


@pytest.mark.parametrize("raw", SECRETS, ids=str)
def test_secret_is_never_shown_whatever_is_wrong(raw):
    for read in (
        lambda: read_value(raw, Cloud, origin="here"),
        lambda: load_json(json.dumps(raw), Cloud, origin="here"),
    ):
        with pytest.raises(SpecError) as refused:
            read()
        assert "hunter2" not in str(refused.value)
        assert "1234567" not in str(refused.value)
        assert refused.value.__cause__ is None  # a traceback would show what pydantic quotes


def test_secret_in_a_file_of_a_cloud_is_not_shown(tmp_path, capsys):
    path = tmp_path / "cloud.toml"
    path.write_text('[[principals]]\nname = "app"\nsecret = 90210\npasswrd = "hunter2"\n')
    assert main(["serve", "--config", str(path)]) == 2
    said = capsys.readouterr().err
    assert "secret" in said
    assert not any(word in said for word in ("90210", "hunter2"))


def test_long_values_and_many_complaints_are_cut(tmp_path):
    path = tmp_path / "x.toml"
    path.write_text("".join(f'k{number} = "{"x" * 5000}"\n' for number in range(100)))
    with pytest.raises(SpecError) as refused:
        load_toml(path, Account)
    lines = str(refused.value).splitlines()
    assert len(lines) == 11
    assert lines[-1].endswith("91 more complaints")
    assert max(map(len, lines)) < 400
