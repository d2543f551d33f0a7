"""A VM behind the console service as a target: its bytes by Azure's link, its marks by ttylab's timeline.

Power and stimuli take the routes that any client of Azure has: the session's admin commands, and Resource
Manager. Azure's protocol has no marks (restarts, power changes): they come from a timeline that ttylab's
service offers as well, so scenarios are judged by the same rules as on the machine itself.
"""

from __future__ import annotations

import json
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from emulator.clock import SYSTEM_CLOCK, Clock, Deadline
from emulator.cloud.resource_id import ResourceId, vm_id
from emulator.console.marks import MarkKind
from emulator.console.transcript import DirectorySink, Transcript
from emulator.errors import ConsoleClosed, ControlError, LabError, SpecError, StateError
from emulator.files import write_json
from emulator.guest_images.kinds import REGISTERED
from emulator.machine.control import Capability, capabilities, lacks
from emulator.machine.run_dir import ARGV_FILE
from emulator.machine.spec import MachineSpec
from emulator.values import json_ready
from harness.azure.address import ServiceAddress
from harness.azure.arm import Arm, open_arm
from harness.azure.interleave import Interleaver, LinkPart, Notice, TimelineMark
from harness.azure.link import ConsoleLink, open_link
from harness.azure.virtual_machine import Act, AzureVm, own_vm
from harness.play.target import Target
from harness.scenario.errors import ServiceRefused, ServiceUnreachable
from harness.scenario.scenario import Scenario
from harness.scenario.steps import Inject, Outcome, Step
from harness.scenario.stimulus import Button, Press
from harness.snapshots.start import WantedGuest
from harness.targets.target_kind import TargetKind, TargetPlace, lacking

OBSTACLES: Mapping[Capability, str] = {
    Capability.KEYBOARD: "the service has no keyboard: a system request goes over the serial line",
    Capability.BULK_CONSOLE: "the service has one console, COM1",
    Capability.SCREEN: "the service shows the screen in boot diagnostics only",
}


NOT_ALIKE: Mapping[str, str] = {
    "nmi-boot": "the service holds an NMI back until a guest's first boot is over",
    "sac-power-button-menu": "the service pushes the power button when the guest's boot is over",
}
"""Scenarios that would pass through the service without testing what they claim to."""


def service_misfit(scenario: Scenario) -> str | None:
    """Return why `scenario` can't be played through the service, or None."""
    if scenario.keeps_disk:
        return "through the service: nobody can read the guest's disk, where the crash dump is"
    if any(map(_is_button_ignored, scenario.steps)):
        return "through the service: Azure's powerOff cuts the power of a guest that does not obey"
    missing = sorted(scenario.needs & frozenset(OBSTACLES))
    if missing:
        return f"through the service: {'; '.join(OBSTACLES[one] for one in missing)}"
    why = NOT_ALIKE.get(scenario.name)
    return None if why is None else f"through the service: {why}"


def _is_button_ignored(step: Step) -> bool:
    return (
        isinstance(step, Inject)
        and step.stimulus == Press(button=Button.POWER_BUTTON)
        and step.outcome is Outcome.NO_EFFECT
    )


def service_capabilities(spec: MachineSpec) -> frozenset[Capability]:
    """Return what can be done to a machine of this spec behind the service."""
    return capabilities(spec) - frozenset(OBSTACLES)


OPEN_S = 60.0
POWER_S = 120.0


class ServiceChannel:
    """A console through the service; implements `emulator.console.channel.Channel`.

    Attributes:
        transcript: everything received and sent; it is closed when a link ends.
    """

    def __init__(self, transcript: Transcript) -> None:
        self.transcript = transcript
        self._link: ConsoleLink | None = None
        self._interleaver = Interleaver()
        self._lock = threading.Lock()

    def connect(self, link: ConsoleLink) -> None:
        """Give it the link that carries what is typed."""
        self._link = link

    def write(self, data: bytes, deadline: Deadline) -> None:
        """Send `data`, and note it in the transcript; raises ConsoleClosed, DeadlineExceeded."""
        if self._link is None:
            raise ConsoleClosed(f"{self.transcript.name}: the link is not open")
        self._link.send(data, deadline)
        self.transcript.append_typed(data)

    def take_frame(self, data: bytes) -> None:
        """Take a frame of the byte link; called on its thread."""
        with self._lock:
            self._note(self._interleaver.take_frame(data))

    def take_timeline(self, data: bytes) -> None:
        """Take a frame of the timeline; called on its thread."""
        line: Mapping[str, Any] = json.loads(data)
        with self._lock:
            self._note(self._interleaver.take_line(line))

    def _note(self, segments: Iterable[LinkPart]) -> None:
        if self.transcript.closed is not None:
            return
        for segment in segments:
            match segment:
                case TimelineMark():
                    self.transcript.mark(segment.kind, segment.name, segment.detail)
                case Notice():
                    text = segment.text.decode("utf-8", "replace").strip()
                    self.transcript.mark(MarkKind.LAB, "service-notice", {"text": text})
                case bytes():
                    self.transcript.append(segment)


class ServiceControl:
    """What Azure lets its clients do to a VM; implements `Control`.

    A call returns when the service has accepted it or, where Azure answers only at the end, when it has been
    done.
    """

    def __init__(self, vm: AzureVm, able: frozenset[Capability]) -> None:
        self.capabilities = able
        self._vm = vm

    def nmi(self, deadline: Deadline) -> None:
        """Send the admin command "nmi"."""
        self._command(Act.NMI, deadline)

    def sysrq(self, key: str, deadline: Deadline) -> None:
        """Send the admin command "sysrq"; the service sends BREAK and key."""
        self._command(Act.SYSRQ, deadline, keys=key)

    def reset(self, deadline: Deadline) -> None:
        """Send the admin command "reset"."""
        self._command(Act.RESET, deadline)

    def power_button(self, deadline: Deadline) -> None:
        """Request powerOff, without waiting for the guest to shut down."""
        self._attempt(lambda: self._vm.power(Act.STOP, deadline, wait=False))

    def power_off(self, deadline: Deadline) -> None:
        """Request powerOff without a shutdown of the guest, and wait until it is done."""
        self._attempt(lambda: self._vm.power(Act.STOP, deadline, force=True))

    def power_on(self, deadline: Deadline) -> None:
        """Request start, and wait until it is done."""
        self._attempt(lambda: self._vm.power(Act.START, deadline))

    def send_break(self, deadline: Deadline) -> None:
        """Refuse."""
        del deadline
        raise StateError("the service sends a BREAK only with the key of a system request")

    def press_keys(self, keys: tuple[str, ...], deadline: Deadline) -> None:
        """Refuse."""
        del keys, deadline
        raise StateError(OBSTACLES[Capability.KEYBOARD])

    def _command(self, command: Act, deadline: Deadline, *, keys: str = "") -> None:
        def act() -> None:
            session = self._vm.connect(deadline)
            self._vm.command(session, command, deadline, keys=keys)

        self._attempt(act)

    def _attempt(self, act: Callable[[], None]) -> None:
        try:
            act()
        except (ServiceRefused, ServiceUnreachable) as error:
            raise ControlError(str(error)) from error


class ServiceTargets:
    """A cell's own VMs, behind ttylab's service."""

    name = "service"
    is_emulated = True

    def misfit(self, scenario: Scenario, features: frozenset[str], spec: MachineSpec) -> str | None:
        """Return what the machine or the service lacks."""
        if REGISTERED in features:
            return "the service has no images that their users registered"
        missing = lacking(scenario, capabilities(spec), spec.machine, why=lacks(spec))
        return missing or service_misfit(scenario)

    @contextmanager
    def open(self, wanted: WantedGuest, place: TargetPlace) -> Iterator[Target]:
        """Create a VM with a machine like the one that is wanted, and start it; it is deleted at the end."""
        if not isinstance(place.address, ServiceAddress):
            raise SpecError('target is "service"; it needs the address of a service')
        spec, clock = wanted.spec, place.lab.clock
        vm = vm_id(place.address.subscription, place.address.group, vm_name(place.label))
        with ExitStack() as stack:
            arm = stack.enter_context(open_arm(place.address))
            made = own_vm(
                arm,
                vm,
                spec,
                image=wanted.label,
                os_type="Windows" if wanted.has_sac else "Linux",
                words=wanted.words,
                clock=clock,
            )
            stack.enter_context(made)
            sink = DirectorySink(place.directory, console="ttyS0")
            kept = {"argv": [], "spec": json_ready(spec)}  # for `repro`, which boots the same machine here
            write_json(place.directory / ARGV_FILE, kept)
            able = service_capabilities(spec)
            opened = service_target(arm, vm, able=able, name=place.label, sink=sink, clock=clock)
            yield stack.enter_context(opened)


def vm_name(cell_id: str) -> str:
    """Return the name of a cell's VM: at most 64 characters, and different for each cell."""
    scenario = cell_id.rpartition(".")[2]
    return f"{scenario[:50].rstrip('-')}-{zlib.crc32(cell_id.encode()):08x}"


@contextmanager
def service_target(
    arm: Arm,
    vm: ResourceId,
    *,
    able: frozenset[Capability],
    name: str,
    raw: bool = False,
    sink: DirectorySink | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> Iterator[Target]:
    """Open a VM of ttylab's service as a target, which starts its machine; raises LabError.

    The VM must be running in Azure's terms, and its machine off, so that the links begin with the guest's
    first byte. `able` is what can be done to its machine (`service_capabilities`). Azure's own link carries
    text, which loses bytes that are not UTF-8; ttylab's carries them `raw`. The target's control uses `arm`.
    """
    deadline = Deadline.after(OPEN_S, clock)
    with ExitStack() as stack:
        transcript = stack.enter_context(Transcript(clock=clock, sink=sink))
        channel = ServiceChannel(transcript)
        machine = AzureVm(arm, vm)
        try:
            _open_links(stack, machine, channel, raw=raw, deadline=deadline)
        except (ServiceRefused, ServiceUnreachable) as error:
            raise LabError(f"{name}: {error}") from error
        control = ServiceControl(machine, able)
        yield Target(name=name, channel=channel, control=control, obstacles=OBSTACLES)


def _open_links(
    stack: ExitStack, vm: AzureVm, channel: ServiceChannel, *, raw: bool, deadline: Deadline
) -> None:
    """Open ttylab's timeline, then the link that carries the bytes; without either, the transcript ends."""
    address, token = vm.arm.address, vm.arm.credential.token(deadline)
    session = "" if raw else vm.connect(deadline)

    def open_one(url: str, receive: Callable[[bytes], None], **options: Any) -> ConsoleLink:
        def end() -> None:
            channel.transcript.close("a link to the service ended")

        opened = open_link(url, receive=receive, deadline=deadline, ca=address.ca, on_end=end, **options)
        return stack.enter_context(opened)

    own = f"wss{address.endpoint.removeprefix('https')}/ttylab/links{vm.id}?from=start"
    headers = {"Authorization": f"Bearer {token}"}
    open_one(f"{own}&mode=read&format=timeline", channel.take_timeline, headers=headers)
    if session:
        channel.connect(open_one(session, channel.take_frame, token=token))
    else:
        channel.connect(open_one(f"{own}&mode=write&format=raw", channel.take_frame, headers=headers))


KIND: TargetKind = ServiceTargets()
