"""`ttylab record-console` on real guests: what is kept and for whom, marks, ways to end, and wrong words."""

import json
import os
import subprocess
import sys

import pexpect
import pytest

from emulator.clock import Deadline
from emulator.console.marks import MarkKind
from emulator.console.transcript import load_transcript
from emulator.machine.machine import open_machine
from emulator.sac.image import SacBoot, sac_spec
from emulator.sac.knobs import SacKnobs
from emulator.sac.profile import load_profile
from harness.guests.sac import SacGuest
from harness.guests.sac_channel import Account
from harness.play.session import Session
from harness.scenario.exit_codes import EXIT_PASSED, EXIT_USAGE
from harness.scenario.stages import Stage
from tests.support.rfc2217_server import open_rfc2217_server

pytestmark = pytest.mark.qemu

PATIENCE_S = 120
GUID = "5f1e7a30-0c4b-4d7e-9a51-77ab39f1c0de"
SECRETS = (b"FIN-DB07", GUID.encode(), b"10.20.3.15", b"10.20.3.1", b"jane.doe", b"CONTOSO", b"Geh3im-77")
KNOBS = SacKnobs(
    profile="2019",
    computer_name="FIN-DB07",
    username="jane.doe",
    domain="CONTOSO",
    password="Geh3im-77",
    ip="10.20.3.15",
    gateway="10.20.3.1",
)


def soon() -> Deadline:
    return Deadline.after(PATIENCE_S)


def words(*more: str) -> list[str]:
    return [sys.executable, "-P", "-m", "harness.cli", "record-console", *more]


@pytest.fixture
def environment(tmp_path, monkeypatch):
    monkeypatch.setenv("TTYLAB_STATE", str(tmp_path / "state"))
    return dict(os.environ)


def record(tmp_path, environment, *more: str, typed: bytes = b""):
    return subprocess.run(
        words(*more),
        cwd=tmp_path,
        env=environment,
        input=typed,
        capture_output=True,
        timeout=300,
        check=False,
    )


@pytest.fixture
def machine(tmp_path, environment):
    spec = sac_spec(way=SacBoot.PVH, knobs=KNOBS, uuid=GUID)
    with open_machine(spec, run_dir=tmp_path / "machine", label="the finance server") as opened:
        guest = SacGuest(
            Session(opened.console),
            load_profile("2019"),
            Account(user="jane.doe", domain="CONTOSO", password="Geh3im-77"),
        )
        guest.reach(Stage.CMD, soon())
        yield opened, guest


def modes(directory) -> set[int]:
    return {path.stat().st_mode & 0o777 for path in directory.iterdir()}


def test_session_of_a_running_machine_is_recorded_with_its_marks_and_sanitised(
    tmp_path, environment, machine
):
    opened, guest = machine
    guest.run_sac("i", soon())
    assert guest.run("hostname", soon()).output.strip() == b"FIN-DB07"
    guest.close_channel(soon())
    with guest.session.expecting("reset"):
        opened.reset(soon())
        guest.session.wait_mark(frozenset({"RESET"}), soon(), since=0)
        guest.reach(Stage.CMD, soon())
    ended = record(tmp_path, environment, "--attach", "finance", "--into", "kept", "--for", "1")
    said = ended.stderr.decode()
    assert (ended.returncode, b"FIN-DB07" in ended.stdout) == (EXIT_PASSED, True)
    assert "raw recording in kept/raw: for you alone" in said
    assert "sanitised copy in kept/sanitised: this one may be sent to others" in said
    assert "1 computer name, 1 user name, 1 domain name, 1 password, " in said
    assert not [one for one in SECRETS if one in ended.stderr]

    kept, raw, copy = (
        tmp_path / "kept",
        *(load_transcript(tmp_path / "kept" / one) for one in ("raw", "sanitised")),
    )
    assert (modes(kept), modes(kept / "raw"), modes(kept / "sanitised")) == ({0o700}, {0o600}, {0o600})
    assert raw.read() == opened.transcript.read(0, len(raw))
    assert (raw.truncated, copy.truncated) == (None, None)
    assert [mark.name for mark in raw.marks if mark.kind is MarkKind.QMP].count("RESET") >= 1
    assert [(one.kind, one.name, one.at, one.offset) for one in copy.marks] == [
        (one.kind, one.name, one.at, one.offset) for one in raw.marks
    ]
    assert (copy.chunks, len(copy)) == (raw.chunks, len(raw))
    files = b"".join(path.read_bytes() for path in (kept / "sanitised").iterdir())
    typed = b"".join(one.data for one in copy.typed)
    assert [one for one in SECRETS if one in files or one in typed] == []
    assert [one for one in SECRETS if one not in raw.read() + b"".join(t.data for t in raw.typed)] == []
    assert b"The Command Prompt session was successfully launched.\r\n" in copy.read()


def test_port_is_recorded_with_what_is_typed(tmp_path, environment, machine):
    opened, _ = machine
    with open_rfc2217_server(opened.console) as (host, port):
        url = f"rfc2217://{host}:{port}"
        ended = record(tmp_path, environment, "--port", url, "--into", "kept", typed=b"\rid\r")
    assert ended.returncode == EXIT_PASSED
    raw, copy = (load_transcript(tmp_path / "kept" / one) for one in ("raw", "sanitised"))
    assert b"Computer Name: FIN-DB07\r\n" in raw.read()
    assert b"Computer Name: HOSTxxx1\r\n" in copy.read()
    assert b"".join(one.data for one in raw.typed) == b"\rid\r"
    assert (raw.name, copy.name) == (url, "console")


def test_image_is_booted_and_recorded_at_a_terminal_and_its_end_ends_it(tmp_path, environment):
    program, *rest = words("sac", "--into", "kept")
    terminal = pexpect.spawn(program, rest, cwd=str(tmp_path), env=environment, timeout=PATIENCE_S)
    try:
        terminal.expect("recording sac under tcg; Ctrl-\\] \\? for the menu")
        terminal.expect("CMD command is now available")
        terminal.send("shutdown\r")
        terminal.expect("sanitised copy in kept/sanitised")
        terminal.expect(pexpect.EOF)
    finally:
        terminal.close()
    assert terminal.exitstatus == EXIT_PASSED
    raw = load_transcript(tmp_path / "kept" / "raw")
    assert "POWERDOWN" not in [mark.name for mark in raw.marks]
    assert {"started", "SHUTDOWN", "off"} <= {mark.name for mark in raw.marks}


def test_quit_of_the_menu_ends_it_and_read_only_types_nothing(tmp_path, environment, machine):
    opened, _ = machine
    program, *rest = words("--attach", "finance", "--read-only", "--into", "kept")
    terminal = pexpect.spawn(program, rest, cwd=str(tmp_path), env=environment, timeout=PATIENCE_S)
    try:
        terminal.expect("read only")
        terminal.expect("now available")
        typed = len(opened.transcript.typed)
        terminal.send("shutdown\r\x1dq")
        terminal.expect(pexpect.EOF)
    finally:
        terminal.close()
    assert (terminal.exitstatus, len(opened.transcript.typed)) == (EXIT_PASSED, typed)


def test_copy_is_made_anew_and_hides_a_word_more(tmp_path, environment, machine):
    record(tmp_path, environment, "--attach", "finance", "--into", "kept", "--for", "0")
    ended = record(tmp_path, environment, "--sanitise", "kept", "--hide", "datacenter")
    assert ended.returncode == EXIT_PASSED
    assert b"1 given word" in ended.stderr
    copy = load_transcript(tmp_path / "kept" / "sanitised").read()
    assert b"Windows Server 2019 HIDDENxxx1" in copy
    ended = record(
        tmp_path, environment, "--sanitise", "machine"
    )  # any transcript: the copy stands beside it
    assert ended.returncode == EXIT_PASSED
    assert b"FIN-DB07" not in load_transcript(tmp_path / "machine-sanitised").read()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((), "what to record: give one of"),
        (("sac", "--port", "x"), "what to record: give one of"),
        (("nonsense",), "nonsense"),
        (("--attach", "nobody"), "no running machine fits 'nobody'"),
        (("--port", "/dev/nothing-here"), "can't be opened"),
        (("--sanitise", "nowhere"), "no transcript here"),
        (("sac", "--into", "full"), "is not empty"),
        (("--sanitise", "full", "--hide", " "), "--hide is empty"),
    ],
)
def test_wrong_words_are_said_and_leave_nothing(tmp_path, environment, given, said):
    (tmp_path / "full" / "raw").mkdir(parents=True)
    (tmp_path / "full" / "raw" / "something").touch()
    ended = record(tmp_path, environment, *given)
    assert (ended.returncode, said in ended.stderr.decode()) == (EXIT_USAGE, True), ended.stderr
    assert b"Traceback" not in ended.stderr
    assert {path.name for path in tmp_path.iterdir()} <= {"full", "state"}


def test_machine_without_a_timeline_is_refused_with_the_way_out(tmp_path, environment, machine):
    entry = next((tmp_path / "state").rglob("*.json"))
    text = json.loads(entry.read_text())
    text["run_dir"] = str(tmp_path / "state")
    entry.write_text(json.dumps(text))
    ended = record(tmp_path, environment, "--attach", "finance", "--into", "kept")
    assert (ended.returncode, b"by --port instead" in ended.stderr) == (EXIT_USAGE, True)
