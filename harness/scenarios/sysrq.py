"""Magic system requests that leave the guest running, each by BREAK and its key."""

from __future__ import annotations

from harness.scenario.scenario import Scenario, Severity, scenario
from harness.scenario.stages import Stage
from harness.scenario.steps import REACTION_S, Alive, Expect, Inject, Reach, Run, Shows, Step
from harness.scenario.stimulus import SysRq
from harness.scenarios import phrases


def _says(action: str) -> Shows:
    """Expect that the kernel prints the header of a request."""
    return phrases.line(f"sysrq: {action}", f"the kernel says: {action}")


_LOGIN: tuple[Step, ...] = (
    Expect(effects=(phrases.LOGIN_AGAIN,), within_s=2 * REACTION_S),
    Reach(stage=Stage.SHELL),
)
"""What follows a request that ends the shell."""


def _request(
    key: str,
    word: str,
    title: str,
    description: str,
    *effects: Shows,
    severity: Severity = Severity.NORMAL,
    allows: frozenset[str] = frozenset(),
    after: tuple[Step, ...] = (),
) -> Scenario:
    """Return the scenario sysrq-`word`: BREAK and `key` show `effects`, and the guest goes on."""
    return scenario(
        f"sysrq-{word}",
        title,
        description,
        Reach(stage=Stage.SHELL),
        Inject(stimulus=SysRq(key=key), effects=effects, attempts=phrases.ATTEMPTS, allows=allows),
        *after,
        Alive(),
        severity=severity,
        tags=frozenset({"sysrq", "login"} if after else {"sysrq"}),
        kernel_args=(phrases.FREE_SYSRQ,),
    )


def _set_level(level: int) -> Inject:
    return Inject(
        stimulus=SysRq(key=str(level)),
        effects=(
            _says("Changing Loglevel"),
            phrases.line(f"sysrq: Loglevel set to {level}", f"the log level is {level}"),
        ),
        attempts=phrases.ATTEMPTS,
    )


_LOGLEVEL = scenario(
    "sysrq-loglevel",
    "BREAK + 0 to 9 set the console's log level",
    "Sends each digit and checks the level that the kernel sets; the last one is then read back in the "
    "guest. At 9 the console shows everything; 0 silences a flood of messages so that one can work.",
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


SCENARIOS = (
    _request(
        "h",
        "help",
        "BREAK + h prints the list of system requests",
        "Holds the serial line in BREAK and sends h. The kernel itself prints the keys that it obeys, "
        "without any process of the guest, so this works on a server whose user space hangs.",
        phrases.SYSRQ_HELP,
        severity=Severity.CRITICAL,
    ),
    _request(
        "d",
        "unassigned",
        "BREAK + a key without a request prints the list of requests",
        "Sends d, which shows all held locks, but only where the kernel was built with lock debugging; "
        "Debian's are not. The kernel answers with its list of keys, so an unsupported request can't be "
        "mistaken for a lost one.",
        phrases.SYSRQ_HELP,
        severity=Severity.MINOR,
    ),
    _request(
        "m",
        "memory",
        "BREAK + m shows the use of memory",
        "Sends m and reads the kernel's memory report down to the number of pages. A server that has run "
        "out of memory can't start a shell any more, but still prints this.",
        _says("Show Memory"),
        phrases.line("Mem-Info:", "the report begins"),
        phrases.line("[0-9]+ pages RAM", "the report ends"),
        severity=Severity.CRITICAL,
    ),
    _request(
        "t",
        "tasks",
        "BREAK + t shows every task with its stack",
        "Sends t and reads the list of tasks: 30 to 60 kB at once, the longest of all reports, from init to "
        "the state of the work queues. It shows what a hung server is waiting for.",
        _says("Show State"),
        phrases.line("task:init ", "the list begins with init"),
        phrases.line("Showing busy workqueues and worker pools:", "the list ends"),
        severity=Severity.CRITICAL,
    ),
    _request(
        "w",
        "blocked",
        "BREAK + w shows the tasks that are blocked",
        "Sends w. On a healthy guest no task is blocked and only the header comes; on a server whose "
        "disk does not answer, the tasks that wait for it follow.",
        _says("Show Blocked State"),
    ),
    _request(
        "p",
        "registers",
        "BREAK + p shows the registers of the processor",
        "Sends p and reads the registers of the processor that took the interrupt. Asked a few times, "
        "this shows where a busy kernel runs in circles.",
        _says("Show Regs"),
        phrases.line("RIP: 0010:", "the place in the kernel"),
        phrases.line("RSP: 0018:", "the stack"),
        phrases.line("CR2: ", "the control registers"),
    ),
    _request(
        "l",
        "backtrace",
        "BREAK + l shows a backtrace of the active processors",
        "Sends l and reads the backtrace of the processor that took it. It tells which code holds a "
        "processor on a server that reacts to nothing else.",
        _says("Show backtrace of all active CPUs"),
        phrases.line("NMI backtrace for cpu [0-9]+", "a processor reports"),
        phrases.line("Call Trace:", "its stack"),
    ),
    _request(
        "n",
        "nice",
        "BREAK + n takes real-time priority from all tasks",
        "Sends n, which makes every real-time task a normal one. A runaway real-time process can keep "
        "even a root shell from running; this gives the processor back.",
        _says("Nice All RT Tasks"),
    ),
    _request(
        "q",
        "timers",
        "BREAK + q shows all timers and clock devices",
        "Sends q and reads the timers of every processor. Shows whether time still passes on a guest that "
        "no longer does anything by itself.",
        _says("Show clockevent devices & pending hrtimers"),
        phrases.line("Timer List Version: ", "the list begins"),
        phrases.line("Tick Device: mode: ", "the tick devices"),
    ),
    _request(
        "r",
        "unraw",
        "BREAK + r takes the keyboard out of raw mode",
        "Sends r, which gives the keyboard back to the kernel after a graphical program has died with it. "
        "It is the first of the six requests of an orderly emergency reboot.",
        _says("Keyboard mode set to system default"),
    ),
    _request(
        "k",
        "sak",
        "BREAK + k acts as the secure attention key",
        "Sends k, which kills every program on the current virtual console, so that the next login prompt "
        "there is genuine. A login on the serial line is on another terminal and must survive.",
        _says("SAK"),
    ),
    _request(
        "z",
        "ftrace",
        "BREAK + z dumps the trace buffer",
        "Sends z and reads the kernel's trace buffer, which is empty because tracing is off. With tracing "
        "on, this saves the trace of a guest that nobody can log in to.",
        _says("Dump ftrace buffer"),
        phrases.line("Dumping ftrace buffer:", "the dump begins"),
        phrases.line(r"\(ftrace buffer empty\)", "the buffer is empty"),
    ),
    _request(
        "s",
        "sync",
        "BREAK + s writes all data to the disks",
        "Sends s and waits until the kernel says that the emergency sync is complete. Before a forced "
        "reset, this saves what a hung server still holds in memory.",
        _says("Emergency Sync"),
        phrases.SYNCED,
        severity=Severity.CRITICAL,
    ),
    _request(
        "u",
        "remount",
        "BREAK + u makes all file systems read-only",
        "Sends u and waits until the kernel says that the remount is complete. After that, a reset can "
        "damage no file system, however badly the server hangs.",
        _says("Emergency Remount R/O"),
        phrases.line("Emergency Remount complete", "all is read-only"),
        severity=Severity.CRITICAL,
    ),
    _request(
        "j",
        "thaw",
        "BREAK + j thaws frozen file systems",
        "Sends j and waits for the thaw to complete. A backup that froze the root file system and died "
        "leaves a server on which every write hangs; this lets the writes go on.",
        _says("Emergency Thaw of all frozen filesystems"),
        phrases.line("Emergency Thaw complete", "all is thawed"),
    ),
    _LOGLEVEL,
    _request(
        "f",
        "oom",
        "BREAK + f kills the process that uses the most memory",
        "Sends f, which calls the out-of-memory killer by hand. Here it kills a login process, so a new "
        "prompt must appear and accept a login. On a server that swaps itself to death, this frees memory.",
        _says("Manual OOM execution"),
        phrases.line("Tasks state", "the killer lists the processes"),
        phrases.line(r"Out of memory: Killed process [0-9]+ ", "it kills one"),
        allows=frozenset({"oom"}),
        after=_LOGIN,
    ),
    _request(
        "e",
        "terminate",
        "BREAK + e terminates all processes, and one can log in again",
        "Sends e, which sends SIGTERM to every process but init. The login prompt must come back and accept "
        "a login: this clears a server choked by its processes without a reboot.",
        _says("Terminate All Tasks"),
        after=_LOGIN,
    ),
    _request(
        "i",
        "kill",
        "BREAK + i kills all processes, and one can log in again",
        "Sends i, which sends SIGKILL to every process but init. The login prompt must come back and accept "
        "a login, even if processes ignore SIGTERM.",
        _says("Kill All Tasks"),
        after=_LOGIN,
    ),
)
