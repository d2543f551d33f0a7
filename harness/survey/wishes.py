"""What a scenario wants of its guest, read from its steps and kernel parameters; pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from harness.scenario.scenario import Scenario
from harness.scenario.stages import Stage
from harness.scenario.steps import Alive, Expect, Inject, Outcome, Reach, Run, Send, Shows, Step, View
from harness.scenario.stimulus import Nmi, SysRq, Via

_SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "panic": "kernel.panic",
        "unknown_nmi_panic": "kernel.unknown_nmi_panic",
        "panic_on_io_nmi": "kernel.panic_on_io_nmi",
        "panic_on_warn": "kernel.panic_on_warn",
        "softlockup_panic": "kernel.softlockup_panic",
        "hung_task_panic": "kernel.hung_task_panic",
        "nmi_watchdog": "kernel.nmi_watchdog",
        "sysrq_always_enabled": "kernel.sysrq",
        "loglevel": "kernel.printk",
        "printk.devkmsg": "kernel.printk_devkmsg",
    }
)
"""The sysctl that sets in a running kernel what a parameter sets when it starts
(Documentation/admin-guide: kernel-parameters.txt, sysctl/kernel.rst). A word without a value means 1."""
_WHOLE: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "oops=panic": ("kernel.panic_on_oops", "1"),
        "nowatchdog": ("kernel.watchdog", "0"),
        "quiet": ("kernel.printk", "4"),
        "debug": ("kernel.printk", "10"),
        "ignore_loglevel": ("kernel.printk", "10"),
    }
)
_KEYWORDS = frozenset(
    ("if", "then", "else", "elif", "fi", "while", "until", "do", "done", "esac", "!", "{", "}", "time")
)
_PROGRAM = re.compile(r"[A-Za-z][\w.+-]*")
_ROOT = re.compile(
    r"\b(?:insmod|modprobe|rmmod|poweroff|reboot|halt|shutdown|u?mount|watchdog|chroot)\b"
    r"|\b(?:sysctl -w|dmesg -[nc])\b"
    r"|/dev/kmsg|/dev/watchdog|> ?/(?:proc|sys)/"
)
KERNEL_SAYS = (
    b"[    0.000000] Linux version 6.1.0-50-amd64 (debian-kernel@lists.debian.org) (gcc 12) #1 SMP\r\n",
    b"[    0.000000] Command line: root=/dev/vda1 ro console=tty0 console=ttyS0,115200\r\n",
    b"[    1.000000] Run /init as init process\r\n",
)
"""What a kernel writes as it starts, unless it is told to be quiet: samples, for patterns that await it."""
ASKS_LOGIN = b"\r\nguest login: "
_OF_KERNEL = re.compile(
    r"Kernel panic|[Ss]ys[Rr]q ?\??: |NMI|[Rr]eboot(?:ing in|: )|Linux version|BUG: |WARNING: "
)
"""What is in patterns that await lines of a running kernel."""
IS_CONSOLE = (
    "t=$(readlink /proc/self/fd/0);t=${t#/dev/};case $t in tty[A-Z]*|hvc*) "
    '[ ! -e /proc/consoles ] || grep -q "^$t " /proc/consoles || { echo $t; false; };; esac'
)
"""POSIX command that names the shell's terminal and fails where the kernel writes on others."""
MASK_BITS: Mapping[str, int] = MappingProxyType(
    {
        **dict.fromkeys("0123456789", 2),
        **dict.fromkeys("kr", 4),
        **dict.fromkeys("cglmptwz", 8),
        "s": 16,
        "u": 32,
        **dict.fromkeys("efij", 64),
        **dict.fromkeys("bo", 128),
        "n": 256,
    }
)
"""The bit of kernel.sysrq that allows each key (sysrq.rst); any bit allows keys that only show the help."""
_ONLY_BY_1 = frozenset("aqvxy")
"""Keys that no bit allows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a scenario wants of its guest.

    Attributes:
        shell: whether a shell is needed.
        root: whether it is root's.
        programs: what it runs, by name.
        settings: sysctls that its kernel parameters stand for.
        fixed: kernel parameters that do nothing in a running kernel, or are needed before a shell is.
        kernel_lines: whether it awaits what a kernel writes as it starts.
        records: whether it awaits what a running kernel writes, or counts on it that nothing comes.
        login_prompt: whether it awaits a login prompt by its text.
        keys: of system requests that are to have an effect, except those typed into the shell.
    """

    shell: bool
    root: bool
    programs: frozenset[str]
    settings: Mapping[str, str]
    fixed: tuple[str, ...]
    kernel_lines: bool
    records: bool
    login_prompt: bool
    keys: frozenset[str]


def wishes_of(scenario: Scenario) -> Wishes:
    """Return what `scenario` wants of its guest."""
    commands = tuple(_commands(scenario.steps))
    settings, fixed = _settings(scenario)
    awaited = [one for step in scenario.steps for one in _awaited(step)]
    via_proc = [step for step in scenario.steps if _is_request(step, (Via.PROC,))]
    return Wishes(
        shell=any(_needs_shell(step) for step in scenario.steps),
        root=bool(via_proc) or any(map(_ROOT.search, commands)),
        programs=frozenset(program for command in commands for program in programs_in(command)),
        settings=settings,
        fixed=fixed,
        kernel_lines=any(isinstance(step, Reach) and step.stage is Stage.KERNEL for step in scenario.steps)
        or any(one.compiled().search(said) for one in awaited for said in KERNEL_SAYS),
        records=any(map(_awaits_records, scenario.steps)) or any("/dev/kmsg" in one for one in commands),
        login_prompt=any(one.compiled().search(ASKS_LOGIN) for one in awaited if "ogin" in one.pattern),
        keys=frozenset(
            step.stimulus.key
            for step in scenario.steps
            if isinstance(step, Inject)
            and isinstance(step.stimulus, SysRq)
            and step.outcome is Outcome.EFFECTIVE
            and step.stimulus.via is not Via.PROC
        ),
    )


def sysctl_of(word: str) -> tuple[str, str] | None:
    """Return the sysctl that does what the kernel parameter `word` does, and its value; None without one."""
    if word in _WHOLE:
        return _WHOLE[word]
    name, _, value = word.partition("=")
    if name.startswith("sysctl."):
        return name.removeprefix("sysctl.").replace("/", "."), value
    return (_SETTINGS[name], value or "1") if name in _SETTINGS else None


def programs_in(command: str) -> frozenset[str]:
    """Return the names of the programs and built-ins that a line of shell begins with, as far as they show.

    What is quoted, and what is called by a path or a variable, is not looked into.
    """
    plain = re.sub(r"'[^']*'|\"[^\"]*\"", "''", command)
    found = set[str]()
    for part in re.split(r"\$\(|[;&|()\n`]", plain):
        words = part.split()
        while words and (words[0] in _KEYWORDS or re.match(r"\w+=", words[0])):
            words.pop(0)
        if words and words[0] not in {"for", "case", "function"} and _PROGRAM.fullmatch(words[0]):
            found.add(words[0])
    return frozenset(found)


def mask_allows(mask: int, keys: frozenset[str]) -> bool:
    """Tell whether kernel.sysrq at `mask` allows the requests `keys` by BREAK or keyboard."""
    if mask == 1 or not keys:
        return bool(mask) or not keys
    return not keys & _ONLY_BY_1 and all(mask & MASK_BITS.get(key, 0x1FE) for key in keys)


def _settings(scenario: Scenario) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the sysctls that can be typed in time, and the parameters that can't."""
    settings, fixed = dict[str, str](), list[str]()
    first = next((step for step in scenario.steps if isinstance(step, Reach | Inject | Expect)), None)
    in_time = isinstance(first, Reach) and first.stage is Stage.SHELL
    for word in scenario.kernel_args:
        typed = sysctl_of(word) if in_time else None
        if typed is None:
            fixed.append(word)
        else:
            settings[typed[0]] = typed[1]
    return settings, tuple(fixed)


def _needs_shell(step: Step) -> bool:
    if isinstance(step, Reach):
        return step.stage is Stage.SHELL
    return isinstance(step, Run | Alive) or _is_request(step, (Via.PROC,))


def _awaits_records(step: Step) -> bool:
    if not isinstance(step, Inject | Expect):
        return False
    asks = isinstance(step, Inject) and isinstance(step.stimulus, Nmi | SysRq)
    shown = [one for one in step.effects if isinstance(one, Shows)]
    shown += step.unless if isinstance(step, Inject) else ()
    return any((asks and one.view is View.RAW) or _OF_KERNEL.search(one.pattern) for one in shown)


def _is_request(step: Step, ways: tuple[Via, ...]) -> bool:
    return isinstance(step, Inject) and isinstance(step.stimulus, SysRq) and step.stimulus.via in ways


def _commands(steps: tuple[Step, ...]) -> Iterator[str]:
    """Yield what is typed at a shell's prompt; a line that answers a program's question is no command."""
    at_prompt = False
    for step in steps:
        if isinstance(step, Run) or (isinstance(step, Send) and step.echo and at_prompt):
            yield step.command if isinstance(step, Run) else step.line
        at_prompt = isinstance(step, Run | Alive) or (isinstance(step, Reach) and step.stage is Stage.SHELL)


def _awaited(step: Step) -> Iterator[Shows]:
    if isinstance(step, Inject | Expect):
        yield from (one for one in step.effects if isinstance(one, Shows))
