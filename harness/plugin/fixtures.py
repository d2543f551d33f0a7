"""The fixtures: a lab, a machine for the test alone, a session on its console, a guest at its prompt."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from emulator.clock import Deadline
from emulator.errors import SpecError, did_you_mean, unknown_name
from emulator.guest_images.kinds import GuestImage
from emulator.machine.machine import Machine
from emulator.machine.models import find_model
from emulator.machine.spec import Board, Device, Firmware, MachineSpec
from emulator.snapshots.pool import MachinePool
from harness.guests.drivers import image_driver
from harness.guests.linux import LinuxGuest
from harness.play.alarms import NAMES
from harness.play.guest import Guest, OpenGuest, SacDialogue
from harness.play.screen import Screen
from harness.play.session import Session
from harness.play.target import Target
from harness.plugin.own_tests import LAB, test_of
from harness.plugin.process import RUN_DIRECTORY
from harness.run.wanted import named_snapshot
from harness.scenario.kind import GuestKind, kind_of
from harness.scenario.stages import Stage
from harness.scenario.steps import BOOT_S
from harness.serving.access import ServiceAccess
from harness.signatures.rules import lab_rules
from harness.snapshots.lab import Lab
from harness.snapshots.stage import named_stage, serving_stage
from harness.snapshots.start import (
    ForkedGuest,
    Start,
    WantedGuest,
    open_forked,
    open_snapshot_pool,
    open_started,
)

FromState: TypeAlias = Callable[..., ForkedGuest]
ForkPool: TypeAlias = Callable[..., MachinePool]


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """The lab: guest images, QEMU, the choice of accelerator, the run's directory."""
    config = request.config
    chosen = getattr(config, "workerinput", {}).get(RUN_DIRECTORY) or config.getoption("run_dir")
    run_dir = Path(chosen).absolute() if chosen else tmp_path_factory.mktemp("ttylab")
    made = Lab(run_dir=run_dir, time_scale=config.getoption("time_scale"), cold=config.getoption("cold"))
    config.stash[LAB] = made
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """What a test's markers ask for.

    Attributes:
        spec: the machine.
        image: what it boots.
        plain: whether no marker says anything of it.
    """

    spec: MachineSpec
    image: GuestImage
    plain: bool


MARKED: pytest.StashKey[Marked] = pytest.StashKey()


@pytest.fixture
def machine_spec(request: pytest.FixtureRequest, lab: Lab) -> MachineSpec:
    """What `machine` boots, from the markers `image`, `machine`, `board`, `kernel_args` and `devices`.

    Override it for anything else.
    """
    marked = marked_guest(request.node, lab, getattr(request, "param", {}))
    request.node.stash[MARKED] = marked
    return marked.spec


_BOARD_WORDS = ("machine", "firmware", "vcpus", "memory_mib", "bulk_console")


def marked_guest(node: pytest.Item, lab: Lab, names: Mapping[str, str]) -> Marked:
    """Return what a test's markers ask for; `names` has those of a marker that names several.

    Raises:
        SpecError: there is no such image, machine or firmware; the text names similar ones.
        ImageError, MissingPrerequisite: the image can't be had.
    """
    marks = {each: node.get_closest_marker(each) for each in ("image", "machine", "board")}
    board = mark.kwargs if (mark := marks["board"]) else {}
    _require_words(board, _words(node, "expects"))
    image = lab.guest_image(names.get("image") or _first(marks["image"]) or "bookworm")
    usual = image.usual_board
    name = names.get("machine") or _first(marks["machine"]) or board.get("machine", usual.machine)
    words, devices = _words(node, "kernel_args"), _words(node, "devices")
    model = find_model(str(name))
    asked = Board(machine=model.base, firmware=_firmware(board.get("firmware", usual.firmware)), words=words)
    spec = model.applied(image.spec(asked))
    spec = replace(
        spec,
        vcpus=board.get("vcpus", 1),
        memory_mib=board.get("memory_mib", spec.memory_mib),
        devices=frozenset(map(Device, devices)),
        bulk_console=board.get("bulk_console", False),
    )
    return Marked(spec=spec, image=image, plain=not (any(marks.values()) or words or devices))


def _require_words(board: Mapping[str, object], expects: Iterable[str]) -> None:
    """Refuse words of markers that nothing is called: a test would go on without what it asks for."""
    for word in sorted(board.keys() - set(_BOARD_WORDS)):
        raise SpecError(f"the marker board: {unknown_name('word', word, _BOARD_WORDS)}")
    known = {*NAMES, *(rule.id for rule in lab_rules().rules)}
    for name in sorted(set(expects) - known):
        hint = did_you_mean(name, known, most=2)
        raise SpecError(
            f"the marker expects names {name!r}, and no rule is called so{'; ' * bool(hint)}{hint}"
        )


def _first(mark: pytest.Mark | None) -> str:
    if mark is not None and not (mark.args and isinstance(mark.args[0], str)):
        raise SpecError(f'the marker {mark.name} names nothing; write @pytest.mark.{mark.name}("NAME")')
    return "" if mark is None else mark.args[0]


def _words(node: pytest.Item, marker: str) -> tuple[str, ...]:
    return tuple(word for mark in node.iter_markers(marker) for word in mark.args)


def _firmware(name: str) -> Firmware:
    if name not in tuple(Firmware):
        raise unknown_name("firmware", name, tuple(Firmware))
    return Firmware(name)


def _image_of(node: pytest.Item) -> GuestImage | None:
    """Return the image of a test's machine; None if its `machine_spec` goes without ttylab's."""
    marked = node.stash.get(MARKED, None)
    return None if marked is None else marked.image


def _driver_of(image: GuestImage | None) -> OpenGuest:
    return LinuxGuest if image is None else image_driver(image)


def _own_guest(spec: MachineSpec, image: GuestImage | None, stage: Stage | None) -> WantedGuest:
    """Return the guest of a test's own machine, at a stage; None boots it."""
    kind = GuestKind.LINUX if image is None else kind_of(image.features)
    return WantedGuest(
        label=spec.name if image is None else image.name,
        stage=None if stage is None else serving_stage(kind, stage),
        spec=spec,
        driver=_driver_of(image),
    )


def _place(request: pytest.FixtureRequest, lab: Lab, other: Path, wanted: WantedGuest) -> Path:
    """Return where a guest's evidence goes: into the run, or to `other` if the test leaves no record."""
    test = test_of(request.node)
    if test is None:
        return other
    own = _image_of(request.node)
    return test.claim(lab, wanted.spec, own if own is not None and own.name == wanted.label else None)


@pytest.fixture
def machine(
    machine_spec: MachineSpec, lab: Lab, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Machine]:
    """A machine for this test alone, powered on; NMI, reset and power are its methods.

    With the marker `from_state("shell")` it starts from a snapshot of `machine_spec`.
    """
    node = request.node
    mark = node.get_closest_marker("from_state")
    wanted = _own_guest(machine_spec, _image_of(node), None if mark is None else named_stage(*mark.args))
    place = _place(request, lab, tmp_path / "machine", wanted)
    with ExitStack() as stack:
        running, began = stack.enter_context(open_started(lab, wanted, run_dir=place, label=node.nodeid))
        _note_start(request, running, began, stack, noted=mark is not None)
        yield running


def wanted_guest(
    stage: str, choice: Mapping[str, Any], *, lab: Lab, spec: MachineSpec, marked: Marked | None
) -> WantedGuest:
    """Return the guest of `from_state`: the one that is chosen, else the test's own; raises SpecError.

    `marked` is what ttylab's `machine_spec` made of the markers; None if the test's goes without it.
    """
    own = marked is None or not marked.plain or spec != marked.spec
    if own and choice and "image" not in choice:
        raise SpecError(
            f"from_state({stage!r}) is asked for {', '.join(choice)}, and the test has a machine of its own "
            "(markers or machine_spec); leave the words out, or name an image too"
        )
    if choice or not own:
        return named_snapshot(lab, named_stage(stage), **choice)
    return _own_guest(spec, None if marked is None else marked.image, named_stage(stage))


@pytest.fixture
def from_state(
    machine_spec: MachineSpec, lab: Lab, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[FromState]:
    """Guests that start from snapshots, as many as a test wants.

    `one = from_state("shell")` has `machine`, `console` and `guest`; all end with the test. The stage is
    "login", "shell", "grub", or for the SAC guest "loader", "sac", "cmd". The guest is that of the fixture
    `machine_spec`, a Linux guest, if the test overrides it or has markers for it; else `image`, `machine`,
    `firmware`, `vcpus` and `kernel_args` choose it. Where no snapshot can be had the guest is booted to that
    stage, and the test's property "start" says why.
    """
    with ExitStack() as stack:
        count, marked = itertools.count(1), request.node.stash.get(MARKED, None)

        def fork(stage: str, *, renewed: bool = True, **choice: Any) -> ForkedGuest:
            wanted = wanted_guest(stage, choice, lab=lab, spec=machine_spec, marked=marked)
            place = _place(request, lab, tmp_path / f"fork{next(count)}", wanted)

            own = stack.enter_context(ExitStack())

            def began(machine: Machine, start: Start) -> None:
                _note_start(request, machine, start, own)

            opened = open_forked(lab, wanted, run_dir=place, renewed=renewed, on_start=began)
            forked = own.enter_context(opened)
            if (test := test_of(request.node)) is not None:
                test.talks(forked.console, lab)
            return forked

        yield fork


@pytest.fixture
def fork_pool(
    machine_spec: MachineSpec, lab: Lab, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[ForkPool]:
    """Forks that wait, loaded and paused, to be handed out at once.

    After `pool = fork_pool("shell", size=4)`, `with pool.take(deadline) as machine:` gives one that runs, and
    another is started in its place. Stage and choice are those of `from_state`; where no snapshot can be had
    SnapshotError is raised.
    """
    with ExitStack() as stack:

        def open_one(stage: str, *, size: int = 2, **choice: Any) -> MachinePool:
            marked = request.node.stash.get(MARKED, None)
            wanted = wanted_guest(stage, choice, lab=lab, spec=machine_spec, marked=marked)
            place = _place(request, lab, tmp_path / f"{stage}-pool", wanted)
            return stack.enter_context(open_snapshot_pool(lab, wanted, run_dir=place, size=size))

        yield open_one


def _note_start(
    request: pytest.FixtureRequest, machine: Machine, start: Start, stack: ExitStack, *, noted: bool = True
) -> None:
    if noted:
        request.node.user_properties.append(("start", start.says))
    if (test := test_of(request.node)) is not None:
        test.opened(machine, start, stack)


@pytest.fixture
def target(machine: Machine) -> Target:
    """The machine as scenarios see it: a console with a control beside it."""
    return Target(name=machine.spec.name, channel=machine.console, control=machine)


@pytest.fixture
def console(target: Target, lab: Lab, request: pytest.FixtureRequest) -> Session:
    """A session on the target's console; every wait also ends if the guest dies.

    Override `target` to put it on a serial port or behind the service: `screen` and `guest` follow.
    """
    session = Session(target.channel)
    if (test := test_of(request.node)) is not None:
        test.talks(session, lab, target.control)
    return session


@pytest.fixture
def screen(console: Session) -> Screen:
    """What an 80x24 terminal on ttyS0 shows, for menus: `screen.wait_for("GNU GRUB", deadline)`."""
    return Screen(console)


@pytest.fixture
def guest(console: Session, lab: Lab, request: pytest.FixtureRequest) -> Guest:
    """A guest that has booted and is logged in: `guest.run("uname -r", deadline)`.

    It has the prompts and the account of the image that the test's marker names; a SAC guest is at SAC's
    prompt.
    """
    image = _image_of(request.node)
    driver = _driver_of(image)(console)
    boot_s = BOOT_S if image is None else max(BOOT_S, image.boot_timeout_s)
    stage = Stage.SAC if isinstance(driver, SacDialogue) else Stage.SHELL
    driver.reach(stage, Deadline.after(boot_s * lab.time_scale, lab.pace()))
    return driver


@pytest.fixture(scope="session")
def cloud_toml() -> Path | None:
    """The cloud.toml of `cloud`; None is the demo of `ttylab serve`. Override it to use another."""
    return None


@pytest.fixture(scope="session")
def cloud(cloud_toml: Path | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceAccess]:
    """A local cloud for this worker alone, with real guests that start on demand.

    It has `endpoint`, `ca` (a file to trust), `tenant`, `subscription` and `credentials`: for "app" a
    `client_id` and a `client_secret`.
    """
    from emulator.cloud.config import DEMO_FILE, demo_config, load_cloud_config  # noqa: PLC0415
    from emulator.service.running_service import ServiceOptions  # noqa: PLC0415
    from harness.serving.server_process import serve_in_thread  # noqa: PLC0415

    config = demo_config() if cloud_toml is None else load_cloud_config(cloud_toml)
    origin = DEMO_FILE if cloud_toml is None else str(cloud_toml)
    options = ServiceOptions(config=config, origin=origin, ca=tmp_path_factory.mktemp("cloud") / "ca")
    with serve_in_thread(options) as access:
        yield access
