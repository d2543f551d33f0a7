"""Whether a scenario can be played on a guest that is known, and what to type first so that it can; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from emulator.guest_images.own_kernel import OWN_LINE, TTYLAB_GUEST
from harness.play.silence import ELSEWHERE
from harness.scenario.kind import GuestKind
from harness.scenario.scenario import Scenario
from harness.scenario.stages import Stage
from harness.survey.facts import Survey
from harness.survey.wishes import IS_CONSOLE, Wishes, mask_allows, wishes_of

TTYLAB_WORD = "ttylab."
"""How kernel parameters begin that only ttylab's own initramfs heeds."""
_BECOME = "sudo -n sh"
_MADE_HERE = frozenset({"spin"})
"""Modules that ttylab makes and its scenarios load themselves."""
_SPIN = "a module that hangs a CPU, which ttylab makes out of one of the kernel's and has in its initramfs"
_INSTALL = ": a module that its kernel has not got, or that is not installed beside it"
_REMEDY = "; ttylab's initramfs has it if it is given the kernel's modules: modules in lab.toml, or --modules"


@dataclass(frozen=True, slots=True, kw_only=True)
class Errands:
    """What to do at the shell, once for each boot, before the scenario goes on.

    Attributes:
        become: a command that starts root's shell; empty if the shell is root's, or need not be.
        commands: to be run; each has to succeed.
        conditions: why the scenario can't be played, by the command that fails then and names the TTY.
    """

    become: str = ""
    commands: tuple[str, ...] = ()
    conditions: Mapping[str, str] = field(default_factory=dict)


def unfit(scenario: Scenario, survey: Survey | None, image: frozenset[str]) -> str | None:
    """Return why `scenario` can't be played on a guest, as far as image and survey tell; else None.

    Of the `image` its features are given.
    """
    if scenario.guest is not GuestKind.LINUX:
        return None
    wishes = wishes_of(scenario)
    static = _unfit_image(scenario, wishes, image)
    if static is not None or survey is None:
        return static
    return next(_reasons(scenario, wishes, survey, image), None)


def errands(scenario: Scenario, survey: Survey | None, image: frozenset[str]) -> Errands:
    """Return what has to be typed before `scenario`; nothing for a guest that heeds kernel parameters."""
    wishes = wishes_of(scenario)
    typed = _to_type(wishes, survey, image)
    commands = [
        f"echo '{value}' > /proc/sys/{name.replace('.', '/')}" for name, value in sorted(typed.items())
    ]
    if survey is not None and TTYLAB_GUEST not in image and "modprobe" in survey.programs:
        commands += [f"{{ modprobe -q {name} || true; }}" for name in sorted(scenario.modules - _MADE_HERE)]
    needs_root = survey is not None and not survey.root and survey.sudo and bool(commands or wishes.root)
    unknown = survey is None and OWN_LINE in image and wishes.records
    return Errands(
        become=_BECOME if needs_root else "",
        commands=tuple(commands),
        conditions={IS_CONSOLE: ELSEWHERE} if unknown else {},
    )


def _unfit_image(scenario: Scenario, wishes: Wishes, image: frozenset[str]) -> str | None:
    foreign = [word for word in scenario.kernel_args if word.startswith(TTYLAB_WORD)]
    if foreign and TTYLAB_GUEST not in image:
        return f"only ttylab's own initramfs heeds {' '.join(foreign)}"
    if OWN_LINE in image and wishes.fixed:
        words = " ".join(wishes.fixed)
        return f"the image boots its own kernel line, and {words} has to be on it"
    return None


def _reasons(scenario: Scenario, wishes: Wishes, survey: Survey, image: frozenset[str]) -> Iterator[str]:
    if wishes.shell and survey.obstacle:
        yield f"there is no shell: {survey.obstacle}"
    yield from _unshown(wishes, survey)
    if survey.obstacle:  # of the rest nothing is known
        return
    if survey.system != "Linux" and (wishes.keys or wishes.settings or wishes.kernel_lines or wishes.fixed):
        yield f"the guest runs {survey.system or 'an unknown system'}, and the scenario is about Linux"
    absent = [one for one in sorted(scenario.modules - image) if _lacks(survey, one, survey.features)]
    absent += [one for one in sorted(wishes.programs) if _lacks(survey, one, survey.programs)]
    if absent:
        modules = not scenario.modules.isdisjoint(absent)
        remedy = "" if not modules else _REMEDY if TTYLAB_GUEST in image else _INSTALL
        yield f"the guest has no {', '.join(map(_named, absent))}{remedy}"
    if wishes.keys and _lacks(survey, "kernel.sysrq", frozenset(survey.settings)):
        yield "its kernel has no system requests (CONFIG_MAGIC_SYSRQ)"
    typed = _to_type(wishes, survey, image)
    unknown = [one for one in sorted(typed) if _lacks(survey, one, frozenset(survey.settings))]
    if unknown:
        yield f"its kernel has no {', '.join(unknown)}"
    if (typed or wishes.root) and not survey.root and not survey.sudo:
        what = (
            "set " + ", ".join(f"{name}={value}" for name, value in sorted(typed.items()))
            if typed
            else "do this"
        )
        yield f"only root can {what}; {survey.user or 'its user'} is not, and has no sudo without a password"


def _unshown(wishes: Wishes, survey: Survey) -> Iterator[str]:
    if survey.kernel_is_elsewhere and (wishes.kernel_lines or wishes.records):
        yield ELSEWHERE.replace("TTY", survey.tty)
    if wishes.kernel_lines and Stage.KERNEL not in survey.stages:
        quiet = " (quiet)" if "quiet" in survey.command_line.split() else ""
        yield f"the kernel's first lines are not on the console{quiet}"
    if wishes.login_prompt and Stage.LOGIN not in survey.stages:
        yield "the console asks for no login: a shell is there straight away"


def _named(what: str) -> str:
    return f"{what} ({_SPIN})" if what in _MADE_HERE else what


def _lacks(survey: Survey, name: str, there: frozenset[str]) -> bool:
    return name in survey.asked and name not in there


def _to_type(wishes: Wishes, survey: Survey | None, image: frozenset[str]) -> dict[str, str]:
    """Return the sysctls that have to be set at the shell.

    A kernel that is given its parameters heeds them, but before Linux 5.8 it does not know `sysctl.NAME`, and
    what runs from its initramfs may set others again: they are set once more, if the shell may.
    """
    if OWN_LINE in image:
        values = {} if survey is None else survey.settings
        return {
            name: value for name, value in wishes.settings.items() if not _is_set(name, value, values, wishes)
        }
    heeded = TTYLAB_GUEST in image and (survey is None or _version(survey.release) >= (5, 8))
    able = survey is not None and (survey.root or survey.sudo)
    return dict(wishes.settings) if able and not heeded else {}


def _is_set(name: str, value: str, values: Mapping[str, str], wishes: Wishes) -> bool:
    now = values.get(name, "")
    if name == "kernel.sysrq" and value == "1" and now.isdecimal():
        return mask_allows(int(now), wishes.keys)
    return now == value or (name == "kernel.printk" and now.partition(" ")[0] == value)


def _version(release: str) -> tuple[int, ...]:
    """Return a release's first two numbers; those of a kernel that tells none count as new."""
    numbers = release.partition("-")[0].split(".")[:2]
    return tuple(int(part) for part in numbers if part.isdecimal()) or (99,)
