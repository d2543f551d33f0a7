import stat

import pytest

from emulator.errors import MissingPrerequisite
from emulator.machine.architectures.arm64 import ARM64
from emulator.machine.argv import FirmwareFiles
from emulator.machine.qemu_binary import find_uefi, open_private_vars


def put(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"flash")


@pytest.mark.parametrize(
    ("code", "variables"),
    [
        ("usr/share/OVMF/OVMF_CODE_4M.fd", "usr/share/OVMF/OVMF_VARS_4M.fd"),
        ("usr/share/edk2/x64/OVMF_CODE.4m.fd", "usr/share/edk2/x64/OVMF_VARS.4m.fd"),
        ("usr/share/edk2/ovmf/OVMF_CODE.fd", "usr/share/edk2/ovmf/OVMF_VARS.fd"),
    ],
)
def test_find_uefi_finds_it_where_distributions_put_it(tmp_path, code, variables):
    put(tmp_path, code, variables)
    assert find_uefi(root=tmp_path) == FirmwareFiles(code=tmp_path / code, vars_template=tmp_path / variables)


def test_find_uefi_finds_that_of_arm64_and_names_its_package(tmp_path):
    with pytest.raises(MissingPrerequisite, match=r"AAVMF \(.*\).*apt-get install qemu-efi-aarch64"):
        find_uefi(ARM64.uefi, root=tmp_path)
    put(tmp_path, "usr/share/AAVMF/AAVMF_CODE.fd", "usr/share/AAVMF/AAVMF_VARS.fd")
    assert find_uefi(ARM64.uefi, root=tmp_path).code.name == "AAVMF_CODE.fd"


def test_find_uefi_never_mixes_two_builds(tmp_path):
    put(tmp_path, "usr/share/OVMF/OVMF_CODE_4M.fd", "usr/share/OVMF/OVMF_VARS.fd")
    with pytest.raises(MissingPrerequisite, match="apt-get install ovmf"):
        find_uefi(root=tmp_path)


def test_open_private_vars_copies_and_removes(tmp_path):
    put(tmp_path, "VARS.fd")
    files = FirmwareFiles(code=tmp_path / "CODE.fd", vars_template=tmp_path / "VARS.fd")
    (tmp_path / "run").mkdir()
    with open_private_vars(files, run_dir=tmp_path / "run") as copy:
        assert copy.read_bytes() == b"flash"
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
        copy.write_bytes(b"changed by the guest")
    assert not list((tmp_path / "run").iterdir())
    assert files.vars_template.read_bytes() == b"flash"


def test_open_private_vars_leaves_nothing_when_the_template_is_gone(tmp_path):
    files = FirmwareFiles(code=tmp_path / "CODE.fd", vars_template=tmp_path / "VARS.fd")
    with pytest.raises(FileNotFoundError), open_private_vars(files, run_dir=tmp_path):
        pass
    assert not list(tmp_path.iterdir())
