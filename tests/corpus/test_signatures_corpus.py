"""The scanner against logs that others wrote (../shared/corpus, syzkaller's own expectations).

The bounds are what was measured, less a margin of about two logs; they go up with the rules, never down.
"""

from collections import defaultdict
from dataclasses import dataclass
from functools import cache

import pytest

from harness.signatures.model import Finding
from harness.signatures.scanner import Scanner
from tests.support.corpus import CORPUS

FOUND = 0.98
TITLE_RECALL = 0.90
TITLE_INTACT = 0.91
TITLE_PRECISION = 0.91
KIND = 0.97
CORRUPTED_RECALL = 0.87
INTACT = 0.98


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """One file: what is expected of it, and what the scanner says."""

    name: str
    titles: frozenset[str]
    kind: str
    corrupted: bool
    findings: tuple[Finding, ...]

    @property
    def first(self) -> Finding | None:
        """Return the finding that a report would be filed under."""
        reported = [finding for finding in self.findings if not finding.suppressed]
        return next(iter(reported or self.findings), None)

    @property
    def is_named_right(self) -> bool:
        return self.first is not None and bool(self.titles & {self.first.title, *self.first.alt_titles})


def read_log(path):
    """Scan one file without its header and without the excerpt at its end."""
    head, _, body = path.read_bytes().partition(b"\n\n")
    headers = defaultdict(list)
    for line in head.decode().splitlines():
        key, _, value = line.partition(": ")
        headers[key].append(value)
    scanner = Scanner()
    scanner.feed(body.partition(b"\nREPORT:\n")[0] + b"\n")
    return Log(
        name=path.name,
        titles=frozenset(headers["TITLE"] + headers["ALT"]),
        kind=next(iter(headers["TYPE"]), "UNKNOWN"),
        corrupted="CORRUPTED" in headers,
        findings=scanner.finish(),
    )


@cache
def logs():
    files = sorted(CORPUS.joinpath("linux-crashes").iterdir()) if CORPUS.is_dir() else []
    return tuple(read_log(path) for path in files)


@cache
def crashes():
    return tuple(log for log in logs() if log.titles)


def rate(wanted, of):
    chosen = list(of)
    return sum(map(wanted, chosen)) / len(chosen)


def test_corpus_is_there():
    assert CORPUS.is_dir(), f"{CORPUS} is missing: set TTYLAB_CORPUS to the directory of the corpus"
    assert (len(crashes()), len(logs())) == (362, 377)


def test_healthy_logs_give_no_finding():
    assert [(log.name, log.findings) for log in logs() if not log.titles and log.findings] == []


def test_crashes_are_found():
    assert rate(lambda log: log.first is not None, crashes()) >= FOUND


def test_titles_are_recalled():
    assert rate(lambda log: log.is_named_right, crashes()) >= TITLE_RECALL


def test_titles_of_intact_reports_are_recalled():
    assert (
        rate(lambda log: log.is_named_right, (log for log in crashes() if not log.corrupted)) >= TITLE_INTACT
    )


def test_titles_that_are_vouched_for_are_right():
    """Count only findings that do not call themselves corrupted: those a verdict may rest on."""
    vouched = (log for log in logs() if log.first is not None and not log.first.corrupted)
    assert rate(lambda log: log.is_named_right, vouched) >= TITLE_PRECISION


def test_kinds_are_right():
    found = (log for log in crashes() if log.first is not None)
    assert rate(lambda log: log.first.kind == log.kind, found) >= KIND


def test_corrupted_logs_are_called_so():
    assert rate(
        lambda log: log.first is None or log.first.corrupted, (c for c in crashes() if c.corrupted)
    ) >= (CORRUPTED_RECALL)


def test_intact_logs_are_not_called_corrupted():
    intact = (log for log in crashes() if log.first is not None and not log.corrupted)
    assert rate(lambda log: not log.first.corrupted, intact) >= INTACT


@pytest.mark.parametrize("size", [1, 7, 64])
def test_findings_do_not_depend_on_chunks_on_real_logs(size):
    path = CORPUS / "linux-crashes" / "234"
    data = path.read_bytes().partition(b"\n\n")[2][:20_000]
    whole, pieces = Scanner(), Scanner()
    whole.feed(data)
    for at in range(0, len(data), size):
        pieces.feed(data[at : at + size])
    assert pieces.finish() == whole.finish() != ()
