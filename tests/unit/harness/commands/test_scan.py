"""Tests of harness/commands/scan.py: the fixed words of `ttylab scan`."""

import io
import json
import sys
from types import SimpleNamespace

import pytest

from harness.cli import main

PANIC = b"[    2.000000] Kernel panic - not syncing: sysrq triggered crash\r\n"


@pytest.fixture
def log(tmp_path):
    def write(data, name="console.log"):
        path = tmp_path / name
        path.write_bytes(data)
        return str(path)

    return write


def test_scan_json_has_the_fixed_keys_in_order(log, capsys):
    path = log(PANIC)
    assert main(["scan", "--json", path]) == 1
    (printed,) = json.loads(capsys.readouterr().out)
    assert list(printed) == ["file", "findings"]
    assert list(printed["findings"][0].items()) == [
        ("title", "kernel panic: sysrq triggered crash"),
        ("alt_titles", []),
        ("kind", "DoS"),
        ("corrupted", False),
        ("suppressed", False),
        ("start", 0),
        ("end", len(PANIC) - 2),
    ]


def test_scan_json_has_an_object_for_each_file(log, capsys):
    paths = [log(b"all is well\n", "a"), log(PANIC, "b")]
    assert main(["scan", "--json", *paths]) == 1
    printed = json.loads(capsys.readouterr().out)
    assert [(each["file"], len(each["findings"])) for each in printed] == [(paths[0], 0), (paths[1], 1)]


def test_scan_ends_with_0_when_nothing_is_found(log, capsys):
    path = log(b"all is well\n")
    assert main(["scan", path]) == 0
    assert capsys.readouterr().out == f"{path}: nothing found\n"


def test_scan_prints_a_line_for_people_with_span_and_remarks(log, capsys):
    path = log(PANIC)
    assert main(["scan", path]) == 1
    expected = f"{path}:0-{len(PANIC) - 2}: DoS: kernel panic: sysrq triggered crash (fatal)\n"
    assert capsys.readouterr().out == expected


def test_scan_reads_standard_input(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(PANIC)))
    assert main(["scan", "-"]) == 1
    assert capsys.readouterr().out.startswith("-:0-")


def test_scan_ends_with_2_when_a_file_is_missing(tmp_path, capsys):
    assert main(["scan", str(tmp_path / "nosuch")]) == 2
    assert "nosuch: can't be read: No such file or directory" in capsys.readouterr().err


def test_scan_ends_with_2_without_files(capsys):
    assert main(["scan"]) == 2
    assert capsys.readouterr().out == ""
