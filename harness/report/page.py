"""Write the HTML report of a run: an overview and a page for each cell, all offline."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import jinja2
from markupsafe import Markup

from emulator import places
from emulator.console.transcript import Transcript, load_transcript
from emulator.errors import FileError, SpecError
from emulator.files import make_private_directory, staged_tree
from emulator.guest_text.printable import visible
from emulator.values import parse_json
from harness.report.cast import render_cast
from harness.report.comparison import compare_runs
from harness.report.console_html import anchor_of, focus_of, plain, render_console
from harness.report.model import BAD, CellResult, RunResult
from harness.report.node_setup import node_modules
from harness.report.views import (
    MEANINGS,
    SYMBOLS,
    CellView,
    bad_first,
    duration,
    facts_of,
    headline,
    latency,
    spans_of,
    view_cell,
    view_grid,
    view_images,
)

_DIRECTORY = Path(__file__).parent / "templates"


def render_page(
    template: str, values: Mapping[str, object], *, scripts: tuple[str, ...] = ("page.js",)
) -> bytes:
    """Return the page as UTF-8; its only inline script is made of the files `scripts`."""
    script = "".join(source(name) for name in scripts)
    known = {
        "style": Markup(source("style.css")),  # noqa: S704 - our own file
        "script": Markup(script),  # noqa: S704 - our own files
        "policy": policy(script),
        "symbols": SYMBOLS,
        "meanings": MEANINGS,
    }
    page = _environment().get_template(template).render(known | dict(values))
    return page.encode("utf-8", "backslashreplace")


def policy(*scripts: str, wasm: bool = False) -> str:
    """Return a Content-Security-Policy that lets exactly `scripts` run and nothing be fetched."""
    hashes = [
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in scripts
    ]
    allowed = " ".join([*hashes, *(["'wasm-unsafe-eval'"] if wasm else [])])
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


@cache
def source(name: str) -> str:
    """Return the text of a file in the templates' directory."""
    return (_DIRECTORY / name).read_text(encoding="utf-8")


def _visible(value: object, keep: str = "") -> str:
    return visible(str(value), keep=keep)


def _tamed(value: object) -> object:
    """Return what a template shows: no text of a guest's, a host's or a file's steers a browser's lines."""
    is_text = isinstance(value, str) and not isinstance(value, Markup)
    return _visible(value, keep="\n\t") if is_text else value


def _compiled_templates() -> jinja2.BytecodeCache | None:
    """Return where compiled templates are kept, since compiling takes longer than a page; None without."""
    with suppress(FileError):
        return jinja2.FileSystemBytecodeCache(str(make_private_directory(places.templates())))
    return None


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_DIRECTORY),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=_tamed,
        bytecode_cache=_compiled_templates(),
    )
    environment.filters |= {"visible": _visible, "duration": duration, "latency": latency}
    return environment


REPORT_DIRECTORY = "report"
PLAYED = 400_000
"""Bytes of a transcript that go into a recording."""
_LINKS = {"Allure report": "allure-report/index.html", "run.json": "run.json", "junit.xml": "junit.xml"}
_PLAYER = Path("asciinema-player") / "dist" / "bundle"


@dataclass(frozen=True, slots=True, kw_only=True)
class CastPlayer:
    """The npm package that plays recordings: what a page takes from it."""

    script: str
    style: str


def write_report(
    run: RunResult, run_dir: Path, *, old: RunResult | None = None, notes: Sequence[str] = ()
) -> Path:
    """Write the report into `run_dir`/report and return its index.html; raises FileError.

    Cells without files are reported as such. The report is compared with an `old` run, and shows `notes`
    about what is missing from it at its top. An older one stays as it was after an error.
    """
    player = find_player()
    missing = (
        () if player else ("recordings can't be played here: the player's npm package is not installed",)
    )
    with staged_tree(run_dir / REPORT_DIRECTORY, private=True) as new:
        (new / "cells").mkdir()
        cells = [
            _write_cell(run, result, run_dir, pages=new / "cells", player=player) for result in run.cells
        ]
        (new / "index.html").write_bytes(_index(run, run_dir, cells, old=old, notes=(*missing, *notes)))
    return run_dir / REPORT_DIRECTORY / "index.html"


def find_player() -> CastPlayer | None:
    """Return the player, or None if its npm package is not installed."""
    modules = node_modules()
    if modules is None:
        return None
    try:
        script = (modules / _PLAYER / "asciinema-player.min.js").read_text(encoding="utf-8")
        style = (modules / _PLAYER / "asciinema-player.css").read_text(encoding="utf-8")
    except OSError:
        return None
    if "</script" in script or "</style" in style:
        return None
    return CastPlayer(script=script, style=style)


def _index(
    run: RunResult, run_dir: Path, cells: list[CellView], *, old: RunResult | None, notes: Sequence[str]
) -> bytes:
    return render_page(
        "index.html",
        {
            "run": run,
            "headline": headline(run),
            "facts": facts_of(run),
            "links": [(name, f"../{path}") for name, path in _LINKS.items() if (run_dir / path).exists()],
            "notes": notes,
            "cells": bad_first(cells),
            "grid": view_grid(cells),
            "images": view_images(run),
            "comparison": compare_runs(old, run) if old else None,
        },
    )


def _write_cell(
    run: RunResult, result: CellResult, run_dir: Path, *, pages: Path, player: CastPlayer | None
) -> CellView:
    transcript, lost = read_transcript(run_dir / result.directory)
    played = player is not None and transcript is not None and result.status in BAD
    view = view_cell(result, transcript, lost=lost, player=played)
    if transcript is not None:
        cast = render_cast(transcript, title=result.cell.id, limit=PLAYED)
        if player is not None and played:
            (pages / f"{view.page}.play.html").write_bytes(_play_page(view, cast, player))
        else:
            (pages / f"{view.page}.cast").write_text(cast, encoding="utf-8")
    (pages / f"{view.page}.html").write_bytes(
        _cell_page(run, view, transcript, files=run_dir / result.directory)
    )
    return view


def read_transcript(directory: Path) -> tuple[Transcript | None, str]:
    """Return a cell's transcript and "", or None and the reason."""
    try:
        return load_transcript(directory), ""
    except SpecError:
        return None, "no transcript was kept"


def _cell_page(run: RunResult, view: CellView, transcript: Transcript | None, *, files: Path) -> bytes:
    result = view.result
    spans = [span for span in spans_of(result) if span.end > span.start]
    console = render_console(transcript, spans) if transcript is not None else ""
    anchors = frozenset(re.findall(r'<a id="(b\d+)">', console))
    decisive = anchor_of(focus_of(spans, transcript).start) if transcript is not None else ""
    return render_page(
        "cell.html",
        {
            "run": run,
            "cell": view,
            "console": Markup(console),  # noqa: S704 - escaped there
            "anchors": anchors,
            "decisive": decisive if decisive in anchors else "",
            "cast": transcript is not None,
            "files": f"../../{result.directory}",
            "argv": _argv(result, files),
            "stderr": plain(read_kept(files / "qemu.stderr")),
            "commands": plain(read_kept(files / "commands.log")),
            "images": view_images(replace(run, cells=(result,))) if result.image else [],
        },
    )


def _play_page(view: CellView, cast: str, player: CastPlayer) -> bytes:
    look = {"fit": "width", "theme": "asciinema", "poster": "npt:0:01"}
    options = look | {"idleTimeLimit": 2, "preload": True}
    data = json.dumps({"data": cast, "options": options}).replace("<", "\\u003c")
    return render_page(
        "play.html",
        {
            "result": view.result,
            "page": view.page,
            "player": Markup(player.script),  # noqa: S704 - the package's own file
            "player_style": Markup(player.style),  # noqa: S704 - as above
            "cast": Markup(data),  # noqa: S704 - no "<" is left in it
            "policy": policy(player.script, source("play.js"), wasm=True),
        },
        scripts=("play.js",),
    )


def _argv(result: CellResult, files: Path) -> str:
    """Return QEMU's command line, one option per line."""
    try:
        words = parse_json(read_kept(files / "argv.json") or b"null", origin="argv.json")
    except SpecError:
        words = None
    listed = result.argv or (words if isinstance(words, list) else [])
    lines: list[str] = []
    for word in map(str, listed):
        if lines and not word.startswith("-") and len(lines) > 1 and " " not in lines[-1]:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return "\n".join(lines) or "not known"


def read_kept(path: Path) -> bytes:
    """Return a kept file's bytes; none if it is missing."""
    try:
        return path.read_bytes()
    except OSError:
        return b""
