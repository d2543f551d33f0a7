"""`ttylab sac conformance` on the SAC guest: its own texts, another release's, changed ones, a port."""

import json
import os
import subprocess
import sys

import pytest

from emulator.machine.machine import open_machine
from emulator.sac.image import SacBoot, sac_spec
from emulator.sac.knobs import SacKnobs
from harness.recording.record import sanitise_directory
from harness.scenario.exit_codes import EXIT_FAILED, EXIT_PASSED, EXIT_USAGE
from tests.support.rfc2217_server import open_rfc2217_server

pytestmark = pytest.mark.qemu

FACTS = ("architecture", "version", "build", "product", "service_pack")
OF_2003 = {
    *(("1.3", f"menu.{key}") for key in ("choose", "keys", "entry", "advanced_hint")),
    ("1.3", ""),  # a title and a line of keys, which NTLDR has not
    *(("1.4", f"xml.machine_{fact}") for fact in FACTS),
    ("1.4", "xml.channel_switch"),
    *(("1.6", f"sac.id_{fact}") for fact in FACTS),
    ("1.6", "sac.help_i_set"),
    ("1.6", ""),  # livedump
    ("1.7", "channel.header"),
    *(("1.8", f"cmd.{key}") for key in ("version", "copyright", "directory", "vt_mode")),
    *(("1.9", f"bugcheck.{key}") for key in ("problem", "parameters", "progress")),
    ("1.9", ""),  # a second line before the bugcheck's name
}
"""Where the texts of 2022 are not those of 2003: all that emulator/sac/profiles/2003.toml replaces."""


def conformance(tmp_path, *words: str):
    command = [sys.executable, "-P", "-m", "harness.cli", "sac", "conformance", *words]
    state = {"TTYLAB_STATE": str(tmp_path / "state")}
    return subprocess.run(
        command,
        cwd=tmp_path,
        env=os.environ | state,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


def keys_of(ended) -> set[tuple[str, str]]:
    return {(one["section"], one["key"]) for one in json.loads(ended.stdout)["differences"]}


@pytest.mark.parametrize("name", ["sac", "sac-2003"])
def test_guest_conforms_to_its_own_profile(tmp_path, name):
    ended = conformance(tmp_path, "--target", name, "--into", "kept")
    profile = name.removeprefix("sac-") if "-" in name else "2022"
    assert ended.stdout == f"no difference from profile {profile}; the console is kept in kept/console.bin\n"
    assert (ended.returncode, ended.stderr) == (EXIT_PASSED, "")
    kept = tmp_path / "kept" / "console.bin"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert b"</BP>" in kept.read_bytes()  # it was crashed


def test_guest_of_2022_differs_from_2003_in_just_what_the_profiles_differ_in(tmp_path):
    ended = conformance(tmp_path, "--target", "sac", "--profile", "2003", "--json", "--into", "kept")
    assert ended.returncode == EXIT_FAILED
    assert keys_of(ended) == OF_2003
    shown = json.loads(ended.stdout)
    output = (tmp_path / shown["transcript"]).read_bytes()
    for one in shown["differences"]:
        if one["key"].startswith("sac.id_"):
            assert one["seen"].encode() in output[slice(*one["span"])] + b"\n"
    again = conformance(tmp_path, "--recording", "kept", "--profile", "2003", "--json")
    assert keys_of(again) == OF_2003  # all of them are texts, so the recording tells as much
    sanitise_directory(tmp_path / "kept")
    again = conformance(tmp_path, "--recording", "kept-sanitised", "--profile", "2003", "--json")
    assert keys_of(again) == OF_2003  # and so does the copy that is sent


def test_changed_text_is_the_one_difference(tmp_path):
    words = ("--append", "menu_entries=Other", "--no-destructive", "--json")
    ended = conformance(tmp_path, "--target", "sac", *words)
    (one,) = json.loads(ended.stdout)["differences"]
    assert (ended.returncode, one["key"]) == (EXIT_FAILED, "menu.entry")
    assert (one["expected"], one["seen"].split("  ")[0]) == (
        "Windows Server [EMS Enabled]",
        "Other [EMS Enabled]",
    )


def test_changed_behaviour_is_the_one_difference(tmp_path):
    words = ("--append", "hang=cmd-fails", "--no-destructive", "--json")
    ended = conformance(tmp_path, "--target", "sac", *words)
    assert ended.returncode == EXIT_FAILED
    assert keys_of(ended) == {("1.8", "sac-cmd"), ("1.8", "sac-powershell"), ("1.7", "sac-late")}


@pytest.mark.parametrize("destructive", [False, True])
def test_guest_behind_a_serial_port_conforms(tmp_path, destructive):
    spec = sac_spec(way=SacBoot.PVH, knobs=SacKnobs(profile="2019"))
    with (
        open_machine(spec, run_dir=tmp_path / "machine") as machine,
        open_rfc2217_server(machine.console) as (host, port),
    ):
        more = ("--destructive",) if destructive else ()
        url = f"rfc2217://{host}:{port}"
        ended = conformance(tmp_path, "--port", url, "--password", "Passw0rd!", "--into", "kept", *more)
        resets = [mark for mark in machine.transcript.marks if mark.name == "RESET"]
    assert ended.stdout == "no difference from profile 2019; the console is kept in kept/console.bin\n"
    assert (ended.returncode, bool(resets)) == (EXIT_PASSED, destructive)


def test_running_machine_conforms_and_is_left_running(tmp_path, monkeypatch):
    monkeypatch.setenv("TTYLAB_STATE", str(tmp_path / "state"))
    with open_machine(sac_spec(way=SacBoot.PVH), run_dir=tmp_path / "machine", label="a server") as machine:
        ended = conformance(tmp_path, "--target", "a server", "--into", "kept")
        marks = [mark.name for mark in machine.transcript.marks]
    assert ended.stdout == "no difference from profile 2022; the console is kept in kept/console.bin\n"
    assert (ended.returncode, "RESET" in marks, "off" in marks) == (EXIT_PASSED, False, False)
    assert b"Please enter login" not in (tmp_path / "kept" / "console.bin").read_bytes()  # it has no password


def test_silent_port_and_wrong_words_are_said(tmp_path):
    assert conformance(tmp_path).returncode == EXIT_USAGE
    ended = conformance(tmp_path, "--target", "nobody")
    assert (ended.returncode, "no running machine fits 'nobody'" in ended.stderr) == (EXIT_USAGE, True)
    ended = conformance(tmp_path, "--target", "sac", "--profile", "1999")
    assert (ended.returncode, "allowed: 2003" in ended.stderr) == (EXIT_USAGE, True)
    ended = conformance(tmp_path, "--recording", str(tmp_path), "--profile", "2022")
    assert (ended.returncode, "no transcript here" in ended.stderr) == (EXIT_USAGE, True)
