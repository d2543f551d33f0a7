"""The machines that matrices and commands can name: QEMU's boards, and what a lab.toml makes of them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from emulator.errors import SpecError, unknown_name
from emulator.guest_text.printable import visible
from emulator.lab_file.read import current_lab
from emulator.lab_file.tables import MachineTable
from emulator.machine.spec import MachineSpec, MachineType


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineModel(MachineTable):
    """A kind of machine by its name in matrices and cells' ids; `base` is QEMU's board."""

    name: str
    base: MachineType

    def applied(self, spec: MachineSpec) -> MachineSpec:
        """Return `spec`, a machine with this board, with this model's properties; raises SpecError."""
        self.require_program()
        memory_mib = spec.memory_mib if self.memory_mib is None else self.memory_mib
        return replace(spec, memory_mib=memory_mib, qemu=self.qemu, args=self.args)

    def require_program(self) -> None:
        """Raise SpecError if the program that it names is not there."""
        if self.qemu is not None and shutil.which(self.qemu) is None:
            what = f"{visible(self.qemu)!r}, which is not there; allowed: a program on PATH, or its path"
            raise SpecError(f"{current_lab().path}: machines.{self.name}.qemu is {what}")


def machine_models() -> Mapping[str, MachineModel]:
    """Return every model by name, QEMU's boards first, then the lab's; raises SpecError for a wrong one."""
    lab = current_lab()
    return _models(lab.path, tuple(lab.machines.items()))


@lru_cache(maxsize=4)
def _models(path: Path | None, tables: tuple[tuple[str, MachineTable], ...]) -> Mapping[str, MachineModel]:
    models = {str(base): MachineModel(name=str(base), base=base) for base in MachineType}
    for name, table in tables:
        where = f"{path}: machines.{name}"
        if name in models:
            raise SpecError(f"{where}: that is a board of QEMU's; choose another name")
        if table.base not in list(MachineType):
            raise SpecError(f"{where}: {unknown_name('base', table.base, list(MachineType))}")
        models[name] = MachineModel(**asdict(table) | {"name": name, "base": MachineType(table.base)})
    return MappingProxyType(models)


def find_model(name: str) -> MachineModel:
    """Return the model called `name`; the SpecError for an unknown one names similar ones."""
    models = machine_models()
    if name not in models:
        raise unknown_name("machine", name, models)
    return models[name]
