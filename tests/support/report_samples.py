"""Made-up runs and transcripts that the tests of reports share; nothing boots."""

from collections.abc import Mapping
from pathlib import Path

from emulator.console.marks import MarkKind
from emulator.console.transcript import DirectorySink, Transcript
from emulator.values import json_ready, read_value
from harness.report.model import CellRecord, CellResult, FindingRecord, RunResult, StageRecord, StepRecord
from harness.scenario.steps import Outcome
from harness.scenario.verdict import Evidence, Injection
from tests.support.fake_clock import FakeClock

HOSTILE = (
    b"<script>alert(1)</script>\x1b]0;owned\x07\x1b[2J\xff\xfe \xe2\x80\xaegnp.exe & \"quoted\" 'too'\r\n"
)
PANIC = b"[    9.120001] Kernel panic - not syncing: NMI: Not continuing\r\n"
BOOT = (
    b"SeaBIOS (version 1.16.2-debian-1.16.2-1)\r\n",
    b"Booting from ROM..\r\n",
    b"[    0.000000] Linux version 6.1.0-50-cloud-amd64 (debian-kernel@lists.debian.org)\r\n",
    *(
        b"[    %d.%06d] pci 0000:00:%02x.0: BAR 0 [mem 0xfebf%x000]\r\n" % (n // 20, n, n, n)
        for n in range(60)
    ),
    b"\x1b[1;32mwelcome\x1b[0m to the lab\r\n\r\nlab login: ",
)
STEPS = (
    "reach shell",
    "inject nmi: the kernel panics, then reboots",
    "reach shell",
    "the guest still answers",
)


class Guest:
    """A transcript that grows under a fake clock, kept in `directory` if there is one."""

    def __init__(self, directory: Path | None = None) -> None:
        self.clock = FakeClock()
        sink = None if directory is None else DirectorySink(directory, console="ttyS0")
        self.transcript = Transcript(clock=self.clock, sink=sink, epoch=0.0)

    def says(self, *lines: bytes, every_s: float = 0.02) -> "Guest":
        for line in lines:
            self.clock.advance(every_s)
            self.transcript.append(line)
        return self

    def marks(self, kind: MarkKind, name: str, detail: Mapping[str, object] | None = None) -> "Guest":
        self.transcript.mark(kind, name, detail)
        return self

    def types(self, data: bytes) -> "Guest":
        self.transcript.append_typed(data)
        return self


def make_guest(directory: Path | None = None, *, panics: bool = True, extra: bytes = HOSTILE) -> Guest:
    """Return a guest that boots, takes an NMI, and then panics or does not."""
    guest = Guest(directory).marks(MarkKind.MACHINE, "running")
    guest.says(*BOOT[:2], every_s=0.3).marks(MarkKind.STAGE, "firmware")
    guest.says(*BOOT[2:]).marks(MarkKind.STAGE, "login").types(b"root\n").says(b"root\r\n", b"# ")
    guest.marks(MarkKind.STAGE, "shell").says(extra)
    guest.marks(MarkKind.STEP, "begin", {"index": 1, "step": STEPS[1]}).marks(MarkKind.STIMULUS, "nmi")
    guest.clock.advance(0.012)
    guest.says(b"[    9.110001] Uhhuh. NMI received for unknown reason 30 on CPU 0.\r\n", every_s=0)
    if panics:
        guest.says(PANIC).marks(MarkKind.QMP, "GUEST_PANICKED").marks(MarkKind.QMP, "RESET")
    guest.clock.advance(0.5)
    guest.transcript.close("test ends")
    return guest


def make_cell(
    status: str = "passed",
    *,
    scenario: str = "nmi-panics",
    image: str = "bookworm",
    machine: str = "q35",
    firmware: str = "seabios",
    vcpus: int = 1,
    guest: Guest | None = None,
    **changes: object,
) -> CellResult:
    """Return the record of a cell, with evidence where `guest` shows it."""
    name = f"{image}.{machine}.{firmware}.{vcpus}.{scenario}"
    data = guest.transcript.read() if guest else b""
    place = data.find(PANIC)
    evidence = [Evidence(says="the kernel panicked", start=place, end=place + len(PANIC) - 2, at=2.2)]
    finding = FindingRecord(
        rule="panic", kind="BUG", title="kernel panic: NMI: Not continuing",
        start=place, end=place + len(PANIC),
        fatal=True, corrupted=False, suppressed=False, expected=status == "passed",
    )  # fmt: skip
    ok = status == "passed"
    values: dict[str, object] = {
        "cell": CellRecord(
            id=name, image=image, machine=machine, firmware=firmware, vcpus=vcpus, scenario=scenario
        ),
        "title": "NMI panics a guest that was told so",
        "description": "With unknown_nmi_panic the kernel must panic on an NMI and restart after panic=1.",
        "severity": "critical",
        "tags": ["nmi", "panic"],
        "status": status,
        "reason": {"passed": "none", "failed": "died", "broken": "lab", "skipped": "unsupported"}[status],
        "message": "" if ok else "guest died: kernel panic: NMI: Not continuing, 12 ms after nmi",
        "step": None if ok else 1,
        "evidence": evidence if place >= 0 else [],
        "findings": [finding] if place >= 0 else [],
        "injections": [Injection(stimulus="nmi", at=2.1, outcome=Outcome.EFFECTIVE, latency_s=0.012)],
        "stages": [
            StageRecord(boot=0, stage=stage, at=at)
            for stage, at in (("firmware", 0.3), ("kernel", 0.6), ("login", 1.9), ("shell", 2.0))
        ],
        "steps": [
            StepRecord(text=STEPS[0], begin=0.0, end=2.0, outcome="done"),
            StepRecord(text=STEPS[1], begin=2.0, end=2.3, outcome="done" if ok else "failed"),
            StepRecord(text=STEPS[2], begin=2.3, end=2.6, outcome="done")
            if ok
            else StepRecord(text=STEPS[2], begin=2.3, end=None, outcome="not-run"),
        ],
        "started_utc": "2026-03-01T10:00:00.000000+00:00",
        "duration_s": 2.75,
        "console_bytes": len(data),
        "worker": "gw0",
        "directory": f"cells/{name}",
        "repro": f"ttylab repro {name}",
        "argv": ["qemu-system-x86_64", "-S", "-append", "console=ttyS0 panic=1 <unsafe>"],
        "image": {
            "name": image,
            "suite": image,
            "flavour": "cloud",
            "kernel_version": "6.1.176-1",
            "kernel_release": "6.1.0-50-cloud-amd64",
            "sha256": {"bzimage": "ab" * 32, "vmlinux": "cd" * 32, "initrd": "ef" * 32},
            "packages": [{"name": "busybox-static", "version": "1.35", "sha256": "01" * 32}],
            "modules": ["i6300esb"],
        },
        "accelerator": "tcg",
        "qemu": "7.2.22",
        "seed": 7,
    }  # fmt: skip
    return read_value(json_ready(values | changes), CellResult, origin="sample")


def make_run(*cells: CellResult, **changes: object) -> RunResult:
    """Return a run of `cells`."""
    ordered = sorted(cells, key=lambda result: result.cell.id)
    statuses = ("passed", "failed", "broken", "skipped")
    values: dict[str, object] = {
        "run_id": "20260301-100000-4711",
        "started_utc": "2026-03-01T10:00:00+00:00",
        "duration_s": 61.5,
        "matrix": "ci/push.toml",
        "ttylab": "0.1.0",
        "host": {"system": "Debian GNU/Linux 12", "cpus": 2, "memory_mib": 7950},
        "workers": 2,
        "excluded": [{"id": "bookworm.microvm.ovmf.1.boot", "reason": "microvm has no UEFI firmware"}],
        "summary": {status: sum(cell.status == status for cell in ordered) for status in statuses},
        "cells": ordered,
    }
    return read_value(json_ready(values | changes), RunResult, origin="sample")


def make_run_dir(run_dir: Path) -> RunResult:
    """Write a run of one cell of each verdict with its files; return its result (run.json is not written)."""
    cells = []
    for status in ("passed", "failed", "broken", "skipped"):
        plain = make_cell(status, scenario=f"nmi-{status}")
        directory = run_dir / plain.directory
        guest = make_guest(directory, panics=status in {"passed", "failed"})
        (directory / "argv.json").write_text('["qemu-system-x86_64", "-S"]')
        (directory / "qemu.stderr").write_bytes(b"qemu-system-x86_64: warning: <b>\x1b[31m\n")
        cells.append(make_cell(status, scenario=f"nmi-{status}", guest=guest))
    return make_run(*cells)
