"""Users' own tests that use a guest: each leaves what a cell leaves, one record for each guest.

pytest's hooks here run where the tests run, under xdist in the workers. A test's record begins with its
set-up; what pytest says of set-up and call is its verdict, and the result is written when its fixtures,
machines among them, are gone.
"""

from __future__ import annotations

import inspect
import os
import shlex
import shutil
import sys
import traceback
from collections.abc import Generator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from emulator.clock import SYSTEM_CLOCK, utc_now
from emulator.console.transcript import DirectorySink, Transcript
from emulator.errors import EmulatorError
from emulator.guest_images.kinds import GuestImage
from emulator.lab_file.read import VARIABLE
from emulator.machine.machine import Machine
from emulator.machine.spec import MachineSpec
from harness.play.alarms import Listener
from harness.play.runner import HostShare
from harness.play.session import Session
from harness.plugin.holding import HELD_PROPERTY, holding_of
from harness.plugin.hook_calls import call_hook, tell_result
from harness.plugin.plays import DIRECTORY_PROPERTY, STATUS_PROPERTY, why
from harness.report.model import BAD, CellRecord, CellResult, write_cell
from harness.report.views import page_of
from harness.run.cell_run import CELLS, claim_directory, kept_transcript
from harness.run.held import BY_HAND
from harness.run.own_tests import proof_of, record_of_test, verdict_on
from harness.run.result import draft_of, skipped, with_verdict
from harness.scenario.errors import Alarm, CellBroken, GuestDied, GuestError, HarnessError, Unsupported
from harness.scenario.verdict import Reason, Status, Verdict
from harness.snapshots.lab import Lab
from harness.snapshots.start import Start

TEST: pytest.StashKey[OwnTest] = pytest.StashKey()
LAB: pytest.StashKey[Lab] = pytest.StashKey()
RECORD_OPTION = "ttylab_record"
"""Option of pytest's configuration file: whether tests that use guests leave a record."""
_GUESTS = ("machine", "machine_spec", "from_state", "fork_pool", "console")
"""Fixtures by which a test gets a guest; an override of one does not change that."""
_TEXT_MOST = 2000
"""Bytes of what an assertion says that are kept; pytest's own output has the rest."""
_NO_TAGS = frozenset(
    {"parametrize", "usefixtures", "filterwarnings", "skip", "skipif", "xfail"}
    | {"image", "machine", "board", "kernel_args", "from_state", "devices", "expects"}
)


@dataclass(slots=True)
class UsedGuest:
    """One guest of a test.

    Attributes:
        cell: which guest of which test.
        directory: the name of the directory with its evidence.
        spec, image: its machine and its image, as far as they are known.
        transcript: of its console, once it is open.
        session: the fixture's dialogue with it, if there is one.
        machine, start, stack: what was opened, how it began, and what ends it.
        held: how to join it, if it was kept when its test failed, or why it was not.
    """

    cell: CellRecord
    directory: str
    spec: MachineSpec | None = None
    image: GuestImage | None = None
    transcript: Transcript | None = None
    session: Session | None = None
    machine: Machine | None = None
    start: Start | None = None
    stack: ExitStack | None = None
    held: tuple[str, ...] = ()

    def faults(self, allowed: frozenset[str]) -> tuple[Alarm, ...]:
        """Return the findings that nobody expected, and that no wait has told the test of."""
        if self.transcript is None:
            return ()
        listener = Listener(self.transcript) if self.session is None else self.session.listener
        told = set() if self.session is None else self.session.told
        known = allowed if self.session is None else allowed | self.session.allowed
        listener.update()
        return tuple(one for one in listener.unexpected(known) if one.at is None and one not in told)


@dataclass(slots=True)
class OwnTest:
    """The record of one test, while it runs."""

    item: pytest.Item
    guests: list[UsedGuest] = field(default_factory=list)
    verdict: Verdict | None = None
    error: BaseException | None = None
    found: GuestDied | None = None
    shares: HostShare | None = None
    _began: float = field(default_factory=SYSTEM_CLOCK.monotonic)
    _began_utc: str = field(default_factory=lambda: utc_now().isoformat(timespec="seconds"))

    @property
    def lab(self) -> Lab | None:
        """The lab, once its fixture was asked for."""
        return self.item.config.stash.get(LAB, None)

    @property
    def allowed(self) -> frozenset[str]:
        """The alarms that the test expects by its marker."""
        return frozenset(name for mark in self.item.iter_markers("expects") for name in mark.args)

    def claim(self, lab: Lab, spec: MachineSpec | None, image: GuestImage | None = None) -> Path:
        """Return a directory for one more guest's evidence; raises FileError, and CellBroken of a hook."""
        self.item.config.stash[LAB] = lab  # a user's own, if the fixture is overridden
        number = len(self.guests) + 1
        name = self.item.nodeid if number == 1 else f"{self.item.nodeid}#{number}"
        directory = claim_directory(lab.run_dir, page_of(name))
        cell = record_of_test(name, spec, image="" if image is None else image.name)
        self.guests.append(UsedGuest(cell=cell, directory=directory, spec=spec, image=image))
        self.item.user_properties.append((DIRECTORY_PROPERTY, directory))
        if number == 1:
            self.shares = HostShare(lab.pace())
            hook = self.item.ihook.pytest_ttylab_cell_begins
            if complaint := call_hook(hook, cell=cell, item=self.item):
                raise CellBroken(complaint)
        return lab.run_dir / CELLS / directory

    def opened(self, machine: Machine, start: Start, stack: ExitStack) -> None:
        """Note that the guest which was claimed last is there."""
        guest = self.guests[-1]
        guest.machine, guest.transcript, guest.start = machine, machine.console.transcript, start
        guest.stack = stack

    def talks(self, session: Session, lab: Lab, control: object = None) -> None:
        """Note a dialogue with a guest: one that is known, or another, whose transcript is kept then."""
        session.allowed |= self.allowed
        for guest in self.guests:
            if guest.transcript is session.transcript:
                guest.session = session
                return
        machine = control if isinstance(control, Machine) else None
        self.claim(lab, None if machine is None else machine.spec)
        guest = self.guests[-1]
        guest.transcript, guest.session, guest.machine = session.transcript, session, machine

    def hold(self) -> None:
        """Keep the guests for people if the test failed and guests are to be held."""
        holding, lab = holding_of(self.item.config), self.lab
        if holding is None or lab is None or self.verdict is None or self.verdict.status not in BAD:
            return
        for one in self.guests:
            if one.machine is not None and one.stack is not None:
                place = lab.run_dir / CELLS / one.directory
                one.held = holding.hold(one.machine.id, one.machine, place, one.stack)
                self.item.user_properties.append((HELD_PROPERTY, "\n".join(one.held)))

    def check(self) -> None:
        """Look for findings of which the test knows nothing; raises GuestDied."""
        for guest in self.guests:
            if faults := guest.faults(self.allowed):
                alarm, name = faults[0], guest.cell.image
                self.found = GuestDied(
                    f"{name}: the test is done, but the console shows: {alarm.title}", alarm=alarm
                )
                raise self.found

    def note(self, report: pytest.TestReport, error: BaseException | None) -> None:
        """Take set-up or call as the test's end, and tell the controller."""
        if report.when == "setup" and report.passed:
            return
        self.error, self.verdict = error, self._verdict(report, error)
        if not self.guests and report.failed and self.lab is not None:
            with suppress(CellBroken):  # it is red already, whatever a plug-in says
                self.claim(self.lab, None)
        if not self.guests:
            return
        report.user_properties[:] = [*self.item.user_properties, (STATUS_PROPERTY, self.verdict.status.value)]
        self.item.user_properties.append((STATUS_PROPERTY, self.verdict.status.value))
        if self.verdict.status is Status.FAILED:
            report.when = "call"  # what a guest does while it is set up is no error of the test's

    def _verdict(self, report: pytest.TestReport, error: BaseException | None) -> Verdict:
        if report.passed:
            return Verdict(status=Status.PASSED)
        if report.skipped:
            expected = getattr(report, "wasxfail", None)
            return skipped(why(report) if expected is None else f"expected to fail: {expected}".rstrip(": "))
        asserted = error is None or isinstance(error, pytest.fail.Exception)
        verdict = verdict_on(error, self._said(report, error), asserted=asserted)
        return replace(verdict, reason=Reason.FINDING) if error is self.found is not None else verdict

    def _said(self, report: pytest.TestReport, error: BaseException | None) -> str:
        """Return in one line what a failure says, and at which line of the test."""
        crash = getattr(report.longrepr, "reprcrash", None)
        text = why(report) if crash is None else str(crash.message)
        if isinstance(error, HarnessError | EmulatorError):
            text = str(error)  # without its notes and its kind
        text = " ".join(line.strip() for line in text.removeprefix("AssertionError: ").splitlines())[
            :_TEXT_MOST
        ]
        frames = traceback.extract_tb(None if error is None else error.__traceback__)
        lines = [one.lineno for one in frames if Path(one.filename) == self.item.path]
        return f"{text} ({self.item.path.name}:{lines[-1]})" if lines else text

    def finish(self) -> None:
        """Write the result of each guest; raises pytest.fail.Exception if a plug-in failed at being told."""
        lab = self.lab
        if self.verdict is None or lab is None:
            return
        complaints = [self._finish_one(guest, self.verdict, lab) for guest in self.guests]
        if text := "; ".join(dict.fromkeys(filter(None, complaints))):
            pytest.fail(text, pytrace=False)

    def _finish_one(self, guest: UsedGuest, verdict: Verdict, lab: Lab) -> str:
        result = self._result(guest, verdict, lab)
        write_cell(result, lab.run_dir)
        told = tell_result(result, self.item, lab.run_dir)
        return told.message if told is not result else ""

    def _result(self, guest: UsedGuest, verdict: Verdict, lab: Lab) -> CellResult:
        directory = lab.run_dir / CELLS / guest.directory
        transcript = guest.transcript
        if transcript is None or (directory / BY_HAND).exists():
            transcript = kept_transcript(directory)
        elif guest.machine is None or guest.machine.run_dir != directory:
            _keep(transcript, directory)
        blamed = self._blamed(guest)
        evidence = proof_of(verdict, blamed, transcript)
        alarms = (*guest.faults(self.allowed), *((blamed.alarm,) if blamed is not None else ()))
        return with_verdict(
            self._draft(guest, lab), transcript, replace(verdict, evidence=evidence), alarms=alarms
        )

    def _blamed(self, guest: UsedGuest) -> GuestDied | None:
        """Return the error that ended the test, if it is of this guest."""
        if not isinstance(self.error, GuestDied):
            return None
        owner = next(
            (one for one in self.guests if one.session is not None and self.error.alarm in one.session.told),
            next((one for one in self.guests if one.session is None), self.guests[0]),
        )
        return self.error if owner is guest else None

    def _draft(self, guest: UsedGuest, lab: Lab) -> CellResult:
        """Return what is known of a guest's result before its verdict."""
        doc = inspect.cleandoc(getattr(getattr(self.item, "obj", None), "__doc__", "") or "")
        return draft_of(
            guest.cell,
            title=doc.splitlines()[0] if doc else self.item.name,
            description=doc,
            tags=tuple(sorted({mark.name for mark in self.item.iter_markers()} - _NO_TAGS)),
            started_utc=self._began_utc,
            duration_s=round(SYSTEM_CLOCK.monotonic() - self._began, 3),
            worker=os.environ.get("PYTEST_XDIST_WORKER", "main"),
            directory=f"{CELLS}/{guest.directory}",
            repro=repro_of_test(self.item.config, self.item.nodeid),
            time_scale=lab.time_scale,
            image={"name": guest.cell.image} if guest.image is None else guest.image.provenance(),
            held=guest.held,
            **_facts_of(guest, lab),
        )


def _facts_of(guest: UsedGuest, lab: Lab) -> dict[str, Any]:
    """Return what is known of how a guest was started."""
    facts: dict[str, Any] = {}
    if guest.machine is not None and (spec := guest.spec) is not None:
        facts = {"argv": tuple(guest.machine.argv), "seed": spec.seed, "qemu": str(lab.qemu(spec).version)}
        facts["accelerator"] = lab.choice(spec).accelerator
    elif guest.transcript is not None:
        facts = {"target": "elsewhere", "start": "joined"}
    if guest.start is not None:
        facts |= {"start": guest.start.says, "shares": tuple(guest.start.shares)}
    return facts


def _keep(transcript: Transcript, directory: Path) -> None:
    """Write the transcript of a console that is not ours into the run; a full disk keeps less of it."""
    copy = Transcript(transcript.name, sink=DirectorySink(directory, console=transcript.name))
    copy.continue_from(transcript)
    copy.close(transcript.closed or "the test is over")


def repro_of_test(config: pytest.Config, node_id: str) -> str:
    """Return the command that runs a test again from here, with the same files, plug-ins and waits."""
    file, colons, rest = node_id.partition("::")
    here = config.invocation_params.dir
    option = config.option
    ours = shutil.which("pytest") == str(Path(sys.executable).parent / "pytest")
    words = ["pytest"] if ours else [sys.executable, "-m", "pytest"]
    words += ["-c", option.inifilename] if option.inifilename else []
    words += ["--rootdir", option.rootdir] if option.rootdir else []
    for name in option.plugins or []:
        words += [] if name.startswith(("no:", "harness.")) else ["-p", name]
    words += ["--lab", os.environ[VARIABLE]] if os.environ.get(VARIABLE) else []
    words += [] if option.time_scale == 1 else ["--time-scale", f"{option.time_scale:g}"]
    words += ["--cold"] if option.cold else []
    return shlex.join([*words, os.path.relpath(config.rootpath / file, here) + colons + rest])


def test_of(node: pytest.Item) -> OwnTest | None:
    """Return the record of the test that runs; None if it leaves none."""
    return node.stash.get(TEST, None)


def uses_guests(item: pytest.Item) -> bool:
    """Tell whether a test asks for a guest by one of ttylab's fixtures."""
    info: Any = getattr(item, "_fixtureinfo", None)
    known = {} if info is None else info.name2fixturedefs
    found = (each for name in _GUESTS for each in known.get(name, ()))
    return any(each.func.__module__ == "harness.plugin.fixtures" for each in found)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    """Begin a record."""
    __tracebackhide__ = True
    if TEST in item.stash:  # of an earlier try
        del item.stash[TEST]
    if item.config.getini(RECORD_OPTION) and uses_guests(item):
        item.stash[TEST] = OwnTest(item)
    return (yield from _fair(item))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Let a test that passes fail of what the console shows besides."""
    __tracebackhide__ = True
    result = yield from _fair(item)
    if (test := test_of(item)) is not None:
        test.check()
    return result


def _fair(item: pytest.Item) -> Generator[None, object, object]:
    """Let what can't be done skip a test, and blame no guest for a time that the host withheld."""
    __tracebackhide__ = True
    test = test_of(item)
    try:
        return (yield)
    except Unsupported as error:
        if test is None:
            raise
        pytest.skip(str(error))
    except GuestError as error:
        shares = None if test is None else test.shares
        if shares is not None and (excuse := shares.excuse(error)) is not None:
            raise excuse from error
        raise


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Take the verdict, with what all other plug-ins made of it."""
    report = yield
    if (test := test_of(item)) is not None and report.when != "teardown":
        test.note(report, None if call.excinfo is None else call.excinfo.value)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    """Write the result once the machines are gone, or held."""
    __tracebackhide__ = True
    test = test_of(item)
    try:
        if test is not None:
            test.hold()
        return (yield)
    finally:
        if test is not None:
            test.finish()
