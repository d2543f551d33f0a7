"""An unattended installation, played by a CD of a few bytes: it is sealed and registered, or nothing is."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from emulator.clock import Deadline
from emulator.errors import DeadlineExceeded, ImageError, MissingPrerequisite
from emulator.machine.ledger import collect_garbage
from emulator.machine.machine import open_machine
from emulator.machine.qemu_binary import find_qemu
from emulator.machine.spec import Firmware
from emulator.windows.answer_file import Answers
from emulator.windows.image import Level, windows_spec
from emulator.windows.install import INSTALLING, Installation, install_windows
from emulator.windows.registry import WindowsRegistry
from harness import cli
from tests.support.boot_sectors import IDLE, SWITCH_OFF
from tests.support.sac_guest import TCG
from tests.support.windows_media import COM2, CORE, DESKTOP, saying_on, write_iso, write_media

pytestmark = pytest.mark.qemu
CHECKOUT = Path(__file__).parents[2]
GOOD = saying_on(COM2, b"IMAGE-STAGE setup\r\nIMAGE-STAGE specialize\r\nnoise\r\nIMAGE-READY\r\n", SWITCH_OFF)
ANSWERS = Answers(image_index=1, password="Secret-99", firmware=Firmware.SEABIOS)


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    monkeypatch.setenv("TTYLAB_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("TTYLAB_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def install(tmp_path):
    """Install from a CD that runs `code`; return the base and the stages that were told."""

    def run(code, *, seconds=120, **fields):
        iso = write_iso(tmp_path / "server.iso", {"/x": b"x"}, boot=code)
        wanted = Installation(name="ws", iso=iso, answers=ANSWERS, memory_mib=256, vcpus=1)
        told: list[str] = []
        base = install_windows(
            replace(wanted, **fields),
            root=tmp_path / "root",
            run_dir=tmp_path / "evidence",
            deadline=Deadline.after(seconds),
            tell=told.append,
        )
        return base, told

    return run


def left_in(root):
    kept = ("spcr-", ".install.lock")
    return sorted(path.name for path in root.iterdir() if not path.name.startswith(kept))


def test_guest_that_is_ready_is_sealed(tmp_path, install):
    base, told = install(GOOD, tpm=True)
    assert told == ["booting the media", "setup", "specialize"]
    assert base == tmp_path / "root/bases/ws.qcow2"
    assert stat.S_IMODE(base.stat().st_mode) == 0o400
    assert left_in(tmp_path / "root") == ["bases"]
    with pytest.raises(ImageError, match="exists already"):
        install(GOOD)


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (b"", "without saying IMAGE-READY on COM2; last stage reported: no stage at all"),
        (
            b"IMAGE-STAGE setup\r\nIMAGE-READY? no\r\n",
            "stage reported: setup; its console and COM2 are in",
        ),
    ],
)
def test_guest_that_ends_without_being_ready_leaves_nothing_but_evidence(tmp_path, install, said, text):
    with pytest.raises(ImageError) as caught:
        install(saying_on(COM2, said, SWITCH_OFF))
    assert text in str(caught.value)
    assert left_in(tmp_path / "root") == []
    assert (tmp_path / "evidence/com2.log").read_bytes() == said


def test_guest_that_is_never_ready_is_given_up(tmp_path, install):
    with pytest.raises(DeadlineExceeded, match="not ready in time; last stage reported: setup"):
        install(saying_on(COM2, b"IMAGE-STAGE setup\r\n", IDLE), seconds=4)
    assert left_in(tmp_path / "root") == []


def test_mark_alone_is_not_enough(tmp_path, install):
    with pytest.raises(DeadlineExceeded, match="not ready in time"):
        install(saying_on(COM2, b"IMAGE-READY\r\n", IDLE), seconds=4)
    assert left_in(tmp_path / "root") == []


@pytest.mark.parametrize("firmware", [Firmware.SEABIOS, Firmware.OVMF])
def test_media_that_nothing_boots_from_are_told_long_before_the_deadline(tmp_path, install, firmware):
    with pytest.raises(ImageError, match="nothing boots: the firmware found neither disk nor CD"):
        install(None, seconds=3600, answers=replace(ANSWERS, firmware=firmware))
    assert left_in(tmp_path / "root") == []


def put_program(tmp_path, monkeypatch, name, text):
    directory = tmp_path / "bin"
    directory.mkdir(exist_ok=True)
    (directory / name).write_text(text)
    (directory / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")


def test_disk_that_can_not_be_made_is_told(tmp_path, install, monkeypatch):
    fails = '#!/bin/sh\n: >"$5"\necho "qemu-img: $5: No space left on device" >&2; exit 1\n'
    put_program(tmp_path, monkeypatch, "qemu-img", fails)
    with pytest.raises(ImageError, match=r"qemu-img create failed: .*No space left"):
        install(GOOD)
    assert left_in(tmp_path / "root") == []


def test_full_disk_is_told_while_the_guest_waits(tmp_path, install, monkeypatch):
    """The disk's file may not grow, as on a full file system; the guest writes a sector to it by int 13h."""
    limit = "trap '' XFSZ\nulimit -f 400\n"  # blocks of 512 bytes: what qemu-img makes, and no cluster more
    put_program(tmp_path, monkeypatch, "qemu-few-bytes", f'#!/bin/sh\n{limit}exec {find_qemu().path} "$@"\n')
    monkeypatch.setenv("TTYLAB_QEMU", str(shutil.which("qemu-few-bytes")))
    write_sector = bytes.fromhex("b8 01 03 bb 00 7c b9 02 00 ba 80 00 cd 13")
    with pytest.raises(ImageError, match="a disk can't be written: the host's is full, or failed"):
        install(write_sector + IDLE, seconds=3600)
    assert left_in(tmp_path / "root") == []


def test_missing_program_is_told_with_its_remedy(tmp_path, install, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(MissingPrerequisite, match="qemu-img is missing; apt-get install qemu-utils"):
        install(GOOD)
    assert left_in(tmp_path / "root") == []


# -- the command -------------------------------------------------------------------------------


@pytest.fixture
def media(tmp_path):
    return write_media(tmp_path / "server.iso", CORE, DESKTOP, boot=GOOD)


def words(media, *more):
    fixed = ("--firmware", "seabios", "--edition", "1", "--memory", "256", "--name", "ws")
    return ["images", "add-windows", "--iso", str(media), "--install", *fixed, *more]


def test_command_installs_registers_boots_and_forgets(tmp_path, media, capfd):
    assert cli.main(words(media)) == 0
    said = capfd.readouterr()
    assert "ttylab: ws: specialize\n" in said.err
    image = WindowsRegistry().open("ws")
    assert (image.level, image.release, image.user) == (Level.INSTALLED, "2022", "Administrator")
    assert len(image.password) > 12
    assert image.password not in said.out + said.err
    spec = windows_spec(image, memory_mib=256)
    assert spec.disks[0].discard_writes
    before = image.path.read_bytes()
    with open_machine(spec, run_dir=tmp_path / "run", accelerator=TCG):
        pass
    assert image.path.read_bytes() == before
    assert cli.main(words(media)) == 2
    assert "there is an image 'ws' already" in capfd.readouterr().err
    assert cli.main(["images", "remove-windows", "ws"]) == 0
    assert not image.path.exists()
    assert media.exists()


def test_command_that_is_killed_registers_nothing_and_the_next_one_cleans_up(tmp_path, media):
    write_media(media, CORE, boot=saying_on(COM2, b"IMAGE-STAGE setup\r\n", IDLE))
    root = WindowsRegistry().root
    argv = [sys.executable, "-P", "-m", "harness", *words(media)]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with subprocess.Popen(argv, cwd=CHECKOUT, text=True, **pipes) as command:
        for line in command.stderr:
            if line == "ttylab: ws: setup\n":
                break
        command.send_signal(signal.SIGKILL)
        command.wait()
    collect_garbage()  # the machine's sockets
    assert WindowsRegistry().images() == {}
    left = [path for path in root.glob(f"{INSTALLING}*") if path.is_dir()]
    assert len(left) == 1
    write_media(media, CORE, boot=GOOD)
    assert cli.main(words(media)) == 0
    assert not list(root.glob(f"{INSTALLING}*"))
    assert list(WindowsRegistry().images()) == ["ws"]


def test_command_that_is_interrupted_leaves_nothing(tmp_path, media):
    write_media(media, CORE, boot=saying_on(COM2, b"IMAGE-STAGE setup\r\n", IDLE))
    argv = [sys.executable, "-P", "-m", "harness", *words(media)]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with subprocess.Popen(argv, cwd=CHECKOUT, text=True, **pipes) as command:
        for line in command.stderr:
            if line == "ttylab: ws: setup\n":
                break
        command.send_signal(signal.SIGINT)
        rest = command.stderr.read()
        assert command.wait() == 130
    assert rest == "ttylab: interrupted\n"
    assert WindowsRegistry().images() == {}
    assert not list(WindowsRegistry().root.glob(f"{INSTALLING}*"))


def test_installation_that_fails_ends_with_3_and_registers_nothing(tmp_path, media, capfd):
    write_media(media, CORE, boot=SWITCH_OFF)
    assert cli.main(words(media)) == 3
    assert "without saying IMAGE-READY" in capfd.readouterr().err
    assert WindowsRegistry().images() == {}


def test_argv_and_evidence_hold_no_password(tmp_path, install):
    install(GOOD)
    kept = b"".join(path.read_bytes() for path in (tmp_path / "evidence").iterdir())
    assert b"Secret-99" not in kept
    assert json.loads((tmp_path / "evidence/argv.json").read_text())["spec"]["windows"]["cdroms"]
