"""Magic system requests that leave the guest running, each by BREAK and its key."""

from __future__ import annotations

from harness.scenario.scenario import Scenario
from harness.scenario.stages import Stage
from harness.scenario.steps import REACTION_S, Alive, Expect, Inject, Reach, Run, Shows, Step
from harness.scenarios import phrases
from harness.scenarios.words import told


def _says(action: str) -> Shows:
    """Expect that the kernel prints the header of a request."""
    return phrases.line(f"sysrq: {action}", f"the kernel says: {action}")


_LOGIN: tuple[Step, ...] = (
    Expect(effects=(phrases.LOGIN_AGAIN,), within_s=2 * REACTION_S),
    Reach(stage=Stage.SHELL),
)
"""What follows a request that ends the shell."""


def _request(
    key: str, word: str, *effects: Shows, allows: frozenset[str] = frozenset(), after: tuple[Step, ...] = ()
) -> Scenario:
    """Return the scenario sysrq-`word`: BREAK and `key` show `effects`, and the guest goes on."""
    return told(
        f"sysrq-{word}",
        Reach(stage=Stage.SHELL),
        phrases.request(key, *effects, allows=allows),
        *after,
        Alive(),
    )


def _set_level(level: int) -> Inject:
    level_set = phrases.line(f"sysrq: Loglevel set to {level}", f"the log level is {level}")
    return phrases.request(str(level), _says("Changing Loglevel"), level_set)


_LOGLEVEL = told(
    "sysrq-loglevel",
    Reach(stage=Stage.SHELL),
    *(_set_level(level) for level in (9, 8, 7, 6, 5, 4, 3, 2, 1, 0)),
    Run(
        command="cat /proc/sys/kernel/printk",
        shows=Shows(pattern=r"^0\t[0-9]+\t[0-9]+\t[0-9]+\r?\n", says="the kernel keeps level 0"),
    ),
    Alive(),
)


SCENARIOS = (
    _request("h", "help", phrases.SYSRQ_HELP),
    _request("d", "unassigned", phrases.SYSRQ_HELP),
    _request(
        "m",
        "memory",
        _says("Show Memory"),
        phrases.line("Mem-Info:", "the report begins"),
        phrases.line("[0-9]+ pages RAM", "the report ends"),
    ),
    _request(
        "t",
        "tasks",
        _says("Show State"),
        phrases.line("task:(?:init|systemd) ", "the list begins with init"),
        phrases.line("Showing busy workqueues and worker pools:", "the list ends"),
    ),
    _request("w", "blocked", _says("Show Blocked State")),
    _request("p", "registers", _says("Show Regs"), *phrases.register_dump()),
    _request(
        "l",
        "backtrace",
        _says("Show backtrace of all active CPUs"),
        phrases.line(phrases.CPU_REPORT + "[0-9]+", "a processor reports"),
        phrases.line("Call [Tt]race:", "its stack"),
    ),
    _request("n", "nice", _says("Nice All RT Tasks")),
    _request(
        "q",
        "timers",
        _says("Show clockevent devices & pending hrtimers"),
        phrases.line("Timer List Version: ", "the list begins"),
        phrases.line("Tick Device: mode: ", "the tick devices"),
    ),
    _request("r", "unraw", _says("Keyboard mode set to system default")),
    _request("k", "sak", _says("SAK")),
    _request(
        "z",
        "ftrace",
        _says("Dump ftrace buffer"),
        phrases.line("Dumping ftrace buffer:", "the dump begins"),
        phrases.line(r"\(ftrace buffer empty\)", "the buffer is empty"),
    ),
    _request("s", "sync", _says("Emergency Sync"), phrases.SYNCED),
    _request(
        "u",
        "remount",
        _says("Emergency Remount R/O"),
        phrases.line("Emergency Remount complete", "all is read-only"),
    ),
    _request(
        "j",
        "thaw",
        _says("Emergency Thaw of all frozen filesystems"),
        phrases.line("Emergency Thaw complete", "all is thawed"),
    ),
    _LOGLEVEL,
    _request(
        "f",
        "oom",
        _says("Manual OOM execution"),
        phrases.line("Tasks state", "the killer lists the processes"),
        phrases.line(r"Out of memory: Killed process [0-9]+ ", "it kills one"),
        allows=frozenset({"oom"}),
        after=_LOGIN,
    ),
    _request("e", "terminate", _says("Terminate All Tasks"), after=_LOGIN),
    _request("i", "kill", _says("Kill All Tasks"), after=_LOGIN),
)
