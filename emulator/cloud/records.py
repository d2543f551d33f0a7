"""What the platform remembers: frozen records, each with the key that it is found by.

A resource keeps the document that its client last put (`document`: location, tags, properties …);
what the platform adds to an answer is computed for each request. VMs and instances of scale sets
are one kind of record (U4).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeAlias, TypeVar

from emulator.cloud.documents import table
from emulator.cloud.guest_plan import GuestPlan, is_windows
from emulator.cloud.resource_id import ResourceId, group_scope

Document: TypeAlias = Mapping[str, Any]


class PowerState(StrEnum):
    """A VM's power state (docs/facts/azure.md 4): the end of its `PowerState/…` code."""

    RUNNING = "running"
    STARTING = "starting"
    STOPPING = "stopping"
    STOPPED = "stopped"
    DEALLOCATING = "deallocating"
    DEALLOCATED = "deallocated"


class ProvisioningState(StrEnum):
    """How the last change of a resource went."""

    CREATING = "Creating"
    UPDATING = "Updating"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    DELETING = "Deleting"


class PrincipalType(StrEnum):
    """Kinds of principals, in the words of role assignments."""

    USER = "User"
    SERVICE_PRINCIPAL = "ServicePrincipal"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Named:
    id: str

    @property
    def key(self) -> str:
        """What it is found by."""
        return self.id.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Resource:
    id: ResourceId
    document: Document

    @property
    def key(self) -> str:
        """What it is found by."""
        return self.id.key


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription(_Named):
    """What pays for resources, and where the serial console is switched on or off.

    Attributes:
        id: GUID.
        tenant: the tenant that it belongs to, GUID.
        name: display name.
        state: "Enabled", or why nothing can be done ("Disabled", "Warned").
        console_enabled: whether serial consoles can be used.
    """

    tenant: str
    name: str
    state: str = "Enabled"
    console_enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceGroup:
    """A group of resources; while it is `deleting`, nothing new comes into it."""

    subscription: str
    name: str
    location: str
    tags: Mapping[str, str] = field(default_factory=dict)
    deleting: bool = False

    @property
    def scope(self) -> str:
        """Its id."""
        return group_scope(self.subscription, self.name)

    @property
    def key(self) -> str:
        """What it is found by."""
        return self.scope.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class BootDiagnostics:
    """The boot-diagnostics settings of a VM.

    Attributes:
        enabled: whether they are on (U6).
        storage_uri: blob endpoint of a custom storage account; None means a managed one.
    """

    enabled: bool = False
    storage_uri: str | None = None


def read_boot_diagnostics(document: Document) -> BootDiagnostics:
    """Return what a VM's document says about boot diagnostics; anything malformed counts as off."""
    chosen = table(document, "properties", "diagnosticsProfile", "bootDiagnostics")
    uri = chosen.get("storageUri")
    return BootDiagnostics(
        enabled=chosen.get("enabled") is True, storage_uri=uri if isinstance(uri, str) and uri else None
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualMachine(_Resource):
    """A virtual machine, or an instance of a scale set.

    Attributes:
        id: resource id; an instance's ends in `virtualMachineScaleSets/SET/virtualMachines/N`.
        document: what was put last.
        vm_id: GUID.
        created: when it was created, UTC.
        guest: what really runs.
        power: what the platform says about its power; a "running" guest starts on demand.
        provisioning: how the last change went.
        port_enabled: whether serial port 0 is enabled.
        model_version: version of the scale set's model that the instance has; 0 for a VM.
        changed: when `provisioning` last changed, UTC; None means `created`.
        goal: the power that the operation in progress ends with; None if there is none.
    """

    vm_id: str
    created: datetime
    guest: GuestPlan
    power: PowerState = PowerState.RUNNING
    provisioning: ProvisioningState = ProvisioningState.SUCCEEDED
    port_enabled: bool = True
    model_version: int = 0
    changed: datetime | None = None
    goal: PowerState | None = None

    @property
    def scale_set(self) -> ResourceId | None:
        """The scale set that it is an instance of, or None."""
        return self.id.parent

    @property
    def is_windows(self) -> bool:
        """Whether it is shown as Windows."""
        return is_windows(table(self.document, "properties"))

    @property
    def boot_diagnostics(self) -> BootDiagnostics:
        """Its boot-diagnostics settings."""
        return read_boot_diagnostics(self.document)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleSet(_Resource):
    """A scale set: a model, and instances that are records of their own.

    Attributes:
        id: resource id.
        document: what was put last; its `properties.virtualMachineProfile` is the model.
        unique_id: GUID.
        created: when it was created, UTC.
        provisioning: how the last change went.
        model_version: goes up when the model changes; an upgrade gives it to an instance (U12).
    """

    unique_id: str
    created: datetime
    provisioning: ProvisioningState = ProvisioningState.SUCCEEDED
    model_version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageAccount(_Resource):
    """A storage account that boot diagnostics may be kept in."""

    created: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal(_Named):
    """Somebody or something that can sign in.

    Attributes:
        id: object id, GUID.
        tenant: GUID.
        type: user or service principal (managed identities are service principals too).
        name: what people call it: `app`, `dev@localhost`.
        app_id: client id of a service principal.
        secret: client secret or password, which is never shown or logged; None if it has none.
    """

    tenant: str
    type: PrincipalType
    name: str
    app_id: str | None = None
    secret: str | None = field(default=None, repr=False)

    @property
    def client_id(self) -> str:
        """What a client calls it: the app id, or the name if it has none."""
        return self.app_id or self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleDefinition(_Named):
    """What a role may do.

    Attributes:
        id: GUID, the name in its resource id.
        name: display name ("Virtual Machine Contributor").
        description: what it is for.
        actions: what it allows, as patterns with `*`.
        not_actions: what it does not allow although `actions` does.
        scopes: where it can be assigned.
        built_in: whether it is one of Azure's own.
    """

    name: str
    description: str = ""
    actions: tuple[str, ...] = ()
    not_actions: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ("/",)
    built_in: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleAssignment:
    """A role that a principal has at a scope, and at everything under it.

    Attributes:
        id: GUID, the name in its resource id.
        scope: subscription, group or resource id, without a trailing slash.
        role: id of the definition, GUID.
        principal: object id of the principal.
        principal_type: kind of principal.
        created: when it was created, UTC.
    """

    id: str
    scope: str
    role: str
    principal: str
    principal_type: PrincipalType
    created: datetime

    @property
    def key(self) -> str:
        """What it is found by: names are unique in their scope."""
        return f"{self.scope}|{self.id}".lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityEvent:
    """A line of the activity log (docs/facts/azure.md 8 "Audit").

    Attributes:
        id: GUID.
        at: when it happened, UTC.
        operation: "MICROSOFT.SERIALCONSOLE/SERIALPORTS/CONNECT/ACTION".
        scope: id of the resource that it was done to.
        caller: UPN or app id.
        caller_id: object id.
        address: the caller's IP address.
        succeeded: whether it succeeded.
        status: HTTP status as text, with a reason if there is one.
        correlation: GUID of the request.
    """

    id: str
    at: datetime
    operation: str
    scope: str
    caller: str
    caller_id: str
    address: str
    succeeded: bool
    status: str
    correlation: str

    @property
    def key(self) -> str:
        """What it is found by."""
        return self.id


Record: TypeAlias = (
    Subscription
    | ResourceGroup
    | VirtualMachine
    | ScaleSet
    | StorageAccount
    | Principal
    | RoleDefinition
    | RoleAssignment
    | ActivityEvent
)
R = TypeVar("R", bound=Record)
T = TypeVar("T")
Observer: TypeAlias = Callable[[Record, bool], None]
"""Called after a change, with the record and whether it still exists."""


class Cloud:
    """The platform's memory; not thread-safe, as the service's loop owns it."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._tables: dict[type[object], dict[str, Record]] = {}
        self._observers: list[Observer] = []
        self._worked_out: dict[str, Any] = {}
        for record in records:
            self.put(record)

    def find(self, kind: type[R], key: str) -> R | None:
        """Return the record of `kind` with `key`, in upper or lower case, or None."""
        found = self._tables.get(kind, {}).get(key.lower())
        return found if isinstance(found, kind) else None

    def all(self, kind: type[R]) -> list[R]:
        """Return the records of `kind`, oldest first."""
        return [record for record in self._tables.get(kind, {}).values() if isinstance(record, kind)]

    def records(self) -> list[Record]:
        """Return all records, kind by kind."""
        return [record for table in self._tables.values() for record in table.values()]

    def put(self, record: Record) -> None:
        """Add `record`, or replace the one with its key."""
        self._tables.setdefault(type(record), {})[record.key.lower()] = record
        self._notify(record, present=True)

    def remove(self, record: Record) -> None:
        """Remove `record`; does nothing if it is not there."""
        if self._tables.get(type(record), {}).pop(record.key.lower(), None) is not None:
            self._notify(record, present=False)

    def worked_out(self, name: str, make: Callable[[], T]) -> T:
        """Return what `make` made of the roles and assignments since one of them last changed."""
        if name not in self._worked_out:
            self._worked_out[name] = make()
        kept: T = self._worked_out[name]
        return kept

    def watch(self, observer: Observer) -> Callable[[], None]:
        """Call `observer` after every change from now on; return a function that ends this."""
        self._observers.append(observer)
        return lambda: self._observers.remove(observer)

    def _notify(self, record: Record, *, present: bool) -> None:
        if isinstance(record, RoleAssignment | RoleDefinition):
            self._worked_out.clear()
        for observer in tuple(self._observers):
            observer(record, present)
