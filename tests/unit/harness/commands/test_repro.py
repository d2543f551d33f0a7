"""Reproductions: which run is meant, and what differs from it now; and which machine is joined."""

import json
import os
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from emulator import places
from emulator.errors import SpecError
from emulator.lab_file.read import VARIABLE
from emulator.machine.ledger import Entry
from emulator.machine.run_dir import ARGV_FILE
from emulator.machine.spec import Firmware
from emulator.values import json_ready
from harness.cells.cell import parse_cell_id
from harness.report.model import write_cell, write_run
from harness.run.latest import latest_runs, remember_run
from harness.run.repro import Recalled, differences, find_record, find_run, recorded_spec
from harness.run.result import repro_of
from harness.run.wanted import guest_spec
from harness.scenarios import find_scenario
from harness.terminal.interactive import choose_machine, interactive_spec, word
from tests.support.linux_images import linux_image
from tests.support.report_samples import make_cell, make_run

CELL = parse_cell_id("bookworm.q35.seabios.1.nmi-panic")
HASHES = {"bzimage": "ab" * 32, "vmlinux": "cd" * 32, "initrd": "ef" * 32}
IMAGE = linux_image(sha256=HASHES)
SPEC = guest_spec(CELL, find_scenario("nmi-panic"), IMAGE)


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TTYLAB_STATE", str(tmp_path / "state"))

    def keep(run: str, status: str = "failed") -> Path:
        result = make_cell(status, scenario="nmi-panic")
        directory = Path("results") / run / result.directory
        directory.mkdir(parents=True)
        write_cell(result, Path("results") / run)
        (directory / ARGV_FILE).write_text(json.dumps({"spec": json_ready(SPEC), "argv": []}))
        return Path("results") / run

    return keep


def test_newest_run_that_has_the_cell_is_meant(results):
    results("20260101-000000-aaaa")
    newest = results("20260301-000000-0000", "passed")
    (Path("results") / "20260401-000000-ffff" / "cells").mkdir(parents=True)
    results("repro-20270101-000000-bbbb")
    found = find_record(CELL.id, None)
    assert found is not None
    assert (found[0], found[1].status) == (newest, "passed")


def test_named_run_is_taken_or_refused(results):
    run = results("20260101-000000-aaaa")
    assert find_record(CELL.id, run)[0] == run
    other = parse_cell_id("sid.pc.seabios.1.nmi-panic")
    with pytest.raises(SpecError, match=r"no result of sid\.pc"):
        find_record(other.id, run)


def test_run_that_is_not_there_is_told_before_all_else(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecError, match=r"^results/x: there is no such run \(its path is from"):
        find_run(CELL.id, Path("results/x"))
    with pytest.raises(SpecError, match=r"no such run \(was it removed\?\)"):
        find_run(CELL.id, tmp_path / "x")


def test_cell_that_never_ran_has_no_record(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_record(CELL.id, None) is None


def test_recorded_machine_is_read_back(results):
    place = results("20260101-000000-aaaa") / "cells" / CELL.id
    assert recorded_spec(place) == SPEC
    (place / ARGV_FILE).write_text("{}")
    with pytest.raises(SpecError, match=rf"{ARGV_FILE}: no machine spec"):
        recorded_spec(place)


def test_differences_name_the_image_and_the_machine():
    record = make_cell("failed", scenario="nmi-panic")
    assert differences(record, SPEC, image=IMAGE, now=SPEC) == []
    rebuilt = linux_image(sha256=HASHES | {"initrd": "00" * 32})
    found = differences(record, replace(SPEC, memory_mib=512), image=rebuilt, now=SPEC)
    assert found == ["image bookworm was built anew: initrd differ", "memory_mib was 512, is 256"]


def test_same_files_elsewhere_are_the_same_machine():
    """Hashes are compared, not where another machine keeps its files."""
    record = make_cell("failed", scenario="nmi-panic")
    moved = replace(SPEC, kernel=Path("/elsewhere") / SPEC.kernel.name, initrd=Path("/x") / SPEC.initrd.name)
    assert differences(record, moved, image=IMAGE, now=SPEC) == []
    other = replace(SPEC, kernel=SPEC.kernel.with_name("another"))
    assert "kernel was" in differences(record, other, image=IMAGE, now=SPEC)[0]
    fewer = linux_image(sha256={"vmlinux": "cd" * 32})
    assert differences(record, SPEC, image=fewer, now=SPEC) == [
        "image bookworm was built anew: bzimage, initrd differ"
    ]


def test_run_that_was_started_last_is_meant_wherever_it_is_and_whatever_its_name(results, tmp_path):
    results("20260301-000000-0000")
    results("20260201-000000-0000", "passed")
    shutil.move(tmp_path / "results" / "20260201-000000-0000", tmp_path / "elsewhere")
    remember_run(Path("results/20260301-000000-0000"))
    remember_run(Path("elsewhere"))
    remember_run(Path("gone"))
    assert find_record(CELL.id, None)[0] == Path("elsewhere")
    assert list(latest_runs()) == [Path("elsewhere"), Path("results/20260301-000000-0000")]


def test_runs_of_other_working_directories_are_not_meant(results, tmp_path, monkeypatch):
    run = results("20260301-000000-0000")
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    remember_run(tmp_path / run)
    monkeypatch.chdir(tmp_path)
    places.latest_runs().write_bytes(places.latest_runs().read_bytes() + b"damaged\n\xff\n")
    assert list(latest_runs()) == [run]


def test_cell_that_was_played_twice_is_reproduced_as_it_was_reported(results):
    run = results("20260101-000000-aaaa", "passed")
    again = replace(make_cell("failed", scenario="nmi-panic"), directory=f"cells/{CELL.id}+2")
    (run / again.directory).mkdir()
    write_cell(again, run)
    write_run(make_run(again), run)
    assert find_record(CELL.id, run)[1].status == "failed"


def test_end_is_compared_with_the_recorded_one():
    was = make_cell("failed", scenario="nmi-panic")
    recalled = Recalled(run=Path("results/x"), was=was)
    assert recalled.compare(was) == f"reproduced: FAILED: {was.message}"
    passed = make_cell("passed", scenario="nmi-panic")
    assert recalled.compare(passed) == f"not reproduced: PASSED; results/x had FAILED: {was.message}"
    assert recalled.compare(replace(was, step=7)).startswith("not reproduced: FAILED")
    changed = replace(recalled, changed=("memory_mib was 512, is 256",))
    assert changed.introduce().endswith("(memory_mib was 512, is 256)")


def test_line_that_reproduces_names_the_run_and_its_waits():
    assert repro_of(CELL) == f"ttylab repro {CELL.id}"
    line = repro_of(CELL, run="my results/x", port="/dev/ttyS1", time_scale=2.5)
    assert shlex.split(line)[3:] == ["--run", "my results/x", "--port", "/dev/ttyS1", "--time-scale", "2.5"]


def test_seed_follows_from_the_cell():
    assert guest_spec(CELL, find_scenario("nmi-panic"), IMAGE).seed == SPEC.seed
    other = parse_cell_id("bookworm.q35.seabios.2.nmi-panic")
    assert guest_spec(other, find_scenario("nmi-panic"), IMAGE).seed != SPEC.seed


# -- ttylab attach and boot --------------------------------------------------------------------


def entry(id_, label):
    fields = dict.fromkeys(
        (
            "name",
            "boot_id",
            "run_dir",
            "temp_dir",
            "console",
            "console_socket",
            "control_socket",
            "started_utc",
        ),
        "",
    )
    return Entry(id=id_, label=label, owner_pid=1, owner_start=1, **fields)


ONE, TWO = entry("m-1", "bookworm.pc.seabios.1.nmi-panic"), entry("m-12", "boot sid")


@pytest.mark.parametrize(("name", "chosen"), [("m-1", ONE), ("m-12", TWO), ("nmi", ONE), ("boot sid", TWO)])
def test_machine_is_chosen_by_id_or_label(name, chosen):
    assert choose_machine([ONE, TWO], name) is chosen


def test_only_machine_needs_no_name():
    assert choose_machine([ONE], "") is ONE


@pytest.mark.parametrize(
    ("machines", "name", "said"),
    [
        ([], "", "no running machine fits ''; running: none"),
        ([ONE, TWO], "q35", "no running machine fits 'q35'; running: m-1 .*, m-12 .boot sid."),
        ([ONE, TWO], "", "several machines fit ''"),
    ],
)
def test_machine_that_cannot_be_told_is_refused(machines, name, said):
    with pytest.raises(SpecError, match=said):
        choose_machine(machines, name)


def test_boot_makes_a_machine_of_words():
    spec = interactive_spec(
        IMAGE, machine="q35", firmware="ovmf", vcpus=2, memory_mib=512, append=("a=b",), devices=("pvpanic",)
    )
    assert (spec.machine, spec.vcpus, spec.kernel, spec.command_line[-1]) == ("q35", 2, IMAGE.bzimage, "a=b")


def test_wrong_word_names_what_is_allowed():
    with pytest.raises(SpecError, match="firmware is 'bios'; allowed: seabios, ovmf"):
        word(Firmware, "firmware", "bios")


def test_a_users_file_that_changed_is_told_by_its_hash():
    files = {"disk": "/d/server.qcow2"}
    was = {"name": "bookworm", "own": "disk", "files": files, "sha256": {"disk": "ab" * 32}}
    record = replace(make_cell("failed", scenario="nmi-panic"), image=was)
    changed = replace(IMAGE, sha256={"disk": "cd" * 32})
    told = differences(record, SPEC, image=changed, now=SPEC)
    assert told == ["image bookworm has other files: /d/server.qcow2 (sha256 was abababababababab)"]


def test_lab_of_the_run_is_used_unless_another_is_chosen(results, monkeypatch):
    monkeypatch.setenv(VARIABLE, "x")
    monkeypatch.delenv(VARIABLE)
    run = results("20260101-000000-aaaa")
    assert find_run(CELL.id, None) == run
    assert VARIABLE not in os.environ
    (run / "lab.toml").write_text('[images.mine]\ndisk = "d"\n')
    assert find_run(CELL.id, None) == run
    assert os.environ[VARIABLE] == str(run.absolute() / "lab.toml")
    monkeypatch.setenv(VARIABLE, "")
    assert find_run(CELL.id, run) == run  # bookworm is known without the run's lab
    assert os.environ[VARIABLE] == ""
    assert find_run("mine.pc.seabios.1.nmi-panic", run) == run
    assert os.environ[VARIABLE] == str(run.absolute() / "lab.toml")
    assert find_run("unknown.pc.seabios.1.nmi-panic", None) is None
