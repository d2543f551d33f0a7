"""The shipped scenarios: complete, readable, and true to what Linux prints."""

import re
from collections.abc import Iterator
from itertools import pairwise

import pytest

from emulator.errors import SpecError
from emulator.machine.control import Capability
from emulator.sac.image import sac_features
from harness.play.alarms import NAMES
from harness.scenario.scenario import Scenario
from harness.scenario.steps import (
    Alive,
    Expect,
    Expected,
    Inject,
    Outcome,
    Reach,
    Run,
    Send,
    Shows,
    Signals,
    Step,
    describe_step,
)
from harness.scenario.stimulus import Button, Nmi, Press, SysRq, Via
from harness.scenarios import LIBRARY, find_scenario, library_of, phrases
from harness.signatures.rules import shipped_rules

ALL = list(LIBRARY.values())
FEATURES = {"i6300esb", "pvpanic", "spin"} | sac_features("sac")
KEYS = set("0123456789bcdefhijklmnopqrstuwz")
"""What drivers/tty/sysrq.c offers on a server, and d, which needs lock debugging; v and x and y and g
need a frame buffer, another processor or a debugger."""
FATAL = frozenset({"panic", "shutdown"})

# As seen on consoles of 5.10 and 7.2: pattern by what it must match, bytes before it included.
SEEN = {
    "sysrq-help": (
        b"root@sid:~# [    4.854936] sysrq: HELP : loglevel(0-9) reboot(b) crash(c) terminate(e)\r\n"
    ),
    "sysrq-unassigned": b"[   18.960215] sysrq: HELP : loglevel(0-9) reboot(b) crash(c)\r\n",
    "sysrq-memory": (
        b"[    5.98] sysrq: Show Memory\r\n[    5.98] Mem-Info:\r\n[    5.99] 65406 pages RAM\r\n"
        b"[    5.99] 0 pages HighMem/MovableOnly\r\n"
    ),
    "sysrq-tasks": (
        b"[    9.16] sysrq: Show State\r\n"
        b"[    9.16] task:init            state:S stack:0     pid:1     tgid:1     ppid:0\r\n"
        b"[    9.60] Showing busy workqueues and worker pools:\r\n"
    ),
    "sysrq-blocked": b"[    8.87] sysrq: Show Blocked State\r\n",
    "sysrq-timers": (
        b"[   16.36] sysrq: Show clockevent devices & pending hrtimers (no others)\r\n"
        b"[   16.36] Timer List Version: v0.11\r\n[   16.40] Tick Device: mode:     1\r\n"
    ),
    "sysrq-nice": b"[   13.20] sysrq: Nice All RT Tasks\r\n",
    "sysrq-unraw": b"[   16.08] sysrq: Keyboard mode set to system default\r\n",
    "sysrq-sak": b"[   27.59] sysrq: SAK\r\n",
    "sysrq-ftrace": (
        b"[   17.52] sysrq: Dump ftrace buffer\r\n[   17.52] Dumping ftrace buffer:\r\n"
        b"[   17.52]    (ftrace buffer empty)\r\n"
    ),
    "sysrq-sync": b"[   20.39] sysrq: Emergency Sync\r\n[   20.39] Emergency Sync complete\r\n",
    "sysrq-remount": b"[   21.83] sysrq: Emergency Remount R/O\r\n[   21.83] Emergency Remount complete\r\n",
    "sysrq-thaw": (
        b"[   26.1] sysrq: Emergency Thaw of all frozen filesystems\r\n[   26.1] Emergency Thaw complete\r\n"
    ),
    "sysrq-registers": (
        b"[   10.31] sysrq: Show Regs\r\n[   10.32] RIP: 0010:native_safe_halt+0xe/0x20\r\n"
        b"[   10.32] RSP: 0018:ffffffff82603eb8 EFLAGS: 00000246\r\n"
        b"[   10.33] CR2: 00007ffd7bd0b7f8 CR3: 0000000004a4a000 CR4: 00000000000006f0\r\n"
    ),
    "sysrq-backtrace": (
        b"[   13.47] sysrq: Show backtrace of all active CPUs\r\n[   13.47] NMI backtrace for cpu 1\r\n"
        b"[   13.47] Call Trace:\r\n"
    ),
    "sysrq-oom": (
        b"[    5.43] sysrq: Manual OOM execution\r\n[    5.47] Tasks state (memory values in pages):\r\n"
        b"[    5.47] Out of memory: Killed process 93 (login) total-vm:2276kB, anon-rss:8kB\r\n"
    ),
    "nmi-dazed": (
        b"[    2.02] Uhhuh. NMI received for unknown reason 21 on CPU 0.\r\n"
        b"[    2.02] Dazed and confused, but trying to continue\r\n"
    ),
    "nmi-twice": (
        b"[    2.02] NMI: PCI system error (SERR) for reason ff on CPU 0.\r\n"
        b"[    2.02] Dazed and confused, but trying to continue\r\n"
    ),
    "nmi-panic": (
        b"[    2.0] Kernel panic - not syncing: NMI: Not continuing\r\n[    2.0] Kernel Offset: disabled\r\n"
    ),
    "sysrq-crash": (
        b"[    4.1] sysrq: Trigger a crash\r\n[    4.1] Kernel panic - not syncing: sysrq triggered crash\r\n"
        b"[    4.2] Kernel Offset: 0x1a000000 from 0xffffffff81000000\r\n"
    ),
}


def injections(scenario: Scenario) -> list[Inject]:
    return [step for step in scenario.steps if isinstance(step, Inject)]


def effects_of(step: Step) -> tuple[Expected, ...]:
    return step.effects if isinstance(step, Inject | Expect) else ()


def awaited(scenario: Scenario) -> Iterator[Shows]:
    for step in scenario.steps:
        yield from (effect for effect in effects_of(step) if isinstance(effect, Shows))
        if isinstance(step, Run) and step.shows is not None:
            yield step.shows


def test_library_is_sorted_by_name_and_large_enough():
    assert list(LIBRARY) == sorted(LIBRARY)
    assert len(LIBRARY) >= 36
    assert all(name == scenario.name for name, scenario in LIBRARY.items())


def test_library_refuses_two_scenarios_of_one_name():
    with pytest.raises(SpecError, match="'boot-login' is there twice"):
        library_of([LIBRARY["boot-login"], LIBRARY["boot-login"]])


def test_find_scenario_names_close_matches_when_there_is_none():
    assert find_scenario("nmi-panic") is LIBRARY["nmi-panic"]
    with pytest.raises(SpecError, match="unknown scenario 'nmi-panik'; did you mean nmi-panic"):
        find_scenario("nmi-panik")


@pytest.mark.parametrize("scenario", ALL, ids=lambda one: one.name)
def test_scenario_says_what_is_done_and_why(scenario):
    assert len(scenario.description) >= 120
    assert scenario.description.endswith(".")
    assert len(scenario.title) <= 90
    assert not scenario.title.endswith(".")
    assert scenario.tags


def test_scenario_titles_differ():
    assert len({scenario.title for scenario in ALL}) == len(ALL)


@pytest.mark.parametrize("scenario", ALL, ids=lambda one: one.name)
def test_scenario_allows_only_alarms_that_exist(scenario):
    known = NAMES | {rule.id for rule in shipped_rules().rules}
    assert scenario.allowed(len(scenario.steps) - 1) <= known


@pytest.mark.parametrize("scenario", ALL, ids=lambda one: one.name)
def test_scenario_asks_for_features_that_exist(scenario):
    assert scenario.modules <= FEATURES


@pytest.mark.parametrize("scenario", ALL, ids=lambda one: one.name)
def test_scenario_awaits_text_that_ends_in_what_the_guest_surely_sends(scenario):
    ends = (r"\n", "login: ", "Password: ", "{100}", "Domain  :", *(f"automatically: {n}" for n in (1, 2, 3)))
    assert [shows.pattern for shows in awaited(scenario) if not shows.pattern.endswith(ends)] == []


@pytest.mark.parametrize("scenario", ALL, ids=lambda one: one.name)
def test_scenario_ends_with_life_or_with_an_expected_death(scenario):
    last = scenario.steps[-1]
    assert isinstance(last, Alive) or scenario.allowed(len(scenario.steps) - 1) & FATAL


@pytest.mark.parametrize("scenario", ALL, ids=lambda one: one.name)
def test_scenario_comes_back_to_a_shell_after_it_has_restarted_the_guest(scenario):
    for step, after in pairwise(scenario.steps):
        if phrases.RESTARTS in effects_of(step):
            assert isinstance(after, Reach) or phrases.RESTARTS in effects_of(after)
    if scenario.name != "boot-loop":
        assert phrases.RESTARTS not in effects_of(scenario.steps[-1])


@pytest.mark.parametrize("scenario", ALL, ids=lambda one: one.name)
def test_scenario_allows_the_alarms_that_its_effects_raise(scenario):
    raises = {"RESET": "reset", "SHUTDOWN": "shutdown", "off": "off", "GUEST_PANICKED": "panic-event"}
    for index, step in enumerate(scenario.steps):
        for effect in effects_of(step):
            if isinstance(effect, Signals) and effect.name in raises:
                assert raises[effect.name] in scenario.allowed(index)
            if isinstance(effect, Shows) and "Kernel panic" in effect.pattern:
                assert "panic" in scenario.allowed(index)


def test_every_request_that_linux_names_is_made_by_break():
    made = {
        step.stimulus.key
        for scenario in ALL
        for step in injections(scenario)
        if isinstance(step.stimulus, SysRq)
        and step.stimulus.via is Via.BREAK
        and step.outcome is Outcome.EFFECTIVE
    }
    assert made == KEYS


def test_every_way_and_every_button_is_used():
    stimuli = [step.stimulus for scenario in ALL for step in injections(scenario)]
    assert {one.via for one in stimuli if isinstance(one, SysRq)} == set(Via)
    assert {one.button for one in stimuli if isinstance(one, Press)} == set(Button)
    assert any(isinstance(one, Nmi) for one in stimuli)


def test_every_request_by_break_is_tried_again_when_it_is_lost_on_its_way():
    once = [
        scenario.name
        for scenario in ALL
        for step in injections(scenario)
        if isinstance(step.stimulus, SysRq)
        and step.stimulus.via is Via.BREAK
        and step.outcome is Outcome.EFFECTIVE
        and step.attempts == 1
    ]
    assert once == []


@pytest.mark.parametrize("name", sorted(SEEN))
def test_effects_match_what_the_kernel_printed_and_not_a_part_of_it(name):
    step = injections(LIBRARY[name])[0]
    position = 0
    for shows in step.effects:
        match = shows.compiled().search(SEEN[name], position)
        assert match is not None, shows.pattern
        assert shows.compiled().search(SEEN[name][: match.end() - 1], position) is None
        position = match.end()


@pytest.mark.parametrize("name", sorted(SEEN))
def test_effects_do_not_match_a_silent_guest(name):
    silence = b"root@sid:~# echo h > /proc/sysrq-trigger\r\nroot@sid:~# insmod /lib/modules/spin.ko\r\n"
    for step in injections(LIBRARY[name]):
        assert not any(shows.compiled().search(silence) for shows in step.effects)


def test_masked_requests_are_watched_for_the_effect_they_must_not_have():
    masked = [step for step in injections(LIBRARY["sysrq-masked-all"]) if step.outcome is Outcome.NO_EFFECT]
    help_line = SEEN["sysrq-help"]
    assert len(masked) == 2
    assert all(any(one.compiled().search(help_line) for one in step.unless) for step in masked)


def test_refusal_of_mask_176_is_no_effect_of_m_and_the_report_is():
    step = injections(LIBRARY["sysrq-masked-176"])[0]
    refusal = b"[    4.2] sysrq: This sysrq operation is disabled.\r\n"
    assert not any(one.compiled().search(refusal) for one in step.unless)
    assert any(one.compiled().search(SEEN["sysrq-memory"]) for one in step.unless)


def test_scenario_needs_what_it_requires_beside_its_stimuli():
    assert LIBRARY["power-command"].needs == {Capability.SOFT_OFF}
    assert LIBRARY["sysrq-poweroff"].needs == {
        Capability.SOFT_OFF,
        Capability.SERIAL_BREAK,
        Capability.POWER_CYCLE,
    }


def test_a_password_is_not_in_the_description_of_its_step():
    assert describe_step(Send(line="secret", echo=False)) == "type a password"
    assert describe_step(Send(line="shown")) == "type: shown"


def test_long_line_is_longer_than_any_buffer_on_its_way_and_shorter_than_the_shell_takes():
    run = LIBRARY["console-long-line"].steps[1]
    assert isinstance(run, Run)
    assert 600 < len(run.command) < 1000
    assert re.search(r"[0-9a-f]{640}", run.command)
