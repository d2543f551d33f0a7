"""The HTML report, read with a parser as a browser would read it."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from emulator.errors import FileError
from harness.report import page
from harness.report.page import CastPlayer, write_report
from harness.report.views import SYMBOLS
from tests.support.report_samples import HOSTILE, make_cell, make_guest, make_run, make_run_dir

VOID = {"meta", "link", "br", "input", "img", "hr"}
PLAYER = CastPlayer(script="window.AsciinemaPlayer = {create() {}};", style=".ap-player{}")


class Page(HTMLParser):
    """Elements, their attributes, and text by element; complains about what is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self._open[-1] if self._open else "", data))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def text(self, tag: str | None = None) -> str:
        return "".join(text for inside, text in self.texts if tag in {None, inside})

    @property
    def policy(self) -> str:
        return next(
            str(m["content"]) for m in self.all("meta") if m.get("http-equiv") == "Content-Security-Policy"
        )


@pytest.fixture(autouse=True)
def _player(monkeypatch):
    monkeypatch.setattr(page, "find_player", lambda: PLAYER)


@pytest.fixture
def run_dir(tmp_path) -> Path:
    write_report(make_run_dir(tmp_path), tmp_path)
    return tmp_path


def pages(run_dir: Path) -> dict[str, Page]:
    files = sorted((run_dir / "report").rglob("*.html"))
    return {file.name: Page(file.read_text(encoding="utf-8")) for file in files}


def test_every_page_is_closed_html_with_one_main_heading(run_dir) -> None:
    found = pages(run_dir)
    assert len(found) == 1 + 4 + 2  # overview, cells, recordings of what failed and broke
    for each in found.values():
        assert len(each.all("h1")) == 1
        assert each.all("html")[0]["lang"] == "en"
        assert len(each.all("main")) == 1


def test_no_page_can_reach_out(run_dir) -> None:
    for each in pages(run_dir).values():
        assert "default-src 'none'" in each.policy
        assert not {"iframe", "object", "embed", "base", "form", "img"} & {tag for tag, _ in each.elements}
        for _, attributes in each.elements:
            assert "src" not in attributes
            assert not any(name.startswith("on") for name in attributes)
            target = attributes.get("href") or ""
            assert target == "data:," or not urlsplit(target).scheme
        assert "url(" not in each.text("style")


def test_the_policy_lets_only_the_pages_own_scripts_run(run_dir) -> None:
    for file in (run_dir / "report").rglob("*.html"):
        each = Page(file.read_text(encoding="utf-8"))
        assert "unsafe-inline" not in each.policy.split("style-src")[0]
        blocks = re.findall(r"<script>(.*?)</script>", file.read_text(encoding="utf-8"), re.DOTALL)
        assert blocks
        for block in blocks:
            digest = base64.b64encode(hashlib.sha256(block.encode()).digest()).decode()
            assert f"'sha256-{digest}'" in each.policy


def test_links_lead_to_files_that_are_there(run_dir) -> None:
    for file in (run_dir / "report").rglob("*.html"):
        each = Page(file.read_text(encoding="utf-8"))
        names = {attributes.get("id") for _, attributes in each.elements}
        for link in (link for link in each.all("a") if "href" in link):
            url = urlsplit(str(link["href"]))
            if url.path:
                assert (file.parent / unquote(url.path)).is_file(), url.path
            else:
                assert url.fragment in names


@pytest.mark.parametrize("name", ["index.html", "bookworm.q35.seabios.1.nmi-failed.html"])
def test_what_a_guest_wrote_is_text_and_nothing_else(run_dir, name) -> None:
    file = next((run_dir / "report").rglob(name))
    each = Page(file.read_text(encoding="utf-8"))
    assert "alert(1)" not in each.text("script")
    assert "<script>alert(1)</script>" in each.text()
    assert "\\x1b[2J" in each.text()
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", file.read_text(encoding="utf-8"))


def test_what_a_record_says_is_text_and_nothing_else(tmp_path) -> None:
    evil = "</style></script><script>alert(2)</script>\x1b[31m"
    cell = make_cell(
        "failed", message=evil, title=evil, repro=evil, tags=[evil], argv=[evil], qemu=evil, worker=evil
    )
    run = make_run(cell, run_id=evil, matrix=evil, host={evil: evil}, excluded=[{"id": evil, "reason": evil}])
    write_report(run, tmp_path, notes=[evil])
    for each in pages(tmp_path).values():
        assert "alert(2)" not in each.text("script")
        assert "\x1b" not in each.text()


def test_the_overview_puts_failures_first_with_what_a_reader_needs(run_dir) -> None:
    text = (run_dir / "report" / "index.html").read_text()
    each = Page(text)
    assert "1 failed and 1 broken of 4 cells" in each.text("h1")
    assert (
        text.index('class="card case failed"')
        < text.index('class="card case broken"')
        < text.index('id="matrix"')
    )
    assert "ttylab repro bookworm.q35.seabios.1.nmi-failed" in each.text("code")
    assert "Kernel panic - not syncing" in each.text()
    assert re.search(r'<span class="l found hit"[^>]*>\[    9\.120001\] Kernel panic', text)
    assert "microvm has no UEFI firmware" in each.text("td")
    assert "ab" * 32 in each.text("code")
    assert "6.1.176-1" in each.text("td")


def test_verdicts_are_told_in_words_beside_colours(run_dir) -> None:
    each = Page((run_dir / "report" / "index.html").read_text())
    grid = [link for link in each.all("a") if "data-status" in link]
    words = sorted(str(link["data-status"]) for link in grid)
    assert words == ["broken", "failed", "passed", "skipped"]
    assert all(f"{SYMBOLS[word]} {word}" in each.text("span") for word in words)
    assert "? 0 not run" in each.text("span")


def test_tables_have_scopes_and_logs_can_be_reached_by_keyboard(run_dir) -> None:
    for each in pages(run_dir).values():
        assert all(head.get("scope") in {"row", "col"} for head in each.all("th"))
        logs = [div for div in each.all("div") if "log" in str(div.get("class", "")).split()]
        assert all(log.get("tabindex") == "0" and log.get("aria-label") for log in logs)


def test_filters_are_hidden_without_scripts(run_dir) -> None:
    each = Page((run_dir / "report" / "index.html").read_text())
    assert "hidden" in next(div for div in each.all("div") if div.get("class") == "filters")
    assert "hidden" not in {key for row in each.all("tr") for key in row}


def test_a_cell_page_has_everything_about_the_cell(run_dir) -> None:
    text = next((run_dir / "report").rglob("*.nmi-failed.html")).read_text()
    said = Page(text).text()
    for part in (
        "SeaBIOS",
        "root\\n",
        "GUEST_PANICKED",
        "panic=1 <unsafe>",
        "warning: <b>\\x1b[31m",
        "inject nmi",
    ):
        assert part in said
    assert "12.0 ms" in said
    assert re.search(r'<a href="#(b\d+)">the kernel panicked</a>.*<a id="\1"></a>', text, re.DOTALL)
    assert '<svg class="tl"' in text


def test_recordings_of_bad_cells_play_and_others_are_files(run_dir) -> None:
    cells = run_dir / "report" / "cells"
    assert len(list(cells.glob("*.play.html"))) == 2
    assert len(list(cells.glob("*.cast"))) == 2
    text = next(cells.glob("*nmi-failed.play.html")).read_text()
    block = re.search(r'<script type="application/json" id="cast">(.*?)</script>', text, re.DOTALL)
    first, *_ = json.loads(block[1])["data"].splitlines()
    assert json.loads(first)["version"] == 2
    assert "'wasm-unsafe-eval'" in Page(text).policy


def test_without_the_player_the_report_says_so_and_has_all_else(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(page, "find_player", lambda: None)
    write_report(make_run_dir(tmp_path), tmp_path)
    assert "npm package is not installed" in pages(tmp_path)["index.html"].text()
    assert not list(tmp_path.rglob("*.play.html"))
    assert len(list(tmp_path.rglob("*.cast"))) == 4


def test_a_cell_without_files_is_reported_as_such(tmp_path) -> None:
    write_report(make_run(make_cell("broken", argv=[])), tmp_path)
    said = pages(tmp_path)["bookworm.q35.seabios.1.nmi-panics.html"].text()
    assert "no transcript was kept" in said
    assert "not known" in said


def test_a_cut_transcript_is_shown_as_far_as_it_goes(tmp_path) -> None:
    run = make_run_dir(tmp_path)
    timeline = tmp_path / run.cells[0].directory / "timeline.jsonl"
    timeline.write_bytes(timeline.read_bytes()[:-10])
    write_report(run, tmp_path)
    assert "a line of the timeline is cut" in pages(tmp_path)[f"{run.cells[0].cell.id}.html"].text()


def test_a_long_transcript_is_cut_with_a_link_to_its_bytes(tmp_path) -> None:
    cell = make_cell()
    make_guest(tmp_path / cell.directory, extra=(b"flood " * 40 + b"\r\n") * 6000)
    write_report(make_run(cell), tmp_path)
    file = next(tmp_path.rglob("*.nmi-panics.html"))
    assert file.stat().st_size < 4_000_000
    assert "bytes are left out here" in Page(file.read_text()).text()
    assert f"../../{cell.directory}/console.bin" in file.read_text()


def test_a_comparison_is_a_section_of_the_overview(tmp_path) -> None:
    old, new = make_run(make_cell("passed")), make_run(make_cell("failed", message="<b>worse"))
    write_report(new, tmp_path, old=old)
    said = pages(tmp_path)["index.html"].text()
    assert "Newly failing: 1" in said
    assert "<b>worse" in said


def test_an_old_report_stays_when_a_new_one_fails(tmp_path) -> None:
    run = make_run(make_cell("failed"))
    index = write_report(run, tmp_path)
    before = index.read_bytes()
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(FileError, match="report can't be written"):
        write_report(run, blocked)
    assert index.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "report"]


def test_a_run_without_cells_has_a_page(tmp_path) -> None:
    write_report(make_run(excluded=[]), tmp_path)
    assert pages(tmp_path)["index.html"].text("h1") == "No cell ran"


def test_hostile_sample_is_hostile() -> None:
    assert b"<script>" in HOSTILE
    assert b"\x1b[2J" in HOSTILE
