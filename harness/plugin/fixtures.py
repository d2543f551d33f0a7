"""The fixtures: a lab, a machine for the test alone, a session on its console, a guest at its prompt."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from emulator.clock import Deadline
from emulator.errors import SpecError
from emulator.machine.machine import Machine
from emulator.machine.spec import Board, Device, Firmware, MachineSpec, MachineType
from emulator.snapshots.pool import MachinePool
from harness.guests.linux import LinuxGuest
from harness.play.screen import Screen
from harness.play.session import Session
from harness.play.target import Target
from harness.plugin.process import RUN_DIRECTORY
from harness.run.lab import Lab
from harness.run.wanted import named_snapshot
from harness.scenario.kind import GuestKind
from harness.scenario.stages import Stage
from harness.scenario.steps import BOOT_S
from harness.serving.access import ServiceAccess
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
ForkPool: TypeAlias = Callable[..., MachinePool[Machine]]


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """The lab: guest images, QEMU, the choice of accelerator, the run's directory."""
    config = request.config
    chosen = getattr(config, "workerinput", {}).get(RUN_DIRECTORY) or config.getoption("run_dir")
    run_dir = Path(chosen).absolute() if chosen else tmp_path_factory.mktemp("ttylab")
    return Lab(run_dir=run_dir, time_scale=config.getoption("time_scale"), cold=config.getoption("cold"))


@pytest.fixture
def machine_spec(request: pytest.FixtureRequest, lab: Lab) -> MachineSpec:
    """What `machine` boots, from the markers `image`, `board`, `kernel_args` and `devices`.

    Override it for anything else.
    """
    return marked_spec(request.node, lab)


def marked_spec(node: pytest.Item | None, lab: Lab) -> MachineSpec:
    """Return the machine that a test's markers ask for; without a test, that of one that has none."""
    if node is None:
        plain = lab.guest_image("bookworm")
        return replace(plain.spec(plain.usual_board), vcpus=1, memory_mib=256)
    image_mark, board_mark = node.get_closest_marker("image"), node.get_closest_marker("board")
    image = lab.guest_image(image_mark.args[0] if image_mark else "bookworm")
    board = board_mark.kwargs if board_mark else {}
    usual = image.usual_board
    asked = Board(
        machine=MachineType(board.get("machine", usual.machine)),
        firmware=Firmware(board.get("firmware", usual.firmware)),
        words=tuple(word for mark in node.iter_markers("kernel_args") for word in mark.args),
    )
    return replace(
        image.spec(asked),
        vcpus=board.get("vcpus", 1),
        memory_mib=board.get("memory_mib", 256),
        devices=frozenset(Device(part) for mark in node.iter_markers("devices") for part in mark.args),
        bulk_console=board.get("bulk_console", False),
    )


@pytest.fixture
def machine(
    machine_spec: MachineSpec, lab: Lab, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Machine]:
    """A machine for this test alone, powered on; NMI, reset and power are its methods.

    With the marker `from_state("shell")` it starts from a snapshot of `machine_spec`.
    """
    mark = request.node.get_closest_marker("from_state")
    stage = None if mark is None else serving_stage(GuestKind.LINUX, named_stage(*mark.args))
    wanted = WantedGuest(label=machine_spec.name, stage=stage, spec=machine_spec, driver=LinuxGuest)
    opened = open_started(lab, wanted, run_dir=tmp_path / "machine", label=request.node.nodeid)
    with opened as (running, began):
        if mark is not None:
            _note_start(request, began)
        yield running


def wanted_guest(stage: str, choice: Mapping[str, Any], *, lab: Lab, spec: MachineSpec) -> WantedGuest:
    """Return the guest of `from_state`: the one that is chosen, else the test's own `machine_spec`.

    Raises:
        SpecError: there is no such guest, or it is not clear which one is meant.
    """
    own = spec != marked_spec(None, lab)
    if own and choice and "image" not in choice:
        raise SpecError(
            f"from_state({stage!r}) is asked for {', '.join(choice)}, and the test has a machine of its own "
            "(markers or machine_spec); leave the words out, or name an image too"
        )
    if choice or not own:
        return named_snapshot(lab, named_stage(stage), **choice)
    served = serving_stage(GuestKind.LINUX, named_stage(stage))
    return WantedGuest(label=spec.name, stage=served, spec=spec, driver=LinuxGuest)


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
        count = itertools.count(1)

        def fork(stage: str, *, renewed: bool = True, **choice: Any) -> ForkedGuest:
            wanted = wanted_guest(stage, choice, lab=lab, spec=machine_spec)
            place = tmp_path / f"fork{next(count)}"
            forked = stack.enter_context(open_forked(lab, wanted, run_dir=place, renewed=renewed))
            _note_start(request, forked.start)
            return forked

        yield fork


@pytest.fixture
def fork_pool(machine_spec: MachineSpec, lab: Lab, tmp_path: Path) -> Iterator[ForkPool]:
    """Forks that wait, loaded and paused, to be handed out at once.

    After `pool = fork_pool("shell", size=4)`, `with pool.take(deadline) as machine:` gives one that runs, and
    another is started in its place. Stage and choice are those of `from_state`; where no snapshot can be had
    SnapshotError is raised.
    """
    with ExitStack() as stack:

        def open_one(stage: str, *, size: int = 2, **choice: Any) -> MachinePool[Machine]:
            wanted = wanted_guest(stage, choice, lab=lab, spec=machine_spec)
            place = tmp_path / f"{stage}-pool"
            return stack.enter_context(open_snapshot_pool(lab, wanted, run_dir=place, size=size))

        yield open_one


def _note_start(request: pytest.FixtureRequest, start: Start) -> None:
    request.node.user_properties.append(("start", start.says))


@pytest.fixture
def target(machine: Machine) -> Target:
    """The machine as scenarios see it: a console with a control beside it."""
    return Target(name=machine.spec.name, channel=machine.console, control=machine)


@pytest.fixture
def console(target: Target) -> Session:
    """A session on the target's console; every wait also ends if the guest dies.

    Override `target` to put it on a serial port or behind the service: `screen` and `guest` follow.
    """
    return Session(target.channel)


@pytest.fixture
def screen(console: Session) -> Screen:
    """What an 80x24 terminal on ttyS0 shows, for menus: `screen.wait_for("GNU GRUB", deadline)`."""
    return Screen(console)


@pytest.fixture
def guest(console: Session, lab: Lab) -> LinuxGuest:
    """A Linux guest that has booted and is logged in: `guest.run("uname -r", deadline)`."""
    driver = LinuxGuest(console)
    driver.reach(Stage.SHELL, Deadline.after(BOOT_S * lab.time_scale, lab.pace()))
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
