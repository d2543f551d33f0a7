"""Open a target, lead it through the course, and compare what it said."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from emulator.clock import Deadline
from emulator.console.serial_port import open_serial_console
from emulator.console.transcript import CONSOLE_FILE, DirectorySink, load_transcript
from emulator.images.sac.image import SacImage
from emulator.images.sac.knobs import SacKnobs
from emulator.images.sac.profile import SacProfile, load_profile
from emulator.images.windows.windows_image import Level, WindowsImage
from emulator.machine.machine import open_machine
from emulator.machine.sac_boot import SacBoot, sac_spec
from emulator.machine.spec import MachineSpec
from emulator.machine.windows_boot import windows_spec
from harness.conformance.compare import Difference, compare, merge
from harness.conformance.course import Course, Scope
from harness.guests.sac import SacGuest
from harness.guests.sac_channel import Account
from harness.lab import Lab
from harness.recording.kept import open_private_directory
from harness.session import Session
from harness.targets import Target
from harness.targets.serial_port import serial_target

_START_S = 30.0
_MENU_S = 2
_SLOW = 4.0
"""Factor on waits for a machine that is not ttylab's: real Windows boots in minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of it.

    Attributes:
        differences: by section.
        profile: what it was compared with.
        kept: file with the console's bytes.
    """

    differences: list[Difference]
    profile: SacProfile
    kept: Path


def conduct_image(
    image: SacImage,
    lab: Lab,
    *,
    knobs: SacKnobs,
    profile: SacProfile | None,
    destructive: bool,
    tell: Callable[[str], None],
) -> Outcome:
    """Boot a SAC guest of ttylab's and compare it with `profile`, by default its own.

    Raises:
        SpecError: the lab's run directory is not empty.
        GuestError: the guest does not come to its SAC prompt.
        MissingPrerequisite, LabError: the machine can't be started.
    """
    menu_s = knobs.menu_timeout_s or _MENU_S
    spec = sac_spec(way=SacBoot.BIOS_DISK, knobs=replace(knobs, menu_timeout_s=menu_s), name=image.name)
    account = Account(user=knobs.username, domain=knobs.domain, password=knobs.password)
    scope = Scope(is_fresh=True, is_own=True, logs_in=True, destructive=destructive)
    opener = partial(SacGuest, profile=image.profile, account=account)
    course = _conduct_machine(spec, lab, opener, scope, name=image.name, tell=tell)
    return _outcome(lab.run_dir, course, profile or image.profile)


def conduct_windows(
    image: WindowsImage,
    lab: Lab,
    *,
    profile: SacProfile | None,
    destructive: bool,
    tell: Callable[[str], None],
) -> Outcome:
    """Boot Windows that a user registered and compare it with `profile`, by default that of its release.

    Raises:
        SpecError: the lab's run directory is not empty.
        GuestError: the guest does not come to its SAC prompt.
        MissingPrerequisite, LabError: the machine can't be started.
    """
    account = Account(user=image.user, domain=image.domain, password=image.password)
    scope = Scope(
        is_fresh=True,
        is_own=False,
        logs_in=bool(image.password),
        destructive=destructive,
        time_scale=_SLOW,
    )
    opener = partial(SacGuest, profile=image.profile, account=account, boots_from_cd=image.level is Level.ISO)
    course = _conduct_machine(windows_spec(image), lab, opener, scope, name=image.name, tell=tell)
    return _outcome(lab.run_dir, course, profile or image.profile)


def _conduct_machine(
    spec: MachineSpec,
    lab: Lab,
    open_guest: Callable[[Session], SacGuest],
    scope: Scope,
    *,
    name: str,
    tell: Callable[[str], None],
) -> Course:
    opened = open_machine(
        spec,
        run_dir=lab.run_dir,
        qemu=lab.qemu,
        accelerator=lab.choice(spec.machine),
        label=f"conformance {name}",
        start=False,
    )
    with open_private_directory(lab.run_dir), opened as machine:
        target = Target(name=name, channel=machine.console, control=machine)
        machine.power_on(Deadline.after(_START_S, lab.clock))
        course = Course(open_guest(Session(target.channel)), target, scope, tell)
        course.run()
        return course


def conduct_port(
    url: str,
    directory: Path,
    *,
    baudrate: int,
    account: Account | None,
    profile: SacProfile | None,
    destructive: bool,
    tell: Callable[[str], None],
) -> Outcome:
    """Compare what answers on a serial port with `profile`, by default that of the release it says it is.

    Raises:
        SpecError: there is no such port, or the directory is not empty.
        GuestError: nothing comes to a SAC prompt there.
        LabError: the pump failed.
    """
    with ExitStack() as stack:
        stack.enter_context(open_private_directory(directory))
        sink = DirectorySink(directory, console=url)
        stack.callback(sink.close)
        target = serial_target(stack.enter_context(open_serial_console(url, baudrate=baudrate, sink=sink)))
        session = Session(target.channel)
        guest = SacGuest(session, profile or load_profile("2022"), account)
        scope = Scope(
            is_fresh=False,
            is_own=False,
            logs_in=account is not None,
            destructive=destructive,
            time_scale=_SLOW,
        )
        course = Course(guest, target, scope, tell)
        course.run()
    return _outcome(directory, course, profile or course.guest.profile)


def conduct_recording(directory: Path, profile: SacProfile) -> Outcome:
    """Compare a recording with `profile`; rules and scenarios need a live guest and are not looked at.

    Raises:
        SpecError: there is no recording.
    """
    output = load_transcript(directory).read()
    return Outcome(differences=compare(output, profile), profile=profile, kept=directory / CONSOLE_FILE)


def _outcome(directory: Path, course: Course, profile: SacProfile) -> Outcome:
    output = load_transcript(directory).read()
    found = merge([*compare(output, profile), *course.differences])
    return Outcome(differences=found, profile=profile, kept=directory / CONSOLE_FILE)
