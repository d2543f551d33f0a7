"""What the scanner finds: a kind, a title, and an exact byte span of the raw stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal[
    "ATOMIC_SLEEP", "BUG", "DoS", "HANG", "KASAN-INVALID-FREE", "KASAN-NULL-POINTER-DEREFERENCE-READ",
    "KASAN-NULL-POINTER-DEREFERENCE-WRITE", "KASAN-READ", "KASAN-UNKNOWN", "KASAN-USE-AFTER-FREE-READ",
    "KASAN-USE-AFTER-FREE-WRITE", "KASAN-WRITE", "KCSAN-ASSERT", "KCSAN-DATARACE", "KCSAN-UNKNOWN",
    "KFENCE-INVALID-FREE", "KFENCE-MEMORY-CORRUPTION", "KFENCE-READ", "KFENCE-UNKNOWN",
    "KFENCE-USE-AFTER-FREE-READ", "KFENCE-USE-AFTER-FREE-WRITE", "KFENCE-WRITE", "KMSAN-INFO-LEAK",
    "KMSAN-UNINIT-VALUE", "KMSAN-UNKNOWN", "KMSAN-USE-AFTER-FREE-READ", "LEAK", "LOCKDEP",
    "MEMORY_SAFETY_BUG", "NULL-POINTER-DEREFERENCE", "REBOOT", "REFCOUNT_WARNING", "UBSAN", "UNKNOWN",
    "WARNING",
    # not in the corpus, which leaves UNKNOWN out too:
    "BOOTLOADER_PROMPT", "BUGCHECK", "EMERGENCY_SHELL", "FIRMWARE", "HALTED", "HYPERVISOR",
    "INITRAMFS_SHELL", "NMI_UNKNOWN", "OOM",
]  # fmt: skip
"""What went wrong, as syzkaller's corpus names it in its `TYPE:` headers.

What syzkaller does not know (loaders, rescue shells, Windows) has names of our own, after those of the
corpus. A finding's rule id makes finer distinctions, such as soft lockup and RCU stall (both `HANG`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that went wrong in one boot.

    Attributes:
        rule: id of the rule that fired ("panic", "rcu-stall"); stable, since scenarios name it.
        kind: coarse kind.
        title: short title without numbers or addresses, the same for the same fault.
        alt_titles: other titles under which the same fault may be filed.
        corrupted: whether the text is cut off or interleaved so badly that the title can't be trusted.
        corrupted_reason: why; empty if not corrupted.
        suppressed: whether it is known noise, or only the consequence of an earlier finding of the boot (the
            panic after an oops), and not to be reported.
        start: first byte of the trigger line, as offset in the raw stream.
        end: one past the last byte of the report.
        fatal: whether the guest can't continue.
    """

    rule: str
    kind: Kind
    title: str
    alt_titles: tuple[str, ...] = ()
    corrupted: bool = False
    corrupted_reason: str = ""
    suppressed: bool = False
    start: int
    end: int
    fatal: bool = False


# Rules whose finding ends any wait that does not expect it: the guest can't continue, or is in no state to be
# judged. They include prompts that someone may want (`grub>`): a scenario that works there must allow them.
ALWAYS_ARMED = frozenset({
    "bugcheck", "corrupted-list", "double-fault", "dracut-shell", "emergency-mode", "firmware-exception",
    "gpf", "grub-rescue", "grub-shell", "grub-waits", "hard-lockup", "hung-task", "init-frozen",
    "initramfs-emergency", "initramfs-shell", "internal-error", "ipxe-shell", "kasan", "kernel-bug",
    "loader-error", "machine-check", "maintenance-login", "no-boot-device", "null-deref", "oops",
    "paging-request", "panic", "rcu-stall", "sac-crash-prompt", "serror", "soft-lockup",
    "stack-guard", "stack-overflow", "syslinux-prompt", "system-halted", "trap", "uboot-abort",
    "uboot-exception", "uboot-shell", "uefi-shell", "unhandled-fault", "usercopy", "windows-boot-error",
    "xen-panic",
})  # fmt: skip
