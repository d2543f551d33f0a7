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


HANG = b"[  302.000001] INFO: task sh:12 blocked for more than 120 seconds.\r\n"
HUNG = b"[  303.000001] Kernel panic - not syncing: hung_task: blocked tasks\r\n"
BOOT = b"[    0.000000] Linux version 6.1.0\r\n"


@pytest.mark.parametrize("chunk", [7, 1 << 20])
def test_scan_tells_the_boots_of_a_log_apart(log, capsys, monkeypatch, chunk):
    monkeypatch.setattr("harness.commands.scan.CHUNK", chunk)
    path = log(BOOT + HANG + BOOT + HANG + HUNG + BOOT + HUNG)
    assert main(["scan", "--json", path]) == 1
    (printed,) = json.loads(capsys.readouterr().out)
    found = [(one["title"], one["suppressed"]) for one in printed["findings"]]
    hang, panic = "INFO: task hung in corrupted", "kernel panic: hung_task: blocked tasks"
    assert found == [(hang, False), (hang, False), (panic, False), (panic, False)]


def test_scan_ends_with_1_when_init_ends(log):
    assert (
        main(["scan", log(b"Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100\n")]) == 1
    )


def test_scan_takes_a_line_that_never_ends_in_parts(log, capsys, monkeypatch):
    monkeypatch.setattr("harness.commands.scan.CHUNK", 1000)
    monkeypatch.setattr("harness.commands.scan.LONGEST_LINE", 3000)
    assert main(["scan", log(b"x" * 50_000 + b"\n" + PANIC)]) == 1
    assert "kernel panic" in capsys.readouterr().out


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
