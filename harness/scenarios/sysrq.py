"""Magic system requests that leave the guest running, each by BREAK and its key."""

from __future__ import annotations

from dataclasses import dataclass

from harness.scenario.scenario import Scenario, Severity, scenario
from harness.scenario.stages import Stage
from harness.scenario.steps import REACTION_S, Alive, Expect, Expected, Inject, Reach, Run, Shows
from harness.scenario.stimulus import SysRq
from harness.scenarios import phrases

ATTEMPTS = 3
"""QEMU can lose a BREAK (docs/facts/qemu.md 4), so a harmless request is tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """A key that shows something and lets the guest go on.

    Attributes:
        key: what follows the BREAK.
        word: what the scenario's name ends in.
        title: one line.
        description: as `Scenario.description`.
        effects: what is expected.
        severity: how bad a failure is.
    """

    key: str
    word: str
    title: str
    description: str
    effects: tuple[Expected, ...]
    severity: Severity = Severity.NORMAL


def _says(action: str) -> Shows:
    """Expect that the kernel prints the header of a request."""
    return phrases.line(f"sysrq: {action}", f"the kernel says: {action}")


_REQUESTS = (
    _Request(
        key="h",
        word="help",
        title="BREAK + h prints the list of system requests",
        description=(
            "Holds the serial line in BREAK and sends h. The kernel itself prints the keys that it obeys; "
            "no process of the guest takes part, so this works on a server whose user space hangs."
        ),
        effects=(phrases.SYSRQ_HELP,),
        severity=Severity.CRITICAL,
    ),
    _Request(
        key="d",
        word="unassigned",
        title="BREAK + a key without a request prints the list of those there are",
        description=(
            "Sends d, which shows all held locks, but only where the kernel was built with lock debugging; "
            "Debian's are not. The kernel answers with its list of keys, so a request that is not offered "
            "can't be taken for one that was lost."
        ),
        effects=(phrases.SYSRQ_HELP,),
        severity=Severity.MINOR,
    ),
    _Request(
        key="m",
        word="memory",
        title="BREAK + m shows the use of memory",
        description=(
            "Sends m and reads the kernel's memory report down to the number of pages. A server that has "
            "run out of memory has no room left to start a shell, but still gives this."
        ),
        effects=(
            _says("Show Memory"),
            phrases.line("Mem-Info:", "the report begins"),
            phrases.line("[0-9]+ pages RAM", "the report ends"),
        ),
        severity=Severity.CRITICAL,
    ),
    _Request(
        key="t",
        word="tasks",
        title="BREAK + t shows every task with its stack",
        description=(
            "Sends t and reads the list of tasks: 30 to 60 kB at once, the longest of all reports, from init "
            "to the state of the work queues. It tells what a hung server waits for."
        ),
        effects=(
            _says("Show State"),
            phrases.line("task:init ", "the list begins with init"),
            phrases.line("Showing busy workqueues and worker pools:", "the list ends"),
        ),
        severity=Severity.CRITICAL,
    ),
    _Request(
        key="w",
        word="blocked",
        title="BREAK + w shows the tasks that are blocked",
        description=(
            "Sends w. On a healthy guest no task is blocked and only the header comes; on a server whose "
            "disk does not answer, the tasks that wait for it follow."
        ),
        effects=(_says("Show Blocked State"),),
    ),
    _Request(
        key="p",
        word="registers",
        title="BREAK + p shows the registers of the processor",
        description=(
            "Sends p and reads the registers of the processor that took the interrupt. Asked a few times, "
            "this shows where a busy kernel runs in circles."
        ),
        effects=(
            _says("Show Regs"),
            phrases.line("RIP: 0010:", "the place in the kernel"),
            phrases.line("RSP: 0018:", "the stack"),
            phrases.line("CR2: ", "the control registers"),
        ),
    ),
    _Request(
        key="l",
        word="backtrace",
        title="BREAK + l shows a backtrace of the active processors",
        description=(
            "Sends l and reads the backtrace of the processor that took it. It tells which code holds a "
            "processor on a server that reacts to nothing else."
        ),
        effects=(
            _says("Show backtrace of all active CPUs"),
            phrases.line("NMI backtrace for cpu [0-9]+", "a processor reports"),
            phrases.line("Call Trace:", "its stack"),
        ),
    ),
    _Request(
        key="n",
        word="nice",
        title="BREAK + n takes real-time priority from all tasks",
        description=(
            "Sends n, which makes every real-time task a normal one. A runaway real-time process can keep "
            "even a root shell from running; this gives the processor back."
        ),
        effects=(_says("Nice All RT Tasks"),),
    ),
    _Request(
        key="q",
        word="timers",
        title="BREAK + q shows all timers and clock devices",
        description=(
            "Sends q and reads the timers of every processor. Shows whether time still passes on a guest "
            "that has stopped to do anything by itself."
        ),
        effects=(
            _says("Show clockevent devices & pending hrtimers"),
            phrases.line("Timer List Version: ", "the list begins"),
            phrases.line("Tick Device: mode: ", "the tick devices"),
        ),
    ),
    _Request(
        key="r",
        word="unraw",
        title="BREAK + r takes the keyboard out of raw mode",
        description=(
            "Sends r, which gives the keyboard back to the kernel after a graphical program has died with "
            "it. First of the six requests of an orderly emergency reboot."
        ),
        effects=(_says("Keyboard mode set to system default"),),
    ),
    _Request(
        key="k",
        word="sak",
        title="BREAK + k is taken as secure attention key",
        description=(
            "Sends k, which kills every program on the current virtual console, so that the next login "
            "prompt there is a true one. A login on the serial line is another terminal and must live on."
        ),
        effects=(_says("SAK"),),
    ),
    _Request(
        key="z",
        word="ftrace",
        title="BREAK + z dumps the trace buffer",
        description=(
            "Sends z and reads the kernel's trace buffer, which is empty as nobody traces. Where tracing is "
            "on, this saves the trace of a guest that can't be logged in to."
        ),
        effects=(
            _says("Dump ftrace buffer"),
            phrases.line("Dumping ftrace buffer:", "the dump begins"),
            phrases.line(r"\(ftrace buffer empty\)", "the buffer is empty"),
        ),
    ),
    _Request(
        key="s",
        word="sync",
        title="BREAK + s writes all data to the disks",
        description=(
            "Sends s and waits until the kernel says that the emergency sync is complete. Done before a "
            "forced reset it saves what a hung server still held in memory."
        ),
        effects=(_says("Emergency Sync"), phrases.line("Emergency Sync complete", "all is written")),
        severity=Severity.CRITICAL,
    ),
    _Request(
        key="u",
        word="remount",
        title="BREAK + u makes all file systems read-only",
        description=(
            "Sends u and waits until the kernel says that the remount is complete. After it a reset can "
            "damage no file system, however the server hangs."
        ),
        effects=(
            _says("Emergency Remount R/O"),
            phrases.line("Emergency Remount complete", "all is read-only"),
        ),
        severity=Severity.CRITICAL,
    ),
    _Request(
        key="j",
        word="thaw",
        title="BREAK + j thaws frozen file systems",
        description=(
            "Sends j and waits for the thaw to complete. A backup that froze the root file system and died "
            "leaves a server on which every write hangs; this lets it go on."
        ),
        effects=(
            _says("Emergency Thaw of all frozen filesystems"),
            phrases.line("Emergency Thaw complete", "all is thawed"),
        ),
    ),
)


def _scenario_of(request: _Request) -> Scenario:
    return scenario(
        f"sysrq-{request.word}",
        request.title,
        request.description,
        Reach(stage=Stage.SHELL),
        Inject(stimulus=SysRq(key=request.key), effects=request.effects, attempts=ATTEMPTS),
        Alive(),
        severity=request.severity,
        tags=frozenset({"sysrq"}),
        kernel_args=(phrases.FREE_SYSRQ,),
    )


def _set_level(level: int) -> Inject:
    return Inject(
        stimulus=SysRq(key=str(level)),
        effects=(
            _says("Changing Loglevel"),
            phrases.line(f"sysrq: Loglevel set to {level}", f"the log level is {level}"),
        ),
        attempts=ATTEMPTS,
    )


_LOGLEVEL = scenario(
    "sysrq-loglevel",
    "BREAK + 0 to 9 set the console's log level",
    "Sends each digit and sees the level that the kernel takes; the last one is then read back in the "
    "guest. At 9 the console shows everything, at 0 a flood of "
    "messages is silenced so that one can work.",
    Reach(stage=Stage.SHELL),
    *(_set_level(level) for level in (9, 8, 7, 6, 5, 4, 3, 2, 1, 0)),
    Run(
        command="cat /proc/sys/kernel/printk",
        shows=Shows(pattern=r"^0\t[0-9]+\t[0-9]+\t[0-9]+\r?\n", says="the kernel keeps level 0"),
    ),
    Alive(),
    tags=frozenset({"sysrq"}),
    kernel_args=(phrases.FREE_SYSRQ,),
)


def _killer(*, key: str, word: str, title: str, description: str, effects: tuple[Shows, ...]) -> Scenario:
    """Return the scenario of a request that ends the shell, after which one logs in anew."""
    return scenario(
        f"sysrq-{word}",
        title,
        description,
        Reach(stage=Stage.SHELL),
        Inject(
            stimulus=SysRq(key=key),
            effects=effects,
            attempts=ATTEMPTS,
            allows=frozenset({"oom"}) if key == "f" else frozenset(),
        ),
        Expect(effects=(phrases.LOGIN_AGAIN,), within_s=2 * REACTION_S),
        Reach(stage=Stage.SHELL),
        Alive(),
        tags=frozenset({"sysrq", "login"}),
        kernel_args=(phrases.FREE_SYSRQ,),
    )


SCENARIOS = (
    *(_scenario_of(request) for request in _REQUESTS),
    _LOGLEVEL,
    _killer(
        key="f",
        word="oom",
        title="BREAK + f kills the process that uses the most memory",
        description=(
            "Sends f, which calls the out-of-memory killer by hand. It takes a login process here, so a new "
            "prompt must come and let one in. On a server that swaps itself to death this frees memory."
        ),
        effects=(
            _says("Manual OOM execution"),
            phrases.line("Tasks state", "the killer lists the processes"),
            phrases.line(r"Out of memory: Killed process [0-9]+ ", "it kills one"),
        ),
    ),
    _killer(
        key="e",
        word="terminate",
        title="BREAK + e terminates all processes, and one can log in again",
        description=(
            "Sends e, which sends SIGTERM to every process but init. The login prompt must come back and let "
            "one in: a server choked by its processes is emptied without a reboot."
        ),
        effects=(_says("Terminate All Tasks"),),
    ),
    _killer(
        key="i",
        word="kill",
        title="BREAK + i kills all processes, and one can log in again",
        description=(
            "Sends i, which sends SIGKILL to every process but init. The login prompt must come back and let "
            "one in, also where processes do not heed SIGTERM."
        ),
        effects=(_says("Kill All Tasks"),),
    ),
)
