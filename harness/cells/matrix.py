"""Matrices: TOML files that say which cells run, and which do not, and why (docs/howto/matrix.md).

Cells that can't exist are excluded automatically, with a reason (`misfit`). An image and a
scenario for different kinds of guests make no cell at all, so "all" means all that go together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from emulator.console.port_address import parse_port, with_lines
from emulator.errors import SpecError, unknown_name
from emulator.guest_images.board import BOARD, NO_MACHINE
from emulator.guest_images.kinds import REGISTERED, image_features
from emulator.guest_images.own_kernel import OWN
from emulator.lab_file.boards import LabBoard, lab_boards
from emulator.machine.architectures import architecture_among, architecture_of
from emulator.machine.models import MachineModel, find_model, machine_models
from emulator.machine.spec import VCPUS_MOST, Disk, Firmware, MachineSpec
from emulator.values import load_toml
from harness.cells.cell import Cell, mark_name, parse_cell_id, parse_shard, select, shard
from harness.scenario.kind import GuestKind, kind_of
from harness.scenario.scenario import Scenario
from harness.scenario.settings import PLAIN, Settings
from harness.scenarios import library
from harness.targets import find_target
from harness.targets.target_kind import TargetKind

REASONS_MOST = 3
"""Reasons why cells are left out that are told in a line; `run --list` has them all."""
_ANY_KERNEL = Path("/kernel")
_ANY_DISK = Disk(path=Path("/disk"))


def misfit(
    cell: Cell, scenario: Scenario, features: frozenset[str], *, target: TargetKind | None = None
) -> str | None:
    """Return why `cell` can't be played on `target` with an image of these features; None if it can."""
    if cell.vcpus < scenario.min_vcpus:
        return f"{scenario.name} takes {scenario.min_vcpus} vCPUs or more"
    absent = scenario.modules - features
    if absent and OWN not in features:  # what a user's own image has is found out when it is booted
        return f"the guest has no {', '.join(sorted(absent))}"
    if cell.machine == BOARD:
        return find_target(cell.image).misfit(scenario, features, NO_MACHINE)
    return _misfit_of_machine(cell, scenario, features, target or find_target())


def _misfit_of_machine(
    cell: Cell, scenario: Scenario, features: frozenset[str], target: TargetKind
) -> str | None:
    model, needed = find_model(cell.machine), architecture_among(features)
    if needed is not None and (architecture := architecture_of(model.base)) is not needed:
        return f"{cell.image} is for {needed.name}, and machine {model.name} is {architecture.name}"
    if cell.vcpus > model.vcpus_max:
        return f"machine {model.name} has at most {model.vcpus_max} vCPUs"
    if REGISTERED in features and f"boots-{cell.firmware}" not in features:
        return f"{cell.image} is registered as booting under another firmware"
    try:
        spec = _bare_spec(cell, scenario, model)
    except SpecError as error:
        return f"no such machine: {error}"
    return target.misfit(scenario, features, spec)


def _bare_spec(cell: Cell, scenario: Scenario, model: MachineModel) -> MachineSpec:
    """Return a machine like the cell's, without needing its image."""
    is_linux = scenario.guest is GuestKind.LINUX
    if cell.settings.append and not is_linux:
        raise SpecError("settings.append has kernel parameters, and the guest has no such thing")
    bare = MachineSpec(
        name=cell.scenario[:64],
        machine=model.base,
        firmware=cell.firmware,
        vcpus=cell.vcpus,
        kernel=_ANY_KERNEL if is_linux else None,
        disks=() if is_linux else (_ANY_DISK,),
        command_line=(*cell.settings.append, *scenario.kernel_args),
        devices=scenario.devices,
    )
    return cell.settings.applied(bare)


ALL: Literal["all"] = "all"
_Names: TypeAlias = Literal["all"] | Annotated[tuple[str, ...], Field(min_length=1)]
_Vcpus: TypeAlias = Annotated[tuple[Annotated[int, Field(ge=1, le=VCPUS_MOST)], ...], Field(min_length=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    name: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    description: Annotated[str, Field(min_length=1)]
    timeout_s: Annotated[float, Field(gt=0, le=3600)] = 180.0
    target: str = "machine"
    port: str = ""
    port_dtr: bool | None = None
    port_rts: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Axes:
    targets: _Names | None = None
    images: _Names | None = None
    machines: _Names | None = None
    firmwares: _Names | None = None
    vcpus: _Vcpus | None = None
    scenarios: _Names | None = None
    tags: tuple[str, ...] = ()


_OF_MACHINES = ("images", "machines", "firmwares", "vcpus")
"""What a block says of the machines that it wants; boards are as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block(_Axes):
    settings: Settings = PLAIN


@dataclass(frozen=True, slots=True, kw_only=True)
class _Exclude(_Axes):
    reason: Annotated[str, Field(min_length=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    matrix: _Head
    block: Annotated[tuple[_Block, ...], Field(min_length=1)]
    exclude: tuple[_Exclude, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Excluded:
    """A cell that does not run.

    Attributes:
        cell: the cell.
        reason: why, in one line.
    """

    cell: Cell
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """What a run does.

    Attributes:
        name: short name.
        description: what it is for.
        timeout_s: seconds that one cell may take.
        target: what the cells are played on that are not on boards (`target_of`).
        port: URL of the serial port, if they are played on one, with what is said of DTR and RTS.
        cells: those that run, in the order of the ids.
        excluded: those that do not, in the order of the ids.
    """

    name: str
    description: str
    timeout_s: float
    target: TargetKind
    port: str
    cells: tuple[Cell, ...]
    excluded: tuple[Excluded, ...]

    def target_of(self, cell: Cell) -> TargetKind:
        """Return what a cell is played on."""
        return find_target(cell.image) if cell.machine == BOARD else self.target

    def port_of(self, cell: Cell) -> str:
        """Return the URL of the serial port that a cell is played on; empty for a machine or a board."""
        return "" if cell.machine == BOARD else self.port


def load_matrix(
    path: Path, *, images: Mapping[str, frozenset[str]], scenarios: Mapping[str, Scenario]
) -> Matrix:
    """Return the matrix in `path`, of the images with these features and of `scenarios`.

    Raises SpecError if the file is wrong, names what does not exist, excludes nothing, or leaves no cell.
    """
    table = load_toml(path, _File)
    target = _target(table.matrix, path)
    known = _Known(images=images, scenarios=scenarios, target=target, boards=lab_boards())
    wanted: dict[str, Cell] = {}
    for number, block in enumerate(table.block):
        for cell in known.cells(block, f"{path}: block.{number}"):
            if wanted.setdefault(cell.id, cell) != cell:
                raise SpecError(f"{path}: block.{number}: {cell.id} has other settings in an earlier block")
    reasons = {id_: reason for id_, cell in wanted.items() if (reason := known.misfit(cell))}
    possible = [cell for id_, cell in wanted.items() if id_ not in reasons]
    reasons |= _explicit(table.exclude, possible, known=known, path=path)
    cells = tuple(wanted[id_] for id_ in sorted(wanted) if id_ not in reasons)
    if not cells:
        why = "; ".join(sorted(set(reasons.values()))[:REASONS_MOST])
        raise SpecError(f"{path}: no cell is left; {len(reasons)} are excluded: {why}")
    excluded = tuple(Excluded(cell=wanted[id_], reason=reasons[id_]) for id_ in sorted(reasons))
    head = table.matrix
    return Matrix(
        name=head.name,
        description=head.description,
        timeout_s=head.timeout_s,
        target=known.target,
        port=_port(head, path),
        cells=cells,
        excluded=excluded,
    )


def _target(head: _Head, path: Path) -> TargetKind:
    """Return what the cells are played on; check that a port is given for target "serial" and no other."""
    try:
        target = find_target(head.target)
    except SpecError as error:
        raise SpecError(f"{path}: key 'matrix.target': {error}") from None
    if bool(head.port) != (target.name == "serial"):
        shown = f"port is {head.port!r} and target {head.target!r}"
        raise SpecError(f'{path}: {shown}; allowed: a port with target "serial", and none with others')
    return target


def _port(head: _Head, path: Path) -> str:
    """Return the port with its settings of DTR and RTS; check them."""
    try:
        port = with_lines(head.port, dtr=head.port_dtr, rts=head.port_rts)
        parse_port(port)
    except SpecError as error:
        raise SpecError(f"{path}: {error}") from None
    return port


def _explicit(
    rules: Iterable[_Exclude], possible: Collection[Cell], *, known: _Known, path: Path
) -> dict[str, str]:
    """Return the reasons of the [[exclude]] tables by cell id, the same for any order of the tables."""
    found: dict[str, set[str]] = {}
    for number, rule in enumerate(rules):
        where = f"{path}: exclude.{number}"
        matching = known.matching(rule, possible, where=where)
        if not matching:
            raise SpecError(f"{where} ({rule.reason!r}) matches no cell that could run; remove it")
        for cell in matching:
            found.setdefault(cell.id, set()).add(rule.reason)
    return {id_: "; ".join(sorted(reasons)) for id_, reasons in found.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """The names that exist, for resolving those in a file."""

    images: Mapping[str, frozenset[str]]
    scenarios: Mapping[str, Scenario]
    target: TargetKind
    boards: Mapping[str, LabBoard]

    def cells(self, block: _Block, where: str) -> Iterator[Cell]:
        """Yield the product of the block's axes for the target, and what it plays on boards."""
        if block.scenarios is None and not block.tags:
            raise SpecError(f"{where}: key 'scenarios' is missing; give scenarios or tags, or both")
        targets = self._targets(block, where=where)
        chosen = sorted(self._scenarios(block, where=where))
        if self.target.name in targets - self.boards.keys():
            yield from self._cells_of_images(block, chosen, where=where)
        elif useless := [
            key for key in (*_OF_MACHINES, "settings") if getattr(block, key) not in {None, PLAIN}
        ]:
            raise SpecError(f"{where}: has {', '.join(useless)}; allowed: none where all targets are boards")
        for name, scenario in product(sorted(targets & self.boards.keys()), chosen):
            if kind_of(self.images[name]) is self.scenarios[scenario].guest:
                yield Cell(
                    image=name,
                    machine=BOARD,
                    firmware=Firmware.NONE,
                    vcpus=self.boards[name].table.vcpus,
                    scenario=scenario,
                )

    def _cells_of_images(self, block: _Block, chosen: Iterable[str], *, where: str) -> Iterator[Cell]:
        if missing := [axis for axis in _OF_MACHINES if getattr(block, axis) is None]:
            raise SpecError(f"{where}: key {missing[0]!r} is missing")
        names, machines, firmwares = self._axes(block, where=where)
        if boards := sorted(name for name in names if BOARD in self.images[name] and block.images != ALL):
            raise SpecError(f"{where}: key 'images': {boards[0]} is a board; allowed: under 'targets'")
        if block.images == ALL:  # a file means the same on every host: registered images must be named
            names = frozenset(name for name in names if not {REGISTERED, BOARD} & self.images[name])
        places = tuple(_places(block, self.images, names=names, machines=machines, firmwares=firmwares))
        for (image, machine, firmware), vcpus, scenario in product(places, block.vcpus or (), chosen):
            if kind_of(self.images[image]) is self.scenarios[scenario].guest:
                yield Cell(
                    image=image,
                    machine=machine,
                    firmware=Firmware(firmware),
                    vcpus=vcpus,
                    scenario=scenario,
                    settings=block.settings,
                )

    def matching(self, rule: _Exclude, cells: Iterable[Cell], *, where: str) -> list[Cell]:
        """Return the cells that match the rule on every axis that it names."""
        names, machines, firmwares = self._axes(rule, where=where)
        targets = self._targets(rule, where=where) if rule.targets is not None else None
        any_scenario = rule.scenarios is None and not rule.tags
        chosen = frozenset(self.scenarios) if any_scenario else self._scenarios(rule, where=where)
        return [
            cell
            for cell in cells
            if cell.image in names
            and cell.machine in machines
            and cell.firmware in firmwares
            and (rule.vcpus is None or cell.vcpus in rule.vcpus)
            and (targets is None or (cell.image if cell.machine == BOARD else self.target.name) in targets)
            and cell.scenario in chosen
        ]

    def misfit(self, cell: Cell) -> str | None:
        """Return why the cell can't be played, or None."""
        scenario, features = self.scenarios[cell.scenario], self.images[cell.image]
        return misfit(cell, scenario, features, target=self.target)

    def _axes(self, table: _Axes, *, where: str) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
        boards = [BOARD] if isinstance(table, _Exclude) else []  # it may name what they have for a machine
        return (
            _resolve("images", table.images, self.images, where=where),
            _resolve("machines", table.machines, [*machine_models(), *boards], where=where),
            _resolve("firmwares", table.firmwares, list(Firmware), where=where),
        )

    def _targets(self, table: _Axes, *, where: str) -> frozenset[str]:
        """Return the targets of a table: without any, that of the matrix."""
        if table.targets is None:
            return frozenset({self.target.name})
        return _resolve("targets", table.targets, [self.target.name, *self.boards], where=where)

    def _scenarios(self, table: _Axes, *, where: str) -> frozenset[str]:
        named = frozenset[str]()
        if table.scenarios is not None:
            named = _resolve("scenarios", table.scenarios, self.scenarios, where=where)
        tags = frozenset[str]().union(*(scenario.tags for scenario in self.scenarios.values()))
        wanted = _resolve("tags", table.tags, tags, where=where)
        return named | {name for name, scenario in self.scenarios.items() if scenario.tags & wanted}


def _places(
    block: _Block,
    images: Mapping[str, frozenset[str]],
    *,
    names: Iterable[str],
    machines: Iterable[str],
    firmwares: Iterable[str],
) -> Iterator[tuple[str, str, str]]:
    """Yield image, machine and firmware; where one of them is "all", only those of one architecture.

    Who names them is told why they do not go together (`misfit`).
    """
    models = machine_models()
    for image, machine, firmware in product(sorted(names), sorted(machines), sorted(firmwares)):
        architecture = architecture_of(models[machine].base)
        is_foreign = architecture_among(images[image]) not in {None, architecture}
        is_strange = Firmware(firmware) not in architecture.firmwares
        if not (
            (is_foreign and ALL in {block.images, block.machines}) or (is_strange and block.firmwares == ALL)
        ):
            yield image, machine, firmware


def _resolve(key: str, given: _Names | None, known: Collection[str], *, where: str) -> frozenset[str]:
    if given is None or given == ALL:
        return frozenset(str(name) for name in known)
    for name in given:
        if name not in known:
            raise SpecError(f"{where}: key {key!r}: {unknown_name('value', name, [str(k) for k in known])}")
    return frozenset(given)


def chosen_cells(
    matrix: Matrix, path: Path, *, expression: str = "", part: str = ""
) -> tuple[tuple[Cell, ...], tuple[Excluded, ...]]:
    """Return the cells that a run plays, of part I/N if `part` is "I/N", and what is left out of all parts.

    Raises SpecError.

    The `expression` is as for `select`; its words are found too in scenarios' tags, and in what else pytest's
    -k looks at.
    """
    cells = shard(matrix.cells, *parse_shard(part)) if part else matrix.cells
    if not expression:
        return cells, matrix.excluded
    common = {path.name, "test_cell", "parametrize"}
    tags = {name: common | {mark_name(tag) for tag in one.tags} for name, one in library().items()}
    every = (*cells, *(one.cell for one in matrix.excluded))
    found = frozenset(cell.id for cell in select(every, expression, tags=tags))
    left_out = tuple(one for one in matrix.excluded if one.cell.id in found)
    return tuple(cell for cell in cells if cell.id in found), left_out


def known_cell(text: str) -> Cell:
    """Return the cell of an id whose image, machine and scenario exist; raises SpecError."""
    machines = [*machine_models(), BOARD]
    return parse_cell_id(text, images=image_features(), machines=machines, scenarios=library())


def read_matrix(path: Path) -> Matrix:
    """Return the matrix in `path`, read anew if it or what it may name has changed; raises SpecError."""
    try:
        facts = path.stat()
    except OSError:
        return load_matrix(path, images=image_features(), scenarios=library())
    identity = (facts.st_ino, facts.st_size, facts.st_mtime_ns)
    images, scenarios = image_features(), library()
    known = (*images.items(), *machine_models().items(), id(scenarios))
    key = (path.absolute(), identity, known)
    if key not in _REMEMBERED:
        _REMEMBERED[key] = load_matrix(path, images=images, scenarios=scenarios)
    return _REMEMBERED[key]


_REMEMBERED: dict[tuple[object, ...], Matrix] = {}
