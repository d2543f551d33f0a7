"""`./ttylab`: set-up on first use, in a made-up checkout whose PATH holds only what a test puts there.

The Python of the fixture is a shell script that notes its calls and makes a "virtual environment" of itself.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
SYSTEM_PROGRAMS = (
    "awk cat chmod cp dirname env flock grep ls mkdir mv readlink rm sed sh sha256sum touch tr".split()  # noqa: SIM905
)
LOCK = "uv==1.0 \\\n    --hash=sha256:00\nzed==2.0 \\\n    --hash=sha256:11\n"

PYTHON = """\
echo "python $*" >>"$CALLS"
case "$*" in
-c*version_info*) exit "${PYTHON_TOO_OLD:-0}" ;;
--version) echo "Python 3.9.2" ;;
"-m venv "*)
    mkdir -p "$3/bin"
    cp "$0" "$3/bin/python"
    printf '#!/bin/sh\\necho "uv $*" >>"$CALLS"; exit "${UV_FAILS:-0}"\\n' >"$3/bin/uv"
    chmod +x "$3/bin/uv" "$3/bin/python" ;;
"-P -m harness "*) echo "ran: $*" ;;
esac
"""
NOTE_CALL = 'echo "{name} $*" >>"$CALLS"\n'


@dataclass(kw_only=True)
class Checkout:
    """A made-up checkout and the machine that it is on."""

    root: Path
    programs: Path
    calls_file: Path
    environment: dict[str, str] = field(default_factory=dict)

    def put(self, name: str, script: str = "") -> None:
        path = self.programs / name
        path.unlink(missing_ok=True)
        path.write_text(f"#!/bin/sh\n{script or NOTE_CALL.format(name=name)}", encoding="utf-8")
        path.chmod(0o755)

    def command(self) -> dict[str, object]:
        environment = {"PATH": str(self.programs), "CALLS": str(self.calls_file), **self.environment}
        return {"env": environment, "stdin": subprocess.DEVNULL, "text": True}

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        self.environment = environment
        argv = ["/bin/sh", str(self.root / "ttylab"), *arguments]
        return subprocess.run(argv, capture_output=True, timeout=60, check=False, **self.command())

    @property
    def calls(self) -> list[str]:
        return self.calls_file.read_text(encoding="utf-8").splitlines() if self.calls_file.exists() else []

    def forget_calls(self) -> None:
        self.calls_file.unlink(missing_ok=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    root, programs = tmp_path / "check out", tmp_path / "bin"
    root.mkdir()
    programs.mkdir()
    shutil.copy(CHECKOUT / "ttylab", root / "ttylab")
    (root / "requirements.lock").write_text(LOCK, encoding="utf-8")
    (root / "pyproject.toml").write_text("[project]\n", encoding="utf-8")
    for name in SYSTEM_PROGRAMS:
        (programs / name).symlink_to(shutil.which(name) or f"/missing/{name}")
    made = Checkout(root=root, programs=programs, calls_file=tmp_path / "calls")
    made.put("python3", PYTHON)
    made.put("id", "echo 0\n")
    for name in ("qemu-system-x86_64", "qemu-img", "setpriv", "apt-get"):
        made.put(name)
    return made


def test_launcher_is_executable_and_is_plain_sh() -> None:
    assert os.access(CHECKOUT / "ttylab", os.X_OK)
    subprocess.run(["/bin/sh", "-n", str(CHECKOUT / "ttylab")], check=True, timeout=10)


def test_first_use_says_what_it_installs_and_then_runs_the_command(checkout: Checkout) -> None:
    done = checkout.run("doctor", "--json")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "ran: -P -m harness doctor --json\n"
    assert "this will install:" in done.stderr
    assert "2 packages of requirements.lock" in done.stderr
    order = [call for call in checkout.calls if "venv" in call.split()[:3] or "install" in call]
    assert [call.split()[0] for call in order] == ["python", "python", "uv", "uv"]
    assert "--require-hashes" in order[2]
    assert "--offline" in order[3]


def test_second_use_installs_nothing_and_says_nothing(checkout: Checkout) -> None:
    checkout.run("doctor")
    checkout.forget_calls()
    done = checkout.run("doctor")
    assert (done.returncode, done.stderr) == (0, "")
    assert checkout.calls == ["python -P -m harness doctor"]


@pytest.mark.parametrize(
    "name",
    [
        "requirements.lock",
        "pyproject.toml",
        "harness/report/node/package-lock.json",
        "emulator/service/page/node/package-lock.json",
    ],
)
def test_changed_file_sets_up_again(checkout: Checkout, name: str) -> None:
    checkout.run("doctor")
    checkout.forget_calls()
    path = checkout.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{LOCK}# changed\n", encoding="utf-8")
    assert "set-up is done" in checkout.run("doctor").stderr
    made_anew = any("-m venv" in call for call in checkout.calls)
    assert made_anew == (name == "requirements.lock")  # the others need only a new link


def test_set_up_names_and_installs_the_npm_packages_of_report_and_page(checkout: Checkout) -> None:
    for folder in ("harness/report/node", "emulator/service/page/node"):
        (checkout.root / folder).mkdir(parents=True)
        (checkout.root / folder / "package-lock.json").write_text("{}", encoding="utf-8")
    said = checkout.run("doctor").stderr
    assert "as harness/report/node/package-lock.json lists it" in said
    assert "as emulator/service/page/node/package-lock.json lists it" in said
    assert "python -P -m harness.report.node_setup" in checkout.calls
    assert "python -P -m emulator.service.page.assets" in checkout.calls


def test_tests_get_the_programs_that_only_they_need(checkout: Checkout) -> None:
    checkout.run("doctor")
    checkout.put("as")
    checkout.put("gcc")
    needed = "chromium qemu-system-arm swtpm wimtools xorriso"
    assert f"the tests need, with apt-get: {needed}\n" in checkout.run("test").stderr
    assert any(call.startswith("apt-get install") and f" {needed} " in call for call in checkout.calls)
    for program in ("chromium", "qemu-system-aarch64", "swtpm", "wimlib-imagex", "xorriso"):
        checkout.put(program)
    assert checkout.run("test").stderr == ""


def test_moved_checkout_sets_up_again(checkout: Checkout, tmp_path: Path) -> None:
    checkout.run("doctor")
    checkout.forget_calls()
    checkout.root = checkout.root.rename(tmp_path / "elsewhere")
    assert checkout.run("doctor").returncode == 0
    assert any("-m venv" in call for call in checkout.calls)


def test_environment_that_was_killed_half_way_is_made_again(checkout: Checkout) -> None:
    checkout.run("doctor")
    for stamp in ("ttylab-stamp", "ttylab-packages"):
        (checkout.root / ".venv" / stamp).unlink()
    (checkout.root / ".venv" / "half-made").touch()
    assert checkout.run("doctor").returncode == 0
    assert not (checkout.root / ".venv" / "half-made").exists()


def test_two_at_once_set_up_one_after_the_other(checkout: Checkout) -> None:
    argv = ["/bin/sh", str(checkout.root / "ttylab"), "doctor"]
    started = [
        subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **checkout.command())
        for _ in range(3)
    ]
    ended = [process.communicate(timeout=60) for process in started]
    assert [process.returncode for process in started] == [0, 0, 0]
    assert [stdout for stdout, _ in ended] == ["ran: -P -m harness doctor\n"] * 3
    assert sum("-m venv" in call for call in checkout.calls) == 1


def test_package_index_that_only_pip_knows_is_used(checkout: Checkout) -> None:
    done = checkout.run("doctor", UV_FAILS="1")
    assert "trying pip" in done.stderr
    assert any("pip install" in call and "requirements.lock" in call for call in checkout.calls)


def test_missing_package_is_named_before_root_installs_it(checkout: Checkout) -> None:
    (checkout.programs / "qemu-system-x86_64").unlink()
    done = checkout.run("doctor")
    assert done.returncode == 0, done.stderr
    assert "Debian packages, with apt-get: qemu-system-x86\n" in done.stderr
    calls = [call for call in checkout.calls if call.startswith("apt-get")]
    assert calls[0].startswith("apt-get update")
    assert calls[-1].startswith("apt-get install --yes --no-install-recommends qemu-system-x86 ")


def test_nothing_missing_leaves_apt_alone(checkout: Checkout) -> None:
    checkout.run("doctor")
    assert not any(call.startswith("apt-get") for call in checkout.calls)


def test_broken_foreign_package_source_does_not_stop_set_up(checkout: Checkout) -> None:
    (checkout.programs / "setpriv").unlink()
    checkout.put("apt-get", NOTE_CALL.format(name="apt-get") + '[ "$1" != update ] || exit 100\n')
    done = checkout.run("doctor")
    assert done.returncode == 0
    assert "apt-get update had complaints" in done.stderr
    assert any("install" in call and "util-linux" in call for call in checkout.calls)


def test_sudo_installs_for_a_user(checkout: Checkout) -> None:
    (checkout.programs / "qemu-system-x86_64").unlink()
    checkout.put("id", "echo 1000\n")
    checkout.put("sudo", NOTE_CALL.format(name="sudo") + 'exec "$@"\n')
    assert checkout.run("doctor").returncode == 0
    assert any(
        call.startswith("sudo env DEBIAN_FRONTEND=noninteractive apt-get install") for call in checkout.calls
    )


def one_error(done: subprocess.CompletedProcess[str]) -> str:
    """Return the text of the one line that says why set-up failed."""
    assert done.returncode == 3
    assert done.stdout == ""
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("ttylab: error: ")]
    return line


def test_neither_root_nor_sudo_names_the_command_to_run(checkout: Checkout) -> None:
    (checkout.programs / "qemu-system-x86_64").unlink()
    checkout.put("id", "echo 1000\n")
    line = one_error(checkout.run("doctor", TTYLAB_SETUP_QUIET="1"))
    assert line.endswith("as root run: apt-get install --yes --no-install-recommends qemu-system-x86")


def test_failing_install_is_one_line(checkout: Checkout) -> None:
    (checkout.programs / "qemu-system-x86_64").unlink()
    checkout.put("apt-get", "exit 100\n")
    assert "could not install the Debian packages" in one_error(checkout.run("doctor"))


def test_system_without_apt_is_told_what_to_install(checkout: Checkout) -> None:
    for name in ("qemu-system-x86_64", "apt-get"):
        (checkout.programs / name).unlink()
    assert "this system has no apt-get" in one_error(checkout.run("doctor"))


def test_old_python_is_one_line(checkout: Checkout) -> None:
    line = one_error(checkout.run("doctor", PYTHON_TOO_OLD="1"))
    assert "Python 3.11 or newer is needed and Python 3.9.2 is here" in line


def test_failing_packages_are_one_line_and_leave_no_stamp(checkout: Checkout) -> None:
    checkout.put("python3", PYTHON.replace('"-P -m', '"-m pip "*) exit 1 ;;\n"-P -m'))
    assert "could not be installed" in one_error(checkout.run("doctor"))
    assert not (checkout.root / ".venv" / "ttylab-stamp").exists()


def test_quiet_set_up_says_nothing(checkout: Checkout) -> None:
    assert checkout.run("doctor", TTYLAB_SETUP_QUIET="1").stderr == ""


@pytest.mark.parametrize("arguments", [["run"], ["run", "-k", "nmi"], ["--debug", "run", "--list"], ["boot"]])
def test_command_is_all_that_is_started_where_nothing_is_missing(
    checkout: Checkout, arguments: list[str]
) -> None:
    checkout.run("doctor")
    checkout.forget_calls()
    done = checkout.run(*arguments)
    assert done.stdout == f"ran: -P -m harness {' '.join(arguments)}\n"
    assert checkout.calls == [f"python -P -m harness {' '.join(arguments)}"]


def test_run_reads_its_matrix_before_it_fetches_what_is_missing(checkout: Checkout) -> None:
    refuses = '"-P -m harness run"*--check*) echo "nosuch.toml: not there" >&2; exit 2 ;;\n"-P -m harness "*)'
    checkout.put("python3", PYTHON.replace('"-P -m harness "*)', refuses))
    checkout.run("doctor")
    checkout.forget_calls()
    (checkout.programs / "qemu-img").unlink()
    done = checkout.run("run", "nosuch.toml", "-k", "a b")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "nosuch.toml: not there\n")
    assert checkout.calls == ["python -P -m harness run --check nosuch.toml -k a b"]


@pytest.mark.parametrize("arguments", [["scenarios", "show", "run"], ["boot", "-k", "run x"]])
def test_only_the_command_run_looks_for_what_guests_need(checkout: Checkout, arguments: list[str]) -> None:
    checkout.run("doctor")
    (checkout.programs / "qemu-img").unlink()
    assert checkout.run(*arguments).stderr == ""


@pytest.mark.parametrize("command", ["run", "test"])
def test_what_guests_need_and_is_gone_since_set_up_is_installed(checkout: Checkout, command: str) -> None:
    checkout.run("doctor")
    (checkout.programs / "qemu-img").unlink()
    assert "guests need, with apt-get: qemu-utils\n" in checkout.run(command).stderr
    assert any(call.startswith("apt-get install") and " qemu-utils " in call for call in checkout.calls)
    checkout.forget_calls()
    checkout.run("run", "--list")
    assert not any(call.startswith("apt-get") for call in checkout.calls)
