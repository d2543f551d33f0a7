"""What actions on VMs do to records and guests; instances of scale sets are VMs here (U4).

A VM's record shows each state of an action while it lasts. Only one action runs on a VM at a time: a repeated
request joins the running action, any other is refused.
"""

from __future__ import annotations

import asyncio
import logging
import re
import struct
from collections.abc import Coroutine, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from emulator.clock import pause
from emulator.cloud.records import PowerState, ProvisioningState, ScaleSet, VirtualMachine
from emulator.cloud.refusals import refusal
from emulator.console.marks import MarkKind
from emulator.errors import EmulatorError, LabError
from emulator.fleet.machine_guest import MachineGuest
from emulator.service.core.call import Call
from emulator.service.core.context import Service
from emulator.service.parts.operations import Operation

_HEAD = re.compile(rb"P6(?:\s|#[^\n]*\n)+(\d{1,5})(?:\s|#[^\n]*\n)+(\d{1,5})(?:\s|#[^\n]*\n)+(\d{1,5})\s")
_FILE_HEAD = struct.Struct("<2sIHHI")
_INFO_HEAD = struct.Struct("<IiiHHIIiiII")
_DOTS_PER_METRE = 3780


def bmp_of_ppm(ppm: bytes) -> bytes:
    """Return a PPM (P6, 8 bit) as BMP: 24 bit, rows from the bottom, each padded to four bytes.

    Raises:
        LabError: it is not such a PPM, or it ends too soon.
    """
    head = _HEAD.match(ppm)
    if head is None or int(head[3]) != 255:
        raise LabError(f"the screenshot is not an 8-bit PPM: it begins with {ppm[:16]!r}")
    width, height = int(head[1]), int(head[2])
    pixels = memoryview(ppm)[head.end() : head.end() + 3 * width * height]
    if len(pixels) < 3 * width * height or not pixels:
        raise LabError(f"the screenshot of {width} by {height} ends after {len(pixels)} bytes")
    padding = bytes(-3 * width % 4)
    rows = [_row(pixels[3 * width * y : 3 * width * (y + 1)]) + padding for y in reversed(range(height))]
    body = b"".join(rows)
    start = _FILE_HEAD.size + _INFO_HEAD.size
    info = _INFO_HEAD.pack(40, width, height, 1, 24, 0, len(body), _DOTS_PER_METRE, _DOTS_PER_METRE, 0, 0)
    return _FILE_HEAD.pack(b"BM", start + len(body), 0, 0, start) + info + body


def _row(pixels: memoryview) -> bytes:
    """Return one row with red and blue in the order of BMP."""
    row = bytearray(pixels)
    row[0::3], row[2::3] = pixels[2::3].tobytes(), pixels[0::3].tobytes()
    return bytes(row)


_LOG = logging.getLogger(__name__)


class Action(StrEnum):
    """Actions on a VM, named as in their paths."""

    START = "start"
    POWER_OFF = "powerOff"
    RESTART = "restart"
    DEALLOCATE = "deallocate"
    REDEPLOY = "redeploy"
    REAPPLY = "reapply"
    REIMAGE = "reimage"


class _GuestAction(StrEnum):
    """What one phase does to the guest."""

    ON = "on"
    SHUT_DOWN = "shut down"
    CUT = "cut"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Phase:
    shown: PowerState
    act: _GuestAction


_STOP = _Phase(shown=PowerState.STOPPING, act=_GuestAction.SHUT_DOWN)
_CUT = _Phase(shown=PowerState.STOPPING, act=_GuestAction.CUT)
_START = _Phase(shown=PowerState.STARTING, act=_GuestAction.ON)
_PHASES: dict[Action, tuple[_Phase, ...]] = {
    Action.START: (_START,),
    Action.POWER_OFF: (_STOP,),
    Action.RESTART: (_STOP, _START),
    Action.DEALLOCATE: (_Phase(shown=PowerState.DEALLOCATING, act=_GuestAction.SHUT_DOWN),),
    Action.REDEPLOY: (_CUT, _START),
    Action.REAPPLY: (),
    Action.REIMAGE: (_CUT, _START),
}
_ENDS = {Action.POWER_OFF: PowerState.STOPPED, Action.DEALLOCATE: PowerState.DEALLOCATED}
_NEEDS_ALLOCATION = frozenset({Action.RESTART, Action.REDEPLOY, Action.REIMAGE})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """The phases of an action on one VM, and the power state after them."""

    vm: VirtualMachine
    phases: tuple[_Phase, ...]
    end: PowerState


def require_free(service: Service, resource: VirtualMachine | ScaleSet, action: str) -> None:
    """Check that no operation is in progress on `resource`; raises CloudError 409 OperationNotAllowed."""
    running = service.operations.running_on(resource.key)
    if running is not None:
        what = f"{'scale set' if isinstance(resource, ScaleSet) else 'VM'} '{resource.id.name}'"
        raise refusal("OperationNotAllowed.busy", action=action, what=what, by=running.action, id=running.id)


def begin_action(
    call: Call,
    vms: Sequence[VirtualMachine],
    action: Action,
    *,
    on: VirtualMachine | ScaleSet,
    skip_shutdown: bool = False,
) -> Operation:
    """Begin `action` on `vms` for a call on `on`, and return its operation; the first state shows at once.

    Raises:
        CloudError: 409; another operation is in progress on one of them, or one is deallocated and must be
            started first.
    """
    service, keys = call.service, frozenset(vm.key for vm in vms)
    name = f"{action.value} (skipShutdown)" if skip_shutdown else action.value
    joined = service.operations.running_on(vms[0].key) if vms else None
    if joined is not None and (joined.action, joined.resources) == (name, keys):
        return joined
    for vm in vms:
        require_free(service, vm, action.value)
        if action in _NEEDS_ALLOCATION and vm.power is PowerState.DEALLOCATED:
            raise refusal("OperationNotAllowed.deallocated", action=action.value, vm=vm.id.name)
    plans = [_plan_of(vm, action, skip_shutdown=skip_shutdown) for vm in vms]
    for plan in plans:
        if any(phase.act is _GuestAction.ON for phase in plan.phases):
            service.fleet.guest(plan.vm)  # so there is a transcript to mark
        _mark(call, plan.vm, command=action.value)
        power = plan.phases[0].shown if plan.phases else plan.vm.power
        _show(service, plan.vm, power=power, provisioning=ProvisioningState.UPDATING, goal=plan.end)
    return start_operation(service, _follow_all(service, plans), on=on, action=name, keys=keys)


def begin_change(call: Call, vm: VirtualMachine, *, created: bool) -> Operation:
    """Store `vm`, new or changed, and return its operation; raises CloudError 409 while another runs."""
    service = call.service
    require_free(service, vm, "createOrUpdate")
    state = ProvisioningState.CREATING if created else ProvisioningState.UPDATING
    final = PowerState.RUNNING if created else vm.power
    power = PowerState.STARTING if created else vm.power
    service.cloud.put(replace(vm, power=power, provisioning=state, changed=service.now()))

    async def settle() -> None:
        await pause(service.settings.operation_s)
        _show(service, vm, power=final, provisioning=ProvisioningState.SUCCEEDED)

    return start_operation(service, settle(), on=vm, action="createOrUpdate", keys=(vm.key,))


def begin_delete(call: Call, vms: Sequence[VirtualMachine], *, on: VirtualMachine | ScaleSet) -> Operation:
    """Begin to delete `vms` for a call on `on`, once the operations on them have ended."""
    service, keys = call.service, frozenset(vm.key for vm in vms)
    earlier = [one for key in keys if (one := service.operations.running_on(key)) is not None]
    joined = next((one for one in earlier if (one.action, one.resources) == ("delete", keys)), None)
    if joined is not None:
        return joined
    for vm in vms:
        _mark(call, vm, command="delete")
        _show(service, vm, power=vm.power, provisioning=ProvisioningState.DELETING)

    async def delete() -> None:
        for operation in earlier:
            await operation.over.wait()
        await pause(service.settings.operation_s)
        await asyncio.gather(*(_delete(service, vm) for vm in vms))

    return start_operation(service, delete(), on=on, action="delete", keys=keys)


async def ready_guest(service: Service, vm: VirtualMachine) -> MachineGuest:
    """Return the guest of `vm`, started if the VM is running and it is not; raises LabError."""
    guest = service.fleet.guest(vm)
    if vm.power is PowerState.RUNNING and not guest.is_on:
        await guest.power_on()
    return guest


async def take_screenshot(service: Service, vm: VirtualMachine) -> bytes | None:
    """Return the VM's screen as BMP, the last one while it is off, or None if it never was on.

    Raises:
        LabError: the machine gives no screenshot.
    """
    guest = service.fleet.existing(vm.key)
    if guest is not None and guest.is_on:
        service.blobs.screenshots.keep(vm.vm_id, bmp_of_ppm(await guest.screenshot()))
    return service.blobs.screenshots.find(vm.vm_id)


def start_operation(
    service: Service,
    work: Coroutine[Any, Any, None],
    *,
    on: VirtualMachine | ScaleSet,
    action: str = "",
    keys: Iterable[str] = (),
) -> Operation:
    """Begin `work` for a call on `on` and return its operation; see `Operations.start`."""
    return service.operations.start(
        work,
        subscription=on.id.subscription,
        location=str(on.document.get("location") or "global"),
        action=action,
        resources=keys,
    )


def _mark(call: Call, vm: VirtualMachine, *, command: str) -> None:
    """Note in the VM's transcript, if there is one, who did what; the boot log shows it."""
    guest = call.service.fleet.existing(vm.key)
    if guest is not None:
        guest.transcript.mark(MarkKind.LINK, "command", {"by": call.caller.name, "command": command})


def _plan_of(vm: VirtualMachine, action: Action, *, skip_shutdown: bool) -> _Plan:
    """Return what `action` does to a VM in the state of `vm`: one that is off does not stop again."""
    phases = _PHASES[action]
    end = _ENDS.get(action, PowerState.RUNNING)
    if action is Action.POWER_OFF and skip_shutdown:
        phases = (_CUT,)
    if action is Action.START and vm.power is PowerState.RUNNING:
        phases = (_Phase(shown=PowerState.RUNNING, act=_GuestAction.ON),)
    if vm.power is PowerState.DEALLOCATED or (
        vm.power is PowerState.STOPPED and action is not Action.DEALLOCATE
    ):
        phases = tuple(phase for phase in phases if phase.act is _GuestAction.ON)
    if action is Action.REAPPLY or (action is Action.POWER_OFF and vm.power is PowerState.DEALLOCATED):
        end = vm.power
    return _Plan(vm=vm, phases=phases, end=end)


async def _follow_all(service: Service, plans: Sequence[_Plan]) -> None:
    """Act on all of them at once and raise the first failure; the others go on."""
    ends = await asyncio.gather(*(_follow(service, plan) for plan in plans), return_exceptions=True)
    for end in ends:
        if isinstance(end, BaseException):
            raise end


async def _follow(service: Service, plan: _Plan) -> None:
    vm, least_s = plan.vm, service.settings.operation_s
    try:
        for phase in plan.phases:
            _show(service, vm, power=phase.shown, provisioning=ProvisioningState.UPDATING, goal=plan.end)
            await _do(service, vm, phase.act)
            await pause(least_s / len(plan.phases))
        if not plan.phases:
            await pause(least_s)
    except (EmulatorError, asyncio.CancelledError):
        guest = service.fleet.existing(vm.key)
        is_on = guest is not None and guest.is_on
        power = PowerState.RUNNING if is_on else PowerState.STOPPED
        _show(service, vm, power=power, provisioning=ProvisioningState.FAILED)
        raise
    _show(service, vm, power=plan.end, provisioning=ProvisioningState.SUCCEEDED)


async def _do(service: Service, vm: VirtualMachine, act: _GuestAction) -> None:
    """Act on the guest; one that was never started is not started just to be shut down."""
    if act is _GuestAction.ON:
        await service.fleet.guest(vm).power_on()
        return
    guest = service.fleet.existing(vm.key)
    if guest is None or not guest.is_on:
        return
    with suppress(EmulatorError):  # the last screen is useful, but not necessary
        await take_screenshot(service, vm)
    if act is _GuestAction.CUT:
        await guest.power_off()
    elif not await guest.shut_down(service.settings.shutdown_s):
        _LOG.info("%s did not obey its power button; its power was cut", vm.id)


async def _delete(service: Service, vm: VirtualMachine) -> None:
    await service.fleet.discard(vm.key)
    service.blobs.screenshots.forget(vm.vm_id)
    found = service.cloud.find(VirtualMachine, vm.key)
    if found is not None:
        service.cloud.remove(found)


def _show(
    service: Service,
    vm: VirtualMachine,
    *,
    power: PowerState,
    provisioning: ProvisioningState,
    goal: PowerState | None = None,
) -> None:
    """Change the states in the VM's record and nothing else; a VM that is being deleted stays so."""
    found = service.cloud.find(VirtualMachine, vm.key)
    if found is None:
        return
    if found.provisioning is ProvisioningState.DELETING:
        provisioning = ProvisioningState.DELETING
    changed = found.changed if found.provisioning is provisioning else service.now()
    service.cloud.put(replace(found, power=power, provisioning=provisioning, changed=changed, goal=goal))
