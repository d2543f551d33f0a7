"""The service on a real port over guests in memory: what tests of our own client talk to.

with serve_lab(tmp_path) as lab:
    lab.run("console", "linux1", typed=b"hello\r")
"""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from emulator.clock import Deadline, utc_now
from emulator.cloud.records import Record, VirtualMachine
from emulator.service.core.context import Service
from tests.support.fake_fleet import FakeGuest
from tests.support.service_lab import (
    GROUP,
    SUBSCRIPTION,
    TENANT,
    demo_instance_id,
    demo_vm_id,
    fake_fleet_of,
    open_test_service,
)
from tests.support.service_server import Served, run_service

PATIENCE_S = 30.0


class LoopNow:
    """The present, for a service; it notes on which loop it is asked."""

    loop: asyncio.AbstractEventLoop

    def __call__(self) -> datetime:
        with suppress(RuntimeError):
            self.loop = asyncio.get_running_loop()
        return utc_now()


@dataclass(frozen=True, kw_only=True)
class ServedLab:
    """A running service."""

    served: Served
    now: LoopNow

    @property
    def service(self) -> Service:
        return self.served.service

    def guest(self, name: str) -> FakeGuest:
        """Return the guest of a demo VM ("linux1") or of an instance of `ss1` ("ss1/0")."""
        return fake_fleet_of(self.service).guest(self.record(name))

    def record(self, name: str) -> VirtualMachine:
        vm = demo_instance_id(name.partition("/")[2]) if "/" in name else demo_vm_id(name)
        record = self.service.cloud.find(VirtualMachine, vm.key)
        assert record is not None
        return record

    def environment(self, **more: str) -> dict[str, str]:
        """Return what `ttylab serve --print-env` would have set, in this process's environment."""
        plain = {name: value for name, value in os.environ.items() if not name.startswith("TTYLAB_")}
        return plain | {
            "TTYLAB_ENDPOINT": self.served.endpoint,
            "TTYLAB_CA": self.served.ca,
            "TTYLAB_TENANT": TENANT,
            "TTYLAB_SUBSCRIPTION": SUBSCRIPTION,
            "TTYLAB_GROUP": GROUP,
            "TTYLAB_PRINCIPAL": "app",
            "TTYLAB_SECRET": "secret",
            **more,
        }

    def run(self, *words: str, typed: bytes = b"", **more: str) -> subprocess.CompletedProcess[bytes]:
        """Run `ttylab` with `words` to its end, with a pipe for a terminal."""
        return subprocess.run(
            command(*words),
            input=typed,
            capture_output=True,
            env=self.environment(**more),
            check=False,
            timeout=PATIENCE_S,
        )

    @contextmanager
    def started(self, *words: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run `ttylab` with `words` meanwhile; whatever is left of it at the end is killed."""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(command(*words), env=self.environment(), **pipes) as process:
            try:
                yield process
            finally:
                process.kill()

    def put(self, record: Record) -> None:
        """Change a record, on the service's loop as it must be."""
        self.on_loop(lambda: self.service.cloud.put(record))

    def end_links(self, name: str, code: int, reason: str) -> None:
        """End the links of a VM as the service does it."""
        self.on_loop(lambda: [one.end(code, reason) for one in self.service.links.of(self.record(name).id)])

    def on_loop(self, act: Callable[[], object]) -> None:
        """Do `act` on the service's loop, which has answered at least one request."""
        done = threading.Event()
        self.now.loop.call_soon_threadsafe(lambda: (act(), done.set()))
        assert done.wait(PATIENCE_S)

    def wait_mark(self, name: str, mark: str, *, times: int = 1) -> None:
        """Wait until the console of a guest has a mark ("connected", "disconnected") so many times."""
        transcript, deadline = self.guest(name).transcript, Deadline.after(PATIENCE_S)
        while [one.name for one in transcript.marks].count(mark) < times:
            assert not deadline.expired(), transcript.marks
            transcript.wait_change(transcript.version, deadline.sooner(0.2))


def command(*words: str) -> list[str]:
    """Return the argv of `ttylab`."""
    return [sys.executable, "-P", "-m", "harness.cli", *words]


@contextmanager
def serve_lab(directory: Path, **options: object) -> Iterator[ServedLab]:
    """Serve the demo cloud on a free port; `options` are those of `open_test_service`."""

    now = LoopNow()
    with run_service(directory, make=lambda: replace(open_test_service(**options), now=now)) as served:
        yield ServedLab(served=served, now=now)
