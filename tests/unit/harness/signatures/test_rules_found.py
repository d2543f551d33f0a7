"""What kernels, firmware, loaders and rescue shells write at their end, however it reaches a console."""

import pytest

from emulator.console.transcript import Transcript
from harness.play.alarms import Listener
from harness.signatures.rules import shipped_rules
from harness.signatures.scanner import Scanner

KERNEL = r"""
oops | Oops: 00000000
oops | modprobe(123): Oops 0
oops | Kernel Fault: Code=15 (Data TLB miss fault) at addr 00000000
oops | Data bus error, epc == 80012345, ra == 80012340
paging-request | Unable to handle kernel access at virtual address 00000010
stack-overflow | Kernel stack overflow.
paging-request | BUG: unable to handle page fault for address: ffffbd2fe97a3ba0
null-deref | BUG: kernel NULL pointer dereference, address: 0000000000000008
oops | Oops: 0002 [#1] PREEMPT SMP NOPTI
oops | Oops: Oops: 0002 [#1] SMP
gpf | general protection fault, probably for non-canonical address 0xdead: 0000 [#1] SMP
oops | Oops: invalid opcode: 0000 [#1] PREEMPT SMP
trap | divide error: 0000 [#1] SMP
trap | alignment check: 0000 [#1] SMP
double-fault | traps: PANIC: double fault, error_code: 0x0
machine-check | mce: [Hardware Error]: CPU 2: Machine Check Exception: 5 Bank 5: be0000
hard-lockup | NMI watchdog: Watchdog detected hard LOCKUP on cpu 1
hard-lockup | watchdog: CPU0: Watchdog detected hard LOCKUP on cpu 0
internal-error | Internal error: Oops: 5 [#1] SMP ARM
unhandled-fault | Unhandled fault: external abort on non-linefetch (0x1008) at 0xb6f0a000
internal-error | Internal error: synchronous external abort: 96000210 [#1] SMP
paging-request | Unable to handle kernel NULL pointer dereference at virtual address 08
paging-request | Unable to handle kernel access to user memory outside uaccess routines at
serror | SError Interrupt on CPU0, code 0x00000000bf000002 -- SError
stack-overflow | Insufficient stack space to handle exception!
oops | Oops - load access fault [#1]
oops | Oops [#1]
oops | Oops - BUG [#1]
kernel-bug | Kernel BUG [#1]
paging-request | CPU 1 Unable to handle kernel paging request at virtual address 00000004, epc == 1
oops | Oops[#1]:
kernel-bug | Kernel bug detected[#1]:
oops | Reserved instruction in kernel code[#1]:
paging-request | CPU 3 Unable to handle kernel paging request at virtual address 0, era == 9, ra == 9
paging-request | BUG: Unable to handle kernel data access at 0xc00800000
null-deref | BUG: Kernel NULL pointer dereference on read at 0x00000000
oops | Oops: Kernel access of bad area, sig: 11 [#1]
hard-lockup | watchdog: CPU 1 self-detected hard LOCKUP @ foo+0x1/0x2
paging-request | Unable to handle kernel pointer dereference in virtual kernel address space
oops | Oops: 0038 ilc:3 [#1] SMP
oops | illegal operation: 0001 ilc:1 [#1] SMP
oops | swapper(1): Oops [#1]
kernel-bug | kernel BUG at fs/ext4/inode.c:2721!
warning | WARNING: CPU: 0 PID: 1 at mm/page_alloc.c:4 foo+0x1/0x2
warning | WARNING: mm/page_alloc.c:4 at foo+0x1/0x2, CPU#0: sh/1
deadlock | WARNING: possible circular locking dependency detected
deadlock | [ INFO: possible recursive locking detected ]
lock-state | WARNING: inconsistent lock state
soft-lockup | watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [sh:1]
rcu-stall | rcu: INFO: rcu_preempt self-detected stall on CPU
rcu-stall | rcu: INFO: rcu_sched detected expedited stalls on CPUs/tasks: { 1-... }
hung-task | INFO: task sh:12 blocked for more than 120 seconds.
hung-task | INFO: task sh:12 blocked in I/O wait for more than 122 seconds.
oom | Out of memory: Killed process 3143 (python3) total-vm:4096000kB
oom | Out of memory: Kill process 3143 (python3) score 9 or sacrifice child
corrupted-list | list_del corruption. prev->next should be 1, but was 0
panic | Kernel panic: Aiee, killing interrupt handler!
serror | Bad mode in Error handler detected on CPU0, code 0xbf000000 -- SError
panic | Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100
panic | Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)
system-halted | reboot: System halted
nmi-unknown | Uhhuh. NMI received for unknown reason 31 on CPU 0.
"""
PREFIXES = [
    "", "<0>", "[    1.234567] ", "<0>[    1.234567] ", "[    1.234567][    T1] ",
    "[12345.678901] [1:      swapper/0:    1] ", "Jul  7 00:27:08 board kernel: ", " kernel:[    1.234567] ",
    "Jul  7 00:27:08 board kernel: [    1.234567] ", "kern  :emerg : [    1.234567] ", "\xff\x00\xff",
    "2024-07-07T00:27:08.123456+00:00 board kernel: [    1.234567] ", "[Mon Jul  7 00:27:08 2025] ",
    "Tue Jul  7 00:27:08 2025 kern.alert kernel: [    1.234567] ", "login: [    1.234567] ", "board login: ",
    "Jul 07 00:27:08 board kernel: \x1b[1;31m", "\x1b]3008;start=1\x1b\\\x1b[0m",
]  # fmt: skip
ENDS = r"""
no-boot-device | No bootable device.  Retrying in 60 seconds.
no-boot-device | Missing operating system.
no-boot-device | Boot failure. Reboot and Select proper Boot device
no-boot-device | BdsDxe: No bootable option or device was found.
no-boot-device | No loader found. Configuration files in /loader/entries/*.conf are needed.
firmware-exception | !!!! X64 Exception Type - 0D(#GP - General Protection)  CPU Apic ID - 00000000 !!!!
windows-boot-error | Windows failed to start. A recent hardware or software change might
firmware-exception | Data Abort Exception PC at 0x7FB3A1B4  CPSR 0x60000033 nZCveAifTsvc
firmware-exception | Synchronous Exception at 0x000000007C318000
firmware-exception | ASSERT [DxeCore] /edk2/MdeModulePkg/Core/Dxe/Mem/Pool.c(123): Head != 0
firmware-exception | sbi_trap_error: hart0: trap0: load fault handler failed (error -2)
firmware-exception | Unhandled Exception in EL3.
uboot-abort | "Synchronous Abort" handler, esr 0x96000007, far 0xf0000
uboot-exception | U-Boot 2024.04\r\ndata abort
uboot-shell | U-Boot 2024.04\r\nHit any key to stop autoboot:  0 \r\n=>\x20
loader-error | isolinux.bin missing or corrupt.
loader-error | ### ERROR ### Please RESET the board ###
loader-error | GRUB Hard Disk Error
loader-error | L 99 99 99 99 99 99
loader-error | EFI stub: ERROR: efi_main() failed!
grub-waits | Welcome to GRUB!\r\nerror: file `/vmlinuz' not found.\r\n\r\nPress any key to continue...
syslinux-prompt | Could not find kernel image: linux\r\nboot:\x20
ipxe-shell | iPXE>\x20
xen-panic | (XEN) Panic on CPU 0:
xen-panic | (XEN) [2024-07-07 00:27:08.123] FATAL TRAP: vector = 6 (invalid opcode)
initramfs-emergency | initramfs emergency recovery shell launched. Type 'exit' to continue boot
initramfs-emergency | You are now being dropped into an emergency shell.
initramfs-emergency | dracut: FATAL: No or empty root= argument
emergency-mode | Entering emergency mode. Exit the shell to continue.
dracut-shell | :/#\x20
initramfs-emergency | Bailing out, you are on your own. Good luck.
emergency-mode | Welcome to emergency mode! After logging in, type "journalctl -xb" to view
emergency-mode | You are in rescue mode. After logging in, type "journalctl -xb" to view
emergency-mode | \x1b[!p\x1b]104\x07\x1b[?7hYou are in emergency mode. After logging in, type
maintenance-login | Cannot open access to console, the root account is locked.
maintenance-login | Give root password for system maintenance
maintenance-login | Press Enter for maintenance
init-frozen | [!!!!!!] Failed to mount API filesystems.
init-frozen | Jul 07 00:27:08 board systemd[1]: Freezing execution.
system-halted |  -- System halted
system-halted | reboot: System halted
"""


def table(text):
    """Return the rule and the bytes of each line."""
    lines = (line.split(" | ", 1) for line in text.strip().splitlines())
    return [(rule, said.encode().decode("unicode_escape").encode("latin-1")) for rule, said in lines]


def scan(data):
    scanner = Scanner()
    scanner.feed(data)
    return scanner.finish()


@pytest.mark.parametrize(("rule", "text"), table(KERNEL))
def test_report_is_found_however_it_reaches_the_console(rule, text):
    for prefix in PREFIXES:
        found = scan(prefix.encode("latin-1") + text + b"\x1b[0m\r\n")
        assert [finding.rule for finding in found] == [rule], prefix
        assert not found[0].suppressed


@pytest.mark.parametrize(("rule", "text"), table(ENDS))
def test_dead_end_is_fatal_and_ends_a_wait(rule, text):
    data = text + (b"" if text.endswith((b" ", b"...")) else b"\r\n")  # a prompt has no line end
    (finding,) = scan(data)
    assert (finding.rule, finding.fatal) == (rule, True)
    transcript = Transcript("guest")
    transcript.append(data)
    listener = Listener(transcript)
    listener.update()
    alarm = listener.first_unexpected(frozenset())
    assert alarm is not None
    assert alarm.name == rule


def test_bugs_of_the_kernel_alone_are_found_by_the_rule_for_all_others():
    assert [finding.title for finding in scan(b"[    1.2] BUG: MAX_LOCKDEP_KEYS too low!\r\n")] == [
        "BUG: MAX_LOCKDEP_KEYS too low!"
    ]
    assert scan(b"BUG: MAX_LOCKDEP_KEYS too low!\r\n") == ()


def test_prompt_of_a_loader_is_none_once_the_system_has_started():
    started = (
        b"U-Boot 2024.04\r\nWelcome to GRUB!\r\nStarting kernel ...\r\n[    0.000000] Linux version 6.1.0\r\n"
    )
    assert scan(started + b"=> ready\r\nPress any key to continue...") == ()


@pytest.mark.parametrize(
    "data",
    [
        b"\x1b]0;never ended[    1.234567] Kernel panic - not syncing: dead\r\n",
        b"\x1b]0;never ended\r\n[    1.234567] Kernel panic - not syncing: dead\r\n",
        b"\x1b[3[    1.234567] Kernel panic - not syncing: dead\r\n",
        b"\x1b[\x1b[1mKernel panic\x1b[0m - not syncing: dead\r\n",
        b"\x1bP" + b"q" * 9000 + b"[    1.234567] Kernel panic - not syncing: dead\r\n",
    ],
    ids=["title", "title and line end", "csi", "csi and colours", "endless dcs"],
)
def test_panic_is_found_behind_whatever_sequence_was_begun(data):
    assert [finding.title for finding in scan(data)] == ["kernel panic: dead"]


def test_prompt_in_a_title_that_has_not_ended_is_none():
    scanner = Scanner()
    assert scanner.feed(b"\x1b]0;x\x07\x1b]grub rescue> ") == []
    assert scanner.feed(b"\x07\r\n") == []
    assert scanner.finish() == ()


def test_every_fatal_kind_of_end_has_a_text_here():
    shown = {rule for rule, _ in [*table(ENDS), *table(KERNEL)]}
    others = {  # in test_scanner.py
        "bugcheck", "dracut-shell", "grub-rescue", "grub-shell", "initramfs-shell", "sac-crash-prompt",
        "uefi-shell",
    }  # fmt: skip
    assert {rule.id for rule in shipped_rules().rules if rule.fatal} <= shown | others
