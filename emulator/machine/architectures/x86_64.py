"""x86-64: PCs and QEMU's microvm."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources

from emulator.machine.architectures.parts import (
    AcceleratorName,
    Architecture,
    Firmware,
    GuestCode,
    MachineType,
    QemuBoard,
    Says,
    TestProgram,
    Uefi,
)

_CX16_MEASURED_GOOD = (10, 0)
_VGA = ("-vga", "std", "-boot", "menu=off")
"""VGA stays although nobody watches it: `screendump` takes the guest's real screen from it."""
_NO_ACPI = {
    "unknown_nmi": "without port 0x61 Linux takes an NMI for a PCI error",
    "power_button": "it is without ACPI",
    "soft_off": "it is without ACPI",
    "screen": "it has no VGA",
}
ROM_SIZE = 64 * 1024
_HLT = b"\xf4"


def rom_image(tail: bytes | None = None) -> bytes:
    """Return a 64 KiB ROM: `tail` (default: the built probe) at its end, hlt before it."""
    if tail is None:
        tail = (resources.files("emulator.machine") / "probe_rom" / "probe.bin").read_bytes()
    return tail.rjust(ROM_SIZE, _HLT)


def loop_rom(loops: int) -> bytes:
    """Return a ROM that counts down from `loops` in real mode, and exits as the probe does."""
    code = b"\x66\xb9" + loops.to_bytes(4, "little")  # mov ecx, loops
    code += b"\x66\x49\x75\xfc"  # dec ecx; jnz to the dec
    code += b"\xb0\x10\xe6\xf4\xf4"  # mov al, 16; out 0xf4, al; hlt
    jump = b"\xe9" + (-len(code) - 3).to_bytes(2, "little", signed=True)  # at FFF0, where a CPU begins
    return rom_image(code + jump.ljust(16, b"\xf4"))


def cpu(version: tuple[int, int], accelerator: AcceleratorName) -> str:
    """Return the CPU that is known to run every guest.

    svm is masked so that kvm_amd stays out of the guest. cx16 is masked where TCG breaks cmpxchg16b, with
    which kernels from 6.12 on oops (a lab fault): 6 of 30 boots of 6.12 failed under QEMU 7.2, none of 30
    under 10.0 and 11 (docs/facts/qemu.md 2). Versions in between were not measured and are treated like 7.2.
    """
    if accelerator == "kvm":
        return "host"
    return "qemu64,-svm" if version >= _CX16_MEASURED_GOOD else "qemu64,-svm,-cx16"


_TEST = TestProgram(
    stages={
        "R": "real mode",
        "P": "protected mode",
        "L": "long mode with paging",
        "X": "an exception through the IDT",
        "T": "a timer interrupt",
        "U": "ring 3",
        "S": "a syscall",
        "B": "sysret to ring 3",
    },
    achieved="reached ring 3 and came back",
    exit_code=33,
    words=(
        *("-m", "16", "-chardev", "stdio,id=letters,signal=off"),
        *("-device", "isa-debugcon,iobase=0x402,chardev=letters"),
        *("-device", "isa-debug-exit,iobase=0xf4,iosize=4"),
    ),
    cpu="qemu64",
    probe=rom_image,
    loop=loop_rom,
)
_RESEED = b"".join(
    (
        bytes.fromhex("b802000000"),  # mov eax, 2: open
        bytes.fromhex("488d3d22000000"),  # lea rdi, [rip + 34]: the path, behind the code
        bytes.fromhex("be01000000"),  # mov esi, O_WRONLY
        bytes.fromhex("0f05"),  # syscall
        bytes.fromhex("89c7"),  # mov edi, eax: the descriptor, or a negative errno, which ioctl refuses
        bytes.fromhex("be07520000"),  # mov esi, RNDRESEEDCRNG
        bytes.fromhex("31d2"),  # xor edx, edx
        bytes.fromhex("b810000000"),  # mov eax, 16: ioctl
        bytes.fromhex("0f05"),  # syscall
        bytes.fromhex("f7d8"),  # neg eax: 0, or the errno
        bytes.fromhex("89c7"),  # mov edi, eax
        bytes.fromhex("b83c000000"),  # mov eax, 60: exit
        bytes.fromhex("0f05"),  # syscall
    )
)

_PC = QemuBoard(
    machine=MachineType.PC,
    words="pc",
    firmwares=(Firmware.SEABIOS, Firmware.OVMF),
    screen=_VGA,
    sata=2,
    pvpanic="pvpanic",
)
X86_64 = Architecture(
    name="x86_64",
    kernels=("x86_64", "i686"),
    debian="amd64",
    program="qemu-system-x86_64",
    package="qemu-system-x86",
    environment="TTYLAB_QEMU",
    boards=(
        _PC,
        replace(_PC, machine=MachineType.Q35, words="q35", sata=1),
        QemuBoard(
            machine=MachineType.MICROVM,
            # With ACPI the board says "hardware reduced", so Linux ignores the PIT, and under TCG no timer
            # is left: stock kernels hang after "Unable to calibrate against PIT" (QEMU 7.2, 6.1).
            words="microvm,acpi=off",
            firmwares=(Firmware.SEABIOS,),
            has_pci=False,
            generation_id=False,
            parts=("-device", "i8042"),  # the other boards have a keyboard built in
            lacks=_NO_ACPI,
        ),
    ),
    uefi=Uefi(
        firmware=Firmware.OVMF,
        package="ovmf",
        loader=b"BOOTX64 EFI",
        files=(
            ("usr/share/OVMF/OVMF_CODE_4M.fd", "usr/share/OVMF/OVMF_VARS_4M.fd"),  # Debian 11+, Ubuntu 20.10+
            ("usr/share/edk2/x64/OVMF_CODE.4m.fd", "usr/share/edk2/x64/OVMF_VARS.4m.fd"),  # Arch
            ("usr/share/edk2/ovmf/OVMF_CODE.fd", "usr/share/edk2/ovmf/OVMF_VARS.fd"),  # Fedora
            ("usr/share/OVMF/OVMF_CODE.fd", "usr/share/OVMF/OVMF_VARS.fd"),  # older Debian and Ubuntu
        ),
    ),
    cpu=cpu,
    console="ttyS0",
    # Make the kernel skip checks, which saves 0.5 s of a boot under TCG (docs/facts/qemu.md 2).
    kernel_words=("no_timer_check", "cryptomgr.notests"),
    tells_tsc=True,
    starts_elf=True,
    base_image="bookworm",
    test=_TEST,
    code=GuestCode(
        elf_machine=62,
        hang=bytes.fromhex("fa ebfe"),  # cli; jmp .
        landings=(bytes.fromhex("f30f1efa"),),  # endbr64
        reseed=_RESEED,
    ),
    says=Says(registers=("RIP: 0010:", "RSP: 0018:", "CR2: "), backtrace="NMI backtrace for cpu "),
)
