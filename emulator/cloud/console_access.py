"""Whether a caller may have the console of a VM now; pure.

The checks are those of docs/facts/azure.md 2 and 8, in their order.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from emulator.cloud.records import (
    BootDiagnostics,
    Cloud,
    PowerState,
    Principal,
    ProvisioningState,
    StorageAccount,
    Subscription,
    VirtualMachine,
)
from emulator.cloud.refusals import refusal
from emulator.cloud.resource_id import ResourceId
from emulator.cloud.roles import CONNECT, is_allowed
from emulator.cloud.settings import CloudKind, Era, Settings
from emulator.errors import CloudError

STORAGE_WRITE = "Microsoft.Storage/storageAccounts/listKeys/action"


def check_access(cloud: Cloud, settings: Settings, *, principal: str, vm: ResourceId) -> VirtualMachine:
    """Return the record of `vm` if `principal` may have its console now; else raises Azure's CloudError."""
    check_role(cloud, settings, principal=principal, vm=vm)
    machine = find_vm(cloud, vm)
    if machine.provisioning is not ProvisioningState.SUCCEEDED:
        raise refusal("BadRequest.not-provisioned")
    if not machine.port_enabled:
        raise refusal("SerialPortDisabled")
    _check_diagnostics(cloud, settings, principal=principal, machine=machine)
    if machine.power is not PowerState.RUNNING:
        raise refusal("OperationNotAllowed.not-running")
    return machine


def check_role(cloud: Cloud, settings: Settings, *, principal: str, vm: ResourceId) -> None:
    """Check cloud, subscription and role, of open links again and again; raises the first CloudError."""
    if settings.kind is CloudKind.CHINA:
        raise refusal("NoRegisteredProviderFound")
    subscription = cloud.find(Subscription, vm.subscription)
    if subscription is None:
        raise refusal("SubscriptionNotFound", subscription=vm.subscription)
    caller = cloud.find(Principal, principal)
    if caller is not None and caller.tenant.lower() != subscription.tenant.lower():
        raise refusal("InvalidAuthenticationTokenTenant")
    if subscription.state != "Enabled":
        raise refusal(
            "SubscriptionNotEnabled", name=subscription.name, id=subscription.id, state=subscription.state
        )
    if not subscription.console_enabled:
        raise refusal("SerialConsoleDisabled")
    if not is_allowed(cloud, principal, action=CONNECT, scope=str(vm)):
        raise refusal("AuthorizationFailed.console")


def find_vm(cloud: Cloud, vm: ResourceId) -> VirtualMachine:
    """Return the record of `vm`; raises CloudError 404 in the words of Resource Manager."""
    found = cloud.find(VirtualMachine, vm.key)
    if found is None:
        raise resource_not_found(vm)
    return found


def resource_not_found(resource: ResourceId) -> CloudError:
    """Return the 404 of a missing resource; that of an instance says that its scale set is missing (REC)."""
    if resource.parent is not None:
        return refusal("ParentResourceNotFound", parent=resource.parent.name)
    return refusal("ResourceNotFound", type=resource.type, name=resource.name, group=resource.group)


def storage_account_of(cloud: Cloud, diagnostics: BootDiagnostics) -> StorageAccount | None:
    """Return the custom account that `diagnostics` name; None if it does not exist or is a managed one."""
    name = _account_name(diagnostics.storage_uri or "")
    return next((one for one in cloud.all(StorageAccount) if one.id.name.lower() == name), None)


def _account_name(uri: str) -> str:
    return (urlsplit(uri).hostname or "").split(".")[0]


def _check_diagnostics(cloud: Cloud, settings: Settings, *, principal: str, machine: VirtualMachine) -> None:
    diagnostics = machine.boot_diagnostics
    if not diagnostics.enabled:
        raise refusal("BootDiagnosticsDisabled")
    if diagnostics.storage_uri is not None:
        _check_storage(cloud, settings, principal=principal, diagnostics=diagnostics)
    elif settings.era is Era.Y2020:
        raise refusal("ManagedBootDiagnosticsNotSupported")


def _check_storage(cloud: Cloud, settings: Settings, *, principal: str, diagnostics: BootDiagnostics) -> None:
    uri = diagnostics.storage_uri or ""
    if urlsplit(uri).scheme != "https" or not urlsplit(uri).hostname:
        raise refusal("BadRequest.storage-uri", uri=uri)
    account = storage_account_of(cloud, diagnostics)
    if account is None:
        raise refusal("StorageAccountNotFound", account=_account_name(uri))
    properties = account.document.get("properties", {})
    if properties.get("networkAcls", {}).get("defaultAction") == "Deny":
        raise refusal("Forbidden")
    if properties.get("allowSharedKeyAccess") is False:
        raise refusal("Forbidden.key-access")
    if properties.get("isHnsEnabled") is True:
        raise refusal("Conflict")
    if settings.era is Era.Y2020 and not is_allowed(
        cloud, principal, action=STORAGE_WRITE, scope=str(account.id)
    ):
        raise refusal("AuthorizationFailed.storage")
