"""ttylab as a pytest plug-in: matrix files as tests, fixtures for machines, a run result at the end.

pytest -n auto ci/push.toml            the default matrix, as `ttylab run` runs it
pytest ci/push.toml -k "nmi and q35"   some cells
pytest ci/push.toml -m sysrq           by a scenario's tag
pytest --fixtures                      what your own tests can use
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from emulator import places
from emulator.errors import LabError, SpecError
from emulator.lab_file.read import VARIABLE
from emulator.places import RESULTS
from harness.plugin import hookspecs
from harness.plugin.process import RUN_DIRECTORY, WHOLE_END, InterruptibleTests, WholeEnd
from harness.plugin.waiting import WaitingRecord
from harness.run.interrupts import is_held_back
from harness.scenario.exit_codes import EXIT_BROKEN

if TYPE_CHECKING:
    from harness.plugin.record_hooks import RecordHooks

pytest_plugins = ("harness.plugin.own_tests", "harness.plugin.fixtures")

_MARKERS = (
    "image(name): boot this image, one of lab.toml's too (default bookworm); of several names, each",
    "machine(name): boot on this machine, one of lab.toml's too (default pc); of several names, each",
    "expects(*alarms): findings that are no failure of the test, as in `console.expecting`",
    "board(machine='pc', firmware='seabios', vcpus=1, memory_mib=256): the machine to boot",
    "kernel_args(*args): add to the guest's command line",
    "from_state(stage): start `machine` from a snapshot (login, shell, grub)",
    "devices(*names): give the machine these devices (i6300esb, pvpanic)",
)

_OPTIONS = (
    ("--shard", "I/N", "run part I of N of a matrix (2/5)"),
    ("--cells", "EXPR", "of a matrix only these cells: an id, or words as for -k"),
    ("--run-dir", "DIR", "where the run's evidence goes (default results/ID)"),
    ("--run-json", "FILE", "write the run result here too (- for stdout)"),
    ("--compare", "RUN", "an earlier run to compare with in the report"),
    ("--lab", "FILE", "the lab.toml to use (default: found from the working directory upward)"),
)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the hooks that ttylab calls."""
    pluginmanager.add_hookspecs(hookspecs)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ttylab's options."""
    group = parser.getgroup("ttylab", "serial console lab")
    for option, metavar, says in _OPTIONS:
        group.addoption(option, default="", metavar=metavar, help=says)
    group.addoption(
        "--allure-html", action="store_true", help="make the HTML report of --alluredir at the end"
    )
    says = "multiply every wait, for slow hosts"
    group.addoption("--time-scale", type=float, default=1.0, metavar="X", help=says)
    says = "keep the guest of a failed cell for those who join it (ttylab attach, qmp, dump), so many minutes"
    group.addoption("--hold-on-failure", nargs="?", const="15", default="", metavar="MINUTES", help=says)
    group.addoption("--cold", action="store_true", help="boot every machine, fork none from a snapshot")
    says = "whether tests that use ttylab's guests, and matrices in directories, leave a record (true)"
    parser.addini("ttylab_record", says, type="bool", default=True)


def pytest_configure(config: pytest.Config) -> None:
    """Register markers; on the controller, start a record if a matrix is to run, else wait for one."""
    _use_lab(config)
    for line in (*_MARKERS, *_tag_markers()):
        config.addinivalue_line("markers", line)
    if is_worker(config):
        if is_held_back():
            config.pluginmanager.register(InterruptibleTests(), "ttylab-interrupts")
    elif _asked_matrices(config) or config.option.run_dir:
        _start_record(config)
    elif config.getini("ttylab_record") and not config.option.collectonly:
        config.option.run_dir = str(_run_directory(config))
        config.pluginmanager.register(WaitingRecord(config, _start_record), "ttylab-waiting")
    if config.option.hold_on_failure:
        _start_holding(config)


def _use_lab(config: pytest.Config) -> None:
    """Let this process, and the workers that it starts, use the lab that the command line names."""
    if config.option.lab and not is_worker(config):
        patch = pytest.MonkeyPatch()
        patch.setenv(VARIABLE, str((config.invocation_params.dir / config.option.lab).absolute()))
        config.add_cleanup(patch.undo)


def _tag_markers() -> list[str]:
    """Return a line for each tag of a scenario; raises UsageError if the lab's or a package's are wrong."""
    from harness.scenarios import library  # noqa: PLC0415 - slows the start of every pytest

    try:
        tags = frozenset().union(*(scenario.tags for scenario in library().values()))
    except SpecError as error:
        raise pytest.UsageError(str(error)) from error
    return [f"{tag.replace('-', '_')}: cells of scenarios with this tag" for tag in sorted(tags)]


def pytest_unconfigure(config: pytest.Config) -> None:
    """Keep the cache within its budget, once no worker uses it any more."""
    from emulator.guest_images.own_room import tidy_own  # noqa: PLC0415 - slows the start of every pytest
    from emulator.snapshots.store import tidy  # noqa: PLC0415 - slows the start of every pytest
    from harness.plugin.record_hooks import RECORD  # noqa: PLC0415

    if config.pluginmanager.hasplugin(RECORD):
        with suppress(OSError):
            tidy_own()
            tidy(places.snapshots())


def is_worker(config: pytest.Config) -> bool:
    """Tell whether this process is an xdist worker."""
    return hasattr(config, "workerinput")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect matrix files."""
    from harness.plugin.matrix_items import MatrixFile, is_matrix_file  # noqa: PLC0415

    if not is_matrix_file(file_path):
        return None
    file: pytest.Collector = MatrixFile.from_parent(parent, path=file_path)
    return file


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a matrix file's test its cells, and a test whose markers name several guests each of them."""
    _generate_guests(metafunc)
    from harness.plugin.matrix_items import MatrixFile, cell_params, cells_of  # noqa: PLC0415

    file = metafunc.definition.getparent(MatrixFile)
    if file is not None and "cell" in metafunc.fixturenames:
        metafunc.parametrize("cell", cell_params(cells_of(file)))


def _generate_guests(metafunc: pytest.Metafunc) -> None:
    several: list[dict[str, str]] = [{}]
    for axis in ("image", "machine"):
        mark = metafunc.definition.get_closest_marker(axis)
        if mark is not None and len(mark.args) > 1:
            several = [{**each, axis: name} for each in several for name in mark.args]
    if several != [{}] and "machine_spec" in metafunc.fixturenames:
        ids = ["-".join(each.values()) for each in several]
        metafunc.parametrize("machine_spec", several, ids=ids, indirect=True)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Let `-n auto` follow this host's cores and memory if machines are run; otherwise xdist decides."""
    from harness.snapshots.lab import cell_workers  # noqa: PLC0415

    if os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS") or not _asked_matrices(config):
        return None
    return cell_workers()


def _asked_matrices(config: pytest.Config) -> list[Path]:
    """Return the matrix files named on the command line."""
    from harness.plugin.matrix_items import is_matrix_file  # noqa: PLC0415

    paths = (config.invocation_params.dir / str(arg).partition("::")[0] for arg in config.args)
    return [path for path in dict.fromkeys(paths) if is_matrix_file(path)]


def _start_holding(config: pytest.Config) -> None:
    """Hold the guests of cells that fail in this process."""
    from harness.plugin.holding import HOLDING, HoldingHooks  # noqa: PLC0415
    from harness.plugin.record_hooks import RECORD  # noqa: PLC0415
    from harness.run.held import Holding, parse_minutes  # noqa: PLC0415

    try:
        minutes = parse_minutes(config.option.hold_on_failure)
    except SpecError as error:
        raise pytest.UsageError(str(error)) from error
    run_dir = getattr(config, "workerinput", {}).get(RUN_DIRECTORY) or config.option.run_dir
    if not run_dir:
        return

    def say(lines: list[str]) -> None:
        for name in ("ttylab-progress", "terminalreporter"):
            shows = config.pluginmanager.getplugin(name)
            for line in lines if shows is not None else ():
                shows.write_line(line)
        sys.stdout.flush()  # a run that waits is silent for long

    holding = Holding(Path(run_dir), minutes=minutes, is_worker=is_worker(config))
    record = partial(config.pluginmanager.getplugin, RECORD)
    config.pluginmanager.register(HoldingHooks(holding, record, say=say), HOLDING)


def _run_directory(config: pytest.Config) -> Path:
    from harness.run.latest import new_run_id  # noqa: PLC0415

    chosen = config.option.run_dir or config.invocation_params.dir / RESULTS / new_run_id()
    return Path(chosen).absolute()


def _start_record(config: pytest.Config, *, begun: bool = False) -> RecordHooks:
    """Start the run's record; one that has `begun` finds what workers have left in its directory."""
    from harness.cells.cell import parse_shard  # noqa: PLC0415
    from harness.cells.matrix import read_matrix  # noqa: PLC0415
    from harness.plugin.own_tests import repro_of_test  # noqa: PLC0415
    from harness.plugin.record_hooks import RECORD, RecordHooks  # noqa: PLC0415
    from harness.plugin.run_recorder import RunRecorder  # noqa: PLC0415
    from harness.signatures.rules import has_own_rules, lab_rules  # noqa: PLC0415

    run_dir = _run_directory(config)
    # the fixture `lab` finds it there, and in workers by `RecordHooks`
    config.option.run_dir = str(run_dir)
    try:
        if has_own_rules():
            lab_rules()  # rather than each cell saying that they are wrong
        if config.option.shard:
            parse_shard(config.option.shard)
        recorder = RunRecorder(
            run_dir=run_dir,
            workers=max(1, len(config.getoption("tx", []) or [])),
            version=version("ttylab"),
            matrices=tuple(read_matrix(path) for path in _asked_matrices(config)),
            time_scale=config.option.time_scale,
            shard=config.option.shard or "",
            root=config.rootpath,
            test_repro=partial(repro_of_test, config),
        )
        hooks = RecordHooks(recorder, config)
        if not config.option.collectonly:
            recorder.claim(begun=begun)
    except SpecError as error:
        raise pytest.UsageError(str(error)) from error
    except LabError as error:
        pytest.exit(str(error), returncode=EXIT_BROKEN)
    config.pluginmanager.register(hooks, RECORD)
    config.pluginmanager.register(WholeEnd(hooks.finish), WHOLE_END)
    return hooks
