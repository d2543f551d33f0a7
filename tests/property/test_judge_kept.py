"""A verdict rests on the transcript alone: read back from disk, it gives the same one."""

import tempfile
from contextlib import ExitStack
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from emulator.console.marks import MarkKind
from emulator.console.transcript import DirectorySink, load_transcript
from harness.guests.linux import LinuxGuest
from harness.play.judge import judge
from harness.play.runner import Player
from harness.play.traces import boot_offsets
from harness.scenario.scenario import Scenario
from harness.scenario.stages import Stage
from harness.scenario.steps import Alive, Expect, Inject, Outcome, Reach, Run, Send, Shows, Signals
from harness.scenario.stimulus import Button, Nmi, Press, SysRq
from harness.scenario.verdict import Status
from harness.signatures.scanner import scan_boots
from tests.support.fake_guest import HELP, PANIC, FakeGuest, ScriptedTranscript, make_target

BANG = Shows(pattern=r"HELP[^\n]*\n", says="help")
ALLOWS = st.sampled_from([frozenset(), frozenset({"panic"}), frozenset({"reset", "panic", "off"})])
RESTARTS = Signals(name="RESET", says="it restarts")
STEPS = st.one_of(
    st.builds(Reach, stage=st.sampled_from(Stage), allows=ALLOWS),
    st.builds(Run, command=st.sampled_from(["help", "nonsense"]), status=st.sampled_from([0, 127, None])),
    st.builds(Send, line=st.just("help")),
    st.builds(Alive, allows=ALLOWS),
    st.builds(Expect, effects=st.just((BANG,)), allows=ALLOWS),
    st.builds(Inject, stimulus=st.just(Nmi()), effects=st.just((BANG,)), allows=ALLOWS),
    st.builds(Inject, stimulus=st.just(SysRq(key="h")), effects=st.just((BANG,)), attempts=st.just(2)),
    st.builds(Inject, stimulus=st.just(Nmi()), outcome=st.just(Outcome.NO_EFFECT), unless=st.just((BANG,))),
    st.builds(
        Inject, stimulus=st.just(Press(button=Button.RESET)), effects=st.just((RESTARTS,)), allows=ALLOWS
    ),
)
INCIDENTS = st.lists(
    st.tuples(
        st.floats(min_value=0, max_value=60, allow_nan=False),
        st.sampled_from(["help", "panic", "RESET", "SHUTDOWN", "gone", "noise"]),
    ),
    max_size=3,
)


def happen(guest, what):
    if what in {"RESET", "SHUTDOWN"}:
        guest.transcript.mark(MarkKind.QMP, what, {"guest": True})
    elif what == "gone":
        guest.transcript.mark(MarkKind.MACHINE, what)
    else:
        guest.say({"help": HELP, "panic": PANIC, "noise": b"\xff\x00[ 1.\r"}[what])


@example(steps=[Reach(stage=Stage.SHELL), Alive(), Alive()], incidents=[], helps=False)
@given(steps=st.lists(STEPS, min_size=1, max_size=5), incidents=INCIDENTS, helps=st.booleans())
def test_kept_transcript_gives_the_same_verdict(steps, incidents, helps):
    made = Scenario(name="made-up", title="Made up", description="For a test.", steps=tuple(steps))
    with tempfile.TemporaryDirectory() as kept, ExitStack() as stack:
        transcript = stack.enter_context(ScriptedTranscript(sink=DirectorySink(Path(kept), console="ttyS0")))
        guest = FakeGuest(transcript=transcript, commands={b"help": (HELP, 0)})
        target, _, control = make_target(guest)
        if helps:
            control.reactions["nmi"] = lambda: guest.say(HELP)
        for seconds, what in incidents:
            transcript.later(seconds, lambda what=what: happen(guest, what))
        Player(scenario=made, target=target, open_guest=LinuxGuest, clock=transcript.fake).play()
        transcript.close("done")
        verdict = judged(made, transcript)
        assert judged(made, load_transcript(Path(kept))) == verdict
    assert verdict.status is not Status.PASSED or verdict.evidence
    assert verdict.reason != "no-evidence"


def judged(made, transcript):
    return judge(made, transcript, scan_boots(transcript.read(), boot_offsets(transcript))).verdict
