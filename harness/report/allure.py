"""Allure: results from a running test or for a cell whose worker died, and the HTML page made from them.

allure-pytest loses the test whose xdist worker died (allure-python#825; docs/facts/parts.md 4), so
`write_crashed_cell` writes what `attach_cell` would have written, under the same history id. The page is one
file, made by Allure 3's npm package without any network.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from allure_commons import plugin_manager
from allure_commons.logger import AllureFileLogger
from allure_commons.model2 import Attachment, Label, Parameter, StatusDetails, TestResult, TestStepResult
from allure_commons.types import AttachmentType, LabelType
from allure_pytest.listener import AllureListener

from emulator.console.transcript import CONSOLE_FILE, TIMELINE_FILE
from emulator.files import scratch_beside, staged_tree, write_whole
from emulator.guest_text.printable import visible
from emulator.node_packages import find_node
from emulator.values import json_ready
from harness.report.comparison import target_of
from harness.report.console_html import tame
from harness.report.model import CellResult, RunResult
from harness.report.node_setup import node_modules
from harness.report.page import read_kept, read_transcript
from harness.report.timeline import render_timeline
from harness.report.views import own_files_of
from harness.scenario.errors import ReportError

ALLURE_REPORT_DIRECTORY = "allure-report"
RESULTS_DIRECTORY = "allure-results"
_SHOWN = 1_000_000
"""Bytes at the end of a transcript that are attached."""
_BOUND_S = 300.0
_HISTORY_LIMIT = 50
_ANALYTICS = re.compile(
    rb"<script[^>]*googletagmanager[^>]*></script>\s*<script>\s*window\.dataLayer.*?</script>", re.DOTALL
)
_SECRET = re.compile(rb'"in":"[A-Za-z0-9+/=]*"')
_STEP_STATUS = {
    "done": "passed",
    "failed": "failed",
    "broken": "broken",
    "skipped": "skipped",
    "not-run": "skipped",
}


def history_id_of(cell_id: str) -> str:
    """Return the id under which Allure keeps the history of a cell."""
    return hashlib.md5(f"ttylab#{cell_id}".encode(), usedforsecurity=False).hexdigest()


def describe(result: CellResult, test: TestResult) -> None:
    """Fill in `test`, except for status and attachments; labels and steps that it has already stay."""
    cell = result.cell
    test.name = visible(result.title)
    test.fullName = visible(f"ttylab#{cell.id}")
    test.testCaseId = test.historyId = history_id_of(cell.id)
    test.titlePath = [visible(cell.image), visible(target_of(result).partition(" ")[2])]
    test.description = visible(_description(result), keep="\n")
    test.parameters = [
        Parameter(name=name, value=visible(str(value)), excluded=True) for name, value in _parameters(result)
    ]
    labels = list(_labels(result))
    taken = {label.name for label in labels} - {LabelType.TAG}
    test.labels = [label for label in test.labels if label.name not in taken] + labels
    test.steps = [*test.steps, *_steps(result)]


def _describe_end(result: CellResult, test: TestResult) -> None:
    test.status = result.status
    if result.status != "passed":
        trace = "\n".join([*(each.says for each in result.evidence), result.repro])
        test.statusDetails = StatusDetails(message=visible(result.message), trace=visible(trace, keep="\n"))
    test.start = epoch_ms(result, 0.0)
    test.stop = epoch_ms(result, result.duration_s)


def epoch_ms(result: CellResult, at: float) -> int:
    """Return the second `at` of a cell as Allure's milliseconds since 1970."""
    try:
        start = datetime.fromisoformat(result.started_utc).timestamp()
    except ValueError:
        start = 0.0
    return round(1000 * (start + at))


def _parameters(result: CellResult) -> Iterable[tuple[str, object]]:
    cell = result.cell
    yield from ((name, getattr(cell, name)) for name in ("image", "machine", "firmware", "vcpus"))
    yield from ((name, getattr(result, name) or "unknown") for name in ("accelerator", "qemu"))
    if kernel := result.image.get("kernel_release"):
        yield "kernel", kernel
    if result.seed is not None:
        yield "seed", result.seed


def _labels(result: CellResult) -> Iterable[Label]:
    cell = result.cell
    pairs = [
        (LabelType.SEVERITY, result.severity),
        (LabelType.EPIC, "ttylab"),
        (LabelType.FEATURE, result.tags[0] if result.tags else "console"),
        (LabelType.STORY, cell.scenario),
        (LabelType.PARENT_SUITE, cell.image),
        (LabelType.SUITE, f"{cell.machine} {cell.firmware} {cell.vcpus} vCPU"),
        (LabelType.SUB_SUITE, cell.scenario),
        *((LabelType.TAG, tag) for tag in result.tags),
    ]
    return [Label(name=name, value=visible(value)) for name, value in pairs]


def _description(result: CellResult) -> str:
    lines = [result.description, "", f"`{result.repro}`"]
    if result.held:
        lines += ["", result.held[0], *(f"\n`{one}`" for one in result.held[1:])]
    if result.injections:
        lines += ["", "| stimulus | at | outcome | first evidence after |", "|---|---|---|---|"]
        lines += [
            f"| {each.stimulus} | {each.at:.3f} s | {each.outcome} | "
            + ("-" if each.latency_s is None else f"{1000 * each.latency_s:.1f} ms")
            + " |"
            for each in result.injections
        ]
    return "\n".join(lines)


def _steps(result: CellResult) -> Iterable[TestStepResult]:
    for step in result.steps:
        end = step.begin if step.end is None and step.outcome == "not-run" else step.end
        yield TestStepResult(
            name=visible(step.text),
            status=_STEP_STATUS[step.outcome],
            start=epoch_ms(result, step.begin),
            stop=epoch_ms(result, result.duration_s if end is None else end),
        )


def attach_cell(result: CellResult, run_dir: Path) -> None:
    """Describe the running pytest test as `result`, with its files attached.

    Call it in the test's call or setup phase; status and message remain pytest's. Without `--alluredir` it
    does nothing.
    """
    listener = next((each for each in plugin_manager.get_plugins() if isinstance(each, AllureListener)), None)
    test = listener.allure_logger.get_test(None) if listener else None
    if listener is None or test is None:
        return
    describe(result, test)
    for name, kind, data in _attachments(result, run_dir / result.directory):
        listener.allure_logger.attach_data(
            str(uuid4()), data, name=name, attachment_type=kind, parent_uuid=test.uuid
        )


def write_crashed_cell(allure_dir: Path, result: CellResult, run_dir: Path) -> None:
    """Write a whole Allure result for a cell that pytest will not report; raises ReportError."""
    test = TestResult(uuid=str(uuid4()))
    describe(result, test)
    _describe_end(result, test)
    test.labels += [
        Label(name=LabelType.HOST, value=platform.node()),
        Label(name=LabelType.THREAD, value=visible(result.worker)),
        Label(name=LabelType.FRAMEWORK, value="pytest"),
    ]
    try:
        logger: Any = AllureFileLogger(str(allure_dir))  # type: ignore[no-untyped-call]
        for name, kind, data in _attachments(result, run_dir / result.directory):
            source = f"{uuid4()}-attachment.{kind.extension}"
            logger.report_attached_data(data, source)
            test.attachments.append(Attachment(name=name, source=source, type=kind.mime_type))
        logger.report_result(test)
    except OSError as error:
        raise ReportError(f"{allure_dir}: no Allure result for {result.cell.id}: {error.strerror}") from error


def write_environment(allure_dir: Path, run: RunResult) -> None:
    """Write the environment that Allure shows: where and with what a run ran; raises FileError."""
    values = {"matrix": run.matrix, "ttylab": run.ttylab, "workers": run.workers, **run.host}
    values |= {"qemu": ", ".join(sorted({each.qemu for each in run.cells})), **own_files_of(run)}
    lines = [f"{visible(key).replace(' ', '_')} = {visible(str(value))}\n" for key, value in values.items()]
    write_whole(allure_dir / "environment.properties", "".join(lines).encode(), private=True)


def _attachments(result: CellResult, files: Path) -> Iterator[tuple[str, AttachmentType, bytes]]:
    """Yield name, type and bytes of each attachment."""
    transcript, lost = read_transcript(files)
    yield "reproduce", AttachmentType.TEXT, visible(result.repro).encode()
    if transcript is None:
        text = f"{lost}\n{tame(read_kept(files / CONSOLE_FILE))}"
    else:
        start = max(0, len(transcript) - _SHOWN)
        head = f"({start} bytes before this are in console.bin)\n" if start else ""
        text = head + tame(transcript.read(start))
    yield "transcript", AttachmentType.TEXT, text.encode()
    yield "timeline", AttachmentType.SVG, render_timeline(result, transcript).encode()
    for name, kind in (("argv.json", AttachmentType.JSON), (TIMELINE_FILE, AttachmentType.TEXT)):
        if data := read_kept(files / name):
            yield name, kind, _without_secrets(data) if name == TIMELINE_FILE else data
    for name in ("qemu.stderr", "commands.log"):
        if data := read_kept(files / name):
            yield name, AttachmentType.TEXT, tame(data).encode()
    # In ASCII: what reads from right to left would mislead whoever looks at it.
    yield "result.json", AttachmentType.JSON, json.dumps(json_ready(result), indent=1).encode()


def _without_secrets(timeline: bytes) -> bytes:
    """Return a timeline file with passwords that steps typed left out; the run's own file has them."""
    lines = timeline.splitlines(keepends=True)
    return b"".join(_SECRET.sub(b'"in":""', line) if b'"secret":true' in line else line for line in lines)


def generate_html(
    results: Sequence[Path], out: Path, *, name: str = "ttylab", history: Path | None = None
) -> Path:
    """Write Allure's report on all `results` directories to `out`/index.html and return that file.

    The file opens from disk. The same test in two directories counts as a retry. The file `history` has
    earlier runs, and gets this one. Raises ReportError, FileError; `out` and `history` are then as before.
    """
    node, cli = _programs()
    out = out.absolute()  # node runs elsewhere
    with scratch_beside(out) as work:
        kept = work / "history.jsonl"
        if history is not None and history.is_file():
            shutil.copyfile(history, kept)
        config = work / "allurerc.mjs"
        config.write_text(_config(name, work / "report", kept if history else None), encoding="utf-8")
        _run([node, cli, "generate", "--config", config, *(each.absolute() for each in results)], work)
        page = _stripped((work / "report" / "index.html").read_bytes())
        with staged_tree(out, private=True) as new:
            (new / "index.html").write_bytes(page)
        if history is not None and kept.is_file():
            write_whole(history, kept.read_bytes(), parents=True, private=True)
    return out / "index.html"


def _programs() -> tuple[Path, Path]:
    node, modules = find_node(), node_modules()
    if node is None or modules is None:
        raise ReportError(
            "no Allure report: its npm packages are not installed; "
            "python -m harness.report.node_setup installs them"
        )
    return node, modules / "allure" / "cli.js"


def _config(name: str, output: Path, history: Path | None) -> str:
    config: dict[str, object] = {
        "name": name,
        "output": str(output),
        "plugins": {"awesome": {"options": {"reportName": name, "singleFile": True, "reportLanguage": "en"}}},
    }
    if history is not None:
        config |= {"historyPath": str(history), "historyLimit": _HISTORY_LIMIT}
    return f"export default {json.dumps(config)};\n"


def _run(argv: Sequence[str | Path], work: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("NODE_", "npm_"))}
    try:
        done = subprocess.run(
            argv,
            cwd=work,
            env=environment | {"NO_COLOR": "1", "HOME": str(work)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_BOUND_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ReportError(f"Allure took more than {_BOUND_S:.0f} s for its report") from error
    if done.returncode or not (work / "report" / "index.html").is_file():
        said = visible((done.stderr or done.stdout).decode("utf-8", "replace").strip()[:400])
        raise ReportError(f"Allure made no report (exit {done.returncode}): {said}")


def _stripped(page: bytes) -> bytes:
    """Return the page without its Google Analytics (hard-coded in Allure 3.18; docs/facts/parts.md 4)."""
    page = _ANALYTICS.sub(b"", page)
    return b"\n".join(
        line for line in page.split(b"\n") if b"googletagmanager.com/gtag/js?id=" not in line[:300]
    )
