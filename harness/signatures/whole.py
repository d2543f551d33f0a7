"""Scan a whole transcript, boot by boot; pure."""

from __future__ import annotations

from collections.abc import Iterable

from harness.signatures.model import Finding
from harness.signatures.scanner import Scanner


def scan_boots(data: bytes, boots: Iterable[int]) -> tuple[Finding, ...]:
    """Return the findings in `data`, cut where boots begin, by offset.

    Args:
        data: a console's raw output.
        boots: offsets at which a boot begins, ascending; 0 may be among them.
    """
    scanner = Scanner()
    fed = 0
    for start in boots:
        if start > fed:
            scanner.feed(data[fed:start])
            scanner.cut(start)
            fed = start
    scanner.feed(data[fed:])
    scanner.finish()
    return scanner.findings
