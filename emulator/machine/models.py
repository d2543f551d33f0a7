"""The machines that matrices and commands can name: QEMU's boards, and what a lab.toml makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from emulator.errors import SpecError, unknown_name
from emulator.lab_file.read import current_lab
from emulator.lab_file.tables import MachineTable
from emulator.machine.spec import VCPUS_MOST, MachineSpec, MachineType


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineModel:
    """A kind of machine by name.

    Attributes:
        name: in matrices and cells' ids.
        base: QEMU's board.
        memory_mib: MiB; None leaves it to the image.
        vcpus_max: the most CPUs that it is given.
        qemu: another program, by path or name; None is the usual one.
        args: more words for QEMU's command line.
    """

    name: str
    base: MachineType
    memory_mib: int | None = None
    vcpus_max: int = VCPUS_MOST
    qemu: str | None = None
    args: tuple[str, ...] = ()

    def applied(self, spec: MachineSpec) -> MachineSpec:
        """Return `spec`, a machine with this board, with this model's properties; raises SpecError."""
        memory_mib = spec.memory_mib if self.memory_mib is None else self.memory_mib
        return replace(spec, memory_mib=memory_mib, qemu=self.qemu, args=self.args)


def machine_models() -> Mapping[str, MachineModel]:
    """Return every model by name: QEMU's boards first, then those of the lab.

    Raises:
        SpecError: the lab's file is wrong, or one of its machines has no such base or a board's name.
    """
    lab = current_lab()
    return _models(lab.path, tuple(lab.machines.items()))


@lru_cache(maxsize=4)
def _models(path: Path | None, tables: tuple[tuple[str, MachineTable], ...]) -> Mapping[str, MachineModel]:
    models = {str(base): MachineModel(name=str(base), base=base) for base in MachineType}
    for name, table in tables:
        where = f"{path}: machines.{name}"
        if name in models:
            raise SpecError(f"{where}: that is a board of QEMU's; choose another name")
        models[name] = _model(name, table, where=where)
    return MappingProxyType(models)


def _model(name: str, table: MachineTable, *, where: str) -> MachineModel:
    try:
        base = MachineType(table.base)
    except ValueError:
        raise SpecError(f"{where}: {unknown_name('base', table.base, list(MachineType))}") from None
    return MachineModel(
        name=name,
        base=base,
        memory_mib=table.memory_mib,
        vcpus_max=table.vcpus_max,
        qemu=table.qemu,
        args=table.args,
    )


def find_model(name: str) -> MachineModel:
    """Return the model called `name`; the SpecError for an unknown one names similar ones."""
    models = machine_models()
    if name not in models:
        raise unknown_name("machine", name, models)
    return models[name]
