"""Judge a played scenario from its transcript alone; pure: a transcript read back gets the same verdict."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import dropwhile, pairwise, takewhile

from emulator.console.marks import REFUSED, Mark, MarkKind, boot_starts
from emulator.console.transcript import Transcript
from emulator.guest_text.records import UserView
from emulator.guest_text.sac import PROMPT
from harness.play.alarms import OF_THE_LAB, alarm_of_finding, alarm_of_mark, is_signal
from harness.play.traces import REFUSAL, TRACES, Sign, Traces
from harness.play.views import PlainView
from harness.scenario.errors import Alarm
from harness.scenario.scenario import Scenario
from harness.scenario.steps import (
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
from harness.scenario.verdict import Evidence, Injection, Reason, Status, Verdict
from harness.signatures.model import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayedStep:
    """What the transcript says about one step.

    Attributes:
        index: its number.
        step: what it was.
        begin: the mark at its beginning; None if it was not begun.
        since: the mark at the beginning of its cause (`Scenario.cause_of`); None if that was not begun.
        end: the mark at its end; None if it never ended.
        stimuli: the marks of what it injected, without what came through the machine's control socket
            meanwhile.
    """

    index: int
    step: Step
    begin: Mark | None
    since: Mark | None
    end: Mark | None
    stimuli: tuple[Mark, ...]

    @property
    def outcome(self) -> str:
        """Return "done", "failed", "broken", "skipped" or "not-run"; "broken" if it never ended."""
        if self.begin is None:
            return "not-run"
        return "broken" if self.end is None else str(self.end.detail["outcome"])


def played_steps(scenario: Scenario, marks: Iterable[Mark]) -> tuple[PlayedStep, ...]:
    """Return what the marks say about each step of `scenario`, in order."""
    begins: dict[int, Mark] = {}
    ends: dict[int, Mark] = {}
    stimuli: dict[int, list[Mark]] = {}
    current = -1
    for mark in marks:
        if mark.kind is MarkKind.STEP:
            current = int(str(mark.detail["index"]))
            (begins if mark.name == "begin" else ends)[current] = mark
        elif mark.kind is MarkKind.STIMULUS and current not in ends and "by" not in mark.detail:
            stimuli.setdefault(current, []).append(mark)
    return tuple(
        PlayedStep(
            index=index,
            step=step,
            begin=begins.get(index),
            since=begins.get(scenario.cause_of(index)),
            end=ends.get(index),
            stimuli=tuple(stimuli.get(index, ())),
        )
        for index, step in enumerate(scenario.steps)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A verdict, and what it is based on.

    Attributes:
        verdict: the verdict.
        steps: what the transcript says about each step.
        alarms: findings and alarming marks that no step up to their place allows, by offset.
    """

    verdict: Verdict
    steps: tuple[PlayedStep, ...]
    alarms: tuple[Alarm, ...]


def judge(
    scenario: Scenario, transcript: Transcript, findings: Iterable[Finding], *, given: Verdict | None = None
) -> Judgement:
    """Return the judgement of a played scenario.

    A step counts as done only if the transcript shows what it demands; a failure is taken over from the
    runner with its reason. An incomplete transcript proves neither. The `findings` are those of the whole
    transcript. A verdict is `given` if it is already known: the lab gave up, or nothing was tried.
    """
    steps = played_steps(scenario, transcript.marks)
    alarms = _unexpected_alarms(scenario, steps, transcript, findings)
    verdict = given or _try_steps(scenario, steps, transcript, alarms)
    verdict = _with_hands(verdict, done_by_hand(transcript.marks))
    return Judgement(verdict=verdict, steps=steps, alarms=alarms)


def _try_steps(
    scenario: Scenario, steps: Iterable[PlayedStep], transcript: Transcript, alarms: Sequence[Alarm]
) -> Verdict:
    if transcript.truncated is not None:
        return Verdict(status=Status.BROKEN, reason=Reason.TRUNCATED, message=transcript.truncated)
    collector = _Collector(transcript, TRACES[scenario.guest])
    for played in steps:
        verdict = collector.try_step(played)
        if verdict is not None:
            return collector.close(verdict)
    return collector.close(_last_word(transcript, alarms))


def done_by_hand(marks: Sequence[Mark]) -> list[str]:
    """Return what people did to the machine before the last step ended, and QEMU did not refuse."""
    last = max((index for index, mark in enumerate(marks) if mark.kind is MarkKind.STEP), default=0)
    refused = {id(before) for before, mark in pairwise(marks) if mark.name == REFUSED}
    return [
        f"{mark.name} at {mark.at:.1f} s"
        for mark in marks[:last]
        if mark.kind is MarkKind.STIMULUS and "by" in mark.detail and id(mark) not in refused
    ]


def _with_hands(verdict: Verdict, hands: Sequence[str]) -> Verdict:
    """Return the verdict on a guest that people have reached into: it says so, and no guest is blamed."""
    if not hands:
        return verdict
    said = f"by hand: {', '.join(hands)}"
    if verdict.status is Status.FAILED:
        said = f"{said}, so nothing is known of the guest"
        verdict = replace(verdict, status=Status.BROKEN, reason=Reason.LAB)
    return replace(verdict, message=f"{verdict.message}; {said}" if verdict.message else said)


def _unexpected_alarms(
    scenario: Scenario, steps: tuple[PlayedStep, ...], transcript: Transcript, findings: Iterable[Finding]
) -> tuple[Alarm, ...]:
    """Return the findings and alarming marks that no step up to their place allows, by offset.

    Marks after the last step do not count: they only show that the machine was ended.
    """
    bad: list[Alarm] = []
    for finding in findings:
        if finding.fatal or not finding.suppressed:  # as the listener: a panic ends what an oops may begin
            alarm = alarm_of_finding(finding, transcript)
            begun = [p.index for p in steps if p.begin is not None and p.begin.offset <= alarm.start]
            if alarm.name not in scenario.allowed(max(begun, default=0)):
                bad.append(alarm)
    current, waiting = 0, list[Alarm]()
    for mark in transcript.marks:
        if mark.kind is MarkKind.STEP:
            current = int(str(mark.detail["index"]))
            if mark.name == "end":
                bad += waiting
                waiting.clear()
        elif (raised := alarm_of_mark(mark)) is not None and raised.name not in scenario.allowed(current):
            waiting.append(raised)
    return tuple(sorted(bad, key=lambda alarm: alarm.start))


def _between(since: float, until: float) -> float:
    """Return the seconds between two moments, to the microsecond."""
    return round(until - since, 6)


def _moment(transcript: Transcript, offset: int, at: object = None) -> float:
    """Return when an alarm was raised: `at` for a mark, else when its first byte arrived."""
    if isinstance(at, float | int):
        return float(at)
    size = len(transcript)
    return transcript.arrival(min(offset, size - 1)) if size else 0.0


def _last_word(transcript: Transcript, bad: Sequence[Alarm]) -> Verdict:
    if bad:
        proof = tuple(
            Evidence(
                says=alarm.title,
                start=alarm.start,
                end=alarm.end,
                at=_moment(transcript, alarm.start, alarm.at),
            )
            for alarm in bad
        )
        lab = next((alarm for alarm in bad if alarm.name in OF_THE_LAB), None)
        if lab is not None:
            message = f"all steps done, but the lab failed meanwhile: {lab.title}"
            return Verdict(status=Status.BROKEN, reason=Reason.LAB, message=message, evidence=proof)
        message = f"all steps done, but the console shows: {bad[0].title}"
        return Verdict(status=Status.FAILED, reason=Reason.FINDING, message=message, evidence=proof)
    return Verdict(status=Status.PASSED)


@dataclass
class _Collector:
    """Collects evidence while it tries one step after another."""

    transcript: Transcript
    traces: Traces
    evidence: list[Evidence] = field(default_factory=list)
    injections: list[Injection] = field(default_factory=list)

    def close(self, verdict: Verdict) -> Verdict:
        """Return `verdict` with everything collected before it."""
        evidence = (*self.evidence, *verdict.evidence)
        return replace(verdict, evidence=evidence, injections=tuple(self.injections))

    def try_step(self, played: PlayedStep) -> Verdict | None:
        """Return the verdict if this step decides it, or None if the step is proven."""
        text = describe_step(played.step)
        if played.begin is None or played.end is None:
            what = "was not begun" if played.begin is None else "never ended"
            message = f"step {played.index} ({text}) {what}"
            return Verdict(status=Status.BROKEN, reason=Reason.LAB, message=message, step=played.index)
        detail = played.end.detail
        self._note_injection(played)
        if played.outcome != "done":
            return _blamed(played, detail, self.transcript)
        if self._is_refused(played, played.end):
            message = f"step {played.index} ({text}): the guest refused the request"
            return Verdict(status=Status.FAILED, reason=Reason.NO_EFFECT, message=message, step=played.index)
        if self._prove(played, played.begin, played.end):
            return None
        message = f"step {played.index} ({text}) is said to be done, but the transcript does not show it"
        return Verdict(status=Status.BROKEN, reason=Reason.NO_EVIDENCE, message=message, step=played.index)

    def _prove(self, played: PlayedStep, begin: Mark, end: Mark) -> bool:  # noqa: PLR0911  # one for each kind
        match played.step:
            case Inject() as step:
                return self._prove_injected(step, played.stimuli, end)
            case Expect() as step:
                return self._prove_expected(step.effects, begin, end, since=played.since or begin)
            case Run() as step:
                return self._prove_run(step, end)
            case Reach() as step:
                return self._prove_reach(step, end)
            case Alive() as step:
                return self._prove_alive(step, begin, end)
            case Silence() as step:
                return self._prove_silence(step, end)
            case Send() | Keys() as step:
                return self._prove_typed(step, begin, end)
            case Ask() as step:
                return self._prove_answer(step, begin, end)
            case Rejoin() | CheckDump() as step:
                return self._prove_mark(step, begin, end)

    def _prove_reach(self, step: Reach, end: Mark) -> bool:
        boots = boot_starts(self._marks_until(end))
        start = boots[-1].offset if boots else 0
        signs = self.traces.stages.get(step.stage)
        if signs is None:  # nothing is waited for: the machine is on
            self._cite(describe_step(step), start, start, boots[-1].at if boots else end.at)
            return bool(boots) or end.offset > 0
        for sign in signs[:-1]:
            while (passed := self._search(sign.compiled(), start, end.offset, view=sign.view)) is not None:
                start = passed[1]
        return self._cite_sign(step, signs[-1], start, end.offset)

    def _prove_alive(self, step: Alive, begin: Mark, end: Mark) -> bool:
        answer = self.traces.alive(self._typed_between(begin, end))
        return answer is not None and self._cite_sign(step, answer, _consumed(begin), end.offset)

    def _prove_silence(self, step: Silence, end: Mark) -> bool:
        size = len(self.transcript)
        last = self.transcript.arrival(min(end.offset, size) - 1) if size and end.offset else 0.0
        self._cite(describe_step(step), end.offset, end.offset, end.at)
        return _between(last, end.at) >= step.for_s

    def _prove_typed(self, step: Send | Keys, begin: Mark, end: Mark) -> bool:
        keys = f"{step.line}\r" if isinstance(step, Send) else step.keys
        if keys.encode() not in self._typed_between(begin, end):
            return False
        self._cite(describe_step(step), end.offset, end.offset, end.at)
        return True

    def _prove_answer(self, step: Ask, begin: Mark, end: Mark) -> bool:
        span = end.detail.get("output")
        if not isinstance(span, list) or step.command.encode() + b"\r" not in self._typed_between(begin, end):
            return False
        if self._search(re.compile(rb"\A" + PROMPT), span[1], end.offset, view=View.PLAIN) is None:
            return False
        self._cite(describe_step(step), span[0], span[1], end.at)
        return all(self._search(one.compiled(), *span, view=View.PLAIN) is not None for one in step.shows)

    def _prove_mark(self, step: Rejoin | CheckDump, begin: Mark, end: Mark) -> bool:
        """Go by what the host read from the disk, which the console does not show."""
        if isinstance(step, CheckDump):
            since = dropwhile(lambda mark: mark is not begin, self._marks_until(end))
            read = [mark for mark in since if mark.kind is MarkKind.LAB and mark.name == "dump"]
            if not read or read[-1].detail.get("code") != step.code:
                return False
        self._cite(describe_step(step), end.offset, end.offset, end.at)
        return True

    def _typed_between(self, begin: Mark, end: Mark) -> bytes:
        """Return what was typed from `begin` to `end`; by place as well, since moments may be equal."""
        return b"".join(
            typed.data
            for typed in self.transcript.typed
            if begin.at <= typed.at <= end.at and begin.offset <= typed.offset <= end.offset
        )

    def _prove_expected(self, effects: tuple[Expected, ...], start: Mark, end: Mark, *, since: Mark) -> bool:
        position = _consumed(start)
        for expected in effects:
            if isinstance(expected, Shows):
                span = self._find(expected, position, end.offset)
                if span is None:
                    return False
                position = span[1]
                self._cite(expected.says, *span, self.transcript.arrival(span[0]))
            else:
                mark = self._signal(expected.name, since, end)
                if mark is None:
                    return False
                position = _behind(mark, position)
                self._cite(expected.says, mark.offset, mark.offset, mark.at)
        return True

    def _prove_injected(self, step: Inject, stimuli: Sequence[Mark], end: Mark) -> bool:
        if not stimuli:
            return False
        start = stimuli[-1]
        if step.outcome is not Outcome.NO_EFFECT:
            return self._prove_expected(step.proof, start, end, since=start)
        if any(self._find(shows, start.offset, end.offset) for shows in step.unless):
            return False
        self._cite(f"{step.stimulus.name} has no effect", start.offset, end.offset, end.at)
        return True

    def _is_refused(self, played: PlayedStep, end: Mark) -> bool:
        """Tell whether what looks like the effect of a system request is the line that refuses it."""
        step = played.step
        if not isinstance(step, Inject) or not step.fears_refusal or not played.stimuli:
            return False
        start = played.stimuli[-1].offset
        line = self._search(REFUSAL, start, end.offset, view=View.RAW)
        shows = next((one for one in step.effects if isinstance(one, Shows)), None)
        span = None if shows is None or line is None else self._find(shows, start, end.offset)
        return span is not None and line is not None and line[0] <= span[0] and span[1] <= line[1]

    def _prove_run(self, step: Run, end: Mark) -> bool:
        span, status = end.detail.get("output"), end.detail.get("status")
        if not isinstance(span, list) or not isinstance(status, int) or step.status not in {None, status}:
            return False
        ended = self.traces.ended(status)
        if self._search(ended.compiled(), span[1], end.offset, view=ended.view) is None:
            return False
        self._cite(describe_step(step), span[0], span[1], end.at)
        records = end.detail.get("records")
        if step.shows is None or not isinstance(records, list):
            return (
                step.shows is None
                or self._search(step.shows.compiled(), *span, view=self.traces.view) is not None
            )
        return step.shows.compiled().search(self._without(records, *span)) is not None

    def _without(self, records: Sequence[Sequence[int]], start: int, end: int) -> bytes:
        """Return the raw bytes `[start, end)` without the records in there, as the driver tells them."""
        starts = (start, *(record[1] for record in records))
        ends = (*(record[0] for record in records), end)
        return b"".join(self.transcript.read(first, last) for first, last in zip(starts, ends, strict=True))

    def _cite_sign(self, step: Step, sign: Sign, start: int, end: int) -> bool:
        span = self._search(sign.compiled(), start, end, view=sign.view)
        if span is not None:
            self._cite(describe_step(step), *span, self.transcript.arrival(span[0]))
        return span is not None

    def _find(self, shows: Shows, start: int, end: int) -> tuple[int, int] | None:
        return self._search(shows.compiled(), start, end, view=shows.view)

    def _search(
        self, pattern: re.Pattern[bytes], start: int, end: int, *, view: View
    ) -> tuple[int, int] | None:
        """Return the raw span of the first match in the raw span `[start, end)`, or None."""
        if view is View.RAW:
            match = pattern.search(self.transcript.read(start, end))
            return None if match is None else (start + match.start(), start + match.end())
        text = self._plain_view if view is View.PLAIN else self._user_view
        first = text.user_offset(start)
        match = pattern.search(text.read(first, text.user_offset(end)))
        return None if match is None else text.raw_span(first + match.start(), first + match.end())

    @cached_property
    def _plain_view(self) -> PlainView:
        view = PlainView()
        view.feed(self.transcript.read())
        return view

    @cached_property
    def _user_view(self) -> UserView:
        view = UserView()
        view.feed(self.transcript.read())
        view.flush()
        return view

    def _signal(self, name: str, start: Mark, end: Mark) -> Mark | None:
        since = dropwhile(lambda mark: mark is not start, self._marks_until(end))
        return next((mark for mark in since if is_signal(mark, {name})), None)

    def _marks_until(self, end: Mark) -> Iterable[Mark]:
        # By their order, since the stamps of a kept transcript are rounded and may be equal.
        return takewhile(lambda mark: mark is not end, self.transcript.marks)

    def _note_injection(self, played: PlayedStep) -> None:
        if not isinstance(played.step, Inject) or not played.stimuli or played.end is None:
            return
        stimulus, observed = played.stimuli[-1], self._first_observed(played, played.end)
        outcome = Outcome.NO_EFFECT if observed is None else Outcome.EFFECTIVE
        latency = None if observed is None else max(0.0, _between(stimulus.at, observed))
        self.injections.append(
            Injection(stimulus=stimulus.name, at=stimulus.at, outcome=outcome, latency_s=latency)
        )

    def _first_observed(self, played: PlayedStep, end: Mark) -> float | None:
        """Return when the first expected or forbidden effect of an injection appeared, or None."""
        step = played.step
        if not isinstance(step, Inject) or self._is_refused(played, end):
            return None
        start = played.stimuli[-1]
        if step.effects:
            return self._first_reaction(step, start, end)
        spans = [self._find(shows, start.offset, end.offset) for shows in step.unless]
        return min((self.transcript.arrival(span[0]) for span in spans if span is not None), default=None)

    def _first_reaction(self, step: Inject, start: Mark, end: Mark) -> float | None:
        """Return when the guest first reacted, or None; what the machine reports by itself is no reaction."""
        position = start.offset
        for expected in step.proof:
            if isinstance(expected, Shows):
                span = self._find(expected, position, end.offset)
                return None if span is None else self.transcript.arrival(span[0])
            mark = self._signal(expected.name, start, end)
            if mark is None or not step.is_own_report(expected):
                return None if mark is None else mark.at
            position = _behind(mark, position)
        return None

    def _cite(self, says: str, start: int, end: int, at: float) -> None:
        self.evidence.append(Evidence(says=says, start=start, end=end, at=at))


def _consumed(mark: Mark) -> int:
    """Return where a step begins to look: after everything consumed before it."""
    return int(str(mark.detail.get("from", mark.offset)))


def _behind(mark: Mark, position: int) -> int:
    """Return where to look on from `position`: what came before a restart is the old boot's."""
    return max(position, _consumed(mark)) if mark.name == "RESET" else position


def _blamed(played: PlayedStep, detail: Mapping[str, object], transcript: Transcript) -> Verdict:
    """Return the verdict that the runner's end mark names."""
    alarm = detail.get("alarm")
    proof: tuple[Evidence, ...] = ()
    if isinstance(alarm, dict):
        start = int(alarm["start"])
        at = _moment(transcript, start, alarm.get("at"))
        proof = (Evidence(says=str(alarm["title"]), start=start, end=int(alarm["end"]), at=at),)
    return Verdict(
        status=Status(played.outcome),
        reason=Reason(str(detail["reason"])),
        message=str(detail["message"]),
        step=played.index,
        evidence=proof,
    )
