"""No text of foreign origin acts: not in a page, JUnit, Allure or a terminal, whatever field it comes in."""

import json
import re
from dataclasses import fields, is_dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.errors import LaunchError
from emulator.values import dump_json, load_json
from harness.cli import main
from harness.commands import print_table, say
from harness.plugin.matrix_items import raise_for
from harness.plugin.record_hooks import summary_lines
from harness.report.allure import write_crashed_cell, write_environment
from harness.report.junit import write_junit
from harness.report.model import CellResult, load_run, write_run
from harness.report.page import write_report
from tests.support.report_samples import make_cell, make_guest, make_run

BAD = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
PIECES = (
    *("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "]]>", "--><b>", "</pre>", "' x='"),
    *("\x1b]0;x\x07", "\x1b[2J", "\x00", "\udcff", "\ud800", "\u202e", "\ufeff", "\ufffe", "\x9b31m"),
    *("\r", "\n", "{{ 7 * 7 }}", "\\"),
)
HOSTILE = st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map("".join)
KEPT = frozenset({"status", "outcome", "id", "directory", "started_utc"})
"""What decides where a cell's files are, or has only certain values."""


def poisoned(value, text):
    """Return `value` with `text` in every field that holds text."""
    if is_dataclass(value):
        found = {each.name: getattr(value, each.name) for each in fields(value) if each.name not in KEPT}
        return replace(value, **{name: poisoned(one, text) for name, one in found.items()})
    if isinstance(value, dict):
        return {key + text: poisoned(one, text) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(poisoned(one, text) for one in value)
    return value + text if isinstance(value, str) else value


class Page(HTMLParser):
    """Collects what could act: elements and attributes."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes = {}, set()
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags[tag] = self.tags.get(tag, 0) + 1
        self.attributes |= {name for name, _ in attrs}


def write_all(text, directory):
    """Write a run with `text` everywhere in it, and every report of it."""
    (directory / "cells").mkdir(parents=True)
    cell = make_cell("failed", guest=make_guest(directory / make_cell("failed").directory))
    files = directory / cell.directory
    (files / "qemu.stderr").write_bytes(text.encode("utf-8", "surrogatepass") + b"\xff")
    (files / "argv.json").write_text(json.dumps(["qemu", text]))
    cell = poisoned(cell, text)
    run = replace(poisoned(make_run(cell), text), cells=(cell,))
    write_run(run, directory)
    write_junit(run, directory)
    write_report(run, directory)
    (directory / "allure-results").mkdir()
    write_crashed_cell(directory / "allure-results", cell, directory)
    write_environment(directory / "allure-results", run)
    return run


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """Return pages of a run without foreign text, by name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.report.page.find_player", lambda: None)
        write_all("", directory := tmp_path_factory.mktemp("clean"))
    return {page.name: Page(page.read_text()) for page in directory.rglob("report/**/*.html")}


def require_tame(directory, clean):
    for path in [path for path in directory.rglob("*") if path.is_file() and path.suffix != ".bin"]:
        shown = path.read_text(encoding="utf-8") if path.name != "qemu.stderr" else ""
        if "allure-results" in path.parts and path.suffix != ".properties":
            shown = re.sub(r"\x1b\[[0-9;:]*m", "", shown)  # the guest's colours, which Allure shows
        if path.name != "run.json":  # it keeps every text as it was
            assert not BAD.search(shown), (path.name, BAD.search(shown))
        if path.name in clean:
            page = Page(shown)
            assert page.tags.keys() == clean[path.name].tags.keys()
            assert page.tags.get("script") == clean[path.name].tags.get("script")
            assert page.attributes == clean[path.name].attributes
    ET.parse(directory / "junit.xml")


@settings(max_examples=15, deadline=None)
@given(text=HOSTILE)
def test_no_report_obeys_foreign_text(clean, text):
    with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.report.page.find_player", lambda: None)
        run = write_all(text, Path(name))
        if "\ud800" not in text:  # JSON would join two halves
            assert load_run(Path(name)) == run
        require_tame(Path(name), clean)


def test_page_that_plays_a_recording_has_no_script_but_its_own(tmp_path):
    write_all("".join(PIECES), tmp_path)
    (played,) = tmp_path.rglob("*.play.html")
    page = Page(played.read_text())
    assert page.tags["script"] == 3
    assert not {"img", "b"} & page.tags.keys()


@settings(max_examples=25, deadline=None)
@given(HOSTILE)
def test_no_line_for_people_obeys_foreign_text(text):
    cell = poisoned(make_cell("broken"), text)
    run = make_run(cell)
    lines = summary_lines(run, Path("/run" + text.replace("\0", "")))
    with pytest.raises(AssertionError) as broken:
        raise_for(replace(cell, status="failed"))
    for line in (*lines, str(broken.value)):
        assert not BAD.search(line.replace("\n", ""))
    assert len(lines) == 4


@settings(max_examples=25, deadline=None)
@given(HOSTILE)
def test_result_is_kept_as_it_was(text):
    cell = poisoned(make_cell("broken"), text.replace("\ud800", ""))  # JSON would join two halves
    assert load_json(dump_json(cell), CellResult, origin="here") == cell


@pytest.mark.parametrize("text", PIECES)
def test_terminal_is_told_nothing_that_it_would_obey(text, capsys, monkeypatch):
    say(f"one {text}")
    say(f"two {text}", err=True)
    print_table(("a", "b"), [("c", text)])

    def fail(*_):
        raise LaunchError(
            "no start", argv=("qemu", text), exit_code=1, stderr=text.encode("utf-8", "replace")
        )

    monkeypatch.setattr("harness.cli.root_command", fail)
    assert main(["run"]) == 3
    out, err = capsys.readouterr()
    for shown in (out, err):
        assert not BAD.search(shown.replace("\n", ""))
    assert "no start" in err
