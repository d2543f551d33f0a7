"""The timeline picture."""

from xml.etree import ElementTree as ET

import pytest

from emulator.console.marks import Chunk, MarkKind
from harness.report.model import FindingRecord, StageRecord, StepRecord
from harness.report.timeline import render_timeline, second_of
from harness.scenario.steps import Outcome
from harness.scenario.verdict import Injection
from tests.support.report_samples import Guest, make_cell, make_guest

NAMESPACE = "{http://www.w3.org/2000/svg}"


def texts(svg: str, tag: str = "text") -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter(NAMESPACE + tag)]


def test_timeline_has_a_lane_for_everything_that_happened() -> None:
    guest = make_guest()
    shown = texts(render_timeline(make_cell("failed", guest=guest), guest.transcript))
    for lane in ("stages", "steps", "stimuli", "machine", "findings", "output"):
        assert lane in shown
    assert "GUEST_PANICKED" in shown
    assert "nmi +12 ms" in shown
    assert "0 s" in shown


def test_timeline_leaves_out_lanes_without_content() -> None:
    cell = make_cell(injections=[], findings=[], stages=[], steps=[])
    shown = texts(render_timeline(cell, None))
    assert not {"boots", "stages", "steps", "stimuli", "machine", "findings", "output"} & set(shown)


def test_timeline_is_the_same_text_twice() -> None:
    guest = make_guest()
    cell = make_cell("failed", guest=guest)
    assert render_timeline(cell, guest.transcript) == render_timeline(cell, guest.transcript)


@pytest.mark.parametrize("hostile", ["</title><script>alert(1)</script>", "\x1b[2J\x00\ufffe", "&<>\"'"])
def test_timeline_stays_valid_xml_whatever_names_say(hostile: str) -> None:
    guest = Guest().says(b"x").marks(MarkKind.QMP, hostile)
    finding = FindingRecord(
        rule=hostile, kind="BUG", title=hostile, start=0, end=1,
        fatal=False, corrupted=False, suppressed=False, expected=False,
    )  # fmt: skip
    step = StepRecord(text=hostile, begin=0.0, end=1.0, outcome="done")
    svg = render_timeline(make_cell(findings=[finding], steps=[step]), guest.transcript)
    assert not list(ET.fromstring(svg).iter(NAMESPACE + "script"))


def test_timeline_shows_boots_only_when_there_are_several() -> None:
    first = [StageRecord(boot=0, stage="kernel", at=0.5)]
    second = [*first, StageRecord(boot=1, stage="kernel", at=3.0)]
    end = [StepRecord(text="wait", begin=0.0, end=6.0, outcome="done")]
    assert "boots" not in texts(render_timeline(make_cell(stages=first, steps=end), None))
    assert "boot 2" in texts(render_timeline(make_cell(stages=second, steps=end), None))


def test_timeline_ends_a_boots_last_stage_where_the_next_boot_begins() -> None:
    stages = [StageRecord(boot=0, stage="shell", at=1.0), StageRecord(boot=1, stage="shell", at=2.0)]
    steps = [StepRecord(text="wait", begin=0.0, end=4.0, outcome="done")]
    root = ET.fromstring(render_timeline(make_cell(stages=stages, steps=steps, injections=[]), None))
    first, second = [each for each in root.iter(NAMESPACE + "rect") if each.get("class") == "s4"]
    assert float(first.get("x")) + float(first.get("width")) == pytest.approx(float(second.get("x")), abs=0.2)


def test_timeline_says_that_a_stimulus_had_no_effect() -> None:
    injection = Injection(stimulus="nmi", at=1.0, outcome=Outcome.NO_EFFECT, latency_s=None)
    assert "nmi (no effect)" in texts(render_timeline(make_cell(injections=[injection]), None))


def test_timeline_draws_a_stimulus_once_though_mark_and_injection_tell_it() -> None:
    guest = Guest().says(b"x", every_s=1.0).marks(MarkKind.STIMULUS, "nmi")
    injection = Injection(stimulus="nmi", at=1.0004, outcome=Outcome.EFFECTIVE, latency_s=0.01)
    titles = texts(render_timeline(make_cell(injections=[injection]), guest.transcript), "title")
    assert sum(title.startswith("nmi at") for title in titles) == 1


def test_timeline_counts_equal_events_at_one_moment_once() -> None:
    guest = Guest().marks(MarkKind.QMP, "RESET").marks(MarkKind.QMP, "RESET")
    guest.clock.advance(5.0)
    guest.marks(MarkKind.QMP, "RESET")
    assert texts(render_timeline(make_cell(), guest.transcript)).count("RESET") == 2


def test_timeline_says_once_that_a_machine_runs() -> None:
    guest = Guest().marks(MarkKind.MACHINE, "started").marks(MarkKind.QMP, "RESUME")
    shown = texts(render_timeline(make_cell(), guest.marks(MarkKind.MACHINE, "running").transcript))
    assert "running" in shown
    assert not {"started", "RESUME"} & set(shown)


def test_timeline_leaves_out_labels_that_have_no_room_but_keeps_the_points() -> None:
    injections = [
        Injection(stimulus=f"sysrq-{n} by break", at=1.0 + n / 1000, outcome=Outcome.EFFECTIVE, latency_s=0.1)
        for n in range(8)
    ]
    svg = render_timeline(make_cell(injections=injections), None)
    assert sum(text.startswith("sysrq-") for text in texts(svg)) == 3
    assert sum(text.startswith("sysrq-") for text in texts(svg, "title")) == 8


def test_second_of_finds_the_chunk_of_a_byte() -> None:
    chunks = [Chunk(at=1.0, start=0, end=10), Chunk(at=2.0, start=10, end=20)]
    assert [second_of(offset, chunks) for offset in (0, 9, 10, 99)] == [1.0, 1.0, 2.0, 2.0]
    assert second_of(5, []) == 0.0
