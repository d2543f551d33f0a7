"""Guests with more than one processor."""

from __future__ import annotations

from harness.scenario.scenario import Alive, Inject, Reach, Run, Scenario, Severity, Shows
from harness.scenario.stages import Stage
from harness.scenario.stimulus import SysRq
from harness.scenarios import phrases
from harness.scenarios.sysrq import ATTEMPTS

_SMP = frozenset({"smp"})

SCENARIOS = (
    Scenario(
        name="smp-boot",
        title="A guest with two processors runs on both",
        description=(
            "Boots with two virtual processors and lets each do work. Races on the console show only where "
            "two processors write to it."
        ),
        steps=(
            Reach(stage=Stage.SHELL),
            Run(command="nproc", shows=Shows(pattern=r"[2-4]\r?\n", says="the guest has its processors")),
            Run(
                command="taskset 2 cut -d ' ' -f 39 /proc/self/stat",
                shows=Shows(pattern=r"(^|\n)1\r?\n", says="a process runs on CPU 1"),
            ),
            Alive(),
        ),
        tags=_SMP | {"boot"},
        min_vcpus=2,
    ),
    Scenario(
        name="smp-backtrace",
        title="BREAK + l shows a backtrace of every processor",
        description=(
            "Keeps both processors busy, sends l, and must find a report of each, CPU 0 and CPU 1. A hang is "
            "mostly one processor waiting for what another one holds."
        ),
        steps=(
            Reach(stage=Stage.SHELL),
            Run(command="for cpu in 1 2; do taskset $cpu sh -c 'while :; do :; done' & done; sleep 0.3"),
            Inject(
                stimulus=SysRq(key="l"),
                effects=(
                    phrases.line("sysrq: Show backtrace of all active CPUs", "the kernel says so"),
                    phrases.line("NMI backtrace for cpu [01]", "a processor reports"),
                    phrases.line("NMI backtrace for cpu [01]", "the other processor reports"),
                ),
                attempts=ATTEMPTS,
            ),
            Alive(),
        ),
        severity=Severity.CRITICAL,
        tags=_SMP | {"sysrq"},
        kernel_args=(phrases.FREE_SYSRQ,),
        min_vcpus=2,
    ),
)
