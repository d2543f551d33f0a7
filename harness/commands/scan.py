"""`ttylab scan`: find panics and other failures in existing console logs."""

from __future__ import annotations

import json as json_format
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer
from typer import Argument, Option

from emulator.errors import SpecError
from emulator.guest_text.boots import BootFinder
from emulator.guest_text.printable import escape

if TYPE_CHECKING:
    from harness.signatures.model import Finding

CHUNK = 1 << 20  # bytes
LONGEST_LINE = 4 << 20  # bytes that are kept of a line that never ends


def scan(
    files: Annotated[list[Path], Argument(help="Console logs; `-` reads standard input.")],
    *,
    json: Annotated[bool, Option("--json", help="Print one JSON array, an object for each file.")] = False,
) -> None:
    """Find what went wrong in FILES. Exit code 1 if anything did, 0 if not, 2 if a file can't be read.

    Examples: `ttylab scan console.txt`, `ttylab scan --json run/*/console.log`.
    """
    found = [(file, scan_file(file)) for file in files]
    if json:
        sys.stdout.write(
            json_format.dumps([as_object(file, findings) for file, findings in found], indent=2) + "\n"
        )
    else:
        sys.stdout.writelines(line + "\n" for file, findings in found for line in as_lines(file, findings))
    if any(not finding.suppressed for _, findings in found for finding in findings):
        raise typer.Exit(1)


def scan_file(file: Path) -> tuple[Finding, ...]:
    """Return the findings of one log; raises SpecError if the file can't be read."""
    try:
        if str(file) == "-":
            return _scan_stream(sys.stdin.buffer)
        with file.open("rb") as stream:
            return _scan_stream(stream)
    except OSError as error:
        raise SpecError(f"{escape(bytes(file))}: can't be read: {error.strerror}") from error


def _scan_stream(stream: BinaryIO) -> tuple[Finding, ...]:
    from harness.signatures.scanner import Scanner  # noqa: PLC0415 - the rules are slow to load

    scanner, boots = Scanner(), BootFinder()
    offset, rest = 0, b""
    while chunk := stream.read(CHUNK):
        data = rest + chunk
        lines = data[: data.rfind(b"\n") + 1 or max(0, len(data) - LONGEST_LINE)]
        fed = 0
        for start in boots.find(lines):
            scanner.feed(lines[fed:start])
            scanner.cut(offset + start)
            fed = start
        scanner.feed(lines[fed:])
        offset, rest = offset + len(lines), data[len(lines) :]
    scanner.feed(rest)
    return scanner.finish()


def as_object(file: Path, findings: tuple[Finding, ...]) -> dict[str, Any]:
    """Return what `--json` prints for one file; programs rely on these keys."""
    keys = ("title", "alt_titles", "kind", "corrupted", "suppressed", "start", "end")
    return {
        "file": str(file),
        "findings": [{key: getattr(finding, key) for key in keys} for finding in findings],
    }


def as_lines(file: Path, findings: tuple[Finding, ...]) -> list[str]:
    """Return one file's findings as lines for people; the scanner's titles hold no control characters."""
    name = escape(bytes(file))
    if not findings:
        return [f"{name}: nothing found"]
    return [
        f"{name}:{finding.start}-{finding.end}: {finding.kind}: {finding.title}{_remarks(finding)}"
        for finding in findings
    ]


def _remarks(finding: Finding) -> str:
    remarks = [
        "fatal" * finding.fatal,
        f"corrupted: {finding.corrupted_reason}" * finding.corrupted,
        "suppressed" * finding.suppressed,
    ]
    said = ", ".join(remark for remark in remarks if remark)
    return f" ({said})" if said else ""
