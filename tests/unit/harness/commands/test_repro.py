"""Reproductions: which run is meant, and what differs from it now; and which machine is joined."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from emulator.errors import SpecError
from emulator.machine.ledger import Entry
from emulator.machine.run_dir import ARGV_FILE
from emulator.machine.spec import Firmware
from emulator.values import json_ready
from harness.cells.cell import parse_cell_id
from harness.report.model import write_cell
from harness.run.repro import differences, find_record, recorded_spec
from harness.run.wanted import guest_spec
from harness.scenarios import find_scenario
from harness.terminal.interactive import choose_machine, interactive_spec, word
from tests.support.linux_images import linux_image
from tests.support.report_samples import make_cell

CELL = parse_cell_id("bookworm.q35.seabios.1.nmi-panic")
HASHES = {"bzimage": "ab" * 32, "vmlinux": "cd" * 32, "initrd": "ef" * 32}
IMAGE = linux_image(sha256=HASHES)
SPEC = guest_spec(CELL, find_scenario("nmi-panic"), IMAGE)


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

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
    found = find_record(CELL, None)
    assert found is not None
    assert (found[0], found[1].status) == (newest, "passed")


def test_named_run_is_taken_or_refused(results):
    run = results("20260101-000000-aaaa")
    assert find_record(CELL, run)[0] == run
    other = parse_cell_id("sid.pc.seabios.1.nmi-panic")
    with pytest.raises(SpecError, match=r"no result of sid\.pc"):
        find_record(other, run)


def test_cell_that_never_ran_has_no_record(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_record(CELL, None) is None


def test_recorded_machine_is_read_back(results):
    run = results("20260101-000000-aaaa")
    assert recorded_spec(run, CELL) == SPEC
    (run / "cells" / CELL.id / ARGV_FILE).write_text("{}")
    with pytest.raises(SpecError, match=rf"{ARGV_FILE}: no machine spec"):
        recorded_spec(run, CELL)


def test_differences_name_the_image_and_the_machine():
    record = make_cell("failed", scenario="nmi-panic")
    assert differences(record, SPEC, image=IMAGE, now=SPEC) == []
    rebuilt = linux_image(sha256=HASHES | {"initrd": "00" * 32})
    found = differences(record, replace(SPEC, memory_mib=512), image=rebuilt, now=SPEC)
    assert found == ["image bookworm was built anew: initrd differ", "memory_mib was 512, is 256"]


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
