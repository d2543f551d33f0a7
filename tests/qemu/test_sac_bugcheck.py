"""Bugchecks: what COM1 shows, the dump on the disk, and what comes after."""

import re
import struct

import pytest

from emulator.machine.spec import MachineType
from emulator.sac.disk import PARTITION, SECTOR
from emulator.sac.image import SacBoot, read_sac_dump, write_sac_disk
from emulator.sac.knobs import DumpKind, Hang
from emulator.sac.profile import IDENTITY
from tests.support.sac_guest import open_sac, soon

pytestmark = pytest.mark.qemu
NMI_PARAMETERS = b"0x00000000004F4454"
NOTHING = b"0x0000000000000000"


@pytest.fixture
def disk(tmp_path):
    path = tmp_path / "sac.img"
    write_sac_disk(path)
    return path


def crash(rig, way):
    if way == "nmi":
        rig.machine.nmi(soon())
    else:
        rig.press(b"crashdump\r")


@pytest.mark.parametrize(
    ("way", "code", "name", "first"),
    [
        ("nmi", b"80", b"NMI_HARDWARE_FAILURE", NMI_PARAMETERS),
        ("crashdump", b"E2", b"MANUALLY_INITIATED_CRASH", NOTHING),
    ],
)
@pytest.mark.parametrize("profile", ["2003", "2019", "2025"])
def test_bugcheck_is_told_in_order(tmp_path, profile, way, code, name, first):
    with open_sac(tmp_path, profile=profile, module="myfault.sys", computer_name="PC7") as rig:
        rig.reach_prompt()
        crash(rig, way)
        opened = rig.see("xml.bugcheck_open")
        assert opened.groups == (code,)
        assert opened.before.endswith(rig.profile.texts["xml.head"].wire)
        assert rig.expect(b"<name>([^<]*)</name>").groups == (b"PC7",)
        rig.see("xml.bugcheck_close")
        assert rig.expect(rb"!SAC>").before == b"\r\n"
        assert rig.see("bugcheck.problem").before == b""
        assert rig.see("bugcheck.give").groups == (name,)
        assert rig.see("bugcheck.module").groups == (b"myfault.sys",)
        assert rig.see("bugcheck.parameters").groups == (first, NOTHING, NOTHING, NOTHING)
        shown = [int(rig.see("bugcheck.progress").groups[0]) for _ in range(22)]
        assert shown == [0, *range(0, 101, 5)]
        rig.reach_prompt()
        assert rig.marks("RESET") >= 1


def test_no_module_is_blamed_unless_one_is_set(tmp_path):
    with open_sac(tmp_path, autoreboot=False) as rig:
        rig.reach_prompt()
        rig.machine.nmi(soon())
        rig.see("bugcheck.give")
        assert rig.see("bugcheck.parameters").before == b""


@pytest.mark.parametrize("kind", [DumpKind.SMALL, DumpKind.KERNEL, DumpKind.COMPLETE])
@pytest.mark.parametrize("machine", [MachineType.PC, MachineType.Q35])
def test_dump_is_on_the_disk_after_the_next_boot(tmp_path, disk, machine, kind):
    with open_sac(tmp_path, way=SacBoot.BIOS_DISK, machine=machine, disk=disk, crash_dump=kind) as rig:
        rig.reach_prompt()
        assert read_sac_dump(disk) is None
        rig.machine.nmi(soon())
        rig.expect(rb"100% complete")
        rig.reach_prompt()
        rig.enter_cmd()
        listed = rig.shell(b"dir C:\\Windows")
    dump = read_sac_dump(disk)
    assert (dump.code, dump.parameters, dump.comment) == (0x80, (0x4F4454, 0, 0, 0), IDENTITY)
    assert dump.size == {DumpKind.SMALL: 0x10000, DumpKind.KERNEL: 0x40000, DumpKind.COMPLETE: 0x100000}[kind]
    assert re.search(rb"%s MEMORY\.DMP" % f"{dump.size:,}".encode(), listed)
    assert IDENTITY.encode() in dump.content[0x2000:]  # memory of the guest


def test_dump_of_another_disk_guest_survives_power_cycles_and_is_replaced(tmp_path, disk):
    with open_sac(tmp_path, way=SacBoot.PVH, disk=disk) as rig:
        rig.reach_prompt()
        for way, code in (("nmi", 0x80), ("crashdump", 0xE2)):
            crash(rig, way)
            rig.expect(rb"100% complete")
            rig.reach_prompt()
            assert read_sac_dump(disk).code == code
        rig.machine.power_off(soon())
        rig.machine.power_on(soon())
        rig.reach_prompt()
    assert read_sac_dump(disk).code == 0xE2


def cut_power(machine):
    machine.power_off(soon())
    machine.power_on(soon())


CUTS = {"reset": lambda machine: machine.reset(soon()), "power": cut_power}


def stop_in_dump(rig, percent):
    rig.reach_prompt()
    rig.machine.nmi(soon())
    rig.expect(b"%d%% complete" % percent)


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("percent", [0, 5, 50, 95])
def test_dump_that_is_cut_off_leaves_none(tmp_path, disk, percent, cut):
    new = disk.read_bytes()
    stuck = {"hang": Hang.STUCK_DUMP, "stuck_percent": percent}
    with open_sac(tmp_path, way=SacBoot.BIOS_DISK, disk=disk, **stuck) as rig:
        stop_in_dump(rig, percent)
        CUTS[cut](rig.machine)
        rig.reach_prompt()
        assert b"MEMORY.DMP" not in rig.run(b"d")
        rig.enter_cmd()
        told = rig.shell(b"wevtutil qe System /f:text")
    assert (b"Event ID: 1001" in told) == (cut == "reset")  # what a bugcheck notes does not outlive QEMU
    assert b"MEMORY.DMP" not in told
    assert read_sac_dump(disk) is None
    assert (disk.read_bytes() == new) == (percent == 0)  # the others had begun


def test_dump_that_goes_on_is_cut_off_by_a_reset(tmp_path, disk):
    with open_sac(tmp_path, way=SacBoot.BIOS_DISK, disk=disk, dump_step_ms=60_000) as rig:
        stop_in_dump(rig, 0)
        CUTS["reset"](rig.machine)
        rig.reach_prompt()
    assert read_sac_dump(disk) is None


@pytest.mark.parametrize("kind", [DumpKind.SMALL, DumpKind.KERNEL, DumpKind.COMPLETE])
def test_dump_that_is_cut_off_leaves_the_one_before_it(tmp_path, disk, kind):
    with open_sac(tmp_path / "whole", way=SacBoot.BIOS_DISK, disk=disk) as rig:
        rig.reach_prompt()
        crash(rig, "crashdump")
        rig.expect(rb"100% complete")
        rig.reach_prompt()
    before = read_sac_dump(disk)
    for percent in (50, 95):
        stuck = {"hang": Hang.STUCK_DUMP, "stuck_percent": percent, "crash_dump": kind}
        with open_sac(tmp_path / str(percent), way=SacBoot.BIOS_DISK, disk=disk, **stuck) as rig:
            stop_in_dump(rig, percent)
            CUTS["reset"](rig.machine)
            rig.reach_prompt()
        assert read_sac_dump(disk) == before
    assert before.code == 0xE2


def test_dump_that_hangs_when_it_is_whole_is_kept(tmp_path, disk):
    stuck = {"hang": Hang.STUCK_DUMP, "stuck_percent": 100}
    with open_sac(tmp_path, way=SacBoot.BIOS_DISK, disk=disk, **stuck) as rig:
        stop_in_dump(rig, 100)
        CUTS["reset"](rig.machine)
        rig.reach_prompt()
        assert b"MEMORY.DMP was written." in rig.run(b"d")
        rig.enter_cmd()
        assert b"A dump was saved in: C:\\Windows\\MEMORY.DMP" in rig.shell(b"wevtutil qe System /f:text")
    assert read_sac_dump(disk).code == 0x80


def test_dumps_of_all_sizes_replace_each_other_and_leave_no_cluster_behind(tmp_path, disk):
    seen = []
    for number, kind in enumerate([DumpKind.COMPLETE, DumpKind.SMALL, DumpKind.COMPLETE, DumpKind.SMALL]):
        with open_sac(tmp_path / str(number), way=SacBoot.BIOS_DISK, disk=disk, crash_dump=kind) as rig:
            rig.reach_prompt()
            crash(rig, "nmi")
            rig.expect(rb"100% complete")
            rig.reach_prompt()
        dump = read_sac_dump(disk)
        seen.append((dump.size, clusters_in_use(disk)))
    assert len(set(seen)) == 2  # for each size always as many


def clusters_in_use(disk):
    first_fat = (PARTITION + 1) * SECTOR
    table = disk.read_bytes()[first_fat : first_fat + 2 * 4402]
    return sum(1 for entry in struct.unpack("<4402H", table) if entry)


def test_events_tell_of_the_bugcheck_after_the_next_boot(tmp_path):
    with open_sac(tmp_path, way=SacBoot.BIOS_DISK) as rig:
        rig.reach_prompt()
        rig.machine.nmi(soon())
        rig.expect(rb"100% complete")
        rig.reach_prompt()
        assert b"The computer has rebooted from a bugcheck." in rig.run(b"d")
        rig.enter_cmd()
        told = rig.shell(b"wevtutil qe System /f:text")
        assert b"Event ID: 1001" in told
        assert b"The bugcheck was: 0x00000080 (0x00000000004f4454, " in told
        assert b"Event ID: 41" in told


def test_guest_without_autoreboot_answers_at_its_crash_prompt(tmp_path):
    with open_sac(tmp_path, autoreboot=False) as rig:
        rig.reach_prompt()
        rig.machine.nmi(soon())
        rig.expect(rb"100% complete\r\n!SAC>")
        for line, answer in (
            (b"help", rig.profile.texts["bugcheck.help"].wire),
            (b"?", rig.profile.texts["bugcheck.help"].wire),
            (b"id", rig.profile.texts["bugcheck.unknown_command"].wire),
            (b"ch", rig.profile.texts["bugcheck.unknown_command"].wire),
        ):
            rig.press(line + b"\r")
            rig.expect(re.escape(line) + rb"\r\n")
            assert rig.expect(rb"!SAC>").before == answer
        rig.press(b"d\r")
        assert IDENTITY.encode() in rig.expect(rb"!SAC>").before
        rig.press(b"rx\x08estart\r")
        rig.see("bugcheck.restarting")
        rig.reach_prompt()


def test_crash_prompt_of_2003_knows_more(tmp_path):
    with open_sac(tmp_path, profile="2003", autoreboot=False) as rig:
        rig.reach_prompt()
        rig.machine.nmi(soon())
        rig.expect(rb"!SAC>")
        rig.expect(rb"!SAC>")
        rig.press(b"id\r")
        rig.expect(rb"Computer Name: WIN-TTYLAB\r\n")
        rig.press(b"q\r")
        rig.wait_mark("RESET")


def test_second_nmi_and_no_typing_change_a_bugcheck(tmp_path):
    with open_sac(tmp_path, autoreboot=False, dump_step_ms=20) as rig:
        rig.reach_prompt()
        rig.machine.nmi(soon())
        rig.expect(rb"10% complete")
        rig.machine.nmi(soon())
        rig.press(b"ch\r\x1b\t")
        rig.expect(rb"100% complete\r\n!SAC>")
        assert rig.machine.transcript.read().count(b"<BP>") == 1


def test_crashdump_fails_when_dumps_are_off(tmp_path):
    with open_sac(tmp_path, crash_dump=DumpKind.NONE) as rig:
        rig.reach_prompt()
        assert rig.run(b"crashdump") == rig.profile.texts["sac.crashdump_failed"].wire
        rig.machine.nmi(soon())
        rig.see("bugcheck.parameters")
        assert b"complete" not in rig.see("boot.banner").before


@pytest.mark.parametrize("moment", ["typing", "redraw", "cmd", "paging"])
def test_nmi_ends_whatever_is_under_way(tmp_path, moment):
    with open_sac(tmp_path) as rig:
        rig.reach_prompt()
        if moment == "typing":
            rig.press(b"half a li")
            rig.expect(b"half")
        elif moment == "redraw":
            rig.press(b"\x1b\t\r")
            rig.see("channel.header")
        elif moment == "cmd":
            rig.enter_cmd()
        else:
            rig.press(b"t\r")
            rig.see("sac.more")
        rig.machine.nmi(soon())
        assert rig.see("xml.bugcheck_open").groups == (b"80",)
        rig.reach_prompt()
        assert rig.run(b"zzz") == rig.profile.texts["sac.unknown_command"].wire
