"""`ttylab run`: what it lists, what it refuses, and what it becomes."""

import json
from pathlib import Path

import pytest

from emulator.errors import MissingPrerequisite
from emulator.node_packages import NodePackages
from harness import cli
from harness.cells.matrix import read_matrix
from harness.commands.run import with_json_value
from harness.scenario.exit_codes import EXIT_PASSED, EXIT_USAGE

PUSH = Path(__file__).parents[4] / "ci" / "push.toml"
WORDS = ["id", "image", "machine", "firmware", "vcpus", "scenario"]


@pytest.fixture
def becomes(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Record what `run` would become instead of becoming it."""
    seen: list[list[str]] = []

    def become(arguments: list[str], *, run_dir: Path) -> int:
        seen.append([*arguments, str(run_dir)])
        return EXIT_PASSED

    monkeypatch.setattr("harness.plugin.process.become_pytest", become)
    monkeypatch.setattr("harness.commands.run.open_images", lambda _cells: None)
    return seen


def listed(capfd: pytest.CaptureFixture[str], *options: str) -> str:
    assert cli.main(["run", str(PUSH), "--list", *options]) == EXIT_PASSED
    return capfd.readouterr().out


def test_list_as_json_prints_the_fixed_words_and_no_others(capfd, becomes):
    cells = json.loads(listed(capfd, "--json"))
    assert all(list(cell) == WORDS for cell in cells)
    assert [cell["id"] for cell in cells] == sorted(cell["id"] for cell in cells)
    assert len(cells) >= 60
    assert all(isinstance(cell["vcpus"], int) for cell in cells)
    assert becomes == []


def test_list_tells_people_what_does_not_run_and_why(capfd):
    lines = listed(capfd).splitlines()
    matrix = read_matrix(PUSH)
    assert [line for line in lines if not line.startswith("#")] == [cell.id for cell in matrix.cells]
    shown = [line for line in lines if line.startswith("# not run: ")]
    assert shown == [f"# not run: {one.cell.id}: {one.reason}" for one in matrix.excluded]


def test_expression_selects_by_id_and_by_tag(capfd):
    ids = [cell["id"] for cell in json.loads(listed(capfd, "--json", "-k", "panic and not sysrq"))]
    assert ids
    assert any("panic" not in id_ for id_ in ids)  # found by its tag
    assert not any("sysrq" in id_ for id_ in ids)


def test_shards_are_disjoint_and_complete(capfd):
    parts = [listed(capfd, "--shard", f"{index}/3").splitlines() for index in (1, 2, 3)]
    ids = [line for part in parts for line in part if not line.startswith("#")]
    assert sorted(ids) == [cell.id for cell in read_matrix(PUSH).cells]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["no-such.toml"], "no-such.toml"),
        ([str(PUSH), "-k", "nothing-of-this-name"], "no cell matches -k 'nothing-of-this-name'"),
        ([str(PUSH), "-k", "and and"], "expression 'and and'"),
        ([str(PUSH), "--shard", "9/3"], "shard 9/3: the number before '/' is 1 to 3"),
        ([str(PUSH), "-n", "none"], "--jobs is 'none'; allowed: auto, or a number from 1 on"),
        ([str(PUSH), "-n", "0"], "--jobs is '0'"),
        ([str(PUSH), "--run-dir", str(PUSH)], "push.toml: it is there, and no directory"),
        (
            [str(PUSH), "--shard", "999/999"],
            "shard 999/999 has no cell: there are 256; allowed: as many shards or fewer",
        ),
        ([str(PUSH), "--compare", "no-such-run"], "no-such-run: no run result"),
        ([str(PUSH), "--time-scale", "fast"], "--time-scale"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(capfd, becomes, options, said):
    assert cli.main(["run", *options]) == EXIT_USAGE
    shown = capfd.readouterr()
    assert said in shown.err
    assert len(shown.err.splitlines()) == 1
    assert "Traceback" not in shown.err
    assert becomes == []


def test_run_becomes_pytest_with_what_was_given(becomes, tmp_path):
    options = ["-k", "nmi", "--shard", "1/2", "-n", "3", "--json", "out.json", "--time-scale", "2"]
    assert cli.main(["run", str(PUSH), *options, "--run-dir", str(tmp_path)]) == EXIT_PASSED
    (arguments,) = becomes
    assert arguments[arguments.index("-n") + 1] == "3"
    assert {"--cells=nmi", "--shard=1/2", "--run-json=out.json", "--time-scale=2.0"} <= set(arguments)
    assert any(str(tmp_path) in word for word in arguments)
    assert f"--alluredir={tmp_path / 'allure-results'}" in arguments


@pytest.fixture
def boards(tmp_path, monkeypatch):
    """A lab with two boards, and a matrix of them; with `images` one that has machines too."""
    lines = [f'[boards.bench{n}]\nconsole = "/dev/ttyUSB{n}"\nreset = ["true"]\n' for n in (1, 2)]
    (tmp_path / "lab.toml").write_text("".join(lines))
    monkeypatch.setenv("TTYLAB_LAB", str(tmp_path / "lab.toml"))

    def matrix(more=""):
        head = '[matrix]\nname = "m"\ndescription = "d"\n[[block]]\nscenarios = ["reset-login"]\n'
        targets = '["machine", "bench1", "bench2"]' if more else '["bench1", "bench2"]'
        (tmp_path / "m.toml").write_text(f"{head}targets = {targets}\n{more}")
        return str(tmp_path / "m.toml")

    return matrix


def test_each_board_has_a_worker_that_plays_all_its_cells(becomes, boards, monkeypatch):
    monkeypatch.setattr(
        "emulator.machine.qemu_binary.find_qemu", lambda *_, **__: pytest.fail("no QEMU is needed")
    )
    assert cli.main(["run", boards()]) == EXIT_PASSED
    (words,) = becomes
    assert words[words.index("-n") + 1] == "2"
    assert words[words.index("--dist") + 1] == "loadgroup"


def test_boards_beside_machines_leave_the_number_of_workers_alone(becomes, boards, monkeypatch):
    monkeypatch.setattr("emulator.machine.qemu_binary.find_qemu", lambda *_, **__: None)
    axes = 'images = ["bookworm"]\nmachines = ["pc"]\nfirmwares = ["seabios"]\nvcpus = [1]\n'
    assert cli.main(["run", boards(axes), "--no-allure"]) == EXIT_PASSED
    (words,) = becomes
    assert words[words.index("-n") + 1] == "auto"
    assert words[words.index("--dist") + 1] == "loadgroup"


def test_check_reads_all_and_runs_nothing(becomes, capfd):
    assert cli.main(["run", str(PUSH), "--check"]) == EXIT_PASSED
    assert cli.main(["run", str(PUSH), "--check", "-k", "nothing-of-this-name"]) == EXIT_USAGE
    assert (becomes, capfd.readouterr().out) == ([], "")


def test_run_without_allure_asks_for_none(becomes, tmp_path):
    cli.main(["run", str(PUSH), "--no-allure"])
    assert [word for word in becomes[0] if "allure" in word] == ["no:allure_pytest"]


def test_only_images_of_the_chosen_cells_are_built(becomes, monkeypatch):
    built = []
    monkeypatch.undo()
    monkeypatch.setattr("harness.plugin.process.become_pytest", lambda *_, **__: EXIT_PASSED)
    monkeypatch.setattr("emulator.guest_images.kinds.open_image", built.append)
    assert cli.main(["run", str(PUSH), "-k", "nmi and (trixie or sid)"]) == EXIT_PASSED
    assert built == ["sid", "trixie"]


@pytest.mark.parametrize(("options", "workers"), [(["-n", "1"], "0"), (["-n", "2"], "2"), ([], "auto")])
def test_one_worker_is_forked_and_more_are_xdists(becomes, options, workers):
    cli.main(["run", str(PUSH), *options])
    assert becomes[0][becomes[0].index("-n") + 1] == workers
    assert ("harness.plugin.apart" in becomes[0]) == (workers == "0")


def test_one_cell_needs_no_other_workers(becomes):
    cli.main(["run", str(PUSH), "-k", "sid and q35 and nmi-dazed"])
    assert becomes[0][becomes[0].index("-n") + 1] == "0"


@pytest.mark.parametrize(
    ("given", "filled"),
    [
        (["--json"], ["--json", "-"]),
        (["--json", "--list"], ["--json", "-", "--list"]),
        (["--json", "file"], ["--json", "file"]),
        (["--json", "-"], ["--json", "-"]),
        (["--list"], ["--list"]),
    ],
)
def test_json_may_stand_without_a_value(given, filled):
    assert with_json_value(given) == filled


def test_run_where_allure_cannot_be_had_says_so_and_asks_for_none(becomes, tmp_path, monkeypatch, capfd):
    def fails(_):
        raise MissingPrerequisite("the report's npm packages (no network)", remedy="later")

    monkeypatch.setattr(NodePackages, "find", lambda _: None)
    monkeypatch.setattr(NodePackages, "ensure", fails)
    assert cli.main(["run", str(PUSH), "-k", "nmi-panic", "--run-dir", str(tmp_path / "r")]) == EXIT_PASSED
    said = capfd.readouterr().err
    assert "ttylab: fetching Allure for its report, with npm, once" in said
    assert "ttylab: no Allure report: the report's npm packages (no network)" in said
    assert not [word for word in becomes[0] if word.startswith("--allure")]


def test_an_id_means_that_cell_alone(capfd):
    panics = [cell["id"] for cell in json.loads(listed(capfd, "--json", "-k", "bookworm and nmi-panic"))]
    assert len(panics) > len({"bookworm.pc.seabios.1.nmi-panic"})
    one = "bookworm.pc.seabios.1.nmi-panic"  # is contained in that of nmi-panic-sysctl
    assert [cell["id"] for cell in json.loads(listed(capfd, "--json", "-k", one))] == [one]
    both = listed(capfd, "-k", f"{one} or trixie.pc.seabios.1.boot-login").splitlines()
    chosen = [line for line in both if not line.startswith("#")]
    assert chosen == [one, "trixie.pc.seabios.1.boot-login"]


def test_an_id_that_is_left_out_is_told_with_its_reason(capfd, tmp_path):
    matrix = tmp_path / "m.toml"
    head = '[matrix]\nname = "m"\ndescription = "d"\n[[block]]\nimages = ["bookworm"]\nmachines = ["pc"]\n'
    axes = 'firmwares = ["seabios"]\nvcpus = [1]\nscenarios = ["boot-login", "smp-boot"]\n'
    matrix.write_text(head + axes)
    assert cli.main(["run", str(matrix), "--list", "-k", "boot-login"]) == EXIT_PASSED
    capfd.readouterr()
    assert cli.main(["run", str(matrix), "--check", "-k", "bookworm.pc.seabios.1.smp-boot"]) == EXIT_USAGE
    assert "smp-boot is left out: smp-boot takes 2 vCPUs or more" in capfd.readouterr().err
    assert cli.main(["run", str(matrix), "--list", "-k", "smp"]) == EXIT_PASSED
    assert capfd.readouterr().out.startswith("# not run: bookworm.pc.seabios.1.smp-boot: ")
    assert cli.main(["run", str(matrix), "--list", "-k", "no-such"]) == EXIT_USAGE


def test_what_is_left_out_is_told_before_the_rest_is_played(becomes, tmp_path, capfd):
    assert cli.main(["run", "arm64", "--run-dir", str(tmp_path / "run"), "--no-allure"]) == EXIT_PASSED
    assert "34 cells are left out: virt can't do: nmi (QEMU's virt raises no NMI" in capfd.readouterr().err
    assert len(becomes) == 1


LAB = """
[lab]
signatures = {signatures}
[images.mine]
kernel = "{kernel}"
[machines.big]
base = "pc"
qemu = "{qemu}"
"""


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"signatures": '["s.toml"]'}, "s.toml: can't be read"),
        ({"kernel": "gone"}, "images.mine.kernel: there is no "),
        ({"qemu": "qemu-nope"}, "lab.toml: machines.big.qemu is 'qemu-nope', which is not there"),
    ],
)
def test_what_a_lab_names_and_is_not_there_is_told_first(tmp_path, capfd, monkeypatch, changes, said):
    (tmp_path / "kernel").touch()
    words = {"signatures": "[]", "kernel": "kernel", "qemu": "qemu-system-x86_64"} | changes
    (tmp_path / "lab.toml").write_text(LAB.format(**words))
    matrix = tmp_path / "m.toml"
    head = '[matrix]\nname = "m"\ndescription = "d"\n[[block]]\nimages = ["mine"]\nmachines = ["big"]\n'
    matrix.write_text(head + 'firmwares = ["seabios"]\nvcpus = [1]\nscenarios = ["boot-login"]\n')
    monkeypatch.setenv("TTYLAB_LAB", str(tmp_path / "lab.toml"))
    assert cli.main(["run", str(matrix), "--list"]) == EXIT_USAGE
    assert said in capfd.readouterr().err
