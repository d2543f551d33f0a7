"""What a first boot tells of a guest: the questions, and the answers as a value; pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from emulator.guest_text.escapes import seen
from emulator.guest_text.linux import KERNEL, LinuxProfile
from emulator.guest_text.printable import escape
from harness.scenario.kind import GuestKind
from harness.scenario.scenario import Scenario
from harness.scenario.stages import Stage
from harness.survey.wishes import wishes_of

_WORD = re.compile(r"[A-Za-z0-9_.+-]{1,64}")
_LOADER = re.compile(rb"GNU GRUB|Welcome to GRUB|SYSLINUX|ISOLINUX|U-Boot|systemd-boot")
_TOLD = ("user", "shell", "system", "release", "architecture", "tty")
_LINE = re.compile(r"^(\w+)=(.*?)\r*$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What is known of a guest that has been booted.

    Attributes:
        stages: those that its console shows, in their order.
        obstacle: why there is no shell; empty if there is one.
        prompt: what its shell shows when it waits, as printable text.
        user: who has the shell.
        root: whether that is root.
        sudo: whether sudo makes it root without a password.
        shell: the program, "/usr/bin/bash"; empty if the guest does not tell.
        system: `uname -s`.
        release: `uname -r`.
        architecture: `uname -m`.
        tty: the terminal of its shell, "ttyS0"; empty if the guest does not tell.
        consoles: the terminals on which its kernel writes; empty if the guest does not tell.
        command_line: kernel parameters that it was booted with.
        settings: values of sysctls, by name, of those that were asked for and exist.
        programs: those that were asked for and are there.
        features: drivers and modules, likewise.
        asked: everything that was asked for; of other things nothing is known.
    """

    stages: tuple[Stage, ...] = ()
    obstacle: str = ""
    prompt: str = ""
    user: str = ""
    root: bool = False
    sudo: bool = False
    shell: str = ""
    system: str = ""
    release: str = ""
    architecture: str = ""
    tty: str = ""
    consoles: tuple[str, ...] = ()
    command_line: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    programs: frozenset[str] = frozenset()
    features: frozenset[str] = frozenset()
    asked: frozenset[str] = frozenset()

    @property
    def kernel_is_elsewhere(self) -> bool:
        """Whether its kernel is known to write on other terminals than that of its shell."""
        named = re.match(r"tty[A-Z]|hvc", self.tty) is not None
        return named and bool(self.consoles) and self.tty not in self.consoles

    @property
    def told(self) -> str:
        """What matters of it, in one line for people."""
        if self.obstacle:
            return f"no shell: {self.obstacle}"
        who = "root" if self.root else self.user + (", sudo" if self.sudo else ", not root")
        sysrq = self.settings.get("kernel.sysrq", "none")
        sysrq = "as asked for" if "sysctl.kernel.sysrq=" in self.command_line else sysrq
        shell = self.shell.rpartition("/")[2] or "sh"
        system = f"{self.system} {self.release}"
        elsewhere = [f"kernel lines on {', '.join(self.consoles)} alone"] if self.kernel_is_elsewhere else []
        return ", ".join([system, f"{shell} of {who}", f"SysRq {sysrq}", *elsewhere, *sorted(self.features)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """What to ask a guest.

    Attributes:
        settings: sysctls.
        programs: names of programs.
        features: names of drivers and modules.
    """

    settings: tuple[str, ...]
    programs: tuple[str, ...]
    features: tuple[str, ...]

    @property
    def key(self) -> str:
        """A name that differs when other things are asked."""
        return hashlib.sha256(self.command().encode()).hexdigest()[:16]

    def command(self) -> str:
        """Return a POSIX command for `read_answers`; it changes nothing, and omits what it can't find."""
        paths = " ".join(name.replace(".", "/") for name in self.settings)
        here = "/lib/modules/$(uname -r)"
        return (
            "(PATH=$PATH:/sbin:/usr/sbin;"
            "echo uid=$(id -u);echo user=$(id -un);echo system=$(uname -s);echo release=$(uname -r);"
            'echo architecture=$(uname -m);echo "line=$(cat /proc/cmdline)";'
            "echo shell=$(readlink /proc/$$/exe);echo tty=$(readlink /proc/self/fd/0);"
            "while read x y;do echo console=$x;done </proc/consoles;sudo -n true && echo sudo=yes;"
            f'for x in {paths};do v=$(cat /proc/sys/$x) && echo "set=$x $v";done;'
            f"for x in {' '.join(self.programs)};do command -v $x >/dev/null && echo program=$x;done;"
            "watchdog --help 2>&1 | grep -q BusyBox || echo lacks=watchdog;"
            f"for x in {' '.join(self.features)};do y=$(echo $x | tr - _);"
            # ttylab's initramfs has modules of another kernel too, if its user brings none
            'grep -q "vermagic=$(uname -r) " /lib/modules/$y.ko && echo driver=$x;'
            "for z in /sys/module/$y /sys/bus/*/drivers/$y*;do [ -e $z ] && echo driver=$x;done;"
            f'grep -q "[/-]$y[.]ko" {here}/modules.dep {here}/modules.builtin && echo driver=$x;done'
            ") 2>/dev/null"
        )


def questions_for(scenarios: Iterable[Scenario]) -> Questions:
    """Return what to ask a guest of Linux so that it is known which of `scenarios` it can be played on."""
    linux = [one for one in scenarios if one.guest is GuestKind.LINUX]
    wishes = [wishes_of(one) for one in linux]
    return Questions(
        settings=_names({"kernel.sysrq", *(name for one in wishes for name in one.settings)}),
        programs=_names({"modprobe", *(name for one in wishes for name in one.programs)}),
        features=_names({name for one in linux for name in one.modules}),
    )


def _names(found: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(name for name in found if _WORD.fullmatch(name)))


def read_answers(
    said: bytes, asked: Questions, *, console: bytes, prompt: bytes, profile: LinuxProfile
) -> Survey:
    """Return what a guest has answered to `asked`.

    Args:
        said: output of the command of `asked`.
        asked: the questions.
        console: everything that it wrote from its power-on to its prompt.
        prompt: the line at which its shell waits.
        profile: how its login prompt looks.
    """
    text = said.decode("utf-8", "replace")
    found: dict[str, list[str]] = {}
    for name, value in _LINE.findall(text):
        found.setdefault(name, []).append(value.strip())
    only = {name: values[-1] for name, values in found.items()}
    told: dict[str, Any] = {name: only.get(name, "").removeprefix("/dev/") for name in _TOLD}
    settings = (value.partition(" ") for value in found.get("set", ()))
    return Survey(
        stages=(*stages_in(console, profile), Stage.SHELL),
        prompt=escape(seen(prompt).strip()),
        root=only.get("uid") == "0",
        sudo=only.get("sudo") == "yes",
        consoles=tuple(found.get("console", ())),
        command_line=only.get("line", ""),
        settings={name.replace("/", "."): " ".join(value.split()) for name, _, value in settings},
        programs=frozenset(found.get("program", ())) - frozenset(found.get("lacks", ())),
        features=frozenset(found.get("driver", ())),
        asked=frozenset((*asked.settings, *asked.programs, *asked.features)),
        **told,
    )


def stages_in(console: bytes, profile: LinuxProfile) -> tuple[Stage, ...]:
    """Return the stages before a shell that show in what a guest wrote."""
    shown = seen(console)
    signs = {Stage.LOADER: _LOADER.pattern, Stage.KERNEL: KERNEL, Stage.LOGIN: profile.login}
    return tuple(stage for stage, sign in signs.items() if re.search(sign, shown))
