"""From a spec to QEMU's command line, and nothing else: same input, same argv.

The argv starts QEMU paused (`-S`) with nothing that was not asked for; whoever launches it connects
the console first and then says `cont` (docs/facts/qemu.md 3: what is printed before that is lost).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from emulator.errors import SpecError
from emulator.machine.spec import Device, DiskBus, Firmware, MachineSpec, MachineType
from emulator.machine.windows_parts import windows_cpu, windows_words

CONSOLE_CHARDEV = "ttyS0"
"""Id of the console's chardev: the one to name in QMP `chardev-send-break`."""
BULK_CHARDEV = "bulk"
BULK_PORT = "ttylab.bulk"
QMP_CHARDEV = "qmp"
RAM = "ram0"
"""Id of the memory backend where RAM is a file; it names the RAM in a snapshot."""
QBOOT = "qboot.rom"
"""Comes with QEMU, which finds it in its own data directory."""

SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
ICOUNT_TSC_KHZ = 1_000_000
"""Where instructions are counted, TCG's TSC counts the guest's nanoseconds (QEMU 7.2, icount_get)."""
TCG_CACHE_MIB = 128
"""MiB of translated code: with 16 a boot takes 4.5 s, with 64 or more 3.2 s (docs/facts/qemu.md 2)."""

_VERSION = re.compile(r"QEMU emulator version (\d+)\.(\d+)\.(\d+)")
_CX16_MEASURED_GOOD = (10, 0)


@dataclass(frozen=True, slots=True, order=True)
class QemuVersion:
    """A version of QEMU; versions compare in the order of release."""

    major: int
    minor: int
    micro: int = 0

    @classmethod
    def parse(cls, text: str) -> QemuVersion | None:
        """Return the version in the output of `--version`, None if there is none."""
        found = _VERSION.search(text)
        return None if found is None else cls(*(int(part) for part in found.groups()))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.micro}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuModel:
    """A CPU to show to the guest.

    Attributes:
        name: the value of `-cpu`.
        reason: why this one, for the report.
    """

    name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FirmwareFiles:
    """OVMF on the host.

    Attributes:
        code: the firmware, shared and read only.
        vars_template: the empty variable store, to be copied for each machine.
    """

    code: Path
    vars_template: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class RamFile:
    """A file that is the guest's RAM.

    Attributes:
        path: absolute path; made by QEMU if it is not there.
        shared: whether the guest's writes go into the file; else they stay private to the process.
    """

    path: Path
    shared: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """How a machine's lines reach ttylab.

    Attributes:
        console_path: a tty for QEMU to open as ttyS0's far end: the slave of a pty that ttylab made.
        qmp_fd: number, in the child, of a connected unix socket that speaks QMP.
        console_logfile: where QEMU itself writes what the guest prints; a witness.
        bulk_fd: number, in the child, of a connected unix socket for the bulk console.
        vars_file: this machine's own copy of the OVMF variable store.
        ram: a file instead of anonymous memory.
        incoming: whether QEMU waits for a snapshot to be loaded, instead of starting the firmware.
        com2_file: where COM2 of a machine for Windows writes.
        firmware_file: where SeaBIOS of a machine for Windows writes what it does.
        tpm_fd: number, in the child, of a connected unix socket that swtpm's control channel is at.
    """

    console_path: Path
    qmp_fd: int
    console_logfile: Path | None = None
    bulk_fd: int | None = None
    vars_file: Path | None = None
    ram: RamFile | None = None
    incoming: bool = False
    com2_file: Path | None = None
    firmware_file: Path | None = None
    tpm_fd: int | None = None


def cpu_model(version: QemuVersion, accelerator: Literal["tcg", "kvm"]) -> CpuModel:
    """Choose the CPU that is known to run every guest.

    The cx16 fact: docs/facts/qemu.md 2; 6 of 30 boots of 6.12 under QEMU 7.2, 0 of 30 under 10.0 and 11.
    Versions between were not measured, so they are treated like 7.2.
    """
    if accelerator == "kvm":
        return CpuModel(name="host", reason="KVM runs the host's own CPU")
    if (version.major, version.minor) >= _CX16_MEASURED_GOOD:
        return CpuModel(name="qemu64,-svm", reason="svm is masked so that kvm_amd stays out of the guest")
    return CpuModel(
        name="qemu64,-svm,-cx16",
        reason=f"cx16 is masked: TCG of QEMU {version} breaks cmpxchg16b, and kernels from 6.12 on oops "
        "with it (a lab fault); svm is masked so that kvm_amd stays out of the guest",
    )


def build_argv(
    spec: MachineSpec,
    *,
    qemu: Path | str,
    accelerator: Literal["tcg", "kvm"],
    wiring: Wiring,
    version: QemuVersion,
    firmware: FirmwareFiles | None = None,
    tsc_khz: int | None = None,
) -> tuple[str, ...]:
    """Return the command line of `spec`; QEMU starts paused and waits for `cont`.

    Args:
        spec: the machine.
        qemu: the program; it becomes the first word.
        accelerator: what the probe chose for the spec's `accelerator`.
        wiring: where its lines end.
        version: the program's version.
        firmware: OVMF's files; needed exactly when the spec asks for ovmf.
        tsc_khz: the host's TSC frequency, for a spec that tells it; None where it is not known.

    Raises:
        SpecError: the wiring or the firmware lacks what the spec needs, or has what it does not; or the spec
            counts instructions, which only tcg does.
    """
    _check_wiring(spec, wiring, firmware=firmware)
    if spec.icount_shift is not None:
        if accelerator != "tcg":
            raise SpecError(f"icount_shift is {spec.icount_shift}; allowed: none with {accelerator}")
        tsc_khz = ICOUNT_TSC_KHZ
    return (
        str(qemu),
        *_board(spec, wiring.ram),
        *_processor(spec, accelerator=accelerator, version=version),
        *_lines(wiring),
        *_firmware(wiring, firmware),
        *_devices(spec),
        *(word for index in range(len(spec.disks)) for word in _disk(spec, index=index)),
        *_windows(spec, wiring),
        *(word for name, text in spec.fw_cfg for word in _fw_cfg(name, text)),
        *_kernel(spec, tsc_khz=tsc_khz if accelerator == "tcg" else None),
        *(("-incoming", "defer") if wiring.incoming else ()),
    )


def escaped(value: Path | str) -> str:
    """Return `value` for use inside a comma-separated option: QEMU reads ',,' as one comma."""
    return str(value).replace(",", ",,")


def _check_wiring(spec: MachineSpec, wiring: Wiring, *, firmware: FirmwareFiles | None) -> None:
    uefi = spec.firmware is Firmware.OVMF
    wanted = {
        "firmware files": (firmware is not None, uefi),
        "wiring.vars_file": (wiring.vars_file is not None, uefi),
        "wiring.bulk_fd": (wiring.bulk_fd is not None, spec.bulk_console),
        "wiring.com2_file": (wiring.com2_file is not None, spec.windows is not None),
        "wiring.firmware_file": (wiring.firmware_file is not None, spec.windows is not None),
        "wiring.tpm_fd": (wiring.tpm_fd is not None, spec.windows is not None and spec.windows.tpm),
    }
    for name, (given, needed) in wanted.items():
        if given != needed:
            state = "missing" if needed else "given"
            raise SpecError(
                f"{name}: {state} for machine {spec.name} with firmware {spec.firmware}, "
                f"bulk_console {spec.bulk_console}, windows {spec.windows}"
            )


def _board(spec: MachineSpec, ram: RamFile | None) -> tuple[str, ...]:
    board = str(spec.machine)
    if spec.machine is MachineType.MICROVM:
        # With ACPI the board says "hardware reduced", Linux then ignores the PIT, and under TCG no
        # timer is left: stock kernels hang after "Unable to calibrate against PIT" (QEMU 7.2, 6.1).
        board += ",acpi=off"
    if spec.firmware_on_serial:
        # SeaBIOS and early GRUB print on serial only then (docs/facts/qemu.md 2).
        board += ",graphics=off"
    # VGA stays although nobody looks at it: `screendump` takes the guest's real screen from it.
    screen = () if spec.machine is MachineType.MICROVM else ("-vga", "std", "-boot", "menu=off")
    return (
        *("-name", f"guest={spec.name},debug-threads=on"),
        *("-S", "-nodefaults", "-no-user-config"),
        *("-sandbox", SANDBOX),
        *("-machine", board),
        *_memory(spec, ram),
        *("-smp", str(spec.vcpus)),
        *("-rtc", "base=utc"),
        *("-display", "none"),
        *screen,
    )


def _memory(spec: MachineSpec, ram: RamFile | None) -> tuple[str, ...]:
    size = ("-m", f"{spec.memory_mib}M")
    if ram is None:
        return size
    share = "on" if ram.shared else "off"
    backend = f"memory-backend-file,id={RAM},size={spec.memory_mib}M,share={share}"
    # A second -machine adds to the first.
    return (
        *size,
        *("-object", f"{backend},mem-path={escaped(ram.path)}"),
        *("-machine", f"memory-backend={RAM}"),
    )


def _processor(
    spec: MachineSpec, *, accelerator: Literal["tcg", "kvm"], version: QemuVersion
) -> tuple[str, ...]:
    model = cpu_model(version, accelerator).name if spec.windows is None else windows_cpu(accelerator)
    # One thread for all vCPUs: 2 with thread=multi cost 6.2 CPU s for a boot, not 2.5 (docs/facts/qemu.md 2).
    accel = "kvm" if accelerator == "kvm" else f"tcg,thread=single,tb-size={TCG_CACHE_MIB}"
    seed = () if spec.seed is None else ("-seed", str(spec.seed))
    # sleep=on: an idle guest's time goes on with the host's; off, its timers would fire at once.
    count = () if spec.icount_shift is None else ("-icount", f"shift={spec.icount_shift},sleep=on")
    return ("-accel", accel, "-cpu", model, *count, *seed)


def _lines(wiring: Wiring) -> tuple[str, ...]:
    log = ""
    if wiring.console_logfile is not None:
        log = f",logfile={escaped(wiring.console_logfile)},logappend=on"
    bulk: tuple[str, ...] = ()
    if wiring.bulk_fd is not None:
        bulk = (
            *("-chardev", f"socket,id={BULK_CHARDEV},fd={wiring.bulk_fd}"),
            *("-device", "virtio-serial-pci"),
            # A port, no console: of a `virtconsole` (hvc0) QEMU drops what its socket does not take at once,
            # seen as lost bytes of 50 MB on a loaded host (QEMU 7.2, hw/char/virtio-console.c, flush_buf).
            *("-device", f"virtserialport,chardev={BULK_CHARDEV},name={BULK_PORT}"),
        )
    return (
        *("-chardev", f"socket,id={QMP_CHARDEV},fd={wiring.qmp_fd}"),
        *("-mon", f"chardev={QMP_CHARDEV},mode=control"),
        *("-chardev", f"serial,id={CONSOLE_CHARDEV},path={escaped(wiring.console_path)}{log}"),
        *("-serial", f"chardev:{CONSOLE_CHARDEV}"),
        *bulk,
    )


def _firmware(wiring: Wiring, firmware: FirmwareFiles | None) -> tuple[str, ...]:
    if firmware is None or wiring.vars_file is None:
        return ()
    flash = "if=pflash,format=raw"
    return (
        *("-drive", f"{flash},unit=0,readonly=on,file={escaped(firmware.code)}"),
        *("-drive", f"{flash},unit=1,file={escaped(wiring.vars_file)}"),
    )


def _devices(spec: MachineSpec) -> tuple[str, ...]:
    if spec.machine is MachineType.MICROVM:
        return ("-device", "i8042")  # the other boards have their keyboard built in
    # rng-builtin obeys -seed and opens no file of the host.
    words = ["-object", "rng-builtin,id=rng0", "-device", "virtio-rng-pci,rng=rng0"]
    if spec.generation_id:
        words += ["-device", "vmgenid,guid=auto"]
    if Device.PVPANIC in spec.devices:
        # By default QEMU ends at the guest's panic, before the panic's text is out (docs/facts/qemu.md 4).
        words += ["-device", "pvpanic", "-action", "panic=none"]
    if Device.I6300ESB in spec.devices:
        words += ["-device", "i6300esb", "-action", f"watchdog={spec.watchdog_action}"]
    return tuple(words)


def _disk(spec: MachineSpec, *, index: int) -> tuple[str, ...]:
    disk = spec.disks[index]
    drive = f"if=none,id=disk{index},format={disk.format},file={escaped(disk.path)}"
    drive += ",readonly=on" if disk.read_only else ""
    drive += ",snapshot=on" if disk.discard_writes else ""
    device = "virtio-blk-pci"
    if disk.bus is DiskBus.SATA:
        before = sum(other.bus is DiskBus.SATA for other in spec.disks[:index])
        device = f"ide-hd,{sata_place(spec.machine, before)}"
    # Windows' disks come before its CDs: an empty disk fails, and the CD is next.
    place = "" if spec.windows is None else f",bootindex={index + 1}"
    return ("-drive", drive, "-device", f"{device},drive=disk{index}{place}")


def _windows(spec: MachineSpec, wiring: Wiring) -> tuple[str, ...]:
    if spec.windows is None:
        return ()
    first = sum(disk.bus is DiskBus.SATA for disk in spec.disks)
    places = [sata_place(spec.machine, first + number) for number in range(len(spec.windows.cdroms))]
    return windows_words(
        spec.windows,
        cd_places=places,
        boot_from=len(spec.disks) + 1,
        com2_file=wiring.com2_file,
        firmware_file=wiring.firmware_file,
        tpm_fd=wiring.tpm_fd,
    )


def sata_place(machine: MachineType, number: int) -> str:
    """Return where SATA device `number`, from 0, goes: PC's IDE has two a channel, Q35's AHCI one."""
    channel, unit = (number, 0) if machine is MachineType.Q35 else divmod(number, 2)
    return f"bus=ide.{channel},unit={unit}"


def _fw_cfg(name: str, text: str) -> tuple[str, ...]:
    return ("-fw_cfg", f"name={name},string={escaped(text)}")


def _kernel(spec: MachineSpec, *, tsc_khz: int | None) -> tuple[str, ...]:
    tsc = (f"tsc_early_khz={tsc_khz}",) if spec.tell_tsc and tsc_khz is not None else ()
    line = " ".join((*spec.command_line, *tsc))
    told = (*spec.smbios, ("sku", line)) if spec.kernel is None and line else spec.smbios
    table = ",".join(f"{key}={escaped(text)}" for key, text in told)
    words = ["-smbios", f"type=1,{table}"] if table else []
    if spec.kernel is None:
        return tuple(words)
    if spec.qboot:
        words += ["-bios", QBOOT]
    # These three take their value as it is: no escaping (QEMU 7.2, vl.c).
    words += ["-kernel", str(spec.kernel)]
    if spec.initrd is not None:
        words += ["-initrd", str(spec.initrd)]
    if line:
        words += ["-append", line]
    return tuple(words)
