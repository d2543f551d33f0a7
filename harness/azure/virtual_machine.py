"""One VM for a client: its power, its console, admin commands and the stimuli of `ttylab send`."""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from emulator.clock import SYSTEM_CLOCK, Clock, Deadline
from emulator.cloud.resource_id import ResourceId
from emulator.errors import LabError, SpecError
from emulator.fleet.observed import Observed
from emulator.machine.spec import MachineSpec
from harness.azure.arm import Arm
from harness.azure.link import open_link
from harness.azure.names import admin_url, require_connection_string, serial_port
from harness.scenario.errors import ServiceRefused, ServiceUnreachable

COMPUTE_VERSION = "2024-07-01"
CONSOLE_VERSION = "2024-07-01"


class Act(StrEnum):
    """What can be done to a VM: by an admin command of a console session, or to its power."""

    NMI = "nmi"
    SYSRQ = "sysrq"
    RESET = "reset"
    RESTART = "restart"
    STOP = "stop"
    START = "start"


_POWERS = {
    Act.RESTART: ("restart", "running"),
    Act.STOP: ("powerOff", "stopped"),
    Act.START: ("start", "running"),
}
"""Of each change of power the word in its URL, and the state that follows."""


class AzureVm:
    """One VM or scale-set instance, through Resource Manager; one thread at a time.

    Attributes:
        arm: the client.
        id: the VM's resource id.
    """

    def __init__(self, arm: Arm, vm: ResourceId) -> None:
        self.arm = arm
        self.id = vm

    def connect(self, deadline: Deadline) -> str:
        """Return a new connection string; the console changes hands only when a link is opened with it.

        Raises:
            ServiceRefused, ServiceUnreachable: as `Arm.call`.
        """
        path = f"{serial_port(self.id)}/connect"
        reply = self.arm.call("POST", path, version=CONSOLE_VERSION, body={}, deadline=deadline)
        try:
            return require_connection_string(reply.json().get("connectionString"))
        except SpecError as error:
            raise ServiceUnreachable(str(error)) from error

    def command(self, session: str, command: Act, deadline: Deadline, *, keys: str = "") -> Observed:
        """Let the service do `command` to the guest and return its observed effect.

        `session` is the connection string; the `keys` of a system request are sent in turn. The service
        answers after it has watched for the effect.

        Raises:
            ServiceRefused, ServiceUnreachable: as `Arm.call`.
        """
        reply = self.arm.call(
            "POST",
            admin_url(session, command.value),
            body={
                "command": command.value,
                "requestId": str(uuid.uuid4()),
                "commandParameters": {"SysRqCommand": keys} if keys else {},
            },
            deadline=deadline,
        )
        return read_observed(reply.json())

    def power(self, act: Act, deadline: Deadline, *, force: bool = False, wait: bool = True) -> None:
        """Change the VM's power; with `wait`, return after the change.

        Raises:
            ServiceRefused, ServiceUnreachable: as `Arm.operate`.
        """
        query = {"skipShutdown": str(force).lower()} if act is Act.STOP else {}
        ask = self.arm.operate if wait else self.arm.call
        ask("POST", f"{self.id}/{_POWERS[act][0]}", version=COMPUTE_VERSION, query=query, deadline=deadline)

    def power_state(self, deadline: Deadline) -> str:
        """Return its power state ("running", "stopped", "deallocated", …).

        Raises:
            ServiceRefused, ServiceUnreachable: as `Arm.call`.
        """
        path = f"{self.id}/instanceView"
        return power_state_of(self.arm.call("GET", path, version=COMPUTE_VERSION, deadline=deadline).json())


def read_observed(body: dict[str, Any]) -> Observed:
    """Return the effect in the answer to an admin command; the real service's answer has none."""
    effect = str(body.get("effect", ""))
    seen = {"seen": True, "no effect seen": False, "refused": False}.get(effect)
    return Observed(seen=seen, evidence=str(body.get("evidence", "")), refused=effect == "refused")


def power_state_of(view: dict[str, Any]) -> str:
    """Return the power state of an instance view; "unknown" if it has none."""
    for status in view.get("statuses", []):
        code = str(status.get("code", "")) if isinstance(status, dict) else ""
        if code.lower().startswith("powerstate/"):
            return code.partition("/")[2]
    return "unknown"


MAKE_S = 60.0
DELETE_S = 60.0
LOCATION = "eastus"


@contextmanager
def own_vm(
    arm: Arm,
    vm: ResourceId,
    spec: MachineSpec,
    *,
    image: str,
    os_type: str = "Linux",
    words: Sequence[str] = (),
    clock: Clock = SYSTEM_CLOCK,
) -> Iterator[ResourceId]:
    """Make the VM `vm`, which must not exist, with a machine like `spec`, still off; delete it at the end.

    The `image` is one of the catalog or a SAC guest, and `os_type`, "Linux" or "Windows", is what is shown.
    The `words` are for the kernel's command line, besides those of every Linux guest; or a SAC guest's knobs.
    Raises LabError if the service refused, or can't be reached.
    """
    path = str(vm)
    try:
        deadline = Deadline.after(MAKE_S, clock)
        body = vm_document(vm.name, image=image, os_type=os_type)
        arm.operate("PUT", path, version=COMPUTE_VERSION, body=body, deadline=deadline)
        arm.call(
            "PUT",
            f"/ttylab/guests{path}",
            body=guest_table(spec, image=image, words=words),
            deadline=deadline,
        )
    except (ServiceRefused, ServiceUnreachable) as error:
        raise LabError(f"VM {vm.name} can't be made: {error}") from error
    try:
        yield vm
    finally:
        try:
            arm.operate("DELETE", path, version=COMPUTE_VERSION, deadline=Deadline.after(DELETE_S, clock))
        except (ServiceRefused, ServiceUnreachable) as error:
            raise LabError(f"VM {vm.name} can't be deleted: {error}") from error


def vm_document(name: str, *, image: str, os_type: str) -> dict[str, object]:
    """Return the smallest VM that has a console, with boot diagnostics."""
    return {
        "location": LOCATION,
        "properties": {
            "hardwareProfile": {"vmSize": "Standard_B1s"},
            "storageProfile": {
                "imageReference": {"publisher": "ttylab", "offer": image, "sku": "0", "version": "latest"},
                "osDisk": {"osType": os_type, "createOption": "FromImage"},
            },
            "osProfile": {"computerName": name[:15].rstrip("-"), "adminUsername": "root"},
            "diagnosticsProfile": {"bootDiagnostics": {"enabled": True}},
        },
    }


def guest_table(spec: MachineSpec, *, image: str, words: Sequence[str]) -> dict[str, object]:
    """Return a VM's machine in the form that ttylab's service takes."""
    return {
        "image": image,
        "machine": spec.machine.value,
        "firmware": spec.firmware.value,
        "vcpus": spec.vcpus,
        "memoryMib": spec.memory_mib,
        "words": list(words),
        "devices": sorted(device.value for device in spec.devices),
        "watchdogAction": spec.watchdog_action.value,
        "seed": spec.seed,
        "uuid": dict(spec.smbios).get("uuid"),
    }


WATCH_S = 5.0
"""How long to wait for a guest's output if the service does not report effects, seconds."""
_KEYS = re.compile(r"[0-9A-Za-z]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class SendRequest:
    """A stimulus for a VM.

    Attributes:
        act: the stimulus.
        vm: the VM, as it was typed.
        keys: keys of a system request.
    """

    act: Act
    vm: str
    keys: str = ""


def parse_stimulus(words: Sequence[str]) -> SendRequest:
    """Return the stimulus that `nmi VM`, `sysrq KEYS VM` and so on ask for.

    Raises:
        SpecError: they are not a known stimulus and its arguments.
    """
    act = next((one for one in Act if words and one.value == words[0].lower()), None)
    if act is None:
        asked = words[0] if words else ""
        raise SpecError(f"send {asked!r}: allowed: {', '.join(Act)}")
    wanted = 3 if act is Act.SYSRQ else 2
    if len(words) != wanted:
        raise SpecError(
            f"send {act}: need {'KEYS VM, as in: send sysrq h linux1' if wanted == 3 else 'one VM'}"
        )
    keys = words[1] if act is Act.SYSRQ else ""
    if keys and not _KEYS.fullmatch(keys):
        raise SpecError(f"send sysrq {keys!r}: allowed: letters and digits, each sent in turn (h, REISUB)")
    return SendRequest(act=act, vm=words[-1], keys=keys)


def send_stimulus(vm: AzureVm, request: SendRequest, deadline: Deadline, *, force: bool = False) -> Observed:
    """Do `request` and return its observed effect, on the console or on the VM's power.

    Raises:
        ServiceRefused: the service refused it.
        ServiceUnreachable: no answer in time, or the operation did not end in time.
    """
    if request.act not in _POWERS:
        return _send_command(vm, request.act, request.keys, deadline)
    vm.power(request.act, deadline, force=force)
    state = vm.power_state(deadline)
    return Observed(seen=state == _POWERS[request.act][1], evidence=f"the VM is {state}")


def _send_command(vm: AzureVm, command: Act, keys: str, deadline: Deadline) -> Observed:
    session = vm.connect(deadline)
    if not vm.arm.address.azure:
        return vm.command(session, command, deadline, keys=keys)
    # The real service needs a trusted socket first and does not report the effect of a command.
    wrote = threading.Event()
    link = open_link(
        session, receive=lambda _: wrote.set(), deadline=deadline, token=vm.arm.credential.token(deadline)
    )
    with link:
        wrote.wait(min(WATCH_S, deadline.remaining()))  # for earlier output
        wrote.clear()
        said = vm.command(session, command, deadline, keys=keys)
        if said.seen is not None:
            return said
        seen = wrote.wait(min(WATCH_S, deadline.remaining()))
    return Observed(seen=seen, evidence="the console shows new output" if seen else "")
