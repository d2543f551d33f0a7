import pytest

from emulator.errors import SpecError
from emulator.machine.spec import Firmware, MachineSpec, MachineType
from emulator.sac.disk import DISK_BYTES
from emulator.sac.image import SacBoot, read_sac_dump, sac_spec, write_sac_disk
from emulator.sac.knobs import SacKnobs
from emulator.sac.profile import IDENTITY
from emulator.values import json_ready, read_value


@pytest.mark.parametrize("way", SacBoot)
def test_sac_spec_boots_what_the_way_says_and_tells_what_it_is(tmp_path, way):
    spec = sac_spec(way=way, root=tmp_path)
    from_disk = way in {SacBoot.BIOS_DISK, SacBoot.UEFI_DISK}
    assert (spec.kernel is None) == from_disk
    assert len(spec.disks) == from_disk
    assert spec.qboot == (way is SacBoot.PVH)
    assert (spec.firmware is Firmware.OVMF) == (way is SacBoot.UEFI_DISK)
    assert spec.smbios == (("manufacturer", "ttylab"), ("product", IDENTITY))
    assert spec.fw_cfg == (("opt/ttylab/sac", SacKnobs().to_fw_cfg()),)
    assert read_value(json_ready(spec), MachineSpec, origin="here", whole=True) == spec


@pytest.mark.parametrize("way", SacBoot)
def test_sac_spec_takes_a_disk_to_keep(tmp_path, way):
    path = tmp_path / "sac.img"
    (disk,) = sac_spec(way=way, disk=path, root=tmp_path).disks
    assert disk.path == path
    assert not disk.discard_writes


def test_sac_spec_shares_what_it_composes_and_leaves_nothing_else(tmp_path):
    for _ in range(2):
        shared = sac_spec(way=SacBoot.BIOS_DISK, root=tmp_path).disks[0]
    assert shared.discard_writes
    assert list(tmp_path.iterdir()) == [shared.path]
    assert shared.path.stat().st_size == DISK_BYTES
    assert shared.path.stat().st_blocks * 512 < 400_000


def test_pvh_has_no_multiboot_header(tmp_path):
    kernels = [sac_spec(way=way, root=tmp_path).kernel for way in (SacBoot.PVH, SacBoot.MULTIBOOT)]
    assert [b"\x02\xb0\xad\x1b" in kernel.read_bytes() for kernel in kernels] == [False, True]


def test_sac_spec_shows_a_uuid_only_if_there_is_one(tmp_path):
    uuid = "12345678-9abc-def0-1122-334455667788"
    assert ("uuid", uuid) in sac_spec(way=SacBoot.PVH, uuid=uuid, root=tmp_path).smbios


def test_sac_spec_refuses_a_microvm(tmp_path):
    with pytest.raises(SpecError, match="machine is microvm; allowed: pc q35"):
        sac_spec(way=SacBoot.PVH, machine=MachineType.MICROVM, root=tmp_path)


def test_written_disk_has_no_dump_and_is_not_written_over(tmp_path):
    path = tmp_path / "sac.img"
    write_sac_disk(path)
    assert read_sac_dump(path) is None
    with pytest.raises(FileExistsError):
        write_sac_disk(path)
