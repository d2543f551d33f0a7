"""Remember a probe's verdict for one boot of the host, one QEMU and one CPU."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

from emulator.machine.spec import MachineType


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeVerdict:
    """What a probe found.

    Attributes:
        usable: whether guests run.
        stages: the letters of the stages that worked, see `probe.STAGES`.
        reason: for people, one line.
        seconds: what the probe took.
    """

    usable: bool
    stages: str
    reason: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HostIdentity:
    """What KVM's behaviour hangs on.

    Attributes:
        boot_id: changes with each boot of the host.
        cpu_flags: features of its first CPU.
    """

    boot_id: str
    cpu_flags: str


def read_host_identity(root: Path = Path("/")) -> HostIdentity:
    """Read the host's identity from the /proc below `root`.

    Raises:
        OSError: there is no such /proc.
    """
    boot_id = (root / "proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    lines = (root / "proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    flags = next((line for line in lines if line.startswith("flags")), "")
    return HostIdentity(boot_id=boot_id, cpu_flags=flags)


def cache_key(host: HostIdentity, *, machine: MachineType, qemu: str, rom: bytes) -> str:
    """Return the key under which a verdict is true; pure."""
    parts = [host.boot_id, host.cpu_flags, machine, qemu, hashlib.sha256(rom).hexdigest()]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def recall(cache_dir: Path, *, key: str) -> ProbeVerdict | None:
    """Return the verdict under `key`; None if there is none or the file is damaged."""
    try:
        fields = json.loads(_file(cache_dir, key).read_bytes())
    except (OSError, ValueError):
        return None
    match fields:
        case {
            "usable": bool(usable),
            "stages": str(stages),
            "reason": str(reason),
            "seconds": float(seconds),
        }:
            return ProbeVerdict(usable=usable, stages=stages, reason=reason, seconds=seconds)
        case _:
            return None


def remember(cache_dir: Path, verdict: ProbeVerdict, *, key: str) -> None:
    """Write the verdict, whole or not at all, for the user's eyes only.

    Raises:
        OSError: the directory can't be made or written; nothing half-made stays.
    """
    cache_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with NamedTemporaryFile("w", dir=cache_dir, prefix=".probe-", delete=False) as made:  # mode 0600
        temporary = Path(made.name)
        try:
            json.dump(asdict(verdict), made)
            made.flush()
            os.replace(temporary, _file(cache_dir, key))  # noqa: PTH105  # one call, no half-made file
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def _file(cache_dir: Path, key: str) -> Path:
    return cache_dir / f"probe-{key[:32]}.json"
