"""Standard streams that are closed, full or read by nobody: a documented exit code, and never a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.scenario.exit_codes import EXIT_BROKEN, EXIT_PASSED, EXIT_USAGE

TTYLAB = [sys.executable, "-P", "-m", "harness"]


@pytest.fixture(autouse=True)
def buffered(monkeypatch):
    """What could not be written waits in a buffer until the process ends, as it does for users."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)


def run(redirection: str, *words: str) -> subprocess.CompletedProcess[bytes]:
    """Run ttylab with a shell's redirection."""
    script = f'"$@" {redirection}'
    return subprocess.run(
        ["/bin/sh", "-c", script, "sh", *TTYLAB, *words], capture_output=True, timeout=60, check=False
    )


def read_by_nobody(*words: str, stream: str) -> subprocess.CompletedProcess[bytes]:
    """Run ttylab with `stream` a pipe whose reader has left."""
    reader, writer = os.pipe()
    os.close(reader)
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | {stream: writer}
    try:
        return subprocess.run([*TTYLAB, *words], **streams, timeout=60, check=False)
    finally:
        os.close(writer)


@pytest.mark.parametrize("redirection", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_closed_streams_are_as_good_as_dev_null(redirection):
    done = run(redirection, "scenarios", "list")
    assert (done.returncode, done.stderr) == (EXIT_PASSED, b"")
    assert run(redirection, "scan", "no-such-file").returncode == EXIT_USAGE


@pytest.mark.parametrize("words", [("scenarios", "list"), ("scenarios", "list", "--json"), ("--version",)])
def test_output_that_nobody_reads_is_not_known_to_be_good(words):
    done = read_by_nobody(*words, stream="stdout")
    assert (done.returncode, done.stderr) == (EXIT_BROKEN, b"")


def test_finding_that_nobody_reads_is_not_green(tmp_path: Path):
    log = tmp_path / "console.log"
    log.write_text("[    1.000000] Kernel panic - not syncing: x\n")
    assert read_by_nobody("scan", str(log), stream="stdout").returncode == EXIT_BROKEN


def test_error_that_nobody_reads_keeps_its_code():
    assert read_by_nobody("scan", "no-such-file", stream="stderr").returncode == EXIT_USAGE
    assert read_by_nobody("no-such-command", stream="stderr").returncode == EXIT_USAGE


def test_full_disk_is_said_in_one_line():
    done = run(">/dev/full", "scenarios", "list")
    assert done.returncode == EXIT_BROKEN
    assert done.stderr == b"ttylab: error: [Errno 28] No space left on device\n"
