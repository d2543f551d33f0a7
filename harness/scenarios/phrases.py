"""What several scenarios share: what Linux prints and QEMU reports, and common stimuli.

Every text was seen on Debian's 5.10, 6.1, 6.12 and 7.2 kernels under QEMU 7.2. Patterns end in something
that the guest is certain to send (docs/facts/parts.md 2).
"""

from __future__ import annotations

from emulator.machine.architectures import ARCHITECTURES
from harness.scenario.stages import Stage
from harness.scenario.steps import Alive, Expected, Inject, Reach, Shows, Signals, Step, View
from harness.scenario.stimulus import Button, Press, SysRq

CONSOLE = f"(?:{'|'.join(one.console for one in ARCHITECTURES)})"
"""The serial console as guests call it."""
LINE_END = r"[^\n]*\n"
"""The rest of a line."""

PANIC = frozenset({"panic"})
RESET = frozenset({"reset"})
OFF = frozenset({"shutdown", "off"})
NMI = frozenset({"nmi-unknown"})
HALTED = frozenset({"system-halted"})


def line(text: str, says: str) -> Shows:
    """Expect a line that matches the regular expression `text`, up to its end."""
    return Shows(pattern=text + LINE_END, says=says)


def register_dump() -> tuple[Shows, ...]:
    """Expect a dump of a processor's registers, as any architecture prints it."""
    names = ("the place in the kernel", "the stack", "the last registers")
    texts = zip(*(one.says.registers for one in ARCHITECTURES), strict=True)
    return tuple(line(f"(?:{'|'.join(some)})", name) for some, name in zip(texts, names, strict=True))


def panic(about: str) -> Shows:
    """Expect a kernel panic for the reason `about`."""
    return line(f"Kernel panic - not syncing: {about}", "the kernel panics")


# 5.10 prints no "---[ end Kernel panic" for a panic in NMI context: this is its last line.
PANIC_WHOLE = line("Kernel Offset: ", "the panic is printed to its end")
REBOOT_COUNTDOWN = line(r"Rebooting in 1 seconds\.\.", "the kernel says that it will reboot")
KERNEL_STARTS = line("Linux version ", "a kernel starts anew")
LOGIN_AGAIN = Shows(pattern=r"login: ", says="a new login prompt", view=View.USER)
RESTARTS = Signals(name="RESET", says="the machine restarts")
POWERS_DOWN = line("reboot: Power down", "the kernel powers down")
SHUTS_DOWN = Signals(name="SHUTDOWN", says="the machine shuts down")
SWITCHES_OFF = Signals(name="off", says="the machine is off")

SYSRQ_HELP = line(r"sysrq: HELP : loglevel\(0-9\) ", "the kernel lists its keys")
SYSRQ_ANY = line("sysrq: (?!This sysrq operation is disabled)", "the kernel takes a system request")
SYNCED = line("Emergency Sync complete", "all is written")
CPU_REPORT = f"(?:{'|'.join(one.says.backtrace for one in ARCHITECTURES)})"
"""What begins a processor's report; its number follows."""
NMI_NOTED = line(r"NMI(?: received for unknown reason|: PCI system error)", "the kernel notes the NMI")
NMI_DAZED = line("Dazed and confused, but trying to continue", "the kernel goes on")
NMI_PANIC = (panic("NMI: Not continuing"), PANIC_WHOLE)
CRASH = (panic("sysrq triggered crash"), PANIC_WHOLE)

ATTEMPTS = 3
"""QEMU can lose a BREAK (docs/facts/qemu.md 4), so a harmless request is tried again."""


def request(key: str, *effects: Expected, allows: frozenset[str] = frozenset()) -> Inject:
    """Send BREAK and `key`, again if it gets lost, and expect `effects`."""
    return Inject(stimulus=SysRq(key=key), effects=effects, attempts=ATTEMPTS, allows=allows)


SHOW_HELP = request("h", SYSRQ_HELP)
UP: tuple[Step, ...] = (Reach(stage=Stage.SHELL), Alive())
RESET_BUTTON = Inject(stimulus=Press(button=Button.RESET), effects=(RESTARTS,), allows=RESET)
