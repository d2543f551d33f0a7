from dataclasses import replace
from pathlib import Path

import pytest

from emulator.disks.formats import DiskFormat
from emulator.errors import SpecError
from emulator.machine.argv import FirmwareFiles, QemuVersion, RamFile, Wiring, build_argv
from emulator.machine.spec import (
    Device,
    Disk,
    DiskBus,
    Firmware,
    MachineSpec,
    MachineType,
    WatchdogAction,
)

QEMU_7 = QemuVersion(7, 2, 22)
WIRING = Wiring(console_path=Path("/dev/pts/7"), qmp_fd=5)
OVMF = FirmwareFiles(code=Path("/fw/CODE.fd"), vars_template=Path("/fw/VARS.fd"))


def spec_of(machine, **fields):
    fields = {
        "kernel": Path("/k/vmlinux"),
        "initrd": Path("/k/initrd"),
        "command_line": ("a=1", "b"),
    } | fields
    return MachineSpec(name="m1", machine=machine, **fields)


def argv_of(spec, *, wiring=WIRING, firmware=None, accelerator="tcg"):
    return build_argv(
        spec, qemu="qemu", accelerator=accelerator, wiring=wiring, version=QEMU_7, firmware=firmware
    )


def golden(text):
    return tuple(text.replace("\n", " ").split())


HEAD = """qemu -name guest=m1,debug-threads=on -S -nodefaults -no-user-config
-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny
-machine {board} -m 256M -smp 1 -rtc base=utc -display none"""
CPU = "-accel tcg,thread=single,tb-size=128 -cpu qemu64,-svm,-cx16"
LINES = """-chardev socket,id=qmp,fd=5 -mon chardev=qmp,mode=control
-chardev serial,id=ttyS0,path=/dev/pts/7 -serial chardev:ttyS0"""
RNG = "-object rng-builtin,id=rng0 -device virtio-rng-pci,rng=rng0"
KERNEL = ("-kernel", "/k/vmlinux", "-initrd", "/k/initrd", "-append", "a=1 b")


@pytest.mark.parametrize("machine", [MachineType.PC, MachineType.Q35])
def test_build_argv_is_the_golden_one_under_seabios(machine):
    text = f"{HEAD.format(board=machine)} -vga std -boot menu=off {CPU} {LINES} {RNG}"
    assert argv_of(spec_of(machine)) == golden(text) + KERNEL


@pytest.mark.parametrize("machine", [MachineType.PC, MachineType.Q35])
def test_build_argv_is_the_golden_one_under_ovmf(machine):
    argv = argv_of(
        spec_of(machine, firmware=Firmware.OVMF),
        wiring=replace(WIRING, vars_file=Path("/run/a,b/vars.fd")),
        firmware=OVMF,
    )
    flash = """-drive if=pflash,format=raw,unit=0,readonly=on,file=/fw/CODE.fd
    -drive if=pflash,format=raw,unit=1,file=/run/a,,b/vars.fd"""
    text = f"{HEAD.format(board=machine)} -vga std -boot menu=off {CPU} {LINES} {flash} {RNG}"
    assert argv == golden(text) + KERNEL


def test_build_argv_is_the_golden_one_on_microvm():
    text = f"{HEAD.format(board='microvm,acpi=off')} {CPU} {LINES} -device i8042"
    assert argv_of(spec_of(MachineType.MICROVM)) == golden(text) + KERNEL


def test_build_argv_adds_what_was_asked_for():
    spec = spec_of(
        MachineType.PC,
        devices=frozenset(Device),
        watchdog_action=WatchdogAction.INJECT_NMI,
        bulk_console=True,
        firmware_on_serial=True,
        seed=7,
        vcpus=2,
        disks=(
            Disk(path=Path("/d/a,b.raw"), discard_writes=True),
            Disk(path=Path("/d/c.qcow2"), format=DiskFormat.QCOW2, bus=DiskBus.SATA),
            Disk(path=Path("/d/e.raw"), read_only=True),
        ),
    )
    wiring = replace(WIRING, bulk_fd=6, console_logfile=Path("/run/x,y.log"))
    added = set(argv_of(spec, wiring=wiring)) - set(argv_of(spec_of(MachineType.PC)))
    assert added == set(
        golden("""pc,graphics=off -seed 7 2 -action panic=none watchdog=inject-nmi pvpanic i6300esb
        serial,id=ttyS0,path=/dev/pts/7,logfile=/run/x,,y.log,logappend=on
        socket,id=bulk,fd=6 virtio-serial-pci virtserialport,chardev=bulk,name=ttylab.bulk -drive
        if=none,id=disk0,format=raw,file=/d/a,,b.raw,snapshot=on,cache.no-flush=on virtio-blk-pci,drive=disk0
        if=none,id=disk1,format=qcow2,file=/d/c.qcow2,cache.no-flush=on ide-hd,bus=ide.0,unit=0,drive=disk1
        if=none,id=disk2,format=raw,file=/d/e.raw,readonly=on virtio-blk-pci,drive=disk2""")
    )


def test_build_argv_counts_instructions_and_tells_the_guest_a_tsc_of_1_ghz():
    spec = spec_of(MachineType.PC, icount_shift=3, tell_tsc=True)
    argv = build_argv(spec, qemu="qemu", accelerator="tcg", wiring=WIRING, version=QEMU_7, tsc_khz=2_596_100)
    added = golden("-icount shift=3,sleep=on")
    plain = argv_of(spec_of(MachineType.PC))
    assert [word for word in argv if word not in plain] == [*added, "a=1 b tsc_early_khz=1000000"]


def test_build_argv_counts_no_instructions_under_kvm():
    with pytest.raises(SpecError, match="icount_shift is 3; allowed: none with kvm"):
        argv_of(spec_of(MachineType.PC, icount_shift=3), accelerator="kvm")


def test_build_argv_boots_a_disk_when_there_is_no_kernel():
    disk = Disk(path=Path("/d/a.raw"))
    argv = argv_of(MachineSpec(name="m1", machine=MachineType.PC, disks=(disk,)))
    assert not {"-kernel", "-initrd", "-append", "-smbios"} & set(argv)


def test_build_argv_hands_the_command_line_to_a_disks_loader():
    disk = Disk(path=Path("/d/a.raw"))
    spec = MachineSpec(
        name="m1", machine=MachineType.PC, disks=(disk,), command_line=("a=1,2", "b"), tell_tsc=True
    )
    argv = build_argv(spec, qemu="qemu", accelerator="tcg", wiring=WIRING, version=QEMU_7, tsc_khz=2_596_100)
    assert argv[-2:] == ("-smbios", "type=1,sku=a=1,,2 b tsc_early_khz=2596100")
    assert not {"-kernel", "-initrd", "-append"} & set(argv)


def test_build_argv_hands_over_texts_and_an_identity():
    argv = argv_of(
        spec_of(
            MachineType.Q35,
            fw_cfg=(("opt/a", "x=1,2\n"),),
            smbios=(("manufacturer", "a,b"), ("uuid", "u")),
            qboot=True,
        )
    )
    handed = ("-fw_cfg", "name=opt/a,string=x=1,,2\n", "-smbios", "type=1,manufacturer=a,,b,uuid=u")
    assert argv[-10:] == (*handed, "-bios", "qboot.rom", *KERNEL)[-10:]
    assert argv[-12:-8] == handed


def test_build_argv_keeps_the_identity_beside_the_loaders_command_line():
    disk = Disk(path=Path("/d"))
    spec = MachineSpec(
        name="m1", machine=MachineType.PC, disks=(disk,), smbios=(("product", "p"),), command_line=("a",)
    )
    assert argv_of(spec)[-2:] == ("-smbios", "type=1,product=p,sku=a")


def test_build_argv_leaves_paths_of_direct_options_as_they_are():
    argv = argv_of(spec_of(MachineType.PC, kernel=Path("/a, b/vmlinux"), initrd=Path("/a, b/initrd")))
    assert {"/a, b/vmlinux", "/a, b/initrd"} <= set(argv)


def test_build_argv_shows_the_hosts_cpu_under_kvm():
    argv = argv_of(spec_of(MachineType.PC), accelerator="kvm")
    assert argv[argv.index("-accel") + 1] == "kvm"
    assert argv[argv.index("-cpu") + 1] == "host"


@pytest.mark.parametrize(
    ("fields", "wiring", "firmware", "text"),
    [
        ({"firmware": Firmware.OVMF}, WIRING, None, "firmware files: missing"),
        ({}, WIRING, OVMF, "firmware files: given"),
        ({"firmware": Firmware.OVMF}, WIRING, OVMF, "wiring.vars_file: missing"),
        ({}, replace(WIRING, vars_file=Path("/v")), None, "wiring.vars_file: given"),
        ({"bulk_console": True}, WIRING, None, "wiring.bulk_fd: missing"),
        ({}, replace(WIRING, bulk_fd=6), None, "wiring.bulk_fd: given"),
    ],
)
def test_build_argv_refuses_wiring_that_does_not_fit(fields, wiring, firmware, text):
    with pytest.raises(SpecError, match=text):
        argv_of(spec_of(MachineType.PC, **fields), wiring=wiring, firmware=firmware)


def test_version_is_parsed_from_qemus_own_words():
    said = "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)\nCopyright (c) 2003-2022"
    assert QemuVersion.parse(said) == QEMU_7
    assert str(QEMU_7) == "7.2.22"


@pytest.mark.parametrize("said", ["", "QEMU", "version 7.2.0", "QEMU emulator version 7.x.1"])
def test_version_is_none_when_there_is_none(said):
    assert QemuVersion.parse(said) is None


def test_versions_compare_in_the_order_of_release():
    assert QemuVersion(7, 2, 22) > QemuVersion(7, 2) > QemuVersion(7, 1, 30)
    assert QemuVersion(10, 0) > QemuVersion(9, 2)


def test_build_argv_tells_linux_the_tsc_only_under_tcg_and_only_when_asked():
    def appended(accelerator, *, tell_tsc):
        spec = spec_of(MachineType.PC, tell_tsc=tell_tsc)
        words = build_argv(
            spec, qemu="qemu", accelerator=accelerator, wiring=WIRING, version=QEMU_7, tsc_khz=2_596_100
        )
        return words[words.index("-append") + 1]

    assert appended("tcg", tell_tsc=True).endswith(" tsc_early_khz=2596100")
    assert "tsc_early_khz" not in appended("kvm", tell_tsc=True)
    assert "tsc_early_khz" not in appended("tcg", tell_tsc=False)


@pytest.mark.parametrize(("shared", "share"), [(True, "on"), (False, "off")])
def test_ram_may_be_a_file_that_is_shared_or_mapped_privately(shared, share):
    ram = RamFile(path=Path("/s/a,b/ram"), shared=shared)
    argv = " ".join(argv_of(spec_of(MachineType.PC), wiring=replace(WIRING, ram=ram)))
    backend = f"-object memory-backend-file,id=ram0,size=256M,share={share},mem-path=/s/a,,b/ram"
    assert f"-m 256M {backend} -machine memory-backend=ram0 " in argv


def test_only_a_fork_waits_for_a_state():
    assert argv_of(spec_of(MachineType.PC), wiring=replace(WIRING, incoming=True))[-2:] == (
        "-incoming",
        "defer",
    )
    assert "-incoming" not in argv_of(spec_of(MachineType.PC))


def test_generation_id_is_a_device_of_boards_with_acpi():
    assert "vmgenid,guid=auto" in argv_of(spec_of(MachineType.Q35, generation_id=True))
    assert "vmgenid,guid=auto" not in argv_of(spec_of(MachineType.Q35))
    with pytest.raises(SpecError, match="generation_id is True; allowed: false on microvm"):
        spec_of(MachineType.MICROVM, generation_id=True)
