"""ci/Containerfile: the packages of launcher and doctor; an image that runs ttylab where one can be built.

It is built by buildah, podman or docker where one works; BASE names an image of Debian that is here already.
Everywhere the file is read, and what it installs compared.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.doctor.examination import IMAGE_TOOLS
from tests.support.stranger.installed import CHECKOUT, build_wheel

FILE = CHECKOUT / "ci/Containerfile"
BOUND_S = 900
PYTHON = {"ca-certificates", "python3", "python3-venv"}
INSTRUCTIONS = {"ARG", "FROM", "RUN", "ENV", "COPY", "USER", "VOLUME", "WORKDIR", "ENTRYPOINT"}


def instructions(text: str) -> list[tuple[str, str]]:
    """Return the instructions of a Containerfile with their words; comments and joined lines are gone."""
    lines = "".join(f"{line}\n" for line in text.splitlines() if not line.lstrip().startswith("#"))
    joined = lines.replace("\\\n", " ").splitlines()
    return [
        (word, " ".join(rest.split())) for word, _, rest in (line.partition(" ") for line in joined) if word
    ]


def installed(text: str) -> set[str]:
    """Return the Debian packages that a Containerfile installs."""
    return {
        word
        for _, words in instructions(text)
        for found in re.findall(r"apt-get install ([^&|;]*)", words)
        for word in found.split()
        if not word.startswith("-")
    }


def packages_of_launcher() -> set[str]:
    text = (CHECKOUT / "ttylab").read_text()
    (body,) = re.findall(r"^missing_for_guests\(\) \{.*?\n(.*?)^\}", text, re.MULTILINE | re.DOTALL)
    return set(re.findall(r"\|\| echo ([a-z0-9-]+)", body))


def packages_of_doctor() -> set[str]:
    """Return every package that a remedy of the emulator or the doctor names, but for what only some need."""
    sources = [*(CHECKOUT / "emulator/machine").rglob("*.py"), *(CHECKOUT / "harness/doctor").rglob("*.py")]
    named = {
        name
        for path in sources
        for name in re.findall(r"[\"']apt-get install ([a-z0-9.+-]+)", path.read_text())
    }
    return named | {"qemu-utils"} - set(IMAGE_TOOLS.values())


def test_it_installs_what_launcher_and_doctor_ask_for_and_python() -> None:
    there = installed(FILE.read_text())
    assert there - PYTHON == packages_of_launcher()
    assert there >= PYTHON


def test_doctor_asks_for_nothing_that_the_container_lacks() -> None:
    assert packages_of_doctor() - {"swtpm"} <= installed(FILE.read_text())


@pytest.mark.parametrize("package", ["qemu-system-x86", "ovmf"])
def test_a_package_that_is_missing_is_noticed(package: str) -> None:
    text = FILE.read_text().replace(f" {package}", "")
    assert installed(text) - PYTHON != packages_of_launcher()


def test_it_is_made_of_a_wheel_alone_and_runs_as_a_user() -> None:
    said = instructions(FILE.read_text())
    assert {word for word, _ in said} <= INSTRUCTIONS
    assert [words for word, words in said if word == "COPY"] == ["ttylab-*.whl /tmp/wheel/"]
    order = [word for word, _ in said]
    assert order[-1] == "ENTRYPOINT"
    assert dict(said)["ENTRYPOINT"] == '["ttylab"]'
    assert dict(said)["USER"] == "ttylab"
    assert dict(said)["VOLUME"] == "/var/cache/ttylab"
    assert order.index("USER") < order.index("VOLUME")


def test_the_guide_says_how_to_build_and_run_it() -> None:
    assert "podman build -t ttylab -f ci/Containerfile dist/" in (CHECKOUT / "docs/howto/ci.md").read_text()


@pytest.fixture
def builder(tmp_path: Path) -> Path:
    """Return what notes its calls in place of buildah; the one in place of podman does not work."""
    calls = tmp_path / "calls"
    notes = f'echo "$*" >>{calls}; for last; do :; done; [ "$1" = info ] || ls "$last" >>{calls}'
    for name, script in {"buildah": "exit 1", "podman": notes}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    return calls


def container(*words: str | Path, path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", CHECKOUT / "ci/container", *words],
        env={"PATH": str(path), **environment},
        capture_output=True,
        text=True,
        timeout=BOUND_S,
        check=False,
    )


def test_a_builder_gets_the_file_and_a_context_of_the_wheel_alone(builder: Path, tmp_path: Path) -> None:
    for name in ("cp", "dirname", "ls", "mktemp", "readlink", "rm", "sh"):
        (tmp_path / name).symlink_to(shutil.which(name) or f"/missing/{name}")
    (tmp_path / "w").mkdir()
    wheel = tmp_path / "w/ttylab-1-py3-none-any.whl"
    wheel.touch()
    done = container(wheel, "--pull-never", path=tmp_path, BASE="localhost/bookworm")
    assert (done.returncode, done.stderr) == (0, "")
    _, call, *context = builder.read_text().splitlines()
    assert call.startswith(
        f"build --build-arg BASE=localhost/bookworm --file {FILE} --tag ttylab --pull-never "
    )
    assert context == [wheel.name]


def test_where_no_builder_works_it_says_so_and_builds_nothing(tmp_path: Path) -> None:
    done = container("x.whl", path=tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    assert "none of buildah, podman and docker works here; the container is not built" in done.stderr


def test_the_container_is_built_wherever_that_is_possible(tmp_path: Path) -> None:
    """The build itself runs ttylab and its doctor. Without a builder that is said, and all there is."""
    path = Path("/usr/bin:/bin:/usr/sbin:/sbin")
    which = container("--which", path=path)
    if which.returncode:
        assert which.returncode == 3
        assert "not built" in which.stderr
        return
    base = {name: os.environ[name] for name in ("BASE", "HOME") if name in os.environ}
    done = container(build_wheel(tmp_path), path=path, **base)
    assert done.returncode == 0, done.stdout + done.stderr
