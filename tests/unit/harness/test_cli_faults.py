"""Bad input on the command line: one line that names file, key, value and what is allowed; exit code 2."""

from contextlib import closing
from pathlib import Path

import pytest

from emulator.console.transcript import DirectorySink, Transcript
from harness import cli
from harness.scenario import exit_codes
from harness.signatures import rules

CHECKOUT = Path(__file__).parents[3]
MATRIX = """\
[matrix]
name = "m"
description = "d"

[[block]]
images = ["bookworm"]
machines = ["pc"]
firmwares = ["seabios"]
vcpus = [1]
scenarios = ["boot-login"]
"""


def refusal(capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return the one line that the command says; it must be a refusal of input."""
    assert cli.main(arguments) == exit_codes.EXIT_USAGE
    out, err = capfd.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("ttylab: error: ")
    return line


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            '["bookworm"]',
            '["bookwurm"]',
            "block.0: key 'images': unknown value 'bookwurm'; allowed: bookworm,",
        ),
        ('["pc"]', '["pcs"]', "block.0: key 'machines': unknown value 'pcs'; allowed: microvm, pc, q35"),
        (
            '["boot-login"]',
            '["boot"]',
            "block.0: key 'scenarios': unknown value 'boot'; allowed: boot-",
        ),
        ("[1]", "[99]", "key 'block.0.vcpus.0' has the value 99; less than or equal to 64"),
        ("[1]", '["1"]', "key 'block.0.vcpus.0' has the value '1'; valid integer"),
        ("vcpus", "cpus", "unknown key 'block.0.cpus' with the value [1]; allowed: firmwares, images,"),
        (
            'name = "m"',
            'nam = "m"',
            "unknown key 'matrix.nam' with the value 'm'; allowed: description, name,",
        ),
        ("[matrix]", "[matricks]", "key 'matrix' is missing"),
        ("[matrix]", "[matrix", "not TOML"),
    ],
)
def test_matrix_is_refused_in_one_line_with_file_key_value_and_what_is_allowed(
    capfd, tmp_path, old, new, words
):
    path = tmp_path / "mine.toml"
    path.write_text(MATRIX.replace(old, new), encoding="utf-8")
    assert cli.main(["run", str(path), "--list"]) == exit_codes.EXIT_USAGE
    out, err = capfd.readouterr()
    assert out == ""
    assert "Traceback" not in err
    assert str(path) in err
    assert [part for part in words.split("; ") if part not in err] == []
    assert all(": " in line for line in err.splitlines())


def test_matrix_in_which_all_is_right_is_listed(capfd, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(MATRIX, encoding="utf-8")
    assert cli.main(["run", str(path), "--list"]) == exit_codes.EXIT_PASSED
    assert capfd.readouterr().out == "bookworm.pc.seabios.1.boot-login\n"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            'suite = "bookworm"',
            'suite = "hurd"',
            "key 'images.bookworm.suite' has the value 'hurd'; 'bullseye'",
        ),
        ('suite = "bookworm"', "suite = 12", "key 'images.bookworm.suite' has the value 12; 'bullseye'"),
        (
            'suite = "bookworm"',
            'suit = "bookworm"',
            "unknown key 'images.bookworm.suit' with the value 'bookworm'; allowed: architecture, check",
        ),
    ],
)
def test_catalog_is_refused_with_file_key_value_and_what_is_allowed(
    capfd, tmp_path, monkeypatch, old, new, words
):
    shipped = (CHECKOUT / "images/catalog.toml").read_text(encoding="utf-8")
    (tmp_path / "catalog.toml").write_text(shipped.replace(old, new, 1), encoding="utf-8")
    monkeypatch.setattr("emulator.images.catalog.data_directory", lambda: tmp_path)
    assert cli.main(["run", str(CHECKOUT / "ci/push.toml"), "--list"]) == exit_codes.EXIT_USAGE
    err = capfd.readouterr().err
    assert str(tmp_path / "catalog.toml") in err
    assert [part for part in words.split("; ") if part not in err] == []
    assert "Traceback" not in err


def test_rules_are_refused_with_file_key_value_and_what_is_allowed(capfd, tmp_path, monkeypatch, request):
    (tmp_path / "mine.toml").write_text("[[rule]]\nid = 'x'\ncolour = 1\n", encoding="utf-8")
    monkeypatch.setattr(rules, "RULES_DIRECTORY", tmp_path)
    for remembered in (rules.shipped_rules, rules._rules_with):
        remembered.cache_clear()
        request.addfinalizer(remembered.cache_clear)
    assert cli.main(["scan", str(CHECKOUT / "pyproject.toml")]) == exit_codes.EXIT_USAGE
    err = capfd.readouterr().err
    assert f"{tmp_path / 'mine.toml'}: unknown key 'rule.0.colour' with the value 1; allowed: absorbs," in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("run none.toml", "none.toml: can't be read"),
        ("run {push} -k nosuchcell", "no cell matches -k 'nosuchcell'"),
        ("run {push} -k nmi&", "expression 'nmi&': column 4"),
        ("run {push} --shard 3/2", "shard 3/2: the number before '/' is 1 to 2"),
        ("run {push} --jobs none", "--jobs is 'none'; allowed: auto, or a number from 1 on"),
        ("run --nope", "No such option: --nope"),
        ("repro bookwurm.pc.seabios.1.boot-login", "unknown image 'bookwurm'; did you mean bookworm"),
        ("repro bookworm.pcs.seabios.1.boot-login", "unknown machine 'pcs'; did you mean pc"),
        ("repro bookworm.pc.seabios.99.boot-login", "allowed: 1 to 64"),
        ("repro bookworm.pc.seabios.1.boot-logon", "unknown scenario 'boot-logon'; did you mean boot-login"),
        ("repro bookworm", "it reads IMAGE.MACHINE.FIRMWARE.VCPUS.SCENARIO"),
        ("scenarios show nmi-panik", "unknown scenario 'nmi-panik'; did you mean nmi-panic"),
        ("images build bookwurm", "unknown image 'bookwurm'"),
        ("boot bookwurm", "unknown image 'bookwurm'"),
        ("attach nosuchmachine", "no running machine fits 'nosuchmachine'"),
        ("report nosuchrun", "nosuchrun: no directory of a run"),
        ("scan nosuchfile", "nosuchfile: can't be read: No such file or directory"),
        ("attach --port /no/such --no-dtr", "port '/no/such?dtr=off' can't be opened"),
        ("attach --no-rts", "no port is given"),
        ("record-console --port /no/such --no-rts", "port '/no/such?rts=off' can't be opened"),
        ("sac conformance --port socket://127.0.0.1:1 --no-dtr", "has no DTR or RTS; use rfc2217://"),
        ("attach --port /no/such?dtr=0", "port '/no/such?dtr=0': dtr is '0'; allowed: on, off"),
        ("rnu", "No such command 'rnu'. Did you mean 'run'?"),
    ],
)
def test_wrong_word_is_refused_in_one_line(capfd, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TTYLAB_STATE", str(tmp_path / "state"))
    said = refusal(capfd, *arguments.format(push=CHECKOUT / "ci/push.toml").split())
    assert words in said


@pytest.mark.parametrize("said", [b"", b"debian login: root\r\nPassword: \r\n", b"SAC>"])
def test_recording_without_a_sac_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], said: bytes
) -> None:
    with closing(DirectorySink(tmp_path, console="c")) as sink:
        kept = Transcript("c", sink=sink)
        kept.append(said)
        kept.close("the end")
    line = refusal(capfd, "sac", "conformance", "--recording", str(tmp_path), "--profile", "2022")
    assert f"console.bin: nothing that a SAC says is in its {len(said)} bytes" in line
