"""Lead a SAC through all that can be compared: its boot, commands, input rules, scenarios and end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from emulator.clock import Deadline
from emulator.console.marks import MarkKind
from emulator.console.transcript import CONSOLE_FILE, DirectorySink, load_transcript
from emulator.errors import SpecError
from emulator.guest_images.kinds import GuestImage
from emulator.machine.control import Capability
from emulator.machine.spec import MachineSpec, MachineType
from emulator.sac.image import Account
from emulator.sac.knobs import PROFILES, parse_knobs
from emulator.sac.profile import SacProfile, load_profile
from harness.conformance.blocks import read_blocks
from harness.conformance.compare import Difference, compare, merge
from harness.conformance.play import (
    CRASH,
    NMI_CRASH,
    RESTART,
    RULES,
    SHUTDOWN,
    SHUTDOWN_UNSEEN,
    Check,
    InputRule,
    shipped,
)
from harness.guests.sac import SacGuest
from harness.play.runner import Player
from harness.play.session import Session
from harness.play.target import Target
from harness.recording.record import open_private_directory
from harness.run.wanted import HAS_KNOBS
from harness.scenario.errors import ExpectTimeout, GuestError
from harness.scenario.stages import Stage
from harness.scenario.steps import BOOT_S
from harness.snapshots.lab import Lab
from harness.targets.serial_port import open_port

COMMANDS = (
    *("?", "what", "k", "ch", "ch -?", "ch -si 99", "ch -sn nobody", "ch -ci 0", "f", "f"),
    *("p", "t", "p", "s", "s 01/02/1979 03:04", "id", "i", "i 11 10.9.8.700 255.255.0.0 10.9.0.1"),
    *("k 4000000", "l 4000000", "r 4000000", "m 4000000 4"),
)
"""What every target is asked: nothing that changes it. No process has the number 4000000."""
_RULE_S = 5.0
_KEY_S = 0.01
_SETTLE_S = 0.3
_START_S = 30.0
_MENU_S = 2
_SLOW = 4.0
"""Factor on waits for a machine that is not ttylab's: real Windows boots in minutes."""


@dataclass(slots=True, kw_only=True)
class Checks:
    """All checks of one guest, for the session's thread.

    Attributes:
        guest: its driver.
        target: what it is behind.
        is_fresh: whether it has just been powered, so that its boot is seen.
        is_own: whether it is ttylab's guest, whose processes, clock and addresses may be changed.
        logs_in: whether there is an account to log in with.
        destructive: whether it may be crashed, restarted and shut down.
        time_scale: factor on every step's time.
        tell: called with what is being done.
        differences: where rules and scenarios were not met, so far.
    """

    guest: SacGuest
    target: Target
    is_fresh: bool
    is_own: bool
    logs_in: bool
    destructive: bool
    time_scale: float
    tell: Callable[[str], None]
    differences: list[Difference] = field(default_factory=list)

    def run(self) -> None:
        """Do all of them; a failure is a difference, and the checks after it are still done.

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
        for check in self._checks():
            self._play(check)

    def _begin(self) -> None:
        self.tell("come to the prompt")
        if self.is_fresh:
            self.guest.reach(Stage.CMD, self._soon(BOOT_S))
        else:
            self.guest.sync(self._soon(BOOT_S))
        answer = self.guest.run_sac("id", self._soon())
        self.guest.adopt(release_of(answer.text, self.guest.profile))

    def _checks(self) -> Iterator[Check]:
        """Give the scenarios in an order in which none spoils the next; what ends a boot comes last."""
        yield from shipped("1.6", "sac-help")
        if self.is_own and self.destructive:
            yield from shipped("1.6", "sac-paging", "sac-kill", "sac-time", "sac-ip")
        if self.logs_in:
            yield from shipped("1.8", "sac-cmd")
            if self.guest.profile.has_powershell:
                yield from shipped("1.8", "sac-powershell")
            yield from shipped("1.7", "sac-late")
        if not self.destructive:
            return
        if self.logs_in:
            yield from shipped("1.8", "sac-login-refused")
        yield from (*RESTART, CRASH)
        able = self.target.control.capabilities
        if Capability.NMI in able:
            yield NMI_CRASH
        yield SHUTDOWN if Capability.POWER_CYCLE in able else SHUTDOWN_UNSEEN

    def _play(self, check: Check) -> None:
        self.tell(check.scenario.title)
        transcript = self.guest.session.transcript
        since, start = len(transcript.marks), len(transcript)
        Player(
            scenario=check.scenario,
            target=self.target,
            open_guest=lambda _session: self.guest,
            time_scale=self.time_scale,
        ).play()
        ends = [one for one in transcript.marks[since:] if one.kind is MarkKind.STEP and one.name == "end"]
        failed = next((one for one in ends if one.detail.get("outcome") not in {"done", "skipped"}), None)
        if failed is None:
            return
        self._note(
            check.scenario.name,
            section=check.section,
            expected=check.scenario.title,
            observed=str(failed.detail.get("message", "")).encode(),
            start=start,
        )
        if not check.is_end:
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
            prompts = session.transcript.read(start).count(b"SAC>")
            if rule.prompts is not None and prompts != rule.prompts:
                self._note(rule.key, section="1.5", expected=rule.says, start=match.start)

    @contextmanager
    def _noting(self, key: str, *, section: str, expected: str) -> Iterator[None]:
        start = len(self.guest.session.transcript)
        try:
            yield
        except GuestError as error:
            self._note(key, section=section, expected=expected, observed=str(error).encode(), start=start)
            self._recover()

    def _recover(self) -> None:
        """Come back to the prompt, whatever has happened.

        Raises:
            GuestError: the guest no longer answers.
        """
        self.guest.session.listener.forgive()
        self.guest.sync(self._soon(BOOT_S))

    def _note(
        self, key: str, *, section: str, expected: str, start: int, observed: bytes | None = None
    ) -> None:
        transcript = self.guest.session.transcript
        end = len(transcript)
        is_rule = section == "1.5"
        self.differences.append(
            Difference(
                section=section,
                key=key,
                source="R" if is_rule else "P",
                where="a rule" if is_rule else "a scenario",
                expected=expected,
                observed=transcript.read(max(start, end - 200)) if observed is None else observed,
                start=start,
                end=end,
            )
        )

    def _soon(self, seconds: float = 30.0) -> Deadline:
        return Deadline.after(seconds * self.time_scale)


def release_of(identity: bytes, guess: SacProfile) -> SacProfile:
    """Return the profile of the release that `id` names, by its build; `guess` where it names none."""
    by_build = {int(load_profile(name).os_build): name for name in PROFILES}
    for line in identity.splitlines():
        label, _, value = line.partition(b"Build Number:")
        if not label.strip() and value.strip().isdigit():
            known = [build for build in by_build if build <= int(value)]
            return load_profile(by_build[max(known, default=min(by_build))])
    return guess


# -- what is checked -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ConformanceResult:
    """How a SAC differs.

    Attributes:
        differences: by section.
        profile: what it was compared with.
        kept: file with the console's bytes.
    """

    differences: list[Difference]
    profile: SacProfile
    kept: Path


def check_image(
    image: GuestImage,
    lab: Lab,
    *,
    words: tuple[str, ...] = (),
    profile: SacProfile | None,
    destructive: bool,
    tell: Callable[[str], None],
) -> ConformanceResult:
    """Boot an image that has a SAC and compare it with `profile`, by default that of its release.

    The image is ttylab's SAC guest, with knobs as `words`, or Windows that a user registered; only with
    `destructive` it may be crashed, restarted and shut down. The console is kept in the lab's run directory.

    Raises:
        SpecError: a word is no knob, or the lab's run directory is not empty.
        GuestError: the guest does not come to its SAC prompt.
        MissingPrerequisite, LabError: the machine can't be started.
    """
    knobs, is_own = parse_knobs(words), HAS_KNOBS in image.features
    if is_own:
        words = (*words, f"menu_timeout_s={knobs.menu_timeout_s or _MENU_S}")
    board = replace(image.usual_board, machine=MachineType.Q35, words=words, name=image.name)
    spec, console = image.spec(board), image.sac_console(knobs)
    with _open_target(spec, lab, image.name) as target:
        guest = SacGuest(
            Session(target.channel),
            profile=console.profile,
            account=console.account,
            boots_from_cd=console.boots_from_cd,
        )
        checks = Checks(
            guest=guest,
            target=target,
            is_fresh=True,
            is_own=is_own,
            logs_in=bool(console.account.password),
            destructive=destructive,
            time_scale=1.0 if is_own else _SLOW,
            tell=tell,
        )
        checks.run()
    return _result(lab.run_dir, checks, profile or console.profile)


@contextmanager
def _open_target(spec: MachineSpec, lab: Lab, name: str) -> Iterator[Target]:
    """Open a machine that has just been powered; its console is kept in the lab's run directory."""
    opened = lab.open(spec, label=f"conformance {name}", start=False)
    with open_private_directory(lab.run_dir), opened as machine:
        machine.power_on(Deadline.after(_START_S, lab.clock))
        yield Target(name=name, channel=machine.console, control=machine)


def check_port(
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
        GuestError: no SAC prompt comes there.
        LabError: the pump failed.
    """
    with ExitStack() as stack:
        stack.enter_context(open_private_directory(directory))
        sink = DirectorySink(directory, console=url)
        stack.callback(sink.close)
        target = stack.enter_context(open_port(url, baudrate=baudrate, sink=sink))
        guest = SacGuest(Session(target.channel), profile or load_profile("2022"), account)
        checks = Checks(
            guest=guest,
            target=target,
            is_fresh=False,
            is_own=False,
            logs_in=account is not None,
            destructive=destructive,
            time_scale=_SLOW,
            tell=tell,
        )
        checks.run()
    return _result(directory, checks, profile or guest.profile)


def check_recording(directory: Path, profile: SacProfile) -> ConformanceResult:
    """Compare a recording with `profile`; rules and scenarios need a live guest and are left out.

    Raises:
        SpecError: there is no recording, or none of a SAC: where nothing can be compared, nothing differs.
    """
    recorded = load_transcript(directory).read()
    if not read_blocks(recorded):
        shown = f"{directory / CONSOLE_FILE}: nothing that a SAC says is in its {len(recorded)} bytes"
        raise SpecError(f"{shown}; need a recording of a SAC's prompt, commands and answers")
    return _result(directory, None, profile)


def _result(directory: Path, checks: Checks | None, profile: SacProfile) -> ConformanceResult:
    found = compare(load_transcript(directory).read(), profile)
    if checks is not None:
        found = merge([*found, *checks.differences])
    return ConformanceResult(differences=found, profile=profile, kept=directory / CONSOLE_FILE)
