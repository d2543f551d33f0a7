"""Users' own disks and kernels as guests of a cloud's VMs, as `ttylab serve --disk VM=FILE` asks for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from emulator.cloud.config import CloudConfig, VmTable
from emulator.errors import SpecError, unknown_name
from emulator.guest_images.kinds import image_features
from emulator.guest_images.own import open_table, own_name
from emulator.lab_file.tables import TTYLAB_INITRD, ImageTable
from emulator.service.state.store import StateDirectory
from harness.run.own_run import lab_put_back, use_lab_of, write_lab


@contextmanager
def own_guests(
    config: CloudConfig, *, disks: Sequence[str], kernels: Sequence[str], state: Path | None
) -> Iterator[CloudConfig]:
    """Give the cloud with the files of `disks` and `kernels` (each "VM=FILE") as the guests of its VMs.

    They become a lab.toml in the state directory, which later starts find there, or else one for the block.

    Raises:
        SpecError: there is no such VM, a file won't do, or the directory holds a cloud already.
        ImageError, MissingPrerequisite: ttylab's own initramfs, for a kernel, can't be had.
    """
    files = _files("--disk", disks, config) | _files("--kernel", kernels, config)
    if not files and state is not None:
        use_lab_of(state)
    if not files:
        yield config
        return
    if len(files) < len(disks) + len(kernels):
        raise SpecError("--disk and --kernel name a VM twice; give each one file")
    if state is not None and StateDirectory(path=state).database.exists():
        raise SpecError(
            f"{state} holds a cloud already, with VMs of its own; --disk and --kernel need a new one"
        )
    with TemporaryDirectory(prefix="ttylab-serve-") as scratch, lab_put_back():
        tables = {vm: _table(option, file) for vm, (option, file) in files.items()}
        names = _names({vm: file for vm, (_, file) in files.items()})
        vms = tuple(_with(vm, names, tables) for vm in config.vm)
        write_lab(state or Path(scratch), {names[vm]: table for vm, table in tables.items()})
        yield replace(config, vm=vms)


def _files(option: str, given: Sequence[str], config: CloudConfig) -> dict[str, tuple[str, Path]]:
    known = [vm.name for vm in config.vm]
    found = {}
    for text in given:
        vm, equals, file = text.partition("=")
        if not equals or not file:
            raise SpecError(
                f"{option} is {text!r}; write VM=FILE, as in {known[0] if known else 'vm'}={text}"
            )
        if vm not in known:
            raise SpecError(f"{option} {text}: {unknown_name('VM', vm, known)}")
        found[vm] = (option, Path(file).absolute())
    return found


def _table(option: str, file: Path) -> ImageTable:
    return (
        ImageTable(disk=file) if option == "--disk" else ImageTable(kernel=file, initrd=Path(TTYLAB_INITRD))
    )


def _names(files: dict[str, Path]) -> dict[str, str]:
    """Return a name for each VM's image; VMs with one file share it."""
    of_file: dict[Path, str] = {}
    for file in files.values():
        if file not in of_file:
            of_file[file] = own_name(file, {*image_features(), *of_file.values()})
    return {vm: of_file[file] for vm, file in files.items()}


def _with(vm: VmTable, names: dict[str, str], tables: dict[str, ImageTable]) -> VmTable:
    """Return a VM with its image, of the generation whose firmware starts it."""
    if vm.name not in names:
        return vm
    image = open_table(names[vm.name], tables[vm.name])
    second = image.usual_board.firmware.is_uefi
    return replace(vm, image=image.name, os="linux", generation=2 if second else 1)
