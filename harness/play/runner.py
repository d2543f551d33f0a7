"""Play a scenario on a target: do its steps, wait for what they expect, and mark it all on the timeline."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from emulator.clock import SYSTEM_CLOCK, Clock, Deadline, FairClock
from emulator.console.marks import Mark, MarkKind, boot_starts
from emulator.errors import EmulatorError, LabError
from emulator.guest_text.printable import escape
from emulator.sac.image import read_sac_dump
from harness.play.guest import Guest, OpenGuest, SacDialogue
from harness.play.session import Session
from harness.play.target import Target
from harness.play.traces import REFUSAL
from harness.play.vitals import watching
from harness.scenario.errors import (
    CommandFailed,
    ExpectTimeout,
    GuestDied,
    GuestError,
    GuestLeft,
    HostTooSlow,
    NoEffect,
    Refused,
    SacUnavailable,
    Unsupported,
    UnwantedEffect,
    WrongOutput,
)
from harness.scenario.scenario import Scenario
from harness.scenario.steps import (
    BOOT_S,
    SPEAKS,
    Alive,
    Ask,
    CheckDump,
    Expect,
    Expected,
    Inject,
    Keys,
    Outcome,
    Reach,
    Rejoin,
    Run,
    Send,
    Shows,
    Silence,
    Step,
    View,
    describe_step,
)
from harness.scenario.stimulus import Button, Nmi, Press, Stimulus, SysRq, Via
from harness.scenario.verdict import Reason


def inject(stimulus: Stimulus, target: Target, session: Session, deadline: Deadline) -> Mark:
    """Inject `stimulus` and return the mark made just before it; its effects are for others to detect.

    Raises Unsupported if the target can't do it; ControlError, ConsoleClosed, DeadlineExceeded,
    ExpectTimeout.
    """
    target.require(stimulus.needs)
    mark = session.transcript.mark(MarkKind.STIMULUS, stimulus.name)
    match stimulus:
        case Nmi():
            target.control.nmi(deadline)
        case Press():
            _press(stimulus.button, target, deadline)
        case SysRq(via=Via.BREAK):
            target.control.sysrq(stimulus.key, deadline)
        case SysRq(via=Via.KEYBOARD):
            target.control.press_keys(("alt", "sysrq", stimulus.key), deadline)
        case SysRq():
            session.send_line(f"echo {stimulus.key} > /proc/sysrq-trigger".encode(), deadline)
    return mark


def _press(button: Button, target: Target, deadline: Deadline) -> None:
    act = {
        Button.RESET: target.control.reset,
        Button.POWER_BUTTON: target.control.power_button,
        Button.POWER_OFF: target.control.power_off,
        Button.POWER_ON: target.control.power_on,
    }[button]
    act(deadline)


FAIR_SHARE = 0.8
"""Below this share of its time, a guest that still answers when a time is over can't be blamed."""


class HostShare:
    """How much of the time since now the host gives to the lab and its guest, measured by a FairClock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock if isinstance(clock, FairClock) else None
        if self._clock is not None:
            self._began, self._passed, self._unmet = self._read(self._clock)

    def excuse(self, error: Exception) -> HostTooSlow | None:
        """Return why `error` says nothing of the guest; None if it does, as all that it showed."""
        late = _find_timeout(error)
        if self._clock is None or late is None or late.final:
            return None
        usable, passed, unmet = self._read(self._clock)
        share = (usable - self._began) * self._clock.slow / max(passed - self._passed, 1e-3)
        if unmet <= self._unmet and not (late.answers and share < FAIR_SHARE):
            return None
        return HostTooSlow(
            f"the host gave lab and guest {share:.0%} of the time, so nothing is known: {error}"
        )

    @staticmethod
    def _read(clock: FairClock) -> tuple[float, float, float]:
        return clock.monotonic(), clock.passed.monotonic(), clock.unmet


def _find_timeout(error: BaseException | None) -> ExpectTimeout | None:
    """Return the time that was over behind `error`, which may say what that means."""
    while error is not None and not isinstance(error, ExpectTimeout):
        error = error.__cause__ or error.__context__
    return error


_RESTARTS = frozenset({Button.RESET, Button.POWER_OFF, Button.POWER_ON})
_SETTLE_S = 0.3
"""Seconds of silence after which a dying guest's output counts as complete."""
_SETTLE_MOST_S = 2.0
_NOTICE_S = 0.6
"""Seconds after which the lab has noticed that somebody stopped QEMU."""
DELAYED = "delayed"
"""Name of the mark in a step that was delayed."""


@dataclass(slots=True)
class Player:
    """Plays one scenario once.

    Attributes:
        scenario: what to play.
        target: where to play it; it must be powered on.
        open_guest: makes the guest's driver.
        clock: what every wait is measured with; a FairClock also tells whether a time that is over says
            anything of the guest.
        time_scale: factor on every step's time, for slow hosts.
        time_limit_s: seconds that all steps together may take.
        delays: seconds to wait before a step, by its index; the step's own time begins after that.
        on_step: called with each step's number and text as it begins.
    """

    scenario: Scenario
    target: Target
    open_guest: OpenGuest
    clock: Clock = SYSTEM_CLOCK
    time_scale: float = 1.0
    time_limit_s: float = 600.0
    delays: Mapping[int, float] = field(default_factory=dict)
    on_step: Callable[[int, str], None] = lambda _index, _text: None
    _since: int = field(init=False, default=0)  # the number of the first mark that an `Expect` may take

    def play(self) -> None:
        """Do the steps in order, up to the first that fails; every outcome is a mark, none is raised."""
        session = Session(self.target.channel)
        guest = self.open_guest(session)
        limit = Deadline.after(self.time_limit_s * self.time_scale, self.clock)
        for index, step in enumerate(self.scenario.steps):
            if not self._play_step(index, step, guest, limit):
                session.wait_quiet(_SETTLE_S, Deadline.after(_SETTLE_MOST_S, self.clock), armed=False)
                return

    def _play_step(self, index: int, step: Step, guest: Guest, limit: Deadline) -> bool:
        text = describe_step(step)
        self.on_step(index, text)
        transcript = guest.session.transcript
        # Output that came before this moment and was not consumed is still for this step to see.
        begin = {"index": index, "step": text, "from": guest.session.position}
        if self.scenario.cause_of(index) == index:
            self._since = len(transcript.marks)
        transcript.mark(MarkKind.STEP, "begin", begin)
        if delay := self.delays.get(index, 0.0):
            transcript.mark(MarkKind.LAB, DELAYED, {"seconds": delay})
            self.clock.sleep(min(delay, limit.remaining()))
        detail: dict[str, object] = {"index": index, "outcome": "done"}
        share = HostShare(self.clock)
        boots = index == 0 or isinstance(step, Reach)
        watched = watching(guest.session, self.target.vitals if boots else None)
        try:
            with watched, guest.session.expecting(*self.scenario.allowed(index)):
                detail |= self._perform(step, guest, limit.sooner(_time_of(step) * self.time_scale))
                guest.session.check()
        except (GuestError, Unsupported, EmulatorError) as error:
            fault = self._find_fault(error, guest.session)
            blamed = share.excuse(fault) or fault
            detail |= blame(blamed) | {"message": self._without_passwords(str(blamed), index)}
        transcript.mark(MarkKind.STEP, "end", detail)
        return detail["outcome"] == "done"

    def _find_fault(self, error: Exception, session: Session) -> Exception:
        """Return what ended a step: a fault of the lab that is noticed only now, or `error`."""
        if _find_timeout(error) is not None:
            try:
                session.wait_quiet(_NOTICE_S, Deadline.after(_NOTICE_S, self.clock))
            except LabError as fault:
                return fault
            except GuestError:  # it died when its time was over already
                return error
        return error

    def _without_passwords(self, text: str, index: int) -> str:
        """Return what is said of a failure without the passwords typed so far, which a guest may echo."""
        for step in self.scenario.steps[: index + 1]:
            if isinstance(step, Send) and not step.echo and step.line:
                text = text.replace(escape(step.line.encode()), "***")
        return text

    def _perform(self, step: Step, guest: Guest, deadline: Deadline) -> dict[str, object]:
        match step:
            case Reach():
                guest.reach(step.stage, deadline)
            case Run():
                return _run(step, guest, deadline)
            case Send():
                with guest.session.transcript.typing_secret(wanted=not step.echo):
                    guest.send_line(step.line.encode(), deadline, echo=step.echo)
            case Alive():
                guest.prove_life(deadline)
            case Silence():
                _await_silence(step, guest.session, deadline)
            case Expect():
                _await_expected(step.effects, guest, deadline, since=self._since)
            case Inject():
                self._inject(step, guest, deadline)
            case CheckDump():
                _check_dump(step, self.target)
            case Ask() | Keys() | Rejoin():
                return _talk(step, guest, deadline)
        return {}

    def _inject(self, step: Inject, guest: Guest, deadline: Deadline) -> None:
        for attempt in range(1, step.attempts + 1):
            session = guest.session
            session.skip()
            share = deadline.remaining() / (step.attempts - attempt + 1)
            mark = inject(step.stimulus, self.target, session, deadline)
            # Output before the mark cannot be an effect of the stimulus.
            session.position = max(session.position, mark.offset)
            since = session.transcript.marks.index(mark)
            if isinstance(step.stimulus, Press) and step.stimulus.button in _RESTARTS:
                guest.restarted()
            if step.outcome is Outcome.NO_EFFECT:
                _await_nothing(step, guest, Deadline.after(step.quiet_s * self.time_scale, self.clock))
                return
            try:
                _await_expected(
                    step.proof, guest, deadline.sooner(share), since=since, or_refusal=step.fears_refusal
                )
            except ExpectTimeout as error:
                if step.fears_refusal and REFUSAL.search(session.transcript.read(mark.offset)):
                    raise Refused(f"the guest refused {step.stimulus.name}") from error
                if attempt == step.attempts:
                    raise NoEffect(f"{step.stimulus.name} had no effect: {error}") from error
            else:
                return


def _time_of(step: Step) -> float:
    """Return the seconds that a step may take; firmware that has to show itself gets those of a boot."""
    speaks = isinstance(step, Inject) and SPEAKS in step.proof
    return max(step.within_s, BOOT_S) if speaks else step.within_s


def _await_silence(step: Silence, session: Session, deadline: Deadline) -> None:
    if not session.wait_quiet(step.for_s, deadline):
        raise ExpectTimeout(f"{session.transcript.name}: awaited {describe_step(step)}, but it goes on")


def _run(step: Run, guest: Guest, deadline: Deadline) -> dict[str, object]:
    result = guest.run(step.command, deadline)
    if step.status is not None and result.status != step.status:
        message = f"{step.command!r} ended with status {result.status}, need {step.status}"
        raise CommandFailed(message, status=result.status, output=result.output)
    if step.shows is not None and not step.shows.compiled().search(result.output):
        raise WrongOutput(f"{step.command!r} did not show {step.shows.says}")
    detail: dict[str, object] = {"status": result.status, "output": [result.start, result.end]}
    return detail if result.records is None else detail | {"records": [list(span) for span in result.records]}


def _talk(step: Ask | Keys | Rejoin, guest: Guest, deadline: Deadline) -> dict[str, object]:
    if not isinstance(guest, SacDialogue):
        raise Unsupported(f"{describe_step(step)}: this guest has no SAC")
    match step:
        case Keys():
            guest.press_keys(step.keys.encode(), deadline)
        case Rejoin():
            guest.rejoin()
        case Ask():
            answer = guest.run_sac(step.command, deadline)
            for shows in step.shows:
                if not shows.compiled().search(answer.text + b"\n"):
                    raise WrongOutput(f"{step.command!r} did not show {shows.says}: {answer.text[:200]!r}")
            return {"output": [answer.start, answer.end]}
    return {}


def _check_dump(step: CheckDump, target: Target) -> None:
    if target.disk is None:
        raise Unsupported(f"{target.name}: the guest's disk can't be read here")
    dump = read_sac_dump(target.disk)
    found = None if dump is None else dump.code
    target.channel.transcript.mark(MarkKind.LAB, "dump", {"code": found})
    if found != step.code:
        shown = "no dump" if found is None else f"a dump of bugcheck 0x{found:X}"
        raise WrongOutput(f"{target.name}: the disk has {shown}, need {describe_step(step)}")


def _await_expected(
    effects: tuple[Expected, ...], guest: Guest, deadline: Deadline, *, since: int, or_refusal: bool = False
) -> None:
    session = guest.session
    for expected in effects:
        if expected is SPEAKS:
            _await_first_byte(session, deadline)
        elif isinstance(expected, Shows):
            patterns = [expected.compiled()]
            if or_refusal and expected.view is View.RAW:
                patterns.append(REFUSAL)
            match = session.expect(patterns, deadline, view=expected.view)
            if match.index:
                raise ExpectTimeout(f"{session.transcript.name}: the guest refused")
            guest.notice(match)
        elif expected.name == "RESET" and not _reports_restarts(session, since):
            guest.await_restart(deadline)
        else:
            mark = session.wait_mark(frozenset({expected.name}), deadline, since=since)
            if mark.kind is MarkKind.QMP and mark.name == "RESET":  # what came before it is the old boot's
                session.position = max(session.position, mark.offset)


def _await_first_byte(session: Session, deadline: Deadline) -> None:
    try:
        session.position = session.expect(SPEAKS.compiled(), deadline).start  # it is for the next step to see
    except ExpectTimeout as error:
        raise ExpectTimeout(f"{session.transcript.name}: the guest shows nothing after it") from error


def _reports_restarts(session: Session, since: int) -> bool:
    """Tell whether restarts are reported outside the console, or one was since mark number `since`.

    Of a guest behind a serial port nobody reports them, of a board only those that a command made ("by").
    """
    marks = session.transcript.marks
    reported = any("by" not in mark.detail for mark in boot_starts(marks))
    return reported or any(mark.name == "RESET" for mark in marks[since:])


def _await_nothing(step: Inject, guest: Guest, quiet: Deadline) -> None:
    for view in dict.fromkeys(shows.view for shows in step.unless):
        unwanted = [shows for shows in step.unless if shows.view is view]
        try:  # another view is searched after the quiet time, from the same place
            match = guest.session.expect([shows.compiled() for shows in unwanted], quiet, view=view)
        except ExpectTimeout:
            continue
        raise UnwantedEffect(f"{step.stimulus.name} had an effect: {unwanted[match.index].says}")


_REASONS: tuple[tuple[type[Exception], Reason], ...] = (
    (GuestLeft, Reason.LEFT),
    (GuestDied, Reason.DIED),
    (NoEffect, Reason.NO_EFFECT),
    (UnwantedEffect, Reason.UNWANTED_EFFECT),
    (ExpectTimeout, Reason.TIMEOUT),
    (HostTooSlow, Reason.TOO_SLOW),
    (CommandFailed, Reason.COMMAND),
    (WrongOutput, Reason.COMMAND),
    (SacUnavailable, Reason.UNAVAILABLE),
    (Unsupported, Reason.UNSUPPORTED),
    (EmulatorError, Reason.LAB),
)


def blame(error: Exception) -> dict[str, object]:
    """Return what the end mark of a step says about an error of the guest or the lab, or Unsupported."""
    outcome = "broken"
    if isinstance(error, GuestError):
        outcome = "failed"
    elif isinstance(error, Unsupported):
        outcome = "skipped"
    reason = next((reason for kind, reason in _REASONS if isinstance(error, kind)), Reason.TEST)
    detail: dict[str, object] = {"outcome": outcome, "reason": reason.value}
    if isinstance(error, GuestDied):
        alarm = error.alarm
        detail["alarm"] = {"title": alarm.title, "start": alarm.start, "end": alarm.end, "at": alarm.at}
    return detail
