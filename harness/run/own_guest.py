"""What a cell on a user's own image needs first: a survey, whether the scenario fits, what is to be typed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from emulator.guest_images.board import BOARD
from emulator.guest_images.kinds import GuestImage
from emulator.guest_images.own_kernel import OWN, OWN_LINE
from emulator.guest_text.linux import LinuxProfile
from harness.cells.cell import Cell
from harness.guests.linux import LinuxGuest
from harness.play.guest import Guest, OpenGuest
from harness.play.session import Session
from harness.run.wanted import account_of, wanted_of
from harness.scenario.errors import Unsupported
from harness.scenario.scenario import Scenario
from harness.scenario.stages import Stage
from harness.scenario.steps import BOOT_S, Reach
from harness.scenarios import library
from harness.snapshots.lab import Lab
from harness.snapshots.stage import snapshot_stage
from harness.survey.facts import Survey, questions_for
from harness.survey.first_boot import NONE_GIVEN, Attempt, Subject, survey
from harness.survey.fitness import Errands, errands, unfit
from harness.survey.wishes import sysctl_of

_PROMPT_LEAST = 6
"""Bytes of a prompt that nothing else on a console looks like."""
_PLAIN = Scenario(
    name="survey",
    title="the first boot",
    description="boots to a shell, which is asked what it can do",
    steps=(Reach(stage=Stage.SHELL),),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """What is known of a cell's guest before it is played.

    Attributes:
        errands: what to do at its shell first.
        found: what its survey says, for the report; empty for images of ttylab's.
        snapshots: whether snapshots of it may be tried: not of a guest that was seen to come to no shell.
        prompt: pattern of its shell's prompt, where neither its user nor a distribution's habit tells.
        in_vain: how its first boot ended, if what the scenario awaits first did not come; else None.
        no_password: see `LinuxGuest.no_password`: nobody has seen yet whether a board asks for one.
    """

    errands: Errands = field(default_factory=Errands)
    prompt: bytes = b""
    found: Mapping[str, object] = field(default_factory=dict)
    snapshots: bool = True
    in_vain: Attempt | None = None
    no_password: str = ""


def prepare(cell: Cell, scenario: Scenario, image: GuestImage, lab: Lab) -> Preparation:
    """Return what is known of the guest of `cell`; a user's own is booted first if nothing is.

    Raises Unsupported, which says why the scenario can't be played on it; SpecError, ImageError.
    """
    if BOARD in image.features:  # it is not booted just to be asked
        return _prepare_board(scenario)
    if OWN not in image.features:
        return Preparation()
    asks = replace(scenario, kernel_args=(*cell.settings.append, *scenario.kernel_args))
    if why := unfit(asks, None, image.features):
        raise Unsupported(why)
    questions = questions_for([*library().values(), asks])
    attempt = survey(lab, _subject(cell, scenario, image), questions)
    if why := unfit(asks, attempt.survey, image.features):
        raise Unsupported(why)
    told = attempt.problem if attempt.survey is None else attempt.survey.told
    return Preparation(
        errands=errands(asks, attempt.survey, image.features),
        found={"found": told},
        snapshots=attempt.survey is not None,
        prompt=b"" if attempt.survey is None else _prompt_pattern(attempt.survey, image.linux_console()),
        in_vain=attempt if attempt.is_in_vain(scenario) else None,
    )


def _prepare_board(scenario: Scenario) -> Preparation:
    """Return what a board's guest has to do first: its kernel has the parameters that it was started with."""
    as_disk = frozenset({OWN_LINE})
    if why := unfit(scenario, None, as_disk):
        raise Unsupported(why)
    return Preparation(errands=errands(scenario, None, as_disk), no_password=NONE_GIVEN)


def _prompt_pattern(known: Survey, profile: LinuxProfile) -> bytes:
    """Return a pattern of the prompt that was seen, by which it is known at once; empty without need."""
    prompt = known.prompt.encode()
    if profile.prompt != LinuxProfile().prompt or len(prompt) < _PROMPT_LEAST or b"\\" in prompt:
        return b""
    return rb"(?:%s|%s ?)" % (profile.prompt, re.escape(prompt))


def prepared(driver: OpenGuest, known: Preparation) -> OpenGuest:
    """Return `driver` for a guest that is known: it does its errands when it first comes to a shell."""

    def opened(session: Session) -> Guest:
        guest = driver(session)
        if isinstance(guest, LinuxGuest):
            guest.become, guest.errands = known.errands.become, known.errands.commands
            guest.conditions = known.errands.conditions
            guest.no_password = known.no_password
            if known.prompt:
                guest.profile = replace(guest.profile, prompt=known.prompt)
        return guest

    return opened


def _subject(cell: Cell, scenario: Scenario, image: GuestImage) -> Subject:
    """Return the guest to survey: the very one that the scenario starts from, if that is at its shell.

    Not if the scenario's kernel parameters change more than a setting, such as what is shown of a boot.
    """
    settings = [sysctl_of(word) for word in scenario.kernel_args]
    is_usual = all(one is not None and one[0] != "kernel.printk" for one in settings)
    starts = scenario if is_usual and snapshot_stage(scenario) is Stage.SHELL else _PLAIN
    profile, append = image.linux_console(), image.provenance().get("append")
    asked = [account_of(image), profile.login, profile.prompt, profile.password_prompt]
    return Subject(
        name=image.name,
        facts=[dict(image.sha256), sorted(image.features), repr(asked), append, cell.settings.append],
        wanted=wanted_of(cell, starts, image),
        profile=profile,
        within_s=max(BOOT_S, image.boot_timeout_s),
    )
