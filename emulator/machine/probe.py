"""Tell whether KVM runs guests, by running one.

`/dev/kvm` proves nothing: it may open, make vCPUs, run firmware, and then hang every stock kernel
(docs/facts/qemu.md 1). So our own ROM (for x86 `probe_rom/probe.S`) tries what a kernel needs, writes one
letter per stage, and ends QEMU. The answer is kept for this boot of the host.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from emulator import places
from emulator.clock import SYSTEM_CLOCK, Clock, Deadline
from emulator.errors import FileError, MissingPrerequisite, SpecError
from emulator.files import read_whole, write_whole
from emulator.machine.architectures import ARCHITECTURES, architecture_of, board_of
from emulator.machine.architectures.parts import AcceleratorName, TestProgram
from emulator.machine.process import Finished, run_bounded
from emulator.machine.qemu_binary import QemuBinary
from emulator.machine.spec import Accelerator, MachineType
from emulator.values import json_ready, load_json


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeVerdict:
    """What a probe found.

    Attributes:
        usable: whether guests run.
        stages: the letters of the stages that worked, see `TestProgram`.
        reason: one line for people.
        seconds: how long the probe took.
    """

    usable: bool
    stages: str
    reason: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HostIdentity:
    """What KVM's behaviour depends on: this boot of the host, and the features of its first CPU."""

    boot_id: str
    cpu_flags: str


def read_host_identity(root: Path = Path("/")) -> HostIdentity:
    """Read the host's identity from the /proc below `root`; raises OSError if there is none."""
    boot_id = (root / "proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    lines = (root / "proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    flags = next((line for line in lines if line.startswith("flags")), "")
    return HostIdentity(boot_id=boot_id, cpu_flags=flags)


def cache_key(host: HostIdentity, *, machine: MachineType, qemu: str, rom: bytes) -> str:
    """Return the key for which a verdict holds; pure."""
    parts = [host.boot_id, host.cpu_flags, machine, qemu, hashlib.sha256(rom).hexdigest()]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def recall(cache_dir: Path, *, key: str) -> ProbeVerdict | None:
    """Return the verdict for `key`; None if there is none or its file is damaged."""
    try:
        text = read_whole(_file(cache_dir, key), most=_VERDICT_MOST)
        verdict = load_json(text, ProbeVerdict, origin="a verdict")
    except (OSError, SpecError):
        return None
    return verdict if json.dumps(json_ready(verdict)).encode() == text else None


def remember(cache_dir: Path, verdict: ProbeVerdict, *, key: str) -> None:
    """Write the verdict to a file of mode 0600; after a FileError nothing half-made stays."""
    write_whole(_file(cache_dir, key), json.dumps(json_ready(verdict)).encode(), private=True, parents=True)


_VERDICT_MOST = 1 << 16


def _file(cache_dir: Path, key: str) -> Path:
    return cache_dir / f"probe-{key[:32]}.json"


BOUND_S = 1.8
"""How long KVM may take, QEMU's own start included, so that a probe ends within 2 s. TCG needs 0.05 s
(QEMU 7.2); on a host with seven busy users QEMU once took more than 1 s to start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The accelerator to use, and why, for the report."""

    accelerator: AcceleratorName
    reason: str


def judge_probe(
    finished: Finished, *, seconds: float, test: TestProgram = ARCHITECTURES[0].test
) -> ProbeVerdict:
    """Tell from what the ROM wrote, and how QEMU ended, whether guests run; pure."""
    stages = "".join(letter for letter in finished.stdout.decode("latin-1") if letter in test.stages)
    usable = finished.exit_code == test.exit_code and stages == "".join(test.stages)
    failure = f"{_progress(stages, test.stages)}: {_end_of(finished, seconds)}"
    reason = test.achieved if usable else failure
    return ProbeVerdict(usable=usable, stages=stages, reason=reason, seconds=seconds)


def probe_accelerator(
    qemu: QemuBinary,
    *,
    machine: MachineType,
    clock: Clock = SYSTEM_CLOCK,
    cache_dir: Path | None = None,
    kvm_device: Path = Path("/dev/kvm"),
    host: HostIdentity | None = None,
) -> ProbeVerdict:
    """Tell within 2 s whether KVM runs guests on a board; remembered for this boot of the host.

    `cache_dir` is the user's by default; if it can't be written, the next call probes again.

    Raises:
        OSError: no temporary file can be written, or `setpriv` is missing.
    """
    architecture, reason = architecture_of(machine), ""
    if (here := platform.machine()) not in architecture.kernels:
        reason = f"this host is {here}, the guest {architecture.name}"
    elif not os.access(kvm_device, os.R_OK | os.W_OK):
        reason = f"{kvm_device} is {'not accessible to this user' if kvm_device.exists() else 'absent'}"
    if reason:
        return ProbeVerdict(usable=False, stages="", reason=reason, seconds=0.0)
    identity = host or read_host_identity()
    key = cache_key(identity, machine=machine, qemu=str(qemu.version), rom=architecture.test.probe())
    directory = cache_dir or places.probe_verdicts()
    if (known := recall(directory, key=key)) is not None:
        return known
    verdict = run_probe(qemu, machine=machine, accelerator="kvm", clock=clock)
    with suppress(FileError):
        remember(directory, verdict, key=key)
    return verdict


def run_probe(
    qemu: QemuBinary,
    *,
    machine: MachineType,
    accelerator: AcceleratorName,
    clock: Clock,
    rom: bytes | None = None,
    bound_s: float = BOUND_S,
) -> ProbeVerdict:
    """Run the ROM once, for at most `bound_s` seconds, and judge it; errors are those of the whole probe."""
    started = clock.monotonic()
    test = architecture_of(machine).test
    with TemporaryDirectory(prefix="ttylab-probe-") as directory:
        image = Path(directory) / "probe.rom"
        image.write_bytes(test.probe() if rom is None else rom)
        argv = (
            *(str(qemu.path), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
            *("-machine", board_of(machine).words, "-accel", accelerator),
            *("-cpu", "host" if accelerator == "kvm" else test.cpu, "-bios", str(image)),
            *test.words,
        )
        finished = run_bounded(argv, deadline=Deadline.after(bound_s, clock))
    return judge_probe(finished, seconds=clock.monotonic() - started, test=test)


def choose_accelerator(
    requested: Accelerator,
    *,
    qemu: QemuBinary,
    machine: MachineType,
    clock: Clock = SYSTEM_CLOCK,
    cache_dir: Path | None = None,
    kvm_device: Path = Path("/dev/kvm"),
) -> Choice:
    """Return the accelerator to use; raises MissingPrerequisite if kvm, asked for by name, runs no guest."""
    if requested is Accelerator.TCG:
        return Choice(accelerator="tcg", reason="TCG was asked for")
    verdict = probe_accelerator(
        qemu, machine=machine, clock=clock, cache_dir=cache_dir, kvm_device=kvm_device
    )
    if verdict.usable:
        return Choice(accelerator="kvm", reason=f"KVM {verdict.reason}")
    if requested is Accelerator.KVM:
        raise MissingPrerequisite(f"a KVM that runs guests ({verdict.reason})", remedy="use auto or tcg")
    return Choice(accelerator="tcg", reason=f"KVM is not usable: {verdict.reason}")


def _progress(stages: str, known: Mapping[str, str]) -> str:
    """Say how far a run came that wrote `stages` of those that are known."""
    expected = "".join(known)
    if not stages:
        return "no guest code ran"
    if stages == expected:
        return "all stages ran, but the guest could not leave"
    if not expected.startswith(stages):
        return f"the guest went astray (stages {stages})"
    return f"got to {known[stages[-1]]}, failed before {known[expected[len(stages)]]}"


def _end_of(finished: Finished, seconds: float) -> str:
    message = finished.stderr.decode("utf-8", "backslashreplace").strip().splitlines()
    said = f" ({message[0][:200]})" if message else ""
    if finished.exit_code is None:
        return f"stuck, killed after {seconds:.1f} s{said}"
    if finished.exit_code == 0:
        return f"the CPU reset itself{said}"
    # setpriv passes exit codes on; a signal is negative because QEMU replaces setpriv.
    end = f"signal {-finished.exit_code}" if finished.exit_code < 0 else f"exit code {finished.exit_code}"
    return f"QEMU ended with {end}{said}"
