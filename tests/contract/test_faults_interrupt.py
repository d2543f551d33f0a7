"""Ctrl-C while an image is built, by a fake apt-get that never ends: one line, and no half-made image."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
PATIENCE_S = 60
APT = '#!/bin/sh\necho 1 >"$TMPDIR/started"\nexec sleep 600\n'


def test_interrupt_while_an_image_is_built_ends_in_one_line_and_leaves_nothing(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "temp").mkdir()
    for name in ("apt-get", "apt-cache"):
        program = tmp_path / "bin" / name
        program.write_text(APT, encoding="ascii")
        program.chmod(0o755)
    os.mkfifo(tmp_path / "temp/started")
    environment = os.environ | {
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "TMPDIR": str(tmp_path / "temp"),
        "TTYLAB_CACHE": str(tmp_path / "cache"),
    }
    started = os.open(tmp_path / "temp/started", os.O_RDWR)
    argv = [sys.executable, "-P", "-m", "harness", "images", "build", "bookworm"]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    try:
        with subprocess.Popen(
            argv, env=environment, cwd=CHECKOUT, text=True, start_new_session=True, **pipes
        ) as build:
            poller = select.poll()
            poller.register(started, select.POLLIN)
            assert poller.poll(PATIENCE_S * 1000), "apt-get was not asked"
            os.killpg(build.pid, signal.SIGINT)
            _, err = build.communicate(timeout=PATIENCE_S)
    finally:
        os.close(started)
    assert build.returncode == 130
    assert "Traceback" not in err
    assert err.splitlines()[-1] == "ttylab: interrupted"
    assert [path.name for path in (tmp_path / "temp").iterdir()] == ["started"]
    assert list((tmp_path / "cache/images").glob("bookworm/*")) == []
