"""The first boot of a user's guest: one process boots it and asks, the others wait and read what it noted.

A guest that never answers is not waited for again in a run: cells that await it end as its first boot did. Of
others that come to no shell there is no survey: their cells are played, and fail by what they see themselves.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from emulator import places
from emulator.clock import Deadline
from emulator.console.transcript import DirectorySink
from emulator.errors import EmulatorError, FileError, LockHeld, SnapshotError, SpecError
from emulator.files import hold_lock, make_missing, read_whole, write_whole
from emulator.guest_text.linux import LinuxProfile
from emulator.guest_text.printable import visible
from emulator.machine.machine import Machine
from emulator.values import dump_json, json_ready, load_json
from emulator.work import working
from harness.guests.linux import LinuxGuest
from harness.play.runner import HostShare
from harness.play.session import Session
from harness.play.vitals import Vitals, watching
from harness.scenario.errors import ExpectTimeout, GuestError, WrongOutput
from harness.scenario.scenario import Scenario
from harness.scenario.stages import Stage
from harness.scenario.steps import Reach
from harness.snapshots.lab import Lab
from harness.snapshots.start import WantedGuest, ensure_snapshot, open_started, reach_stage
from harness.survey.facts import Questions, Survey, read_answers, stages_in

FORMAT = 1
"""Version of what is asked and how it is read; surveys of another one are made anew."""
SURVEYS = "surveys"
"""Directory in the cache, and in a run's directory for the evidence and for what could not be surveyed."""
SURVEY_MOST = 1 << 20
NONE_GIVEN = "and none is given (login.password_file in lab.toml, or --password-file, gives one)"
WAIT_S = 900.0
"""Seconds to wait for another process's survey; its lock goes with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A guest to be surveyed.

    Attributes:
        name: the image.
        facts: what its survey depends on besides its machine: hashes of its files, who logs in; for JSON.
        wanted: the guest at its shell, as it is started.
        profile: its prompts and account.
        within_s: seconds that it has to come to its shell.
    """

    name: str
    facts: object
    wanted: WantedGuest
    profile: LinuxProfile
    within_s: float

    def key(self, questions: Questions) -> str:
        """Return the name of its survey, which differs whenever the answers might."""
        spec = self.wanted.spec
        board = (spec.machine, spec.firmware, spec.qemu, spec.args, spec.memory_mib)
        facts = [FORMAT, self.facts, questions.key, json_ready(board)]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """How a survey went: what is known, or why nothing is.

    Attributes:
        image: what was booted.
        survey: what is known of it.
        problem: why nothing is.
        silent: whether it had its time and did not come to the next of its stages.
        stages: those that showed.
        directory: of the evidence, within the run's; empty without any.
    """

    image: str
    survey: Survey | None = None
    problem: str = ""
    silent: bool = False
    stages: tuple[Stage, ...] = ()
    directory: str = ""

    def is_in_vain(self, scenario: Scenario) -> bool:
        """Tell whether `scenario` begins by awaiting what the guest did not come to."""
        first = scenario.steps[0]
        if not self.silent or not isinstance(first, Reach):
            return False
        return first.stage in {Stage.KERNEL, Stage.LOGIN, Stage.SHELL} - {*self.stages}


def survey(lab: Lab, subject: Subject, questions: Questions) -> Attempt:
    """Return what is known of a guest, which is booted if nothing is: `emulator.work` tells of that."""
    key = subject.key(questions)
    kept, failed = places.surveys() / f"{key}.json", lab.run_dir / SURVEYS / f"{key}.json"
    try:
        with hold_lock(places.surveys() / f"{key}.lock", wait_s=WAIT_S):
            if found := read_attempt(kept) or read_attempt(failed):
                return found
            spec = subject.wanted.spec
            what = f"survey of {subject.name} on {spec.machine} ({spec.firmware})"
            with working(what, "its first boot") as ends:
                attempt = _FirstBoot(lab, subject, f"{SURVEYS}/{subject.name}-{key[:8]}").ask(questions)
                ends.append(attempt.survey.told if attempt.survey else attempt.problem)
            path = failed if attempt.survey is None else kept
            write_whole(path, dump_json(attempt, indent=1), private=True, parents=True)
    except (LockHeld, FileError) as error:
        return Attempt(image=subject.name, problem=str(error))
    return attempt


def read_attempt(path: Path) -> Attempt | None:
    """Return what was noted; None if nothing was, or it can't be read."""
    with suppress(OSError, SpecError):
        return load_json(read_whole(path, most=SURVEY_MOST), Attempt, origin=str(path))
    return None


def known_surveys() -> dict[str, Survey]:
    """Return the newest survey of each image that was surveyed, by the image's name."""
    with suppress(OSError):
        paths = sorted(places.surveys().glob("*.json"), key=lambda path: path.stat().st_mtime)
        attempts = filter(None, map(read_attempt, paths))
        return {one.image: one.survey for one in attempts if one.survey is not None}
    return {}


@dataclass(slots=True)
class _FirstBoot:
    """One boot of a guest; `failed` is what is known of it if it does not come to its shell."""

    lab: Lab
    subject: Subject
    directory: str
    failed: Attempt | None = field(init=False, default=None)

    def ask(self, questions: Questions) -> Attempt:
        lab, wanted, place = self.lab, self.subject.wanted, self.lab.run_dir / self.directory
        if wanted.stage is not None and not lab.cold:
            try:
                ensure_snapshot(lab, wanted, reach=self._reach, deadline=self._within())
            except EmulatorError:
                if self.failed is not None:
                    return self.failed
                wanted = replace(wanted, stage=None)  # this machine can't be saved
        make_missing(place)
        within = self._within()
        started = open_started(lab, wanted, run_dir=place, label=f"survey {self.subject.name}")
        try:
            with started as (machine, _), self._noting(machine, within):
                return _ask(machine, self.subject, questions, within)
        except (EmulatorError, GuestError) as error:
            return self.failed or Attempt(image=self.subject.name, problem=_line(error))

    def _within(self) -> Deadline:
        clock = self.lab.pace(self.subject.wanted.spec)
        return Deadline.after(self.subject.within_s * self.lab.time_scale, clock)

    def _reach(self, machine: Machine, deadline: Deadline) -> None:
        with self._noting(machine, deadline):
            reach_stage(self.subject.wanted.driver, Stage.SHELL)(machine, deadline)

    @contextmanager
    def _noting(self, machine: Machine, deadline: Deadline) -> Iterator[None]:
        """Note how a guest fails; the evidence of a machine elsewhere is kept before that is gone."""
        share, place = HostShare(deadline.clock), self.lab.run_dir / self.directory
        try:
            yield
        except (SnapshotError, GuestError) as error:
            fault = (error.__cause__ or error) if isinstance(error, SnapshotError) else error
            self.failed = replace(
                _without_shell(self.subject, fault, machine.transcript.read(0)),
                silent=isinstance(fault, ExpectTimeout) and share.excuse(fault) is None,
                directory=self.directory,
            )
            if machine.run_dir != place:
                machine.transcript.keep_in(DirectorySink(place, console="ttyS0"), "kept elsewhere")
                for picture in machine.run_dir.glob("*.png"):
                    shutil.copy(picture, place)
            raise


def _ask(machine: Machine, subject: Subject, questions: Questions, within: Deadline) -> Attempt:
    guest = LinuxGuest(Session(machine.console), subject.profile)
    with watching(guest.session, Vitals(machine)):
        guest.reach(Stage.SHELL, within)
    result = guest.run(questions.command(), within)
    console = machine.transcript.read(0, result.start)
    answers = read_answers(
        result.output, questions, console=console, prompt=guest.prompt, profile=subject.profile
    )
    return Attempt(image=subject.name, survey=answers)


def _without_shell(subject: Subject, fault: BaseException, shown: bytes) -> Attempt:
    """Return what is known of a guest without a shell: a lot if nobody could have come to one.

    A password that is refused, and a guest that dies, are for its cells to fail of.
    """
    stages = stages_in(shown, subject.profile)
    if isinstance(fault, WrongOutput):
        if "no POSIX shell" in str(fault):
            return Attempt(image=subject.name, survey=Survey(stages=stages, obstacle=_line(fault)))
        if Stage.LOGIN in stages and not subject.profile.password:
            user = visible(subject.profile.user.decode("utf-8", "replace"))
            why = f"the guest asks for the password of {user}, {NONE_GIVEN}"
            return Attempt(image=subject.name, survey=Survey(stages=stages, obstacle=why))
    return Attempt(image=subject.name, problem=_line(fault), stages=stages)


def _line(error: BaseException) -> str:
    return visible(str(error).splitlines()[0] if str(error) else type(error).__name__)
