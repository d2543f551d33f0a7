"""`ttylab serve` as a process."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from emulator.clock import SYSTEM_CLOCK, Deadline
from harness.serving.access import ServiceAccess

WAIT_S = 60.0


class Served:
    """A running `ttylab serve`."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.ready_file = folder / "ready.json"
        self.state = folder / "ttylab-state"
        self.environment = os.environ | {"TTYLAB_STATE": str(self.state)}
        argv = [sys.executable, "-P", "-m", "harness.cli", "serve", "--port", "0", *arguments]
        self.process = subprocess.Popen(
            [*argv, "--ready-file", str(self.ready_file)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
        )

    def wait_ready(self) -> dict:
        deadline = Deadline.after(WAIT_S)
        while not self.ready_file.exists():
            assert self.process.poll() is None, self.process.communicate()
            assert not deadline.expired()
            SYSTEM_CLOCK.sleep(0.02)
        return json.loads(self.ready_file.read_text(encoding="utf-8"))

    def wait_access(self) -> ServiceAccess:
        ready = self.wait_ready()
        return ServiceAccess(**ready | {"ca": Path(ready["ca"])})

    def get(self, path: str) -> requests.Response:
        ready = self.wait_ready()
        return requests.get(ready["endpoint"] + path, verify=ready["ca"], timeout=WAIT_S)

    def end(self, number: int) -> tuple[int, str, str]:
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=WAIT_S)
        return self.process.returncode, out, err


@contextmanager
def serve(folder: Path, *arguments: str) -> Iterator[Served]:
    served = Served(folder, *arguments)
    try:
        yield served
    finally:
        served.process.kill()
        served.process.communicate(timeout=WAIT_S)
