"""Lead a SAC guest through all that can be compared: boot, commands, input rules, scenarios, its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from emulator.clock import SYSTEM_CLOCK, Clock, Deadline
from emulator.console.marks import MarkKind
from emulator.console.transcript import CONSOLE_FILE, DirectorySink, load_transcript
from emulator.machine.control import Capability
from emulator.machine.machine import open_machine
from emulator.machine.spec import MachineSpec
from emulator.sac.image import Account, SacBoot, SacImage, sac_spec
from emulator.sac.knobs import PROFILES, SacKnobs
from emulator.sac.profile import SacProfile, load_profile
from emulator.windows.image import Level, WindowsImage, windows_spec
from harness.conformance.compare import Difference, compare, merge
from harness.conformance.play import (
    CRASH,
    NMI_CRASH,
    REFUSED,
    RESTART,
    RULES,
    SHUTDOWN,
    SHUTDOWN_UNSEEN,
    Check,
    InputRule,
    pieces,
)
from harness.guests.sac import SacGuest
from harness.play.runner import Player
from harness.play.session import Session
from harness.play.target import Target
from harness.recording.kept import open_private_directory
from harness.run.lab import Lab
from harness.scenario.errors import ExpectTimeout, GuestError
from harness.scenario.stages import Stage
from harness.scenario.steps import BOOT_S
from harness.targets.serial_port import open_port

COMMANDS = (
    *("?", "what", "k", "ch", "ch -?", "ch -si 99", "ch -sn nobody", "ch -ci 0", "f", "f"),
    *("p", "t", "p", "s", "s 01/02/1979 03:04", "id", "i", "i 11 10.9.8.700 255.255.0.0 10.9.0.1"),
    *("k 4000000", "l 4000000", "r 4000000", "m 4000000 4"),
)
"""What is asked of every target: nothing that changes it. No process has the number 4000000."""
_RULE_S = 5.0
_KEY_S = 0.01
_SETTLE_S = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What may be done to the target.

    Attributes:
        is_fresh: whether it has just been powered, so that its boot is seen.
        is_own: whether it is ttylab's guest, whose processes and clock are nobody's.
        logs_in: whether there is an account to log in with.
        destructive: whether it may be crashed, restarted and shut down.
        time_scale: factor on every step's time.
    """

    is_fresh: bool
    is_own: bool
    logs_in: bool
    destructive: bool
    time_scale: float = 1.0


@dataclass(slots=True)
class Checks:
    """One guest's way through it, for the session's thread.

    Attributes:
        guest: its driver.
        target: what it is behind.
        scope: what may be done.
        tell: called with what is being done.
        differences: what was not as the rules and scenarios have it, so far.
    """

    guest: SacGuest
    target: Target
    scope: Scope
    tell: Callable[[str], None] = lambda _text: None
    clock: Clock = SYSTEM_CLOCK
    differences: list[Difference] = field(default_factory=list)

    def run(self) -> None:
        """Do all of it; what goes wrong is a difference, and what comes after it is tried all the same.

        Raises:
            GuestError: the guest does not come to its SAC prompt at all.
            EmulatorError: the lab failed.
        """
        self._begin()
        for command in COMMANDS:
            with self._noting(command, section="1.6", expected="an answer, and a prompt behind it"):
                self.tell(command)
                self.guest.run_sac(command, self._soon())
        for rule in RULES:
            self._try(rule)
        for piece in self._pieces():
            self._play(piece)

    def _begin(self) -> None:
        self.tell("come to the prompt")
        if self.scope.is_fresh:
            self.guest.reach(Stage.CMD, self._soon(BOOT_S))
        else:
            self.guest.sync(self._soon(BOOT_S))
        answer = self.guest.run_sac("id", self._soon())
        self.guest.adopt(release_of(answer.text, self.guest.profile))

    def _pieces(self) -> Iterator[Check]:
        scope = self.scope
        yield from pieces(
            is_own=scope.is_own and scope.destructive,
            logs_in=scope.logs_in,
            has_powershell=self.guest.profile.has_powershell,
        )
        if not scope.destructive:
            return
        if scope.logs_in:
            yield REFUSED
        yield from RESTART
        yield CRASH
        if Capability.NMI in self.target.control.capabilities:
            yield NMI_CRASH
        is_told = Capability.POWER_CYCLE in self.target.control.capabilities
        yield SHUTDOWN if is_told else SHUTDOWN_UNSEEN

    def _play(self, piece: Check) -> None:
        self.tell(piece.scenario.title)
        transcript = self.guest.session.transcript
        since, start = len(transcript.marks), len(transcript)
        Player(
            scenario=piece.scenario,
            target=self.target,
            open_guest=lambda _session: self.guest,
            clock=self.clock,
            time_scale=self.scope.time_scale,
        ).play()
        ends = [one for one in transcript.marks[since:] if one.kind is MarkKind.STEP and one.name == "end"]
        failed = next((one for one in ends if one.detail.get("outcome") not in {"done", "skipped"}), None)
        if failed is None:
            return
        self._note(
            piece.scenario.name,
            section=piece.section,
            expected=piece.scenario.title,
            seen=str(failed.detail.get("message", "")).encode(),
            start=start,
        )
        if not piece.is_end:
            self._recover()

    def _try(self, rule: InputRule) -> None:
        self.tell(rule.says)
        with self._noting(rule.key, section="1.5", expected=rule.says):
            self.guest.sync(self._soon())
            session = self.guest.session
            start = len(session.transcript)
            for at in range(len(rule.keys)):
                self.guest.press_keys(rule.keys[at : at + 1], self._soon())
                session.wait_quiet(_KEY_S, self._soon(_KEY_S * 10))
            try:
                match = session.expect(rule.pattern, self._soon(_RULE_S), view=rule.view)
                session.wait_quiet(_SETTLE_S, self._soon(_RULE_S))
            except ExpectTimeout:
                self._note(rule.key, section="1.5", expected=rule.says, start=start)
                return
            seen = session.transcript.read(start).count(b"SAC>")
            if rule.prompts is not None and seen != rule.prompts:
                self._note(rule.key, section="1.5", expected=rule.says, start=match.start)

    @contextmanager
    def _noting(self, key: str, *, section: str, expected: str) -> Iterator[None]:
        start = len(self.guest.session.transcript)
        try:
            yield
        except GuestError as error:
            self._note(key, section=section, expected=expected, seen=str(error).encode(), start=start)
            self._recover()

    def _recover(self) -> None:
        """Come back to the prompt, whatever has happened.

        Raises:
            GuestError: the guest does not answer any more.
        """
        self.guest.session.listener.forgive()
        self.guest.sync(self._soon(BOOT_S))

    def _note(self, key: str, *, section: str, expected: str, start: int, seen: bytes | None = None) -> None:
        transcript = self.guest.session.transcript
        end = len(transcript)
        shown = transcript.read(max(start, end - 200)) if seen is None else seen
        self.differences.append(
            Difference(
                section=section,
                key=key,
                source="R" if section == "1.5" else "P",
                where="a rule" if section == "1.5" else "a scenario",
                expected=expected,
                seen=shown,
                start=start,
                end=end,
            )
        )

    def _soon(self, seconds: float = 30.0) -> Deadline:
        return Deadline.after(seconds * self.scope.time_scale, self.clock)


def release_of(identity: bytes, guess: SacProfile) -> SacProfile:
    """Return the profile of the release that `id` names, by its build; `guess` where it names none."""
    by_build = {int(load_profile(name).os_build): name for name in PROFILES}
    for line in identity.splitlines():
        label, _, value = line.partition(b"Build Number:")
        if not label.strip() and value.strip().isdigit():
            build = int(value)
            return load_profile(
                by_build[max((one for one in by_build if one <= build), default=min(by_build))]
            )
    return guess


_START_S = 30.0
_MENU_S = 2
_SLOW = 4.0
"""Factor on waits for a machine that is not ttylab's: real Windows boots in minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConformanceResult:
    """What came of it.

    Attributes:
        differences: by section.
        profile: what it was compared with.
        kept: file with the console's bytes.
    """

    differences: list[Difference]
    profile: SacProfile
    kept: Path


def conduct_image(
    image: SacImage,
    lab: Lab,
    *,
    knobs: SacKnobs,
    profile: SacProfile | None,
    destructive: bool,
    tell: Callable[[str], None],
) -> ConformanceResult:
    """Boot a SAC guest of ttylab's and compare it with `profile`, by default its own.

    Raises:
        SpecError: the lab's run directory is not empty.
        GuestError: the guest does not come to its SAC prompt.
        MissingPrerequisite, LabError: the machine can't be started.
    """
    menu_s = knobs.menu_timeout_s or _MENU_S
    spec = sac_spec(way=SacBoot.BIOS_DISK, knobs=replace(knobs, menu_timeout_s=menu_s), name=image.name)
    account = Account(user=knobs.username, domain=knobs.domain, password=knobs.password)
    scope = Scope(is_fresh=True, is_own=True, logs_in=True, destructive=destructive)
    opener = partial(SacGuest, profile=image.profile, account=account)
    course = _conduct_machine(spec, lab, opener, scope, name=image.name, tell=tell)
    return _outcome(lab.run_dir, course, profile or image.profile)


def conduct_windows(
    image: WindowsImage,
    lab: Lab,
    *,
    profile: SacProfile | None,
    destructive: bool,
    tell: Callable[[str], None],
) -> ConformanceResult:
    """Boot Windows that a user registered and compare it with `profile`, by default that of its release.

    Raises:
        SpecError: the lab's run directory is not empty.
        GuestError: the guest does not come to its SAC prompt.
        MissingPrerequisite, LabError: the machine can't be started.
    """
    account = Account(user=image.user, domain=image.domain, password=image.password)
    scope = Scope(
        is_fresh=True,
        is_own=False,
        logs_in=bool(image.password),
        destructive=destructive,
        time_scale=_SLOW,
    )
    opener = partial(SacGuest, profile=image.profile, account=account, boots_from_cd=image.level is Level.ISO)
    course = _conduct_machine(windows_spec(image), lab, opener, scope, name=image.name, tell=tell)
    return _outcome(lab.run_dir, course, profile or image.profile)


def _conduct_machine(
    spec: MachineSpec,
    lab: Lab,
    open_guest: Callable[[Session], SacGuest],
    scope: Scope,
    *,
    name: str,
    tell: Callable[[str], None],
) -> Checks:
    opened = open_machine(
        spec,
        run_dir=lab.run_dir,
        qemu=lab.qemu,
        accelerator=lab.choice(spec.machine),
        label=f"conformance {name}",
        start=False,
    )
    with open_private_directory(lab.run_dir), opened as machine:
        target = Target(name=name, channel=machine.console, control=machine)
        machine.power_on(Deadline.after(_START_S, lab.clock))
        course = Checks(open_guest(Session(target.channel)), target, scope, tell)
        course.run()
        return course


def conduct_port(
    url: str,
    directory: Path,
    *,
    baudrate: int,
    account: Account | None,
    profile: SacProfile | None,
    destructive: bool,
    tell: Callable[[str], None],
) -> ConformanceResult:
    """Compare what answers on a serial port with `profile`, by default that of the release it says it is.

    Raises:
        SpecError: there is no such port, or the directory is not empty.
        GuestError: nothing comes to a SAC prompt there.
        LabError: the pump failed.
    """
    with ExitStack() as stack:
        stack.enter_context(open_private_directory(directory))
        sink = DirectorySink(directory, console=url)
        stack.callback(sink.close)
        target = stack.enter_context(open_port(url, baudrate=baudrate, sink=sink))
        session = Session(target.channel)
        guest = SacGuest(session, profile or load_profile("2022"), account)
        scope = Scope(
            is_fresh=False,
            is_own=False,
            logs_in=account is not None,
            destructive=destructive,
            time_scale=_SLOW,
        )
        course = Checks(guest, target, scope, tell)
        course.run()
    return _outcome(directory, course, profile or course.guest.profile)


def conduct_recording(directory: Path, profile: SacProfile) -> ConformanceResult:
    """Compare a recording with `profile`; rules and scenarios need a live guest and are not looked at.

    Raises:
        SpecError: there is no recording.
    """
    output = load_transcript(directory).read()
    return ConformanceResult(
        differences=compare(output, profile), profile=profile, kept=directory / CONSOLE_FILE
    )


def _outcome(directory: Path, course: Checks, profile: SacProfile) -> ConformanceResult:
    output = load_transcript(directory).read()
    found = merge([*compare(output, profile), *course.differences])
    return ConformanceResult(differences=found, profile=profile, kept=directory / CONSOLE_FILE)
