"""Passwords that steps type: the transcript has them, and no report does."""

import base64
import json

import pytest

from emulator.console.transcript import TIMELINE_FILE, load_transcript
from harness.cells.cell import parse_cell_id
from harness.guests.linux import LinuxGuest
from harness.play.runner import Player
from harness.play.target import Target
from harness.report.allure import RESULTS_DIRECTORY, write_crashed_cell
from harness.report.cast import cast_events
from harness.report.reports import write_reports
from harness.run.cell_run import CellRun
from harness.scenario.scenario import Scenario
from harness.scenario.stages import Stage
from harness.scenario.steps import Expect, Reach, Send, Shows
from harness.scenarios import find_scenario
from tests.support import fake_lab
from tests.support.fake_guest import EVERYTHING, FakeControl, FakeGuest, ScriptedTranscript
from tests.support.report_samples import make_run

CELL = parse_cell_id("bookworm.pc.seabios.1.login-refused")
SECRET = b"not-the-password"


@pytest.fixture
def run_dir(tmp_path, monkeypatch):
    """The directory of a run whose only cell types a wrong password, and then logs in."""
    monkeypatch.chdir(tmp_path)
    fake_lab.use_fakes(monkeypatch)
    lab = fake_lab.FakeLab(run_dir=tmp_path / "run", clock=fake_lab.CLOCK, cold=True)
    result = CellRun(cell=CELL, scenario=find_scenario(CELL.scenario), lab=lab).run()
    assert result.status == "passed"
    (lab.run_dir / RESULTS_DIRECTORY).mkdir()
    write_crashed_cell(lab.run_dir / RESULTS_DIRECTORY, result, lab.run_dir)
    assert write_reports(make_run(result), lab.run_dir, allure=False) == []
    return lab.run_dir


def test_no_report_shows_a_password(run_dir):
    coded = base64.b64encode(SECRET)
    has_it = {
        path.name
        for path in run_dir.rglob("*")
        if path.is_file() and any(word in path.read_bytes() for word in (SECRET, coded[:-4]))
    }
    assert has_it == {TIMELINE_FILE}
    (page,) = run_dir.glob("report/cells/*refused.html")
    assert "*" * len(SECRET) in page.read_text()


def test_transcript_keeps_what_was_typed_and_that_it_is_secret(run_dir):
    (cell,) = run_dir.glob("cells/*")
    transcript = load_transcript(cell)
    assert [one.data for one in transcript.typed if one.secret] == [SECRET + b"\r", b"ttylab\r"]
    typed = "".join(text for _, code, text in cast_events(transcript) if code == "i")
    assert typed.startswith(f"root\r{'*' * len(SECRET)}\rroot\r******\r")


def test_allures_copy_of_the_timeline_is_whole_but_for_passwords(run_dir):
    (result,) = run_dir.glob("allure-results/*-result.json")
    named = {one["name"]: one["source"] for one in json.loads(result.read_text())["attachments"]}
    copy = (result.parent / named[TIMELINE_FILE]).read_bytes().splitlines()
    (own,) = run_dir.glob(f"cells/*/{TIMELINE_FILE}")
    differ = [json.loads(a) for a, b in zip(copy, own.read_bytes().splitlines(), strict=True) if a != b]
    assert [(line["in"], line["secret"]) for line in differ] == [("", True)] * 2


def test_failure_does_not_quote_a_password_that_the_guest_echoes():
    transcript = ScriptedTranscript()
    guest = FakeGuest(transcript=transcript)
    guest.boot()
    scenario = Scenario(
        name="early",
        title="t",
        description="d",
        steps=(
            Reach(stage=Stage.LOGIN),
            Send(line="hunter-2", echo=False),  # at the login prompt, which echoes
            Expect(effects=(Shows(pattern="welcome", says="a welcome"),)),
        ),
    )
    target = Target(name="x", channel=guest, control=FakeControl(guest, capabilities=EVERYTHING))
    Player(scenario=scenario, target=target, open_guest=LinuxGuest, clock=transcript.fake).play()
    assert b"hunter-2" in transcript.read()
    said = [str(mark.detail["message"]) for mark in transcript.marks if "message" in mark.detail]
    assert ["hunter-2" in text for text in said] == [False]
