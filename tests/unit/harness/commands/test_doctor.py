"""`ttylab doctor`: what it prints, and its exit code."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from harness import cli
from harness.commands import doctor
from harness.doctor import examination
from harness.doctor.diagnosis import Diagnosis, State, Unusable, of_part
from harness.scenario import exit_codes

HEALTHY = (of_part("QEMU", "7.2.22, qemu-system-x86_64"), of_part("setpriv", "setpriv"))
NO_QEMU = (
    of_part("QEMU", Unusable(problem="QEMU [x] is missing", remedy="apt-get install qemu-system-x86")),
    of_part("setpriv", "setpriv"),
)
Findings = tuple[Diagnosis, ...]


def shown(findings: Findings, *, terminal: bool) -> str:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=110, color_system=None)
    doctor.show(findings, console)
    return console.file.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_doctor_shows_every_part_and_what_mends_it(terminal: bool) -> None:
    text = shown(NO_QEMU, terminal=terminal)
    assert [finding.part for finding in NO_QEMU if finding.part not in text] == []
    assert "QEMU [x] is missing" in text
    assert "apt-get install qemu-system-x86" in text


def test_doctor_prints_one_line_a_part_when_nobody_looks() -> None:
    assert len(shown(NO_QEMU, terminal=False).splitlines()) == len(NO_QEMU)


@pytest.mark.parametrize(
    ("findings", "code"), [(HEALTHY, exit_codes.EXIT_PASSED), (NO_QEMU, exit_codes.EXIT_BROKEN)]
)
def test_exit_code_says_whether_a_run_is_possible(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], findings: Findings, code: int
) -> None:
    monkeypatch.setattr(examination, "examine", lambda: findings)
    assert cli.main(["doctor", "--json"]) == code
    answer = json.loads(capfd.readouterr().out)
    assert answer["possible"] == (code == exit_codes.EXIT_PASSED)
    assert set(answer["findings"][0]) == {"part", "state", "detail", "remedy"}


def test_examination_goes_on_where_everything_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in {
        "PATH": str(tmp_path),
        "TTYLAB_CACHE": str(tmp_path / "a/b"),
        "HOME": str(tmp_path),
    }.items():
        monkeypatch.setenv(name, value)
    findings = {finding.part: finding for finding in examination.examine()}
    missing = {part for part, finding in findings.items() if finding.state is State.MISSING}
    assert {"QEMU", "accelerator", "setpriv", "image tools"} <= missing
    assert findings["images"].detail.startswith("0 built; the next run builds ")
    assert not (tmp_path / "a").exists()  # looking changes nothing
    assert findings["your Windows"].state is State.NOTE  # without it a run is possible


def test_image_tools_are_needed_only_where_an_image_is_to_be_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "_image_tools", lambda _: Unusable(problem="none", remedy="get it"))
    for lacks, state in (([], State.NOTE), (["sid"], State.MISSING)):
        monkeypatch.setattr(examination, "_images", lambda _, lacks=lacks: ([], lacks))
        (found,) = (one for one in examination.examine() if one.part == "image tools")
        assert found.state is state


def test_board_that_is_missing_stops_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Unusable(problem="it is not here", remedy="plug it in")
    seen = {"board bench1": "opens; has reset", "board bench2": broken}
    monkeypatch.setattr(examination, "_boards", lambda: seen)
    last = examination.examine()[-2:]
    assert [(one.part, one.state) for one in last] == [
        ("board bench1", State.OK),
        ("board bench2", State.NOTE),
    ]


@pytest.mark.parametrize(("findings", "said"), [(HEALTHY, "\n"), (NO_QEMU, "qemu-system-x86\n")])
def test_packages_alone_are_for_apt_get(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], findings: Findings, said: str
) -> None:
    monkeypatch.setattr(examination, "examine", lambda: findings)
    assert cli.main(["doctor", "--packages"]) == exit_codes.EXIT_PASSED
    assert capfd.readouterr() == (said, "")


@pytest.mark.parametrize(("user", "sudo"), [(0, ""), (1000, "sudo ")])
def test_one_command_installs_all_that_is_missing(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], user: int, sudo: str
) -> None:
    monkeypatch.setattr(examination, "examine", lambda: NO_QEMU)
    monkeypatch.setattr(doctor.os, "geteuid", lambda: user)
    cli.main(["doctor"])
    command = f"{sudo}apt-get install --yes --no-install-recommends qemu-system-x86"
    assert capfd.readouterr().out.endswith(f"\nall at once: {command}\n")
