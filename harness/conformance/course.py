"""Lead a SAC guest through all that can be compared: boot, commands, input rules, scenarios, its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from emulator.clock import SYSTEM_CLOCK, Clock, Deadline
from emulator.console.marks import MarkKind
from emulator.images.sac.profile import SacProfile, load_profile
from emulator.images.sac.releases import PROFILES
from emulator.machine.capability import Capability
from harness.conformance.compare import Difference
from harness.conformance.play import (
    CRASH,
    NMI_CRASH,
    REFUSED,
    RESTART,
    SHUTDOWN,
    SHUTDOWN_UNSEEN,
    Piece,
    pieces,
)
from harness.conformance.rules import RULES, Rule
from harness.errors import ExpectTimeout, GuestError
from harness.guests.sac import SacGuest
from harness.runner import Player
from harness.scenario import BOOT_S
from harness.stages import Stage
from harness.targets import Target

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
class Course:
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

    def _pieces(self) -> Iterator[Piece]:
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

    def _play(self, piece: Piece) -> None:
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

    def _try(self, rule: Rule) -> None:
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
