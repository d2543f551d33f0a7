"""Ends open links, or shows notices on them: roles go, VMs change, nobody types."""

from __future__ import annotations

import asyncio

from emulator.clock import pause
from emulator.cloud.console_access import check_role
from emulator.cloud.records import (
    PowerState,
    Principal,
    Record,
    RoleAssignment,
    RoleDefinition,
    Subscription,
    VirtualMachine,
)
from emulator.errors import CloudError
from emulator.service.core.context import Service
from emulator.service.parts.links import Link

IDLE = "The serial console connection was closed: nothing was typed for {:g} s."
_POWER_NOTICES = {
    PowerState.STOPPING: "The virtual machine is being stopped.",
    PowerState.STOPPED: "The virtual machine is stopped; this console goes on when it is started.",
    PowerState.DEALLOCATING: "The virtual machine is being deallocated.",
    PowerState.DEALLOCATED: "The virtual machine is deallocated; this console goes on when it is started.",
    PowerState.STARTING: "The virtual machine is being started.",
}
_WHO_MAY = (RoleAssignment, RoleDefinition, Subscription, Principal)


class LinkWatchdog:
    """Watches a cloud's records on behalf of the open links; make it with the service, on any thread."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._powers = {vm.key: vm.power for vm in service.cloud.all(VirtualMachine)}
        service.cloud.watch(self._see)

    def _see(self, record: Record, present: bool) -> None:  # noqa: FBT001  # the shape of an Observer
        if isinstance(record, _WHO_MAY):
            for link in self._service.links:
                self._check(link)
        elif isinstance(record, VirtualMachine):
            self._see_vm(record, present=present)

    def _check(self, link: Link) -> None:
        if not link.principal:
            return
        service = self._service
        if service.cloud.find(Principal, link.principal) is None:
            link.end(1008, "The serial console connection was closed: its user is no longer known.")
            return
        try:
            check_role(service.cloud, service.settings, principal=link.principal, vm=link.vm)
        except CloudError as error:
            link.end(1008, f"The serial console connection was closed: {error.message}")

    def _see_vm(self, vm: VirtualMachine, *, present: bool) -> None:
        links = self._service.links.of(vm.id)
        if not present:
            self._powers.pop(vm.key, None)
            for link in links:
                link.end(1001, "The serial console connection was closed: the virtual machine was deleted.")
            return
        before = self._powers.get(vm.key)
        self._powers[vm.key] = vm.power
        notice = _POWER_NOTICES.get(vm.power)
        if notice is not None and before is not vm.power:
            for link in links:
                if link.holds:
                    link.show(f"\r\n{notice}\r\n")


async def watch_idle(link: Link, idle_s: float) -> None:
    """End `link` when nobody has typed for `idle_s` seconds."""
    loop = asyncio.get_running_loop()
    while (rest := link.active_at + idle_s - loop.time()) > 0:  # a time, not an event
        await pause(rest)
    link.end(1000, IDLE.format(idle_s))
