"""What programs write that no shipped rule may take for trouble: near misses of each, and whole outputs."""

import pytest

from harness.signatures.rules import shipped_rules
from harness.signatures.scanner import Scanner

NEAR = {
    "atomic-sleep": "BUG: scheduling of backups while atomic writes are on",
    "bad-page": "BUG: Bad page number in report.pdf",
    "bad-rss": "note: BUG: Bad rss-counter state is fixed in 5.4",
    "bugcheck": "the page 'Your device ran into a problem and needs to restart' is shown",
    "corrupted-list": "mailman: list_add corruption check passed",
    "deadlock": "app[88]: Operations timed out - possible deadlock detected",
    "dentry-in-use": "fsck: BUG: Dentry cache still in use, skipping",
    "double-fault": "tennis: PANIC: double fault in the second set",
    "dracut-shell": "Recovery: boot with rd.break, then at the switch_root:/# prompt run chroot /sysroot.",
    "emergency-mode": "You are in emergency mode of the pump; call the operator",
    "firmware-exception": "Synchronous Exception at 0x the given place, or elsewhere",
    "gpf": "app[410]: general protection fault: see dmesg",
    "grub-rescue": " If GRUB shows grub rescue> call the platform team.",
    "grub-shell": "grub> is what GRUB shows",
    "grub-waits": "Press any key to continue...",
    "hard-lockup": "watchdogd: Watchdog detected hard work, all is well",
    "hung-task": "INFO: task build:jar blocked for more than it should",
    "init-frozen": "ansible: systemd[1]: Freezing execution is what we avoid",
    "initramfs-emergency": "wiki: You are now being dropped into an emergency shell.",
    "initramfs-shell": "see the (initramfs) prompt",
    "internal-error": "Internal error: could not read the database",
    "ipxe-shell": "type at the iPXE> prompt",
    "kasan": "BUG: KASAN: see kasan in the manual",
    "kcsan": "BUG: KCSAN: see kcsan in the manual",
    "kernel-bug": "jupyter: kernel BUG at least twice a day!",
    "kfence": "BUG: KFENCE: see kfence in the manual",
    "kmsan": "BUG: KMSAN: see kmsan in the manual",
    "loader-error": "GRUB Read Error is explained in the manual",
    "lock-held": "worker: lock held when returning to user space pool",
    "lock-state": "terraform: Error: inconsistent lock state, run force-unlock",
    "machine-check": "espresso: Machine Check Exception: none",
    "maintenance-login": " If the system prints Give root password for maintenance, use the vault's secret.",
    "memory-leak": "BUG: memory leak in the parser (valgrind)",
    "nested-lock": "db: WARNING: Nested lock was not taken by worker 3",
    "netdevice-wait": "docker: unregister_netdevice: waiting for lo to become free",
    "nmi-unknown": "log: Uhhuh. NMI received for unknown reason",
    "no-boot-device": "installer: No bootable device. Insert one.",
    "null-deref": "changelog: BUG: kernel NULL pointer dereference in foo fixed",
    "object-free": "INFO: Freed in 3 ms",
    "oom": "Memory cgroup out of memory: Killed process 12 (sh)",
    "oops": "Oops: something went wrong [#12] while loading the page",
    "other-bug": "BUG: refs.c:1234: attempt to get ref without a name",
    "paging-request": "Unable to handle kernel updates automatically",
    "panic": "kernel-panic-notify: Kernel panic hooks are armed",
    "preemptible": "BUG: using a mutex in preemptible code is slow",
    "rcu-stall": "INFO: detected stalls in the pipeline",
    "rcu-usage": "lint: WARNING: suspicious RCU usage",
    "sac-crash-prompt": "wait for the !SAC> prompt",
    "serror": "SError Interrupt on CPU is described below",
    "soft-lockup": "BUG: soft lockup detector tests",
    "spinlock": "BUG: mutex recursion depth",
    "stack-guard": "BUG: stack guard page was hit once",
    "stack-overflow": "Insufficient stack space to handle exception handlers",
    "stack-regs": "lint: WARNING: kernel stack regs unused",
    "static-key": "ssh: INFO: trying to register non-static key",
    "syslinux-prompt": "boot: loaded settings",
    "system-halted": "monitor: System halted.",
    "trap": "calculator: divide error: try again",
    "trusty": "the sound was trusty: panic would have been easy",
    "ubsan": "UBSAN: undefined behaviour sanitizer enabled",
    "uboot-abort": 'docs: "Synchronous Abort" handler, esr 0x96000007',
    "uboot-exception": "data abort",
    "uboot-shell": "=> There is 1 zombie process.",
    "uefi-shell": "Shell> is the prompt of UEFI",
    "unhandled-fault": "Unhandled fault: email could not be sent",
    "unlock-balance": "bank: WARNING: bad unlock balance detected!",
    "usercopy": "rsync: usercopy: Kernel memory is not copied",
    "vfs-leak": "VFS: Busy inodes are normal here",
    "wait-context": "app: BUG: Invalid wait context for page",
    "warning": "WARNING: at least one package has no installation candidate",
    "windows-boot-error": "blog: Windows failed to start. A recent hardware or software change",
    "workqueue-leak": "BUG: workqueue leaked 3 jobs",
    "workqueue-lockup": "BUG: workqueue lockup is handled",
    "xen-panic": "runbook: (XEN) Panic on CPU 0: call the vendor",
}
OUTPUTS = {
    "units": (
        "[  OK  ] Started kernel-panic-collector.service - Watch for kernel panic and notify.\r\n"
        "[  OK  ] Reached target rescue-tools.target - Tools for emergency mode.\r\n"
        "[  OK  ] Started emergency.service - Emergency Shell.\r\n"
        "         Starting oops-report.service - Oops: collect and report...\r\n"
    ),
    "healthy kernel": (
        "[    0.000000] Linux version 6.1.0 (gcc) #1 SMP\r\n"
        "[    0.000000] Command line: oops=panic panic_on_warn=1 softlockup_panic=1 hung_task_panic=1\r\n"
        "[    0.000000] Lock dependency validator: Copyright (c) 2006 Red Hat, Inc., Ingo Molnar\r\n"
        "[    0.100000] kfence: initialized - using 2097152 bytes for 255 objects at 0x1-0x2\r\n"
        "[    0.200000] ubsan: undefined behaviour sanitizer enabled\r\n"
        "[    0.300000] NMI watchdog: Enabled. Permanently consumes one hw-PMU counter.\r\n"
        "[    0.400000] mce: [Hardware Error]: Machine check events logged\r\n"
        "[    0.500000] INFO: lockdep is turned off.\r\n"
        "[    0.600000] ACPI BIOS Error (bug): Could not resolve symbol [\\_SB.X], AE_NOT_FOUND\r\n"
        "[    0.700000] traps: app[12] trap divide error ip:401126 sp:7ffd error:0 in app[401000+1000]\r\n"
        "[    0.800000] show_signal_msg: 3 callbacks suppressed\r\n"
        "[    0.900000] reboot: Power down\r\n"
        "[    0.910000] reboot: Restarting system\r\n"
    ),
    "container": (
        "[  713.1] php invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0\r\n"
        "[  713.2] CPU: 1 PID: 3143 Comm: php Not tainted 6.1.0 #1\r\n"
        "[  713.3] memory: usage 65536kB, limit 65536kB, failcnt 12\r\n"
        "[  713.4] oom-kill:constraint=CONSTRAINT_MEMCG,oom_memcg=/docker/1,task=php,pid=3,uid=0\r\n"
        "[  713.5] Memory cgroup out of memory: Killed process 3 (php) total-vm:1kB, anon-rss:1kB\r\n"
    ),
    "git and compilers": (
        "BUG: refs.c:2076: initial ref transaction called with existing refs\r\n"
        "BUG: builtin/log.c:17: the impossible happened\r\n"
        "src/a.c:12:5: warning: Unable to handle kernel headers [-Wcpp]\r\n"
        "WARNING: at line 12 of setup.py\r\n"
        "internal compiler error: Segmentation fault\r\n"
        "panic: runtime error: invalid memory address or nil pointer dereference\r\n"
        "thread 'main' panicked at src/main.rs:4:5\r\n"
        "Oops: 404\r\nOops! Something went wrong.\r\n"
        "Kernel panic! at the disco - now playing\r\n"
    ),
    "changelog": (
        "  * HID: hid-ntrig: fix unable to handle page fault in ntrig_report_version()\r\n"
        "  * mm: fix general protection fault: 0000 in foo\r\n  * fs: fix kernel BUG at inode.c\r\n"
        "  * net: fix WARNING: at net/core/dev.c:12 in dev_close\r\n"
    ),
    "texts that quote the kernel": (
        "abc1234 x86: fix Oops: 0000 [#1] in foo\r\ndef5678 mm: fix kernel BUG at mm/slub.c:123!\r\n"
        "    Kernel panic - not syncing: VFS on boot\r\n    BUG: KASAN: use-after-free in foo+0x1/0x2\r\n"
        "Documentation/x.rst:  Kernel panic - not syncing: Attempted to kill init!\r\n"
        "Documentation/x.rst:12: BUG: unable to handle page fault for address: 0\r\n"
        'kernel/panic.c:   pr_emerg("Kernel panic - not syncing: %s\\n", buf);\r\n'
        "strings vmlinux: Kernel panic - not syncing: %s\r\n"
        "Nov 30 10:00:00 h app[12]: Kernel panic - not syncing: simulated by app\r\n"
    ),
    "python": (
        "RuntimeWarning: divide by zero\r\nWARNING: The script is installed in '/x' which is not on PATH.\r\n"
        "ipykernel: Kernel died, restarting. [#3]\r\nINFO: task runner: 3 tasks blocked\r\n"
    ),
    "motd": (
        "Welcome to emergency services!\r\nWelcome to rescue mode training\r\n"
        "  => /boot is using 91.2% of 1GB\r\n=> There is 1 zombie process.\r\n"
        "Press any key to continue...\r\nboot: ok\r\nHalted jobs: 0\r\nSystem halted jobs: none\r\n"
    ),
}  # fmt: skip


def titles(data):
    scanner = Scanner()
    scanner.feed(data)
    return [finding.title for finding in scanner.finish()]


def test_each_shipped_rule_has_a_text_that_must_not_fire_it():
    assert {rule.id for rule in shipped_rules().rules} == set(NEAR)


@pytest.mark.parametrize("rule", NEAR)
def test_text_of_a_program_fires_no_rule(rule):
    text = NEAR[rule].encode()
    assert titles(text + b"\r\n") == []
    assert titles(b"Jul  7 00:27:08 board app[88]: " + text + b"\r\n") == []
    assert titles(b"[   12.345678] app[88]: " + text + b"\r\n") == []


@pytest.mark.parametrize("name", OUTPUTS)
def test_output_of_a_healthy_system_fires_no_rule(name):
    assert titles(OUTPUTS[name].encode()) == []
