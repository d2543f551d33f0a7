"""Routes that VMs and instances of scale sets share (U4): reads, power, boot diagnostics.

Annotations here are evaluated when a route is made, so that they can name that route's `locate`;
hence there is no `from __future__ import annotations`.
"""

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from emulator.cloud.compute import Json, container_name, log_name, render_instance_view, screenshot_name
from emulator.cloud.records import VirtualMachine
from emulator.cloud.refusals import refusal
from emulator.cloud.resource_id import ResourceId
from emulator.errors import CloudError
from emulator.service.compute.calls import Expand, MaybeDocument, read_expand, show_machine
from emulator.service.compute.power import Action, begin_action, ready_guest, take_screenshot
from emulator.service.core.call import Call, CallOf

Locate = Callable[..., ResourceId]

SAS_MINUTES = 120
SAS_MINUTES_MAX = 1440
REFUSED: dict[str, str] = {
    "generalize": "ttylab's VMs can't be generalized: their disks are not kept.",
    "capture": "ttylab's VMs can't be captured: their disks are not kept.",
    "convertToManagedDisks": "The VM uses managed disks already.",
    "runCommand": "Run Command needs a VM agent in the guest, which ttylab's guests do not have. Use the"
    " serial console: `ttylab console VM` or `az serial-console connect`.",
    "installPatches": "Patching needs a VM agent in the guest, which ttylab's guests do not have.",
    "assessPatches": "Patching needs a VM agent in the guest, which ttylab's guests do not have.",
}


def add_machine_routes(router: APIRouter, base: str, locate: Locate, *, actions: Iterable[Action]) -> None:
    """Give `router` the routes of machines at `base`; `locate` reads the id from the path."""
    _add_reads(router, base, locate)
    for action in actions:
        _add_action(router, base, locate, action)
    _add_power_off(router, base, locate)
    _add_eviction(router, base, locate)
    _add_boot_diagnostics(router, base, locate)
    for name, reason in REFUSED.items():
        _add_refusal(router, base, locate, name=name, reason=reason)


def _add_reads(router: APIRouter, base: str, locate: Locate) -> None:
    @router.get(base)
    async def read_machine(
        call: CallOf, target: Annotated[ResourceId, Depends(locate)], expand: Expand = None
    ) -> Json:
        """Show a machine; `$expand=instanceView` adds its state."""
        vm = call.find(VirtualMachine, target, action="read")
        return show_machine(call, vm, with_view=read_expand(expand))

    @router.get(f"{base}/instanceView")
    async def read_instance_view(call: CallOf, target: Annotated[ResourceId, Depends(locate)]) -> Json:
        """Show the state of a machine, and nothing else."""
        vm = call.find(VirtualMachine, target, action="instanceView/read")
        return render_instance_view(vm, now=call.service.now())


def _add_action(router: APIRouter, base: str, locate: Locate, action: Action) -> None:
    @router.post(f"{base}/{action.value}", status_code=202, name=f"{action.value}_machine")
    async def act(
        call: CallOf, target: Annotated[ResourceId, Depends(locate)], _: MaybeDocument = None
    ) -> Response:
        """Begin the action that the path names; poll for its end."""
        return act_on(call, target, action)


def _add_power_off(router: APIRouter, base: str, locate: Locate) -> None:
    @router.post(f"{base}/powerOff", status_code=202)
    async def power_off_machine(
        call: CallOf,
        target: Annotated[ResourceId, Depends(locate)],
        skip_shutdown: Annotated[bool, Query(alias="skipShutdown")] = False,  # noqa: FBT002
    ) -> Response:
        """Shut a machine down; with `skipShutdown=true` cut its power."""
        return act_on(call, target, Action.POWER_OFF, skip_shutdown=skip_shutdown)


def act_on(call: Call, target: ResourceId, action: Action, *, skip_shutdown: bool = False) -> Response:
    """Begin `action` on one machine and return the 202; raises CloudError 401, 403, 404 or 409."""
    vm = call.find(VirtualMachine, target, action=f"{action.value}/action")
    operation = begin_action(call, [vm], action, on=vm, skip_shutdown=skip_shutdown)
    call.note(f"{target.type}/{action.value}/action", target)
    return call.accepted(operation)


def _add_eviction(router: APIRouter, base: str, locate: Locate) -> None:
    @router.post(f"{base}/simulateEviction", status_code=204)
    async def simulate_eviction(call: CallOf, target: Annotated[ResourceId, Depends(locate)]) -> Response:
        """Evict a spot machine: it is deallocated."""
        vm = call.find(VirtualMachine, target, action="simulateEviction/action")
        if str(vm.document.get("properties", {}).get("priority", "")).lower() != "spot":
            raise refusal("OperationNotAllowed.not-spot", vm=vm.id.name)
        begin_action(call, [vm], Action.DEALLOCATE, on=vm)
        call.note(f"{target.type}/simulateEviction/action", target)
        return Response(status_code=204)


def _add_boot_diagnostics(router: APIRouter, base: str, locate: Locate) -> None:
    @router.post(f"{base}/retrieveBootDiagnosticsData")
    async def retrieve_boot_diagnostics_data(
        call: CallOf,
        target: Annotated[ResourceId, Depends(locate)],
        minutes: Annotated[str | None, Query(alias="sasUriExpirationTimeInMinutes")] = None,
    ) -> Json:
        """Return URLs of the screenshot and the boot log that work until they expire."""
        vm = call.find(VirtualMachine, target, action="retrieveBootDiagnosticsData/action")
        expires = call.service.now() + timedelta(minutes=_read_minutes(minutes))
        if not vm.boot_diagnostics.enabled:
            raise refusal("OperationNotAllowed.no-diagnostics", vm=vm.id.name)
        await ready_guest(call.service, vm)
        await take_screenshot(call.service, vm)
        call.note(f"{target.type}/retrieveBootDiagnosticsData/action", target)
        sign = call.service.blobs.url
        container = f"/blobs/{account_of(vm)}/{container_name(vm)}"
        return {
            "consoleScreenshotBlobUri": sign(f"{container}/{screenshot_name(vm)}", expires=expires),
            "serialConsoleLogBlobUri": sign(f"{container}/{log_name(vm)}", expires=expires),
        }


def account_of(vm: VirtualMachine) -> str:
    """Return the storage account in the URLs of a machine's blobs; a managed one has a made-up name."""
    uri = vm.boot_diagnostics.storage_uri
    host = (uri or "").partition("://")[2].partition("/")[0].partition(".")[0].lower()
    return host if host.isascii() and host.isalnum() else f"md-{vm.vm_id.replace('-', '')[-12:]}"


def _read_minutes(text: str | None) -> int:
    if text is None:
        return SAS_MINUTES
    if not (text.isascii() and text.isdecimal() and len(text) <= 4 and 1 <= int(text) <= SAS_MINUTES_MAX):
        raise refusal("InvalidParameter.minutes", most=SAS_MINUTES_MAX)
    return int(text)


def _add_refusal(router: APIRouter, base: str, locate: Locate, *, name: str, reason: str) -> None:
    @router.post(f"{base}/{name}", name=f"{name}_machine")
    async def refuse(call: CallOf, target: Annotated[ResourceId, Depends(locate)]) -> Json:
        """Explain why this is not possible here."""
        call.find(VirtualMachine, target, action=f"{name}/action")
        raise CloudError(409, "OperationNotAllowed", reason)
