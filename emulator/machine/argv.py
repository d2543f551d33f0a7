"""From a spec to QEMU's command line, and nothing else: same input, same argv.

The argv starts QEMU paused (`-S`) with no part that was not requested; the launcher connects the console
first and then sends `cont` (docs/facts/qemu.md 3: what is printed before that is lost).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from emulator.errors import SpecError
from emulator.machine.architectures.parts import AcceleratorName, QemuBoard
from emulator.machine.spec import Device, DiskBus, MachineSpec

CONSOLE_CHARDEV = "ttyS0"
"""Id of the console's chardev, whatever the guest calls it, for QMP `chardev-send-break`."""
RAM = "ram0"
"""Id of the memory backend where RAM is a file; it names the RAM in a snapshot."""
QBOOT = "qboot.rom"
"""Comes with QEMU, which finds it in its own data directory."""
WINDOWS_CPUS = {"tcg": "Nehalem", "kvm": "host,hv_relaxed,hv_vapic,hv_spinlocks=0x1fff,hv_time"}
"""Windows needs cmpxchg16b, Server 2025 also SSE4.2 and POPCNT. Nobody has seen it run on this under TCG,
where the enlightenments would do nothing."""

SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
ICOUNT_TSC_KHZ = 1_000_000
"""With icount, TCG's TSC counts the guest's nanoseconds (QEMU 7.2, icount_get)."""
TCG_CACHE_MIB = 128
"""MiB for translated code: with 16 a boot takes 4.5 s, with 64 or more 3.2 s (docs/facts/qemu.md 2)."""

_VERSION = re.compile(r"QEMU emulator version (\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True, order=True)
class QemuVersion:
    """A version of QEMU; versions compare in order of release."""

    major: int
    minor: int
    micro: int = 0

    @classmethod
    def parse(cls, text: str) -> QemuVersion | None:
        """Return the version in the output of `--version`, or None."""
        found = _VERSION.search(text)
        return None if found is None else cls(*(int(part) for part in found.groups()))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.micro}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FirmwareFiles:
    """UEFI on the host: its code, shared, and the empty variable store, of which each machine gets a copy."""

    code: Path
    vars_template: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class RamFile:
    """A file that is the guest's RAM, made if missing; unless `shared` the guest's writes stay out of it."""

    path: Path
    shared: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """How a machine's lines reach ttylab; descriptors have their number in the child.

    Attributes:
        console_path: a tty for QEMU to open as ttyS0's far end: the slave of a pty that ttylab made.
        qmp_fd: a connected unix socket that speaks QMP.
        console_logfile: where QEMU itself writes what the guest prints; a witness.
        bulk_fd: a connected unix socket for the bulk console.
        vars_file: this machine's own copy of the UEFI variable store.
        ram: a file instead of anonymous memory.
        incoming: whether QEMU waits for a snapshot to be loaded, instead of starting the firmware.
        com2_file: where the output of COM2 is appended, on a machine for Windows.
        firmware_file: where SeaBIOS' messages are appended, on a machine for Windows.
        tpm_fd: a connected unix socket whose other end is swtpm's control channel.
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


def build_argv(
    spec: MachineSpec,
    *,
    qemu: Path | str,
    accelerator: AcceleratorName,
    wiring: Wiring,
    version: QemuVersion,
    firmware: FirmwareFiles | None = None,
    tsc_khz: int | None = None,
) -> tuple[str, ...]:
    """Return the command line of `spec`; QEMU starts paused and waits for `cont`.

    Args:
        spec: the machine.
        qemu: the program, which becomes the first word.
        accelerator: what the probe chose for the spec's `accelerator`.
        wiring: where its lines end.
        version: the program's version.
        firmware: UEFI's files; needed exactly when the spec's firmware is UEFI.
        tsc_khz: the host's TSC frequency, for a spec with `tell_tsc`; None where it is unknown.

    Raises:
        SpecError: the wiring or the firmware lacks what the spec needs, or has more; or the spec counts
            instructions, which only tcg does.
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
        *(w for name, text in spec.fw_cfg for w in ("-fw_cfg", f"name={name},string={escaped(text)}")),
        *_kernel(spec, tsc_khz=tsc_khz if accelerator == "tcg" else None),
        *(("-incoming", "defer") if wiring.incoming else ()),
        *spec.args,
    )


def escaped(value: Path | str) -> str:
    """Return `value` for a comma-separated option, where QEMU reads ',,' as one comma."""
    return str(value).replace(",", ",,")


def _check_wiring(spec: MachineSpec, wiring: Wiring, *, firmware: FirmwareFiles | None) -> None:
    wanted = {
        "firmware files": (firmware is not None, spec.firmware.is_uefi),
        "wiring.vars_file": (wiring.vars_file is not None, spec.firmware.is_uefi),
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
    board = spec.board.words
    if spec.firmware_on_serial:
        # Only then do SeaBIOS and early GRUB print on serial (docs/facts/qemu.md 2).
        board += ",graphics=off"
    return (
        *("-name", f"guest={spec.name},debug-threads=on"),
        *("-S", "-nodefaults", "-no-user-config"),
        *("-sandbox", SANDBOX),
        *("-machine", board),
        *_memory(spec, ram),
        *("-smp", str(spec.vcpus)),
        *("-rtc", "base=utc"),
        *("-display", "none"),
        *spec.board.screen,
    )


def _memory(spec: MachineSpec, ram: RamFile | None) -> tuple[str, ...]:
    size = ("-m", f"{spec.memory_mib}M")
    if ram is None:
        return size
    share = "on" if ram.shared else "off"
    backend = (
        f"memory-backend-file,id={RAM},size={spec.memory_mib}M,share={share},mem-path={escaped(ram.path)}"
    )
    return (*size, "-object", backend, "-machine", f"memory-backend={RAM}")  # adds to the first -machine


def _processor(spec: MachineSpec, *, accelerator: AcceleratorName, version: QemuVersion) -> tuple[str, ...]:
    model = WINDOWS_CPUS[accelerator]
    if spec.windows is None:
        model = spec.architecture.cpu((version.major, version.minor), accelerator)
    # One thread for all vCPUs: a boot with 2 costs 2.5 CPU s, 6.2 with thread=multi (docs/facts/qemu.md 2).
    accel = "kvm" if accelerator == "kvm" else f"tcg,thread=single,tb-size={TCG_CACHE_MIB}"
    seed = () if spec.seed is None else ("-seed", str(spec.seed))
    # sleep=on: an idle guest's time runs with the host's; with off its timers would fire at once.
    count = () if spec.icount_shift is None else ("-icount", f"shift={spec.icount_shift},sleep=on")
    return ("-accel", accel, "-cpu", model, *count, *seed)


def _lines(wiring: Wiring) -> tuple[str, ...]:
    log = ""
    if wiring.console_logfile is not None:
        log = f",logfile={escaped(wiring.console_logfile)},logappend=on"
    bulk: tuple[str, ...] = ()
    if wiring.bulk_fd is not None:
        bulk = (
            *("-chardev", f"socket,id=bulk,fd={wiring.bulk_fd}"),
            *("-device", "virtio-serial-pci"),
            # A port, not a console: with a `virtconsole` (hvc0) QEMU drops what its socket does not take at
            # once: bytes of 50 MB were lost on a loaded host (QEMU 7.2, hw/char/virtio-console.c, flush_buf).
            *("-device", "virtserialport,chardev=bulk,name=ttylab.bulk"),
        )
    return (
        *("-chardev", f"socket,id=qmp,fd={wiring.qmp_fd}"),
        *("-mon", "chardev=qmp,mode=control"),
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
    if not spec.board.has_pci:
        return spec.board.parts
    # rng-builtin obeys -seed and opens no file of the host.
    words = ["-object", "rng-builtin,id=rng0", "-device", "virtio-rng-pci,rng=rng0", *spec.board.parts]
    if spec.generation_id:
        words += ["-device", "vmgenid,guid=auto"]
    if Device.PVPANIC in spec.devices:
        # By default QEMU ends when the guest panics, before the panic's text is out (docs/facts/qemu.md 4).
        words += ["-device", spec.board.pvpanic, "-action", "panic=none"]
    if Device.I6300ESB in spec.devices:
        words += ["-device", "i6300esb", "-action", f"watchdog={spec.watchdog_action}"]
    return tuple(words)


def _disk(spec: MachineSpec, *, index: int) -> tuple[str, ...]:
    disk = spec.disks[index]
    drive = f"if=none,id=disk{index},format={disk.format},file={escaped(disk.path)}"
    drive += f",size={disk.size}" if disk.size is not None else ""
    drive += ",readonly=on" if disk.read_only else ""
    drive += ",snapshot=on" if disk.discard_writes else ""
    # What QEMU has written survives its death. If each write waited for the host's disk as well, a BIOS that
    # writes sector by sector would take half a minute for 1 MiB.
    drive += "" if disk.read_only else ",cache.no-flush=on"
    device = "virtio-blk-pci"
    if disk.bus is DiskBus.SATA:
        before = sum(other.bus is DiskBus.SATA for other in spec.disks[:index])
        device = f"ide-hd,{sata_place(spec.board, before)}"
    # Windows' disks come before its CDs: an empty disk fails, then the CD is tried.
    place = "" if spec.windows is None else f",bootindex={index + 1}"
    return ("-drive", drive, "-device", f"{device},drive=disk{index}{place}")


def _windows(spec: MachineSpec, wiring: Wiring) -> tuple[str, ...]:
    """Return the words for a PC that Windows has all drivers for (docs/facts/sac.md 4.2).

    IDE or AHCI disks, CDs, an e1000e and COM2 need no other; `smm`, hence secure firmware, is QEMU's default
    on q35.
    """
    if spec.windows is None:
        return ()
    words = [*_log("com2", wiring.com2_file), "-serial", "chardev:com2"]
    # SeaBIOS reports to port 0x402; that it found nothing to boot is otherwise only on the screen.
    words += [
        *_log("firmware", wiring.firmware_file),
        "-device",
        "isa-debugcon,iobase=0x402,chardev=firmware",
    ]
    first = sum(disk.bus is DiskBus.SATA for disk in spec.disks)
    for number, path in enumerate(spec.windows.cdroms):
        words += ["-drive", f"if=none,id=cd{number},media=cdrom,readonly=on,format=raw,file={escaped(path)}"]
        place = f"{sata_place(spec.board, first + number)},drive=cd{number}"
        words += ["-device", f"ide-cd,{place},bootindex={len(spec.disks) + 1 + number}"]
    for path in spec.windows.acpi_tables:
        words += ["-acpitable", f"file={escaped(path)}"]
    # Without its ROM no firmware tries to boot from a network that leads nowhere.
    words += ["-netdev", "user,id=net0,restrict=on", "-device", "e1000e,netdev=net0,romfile="]
    if wiring.tpm_fd is not None:
        words += ["-chardev", f"socket,id=tpm,fd={wiring.tpm_fd}"]
        words += ["-tpmdev", "emulator,id=tpm0,chardev=tpm", "-device", "tpm-crb,tpmdev=tpm0"]
    return tuple(words)


def _log(chardev: str, path: Path | None) -> tuple[str, str]:
    return ("-chardev", f"file,id={chardev},path={escaped(str(path))},append=on")


def sata_place(board: QemuBoard, number: int) -> str:
    """Return where SATA device `number`, from 0, goes: PC's IDE has two per channel, AHCI one."""
    channel, unit = divmod(number, board.sata)
    return f"bus=ide.{channel},unit={unit}"


def _kernel(spec: MachineSpec, *, tsc_khz: int | None) -> tuple[str, ...]:
    tsc = (f"tsc_early_khz={tsc_khz}",) if spec.tell_tsc and tsc_khz is not None else ()
    line = " ".join((*spec.command_line, *tsc))
    entries = (*spec.smbios, ("sku", line)) if spec.kernel is None and line else spec.smbios
    table = ",".join(f"{key}={escaped(text)}" for key, text in entries)
    words = ["-smbios", f"type=1,{table}"] if table else []
    if spec.kernel is None:
        return tuple(words)
    if spec.qboot:
        words += ["-bios", QBOOT]
    # The next three take their value literally: no escaping (QEMU 7.2, vl.c).
    words += ["-kernel", str(spec.kernel)]
    if spec.initrd is not None:
        words += ["-initrd", str(spec.initrd)]
    if line:
        words += ["-append", line]
    return tuple(words)
