"""The first boot of a user's guest: one process boots it and asks, the others wait and read what it noted.

A guest that does not come up leaves no survey: its cells are played, and fail by what they see themselves.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from emulator import places
from emulator.clock import Deadline
from emulator.errors import EmulatorError, FileError, LockHeld, SnapshotError, SpecError
from emulator.files import hold_lock, make_missing, read_whole, write_whole
from emulator.guest_text.linux import LinuxProfile
from emulator.guest_text.printable import visible
from emulator.machine.machine import Machine
from emulator.values import dump_json, json_ready, load_json
from harness.guests.linux import LinuxGuest
from harness.play.session import Session
from harness.scenario.errors import GuestError, WrongOutput
from harness.scenario.stages import Stage
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
    """How a survey went: what is known, or why nothing is."""

    image: str
    survey: Survey | None = None
    problem: str = ""


def survey(lab: Lab, subject: Subject, questions: Questions, *, tell: Callable[[str], None]) -> Attempt:
    """Return what is known of a guest, which is booted, as `tell` is told, if nothing is."""
    key = subject.key(questions)
    kept, failed = places.surveys() / f"{key}.json", lab.run_dir / SURVEYS / f"{key}.json"
    try:
        with hold_lock(places.surveys() / f"{key}.lock", wait_s=WAIT_S):
            if found := read_attempt(kept) or read_attempt(failed):
                return found
            tell(f"surveying {subject.name} (first boot) ...")
            attempt = _attempt(lab, subject, questions, lab.run_dir / SURVEYS / f"{subject.name}-{key[:8]}")
            path = failed if attempt.survey is None else kept
            write_whole(path, dump_json(attempt, indent=1), private=True, parents=True)
            tell(f"{subject.name}: {attempt.survey.told if attempt.survey else attempt.problem}")
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
class _Watched:
    """Brings a guest to its shell, and keeps what it showed if it does not come there."""

    wanted: WantedGuest
    shown: bytes = field(init=False, default=b"")
    fault: BaseException | None = field(init=False, default=None)

    def reach(self, machine: Machine, deadline: Deadline) -> None:
        try:
            reach_stage(self.wanted.driver, Stage.SHELL)(machine, deadline)
        except SnapshotError as error:
            self.shown, self.fault = machine.transcript.read(0), error.__cause__ or error
            raise


def _attempt(lab: Lab, subject: Subject, questions: Questions, place: Path) -> Attempt:
    wanted, watched = subject.wanted, _Watched(subject.wanted)
    within = Deadline.after(subject.within_s * lab.time_scale, lab.pace(wanted.spec))
    if wanted.stage is not None and not lab.cold:
        try:
            ensure_snapshot(lab, wanted, reach=watched.reach, deadline=within)
        except EmulatorError:
            if watched.fault is not None:
                return _without_shell(subject, watched.fault, watched.shown)
            wanted = replace(wanted, stage=None)  # this machine can't be saved
            within = Deadline.after(subject.within_s * lab.time_scale, lab.pace(wanted.spec))
    make_missing(place)
    try:
        with open_started(lab, wanted, run_dir=place, label=f"survey {subject.name}") as (machine, _):
            return _ask(machine, subject, questions, within)
    except EmulatorError as error:
        return Attempt(image=subject.name, problem=_line(error))


def _ask(machine: Machine, subject: Subject, questions: Questions, within: Deadline) -> Attempt:
    guest = LinuxGuest(Session(machine.console), subject.profile)
    try:
        guest.reach(Stage.SHELL, within)
        result = guest.run(questions.command(), within)
    except GuestError as error:
        return _without_shell(subject, error, machine.transcript.read(0))
    console = machine.transcript.read(0, result.start)
    answers = read_answers(
        result.output, questions, console=console, prompt=guest.prompt, profile=subject.profile
    )
    return Attempt(image=subject.name, survey=answers)


def _without_shell(subject: Subject, fault: BaseException, shown: bytes) -> Attempt:
    """Return what is known of a guest without a shell: a lot if nobody could have come to one.

    A password that is refused, and a guest that hangs, are for its cells to fail of.
    """
    stages = stages_in(shown, subject.profile)
    if isinstance(fault, WrongOutput):
        if "no POSIX shell" in str(fault):
            return Attempt(image=subject.name, survey=Survey(stages=stages, obstacle=_line(fault)))
        if Stage.LOGIN in stages and not subject.profile.password:
            user = visible(subject.profile.user.decode("utf-8", "replace"))
            why = f"the guest asks for the password of {user}, {NONE_GIVEN}"
            return Attempt(image=subject.name, survey=Survey(stages=stages, obstacle=why))
    return Attempt(image=subject.name, problem=_line(fault))


def _line(error: BaseException) -> str:
    return visible(str(error).splitlines()[0] if str(error) else type(error).__name__)
