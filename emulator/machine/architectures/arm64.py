"""arm64: QEMU's virt, with the PL011 as its console (docs/facts/qemu.md 9)."""

from __future__ import annotations

import struct

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

_NO_NMI = "QEMU's virt raises no NMI: inject-nmi is refused"


def _code(*words: int) -> bytes:
    return struct.pack(f"<{len(words)}I", *words)


_OFF = (
    0x52800100,  # mov w0, #8
    0x72B08000,  # movk w0, #0x8400, lsl 16: PSCI SYSTEM_OFF
    0xD4000002,  # hvc #0
    0x14000000,  # b .
)


def _probe() -> bytes:
    """Return a program that writes one letter to the PL011 and switches the machine off."""
    return _code(
        0xD2A12002,  # mov x2, #0x09000000: the PL011's data register
        0x52800A43,  # mov w3, 'R'
        0x39000043,  # strb w3, [x2]
        *_OFF,
    )


def _loop(loops: int) -> bytes:
    """Return a program that counts down from `loops` and switches the machine off."""
    return _code(
        0x52800001 | (loops & 0xFFFF) << 5,  # movz w1, the lower half
        0x72A00001 | (loops >> 16) << 5,  # movk w1, the upper half, lsl 16
        0x71000421,  # subs w1, w1, #1
        0x54FFFFE1,  # b.ne to the subs
        *_OFF,
    )


def _cpu(version: tuple[int, int], accelerator: AcceleratorName) -> str:
    """Return the CPU; the default, a Cortex-A15, has 32 bits only.

    With `max` 6.1 takes 9 s to its login prompt, for TCG computes pointer authentication; with this one 2 s.
    """
    del version
    return "host" if accelerator == "kvm" else "cortex-a57"


ARM64 = Architecture(
    name="aarch64",
    kernels=("aarch64",),
    debian="arm64",
    program="qemu-system-aarch64",
    package="qemu-system-arm",
    environment="TTYLAB_QEMU_AARCH64",
    boards=(
        QemuBoard(
            machine=MachineType.VIRT,
            words="virt,gic-version=max",  # GICv2, the default, has at most 8 CPUs
            firmwares=(Firmware.NONE, Firmware.AAVMF),
            generation_id=False,  # QEMU 7.2 has vmgenid for PCs only
            parts=("-device", "virtio-keyboard-pci"),
            lacks={
                "nmi": _NO_NMI,
                "unknown_nmi": _NO_NMI,
                "screen": "Debian's cloud kernels have no driver for a screen of virt's",
            },
            lacks_without_uefi={
                "power_button": "without UEFI it is a GPIO key, for which cloud kernels have no driver"
            },
        ),
    ),
    uefi=Uefi(
        firmware=Firmware.AAVMF,
        package="qemu-efi-aarch64",
        loader=b"BOOTAA64EFI",
        files=(
            ("usr/share/AAVMF/AAVMF_CODE.no-secboot.fd", "usr/share/AAVMF/AAVMF_VARS.fd"),  # Debian 13
            ("usr/share/AAVMF/AAVMF_CODE.fd", "usr/share/AAVMF/AAVMF_VARS.fd"),  # Debian 12, Ubuntu
            ("usr/share/edk2/aarch64/QEMU_CODE.fd", "usr/share/edk2/aarch64/QEMU_VARS.fd"),  # Arch
            ("usr/share/edk2/aarch64/QEMU_EFI-pflash.raw", "usr/share/edk2/aarch64/vars-template-pflash.raw"),
        ),
    ),
    cpu=_cpu,
    console="ttyAMA0",
    kernel_words=("cryptomgr.notests",),
    modules=("virtio_input",),  # the keyboard of virt
    base_image="bookworm-arm64",
    test=TestProgram(
        stages={"R": "guest code"},
        achieved="ran guest code",
        exit_code=0,
        words=("-m", "64", "-chardev", "stdio,id=letters,signal=off", "-serial", "chardev:letters"),
        cpu="cortex-a57",
        probe=_probe,
        loop=_loop,
    ),
    code=GuestCode(
        elf_machine=183,
        hang=_code(0xD50342DF, 0x14000000),  # msr daifset, #2; b .
        landings=(_code(0xD503245F), _code(0xD503233F)),  # bti c, paciasp
        reseed=_code(
            0x92800C60,  # mov x0, AT_FDCWD
            0x10000161,  # adr x1, . + 44: the path, behind the code
            0xD2800022,  # mov x2, O_WRONLY
            0xD2800708,  # mov x8, 56: openat
            0xD4000001,  # svc #0: the descriptor, or a negative errno, which ioctl refuses
            0xD28A40E1,  # mov x1, RNDRESEEDCRNG
            0xD2800002,  # mov x2, #0
            0xD28003A8,  # mov x8, 29: ioctl
            0xD4000001,  # svc #0
            0xCB0003E0,  # neg x0, x0: 0, or the errno
            0xD2800BA8,  # mov x8, 93: exit
            0xD4000001,  # svc #0
        ),
    ),
    # Its CPUs have no NMI to report by: kernels before 6.12 ask each by an interrupt.
    says=Says(registers=("pc : ", "sp : ", "x1 : "), backtrace="(?:NMI backtrace for cpu |sysrq: CPU)"),
)
