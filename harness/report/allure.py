"""Allure results: from inside a pytest test, and from the controller for a cell whose worker died.

allure-pytest loses the test whose xdist worker died (allure-python#825; design.md, fact 10), so
`write_crashed_cell` writes what `attach_cell` would have, under the same history id.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from allure_commons import plugin_manager
from allure_commons.logger import AllureFileLogger
from allure_commons.model2 import Attachment, Label, TestResult
from allure_commons.types import AttachmentType, LabelType
from allure_pytest.listener import AllureListener

from emulator.console.transcript import CONSOLE_FILE, TIMELINE_FILE
from harness.errors import ReportError
from harness.report.allure_model import describe, describe_end
from harness.report.ansi import tame
from harness.report.model import CellResult, RunResult
from harness.report.page import read_transcript
from harness.report.staging import write_whole
from harness.report.text import visible
from harness.report.timeline import render_timeline

RESULTS_DIRECTORY = "allure-results"
_SHOWN = 1_000_000
"""Bytes of a transcript's end that are attached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    """One attachment."""

    name: str
    kind: AttachmentType
    data: bytes


def attach_cell(result: CellResult, run_dir: Path) -> None:
    """Describe the running pytest test as `result`, with its files attached.

    Call it in the test's call or setup phase; verdict and message stay what pytest makes of the test.
    Without `--alluredir` it does nothing.
    """
    listener = next((each for each in plugin_manager.get_plugins() if isinstance(each, AllureListener)), None)
    test = listener.allure_logger.get_test(None) if listener else None
    if listener is None or test is None:
        return
    describe(result, test)
    for piece in _pieces(result, run_dir / result.directory):
        listener.allure_logger.attach_data(
            str(uuid4()), piece.data, name=piece.name, attachment_type=piece.kind, parent_uuid=test.uuid
        )


def write_crashed_cell(allure_dir: Path, result: CellResult, run_dir: Path) -> None:
    """Write a whole Allure result with attachments for a cell that no pytest will report.

    Raises:
        ReportError: `allure_dir` can't be written.
    """
    test = TestResult(uuid=str(uuid4()))
    describe(result, test)
    describe_end(result, test)
    test.labels += [
        Label(name=LabelType.HOST, value=platform.node()),
        Label(name=LabelType.THREAD, value=visible(result.worker)),
        Label(name=LabelType.FRAMEWORK, value="pytest"),
    ]
    try:
        logger: Any = AllureFileLogger(str(allure_dir))  # type: ignore[no-untyped-call]
        for piece in _pieces(result, run_dir / result.directory):
            source = f"{uuid4()}-attachment.{piece.kind.extension}"
            logger.report_attached_data(piece.data, source)
            test.attachments.append(Attachment(name=piece.name, source=source, type=piece.kind.mime_type))
        logger.report_result(test)
    except OSError as error:
        raise ReportError(f"{allure_dir}: no Allure result for {result.cell.id}: {error.strerror}") from error


def write_environment(allure_dir: Path, run: RunResult) -> None:
    """Write what Allure shows beside a run: where and with what it ran.

    Raises:
        ReportError: it can't be written.
    """
    values = {"matrix": run.matrix, "ttylab": run.ttylab, "workers": run.workers, **run.host}
    values |= {"qemu": ", ".join(sorted({each.qemu for each in run.cells}))}
    lines = [f"{visible(key).replace(' ', '_')} = {visible(str(value))}\n" for key, value in values.items()]
    write_whole(allure_dir / "environment.properties", "".join(lines).encode())


def _pieces(result: CellResult, files: Path) -> Iterator[_Piece]:
    transcript, lost = read_transcript(files)
    yield _Piece(name="reproduce", kind=AttachmentType.TEXT, data=visible(result.repro).encode())
    if transcript is None:
        text = f"{lost}\n{tame(_read(files / CONSOLE_FILE))}"
    else:
        start = max(0, len(transcript) - _SHOWN)
        head = f"({start} bytes before this are in console.bin)\n" if start else ""
        text = head + tame(transcript.read(start))
    yield _Piece(name="transcript", kind=AttachmentType.TEXT, data=text.encode())
    svg = render_timeline(result, transcript)
    yield _Piece(name="timeline", kind=AttachmentType.SVG, data=svg.encode())
    for name, kind in (("argv.json", AttachmentType.JSON), (TIMELINE_FILE, AttachmentType.TEXT)):
        if data := _read(files / name):
            yield _Piece(name=name, kind=kind, data=data)
    if data := _read(files / "qemu.stderr"):
        yield _Piece(name="qemu.stderr", kind=AttachmentType.TEXT, data=tame(data).encode())
    record = result.model_dump_json(indent=1).encode()
    yield _Piece(name="result.json", kind=AttachmentType.JSON, data=record)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
