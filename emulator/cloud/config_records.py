"""From the tables of a cloud.toml to records: names are looked up, missing ids are made from names; pure."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from emulator.cloud.config import (
    CloudConfig,
    ComputeTable,
    GroupTable,
    PrincipalTable,
    RoleTable,
    ScaleSetTable,
    StorageAccountTable,
    VmTable,
)
from emulator.cloud.config_documents import (
    ResourcePlace,
    account_document,
    blob_endpoint,
    guest_of,
    instance_document,
    scale_set_document,
    vm_document,
)
from emulator.cloud.records import (
    PowerState,
    Principal,
    PrincipalType,
    Record,
    ResourceGroup,
    RoleAssignment,
    ScaleSet,
    StorageAccount,
    Subscription,
    VirtualMachine,
)
from emulator.cloud.resource_id import (
    ResourceId,
    group_scope,
    is_within,
    parse_resource_id,
    scale_set_id,
    storage_account_id,
    subscription_scope,
    vm_id,
)
from emulator.cloud.roles import BUILT_IN_ROLES
from emulator.cloud.settings import CLOUD_FACTS, CloudKind
from emulator.errors import SpecError
from emulator.sac.knobs import parse_knobs

_SCOPED = ("group", "vm", "scale-set", "storage-account")
_NAMESPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")  # RFC 4122's, for URLs


def build_records(
    config: CloudConfig, *, now: datetime, known_images: frozenset[str], origin: str
) -> list[Record]:
    """Return what `config` describes, all of it created `now`, and Azure's built-in roles.

    Raises:
        SpecError: a name is used twice or names nothing; the text names the file, `origin`, and says which.
    """
    return list(_Builder(config=config, now=now, known_images=known_images, origin=origin).build())


def stable_id(name: str) -> str:
    """Return a GUID made from a name: the same on each start."""
    return str(uuid.uuid5(_NAMESPACE, f"ttylab:{name.lower()}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Builder:
    config: CloudConfig
    now: datetime
    known_images: frozenset[str]
    origin: str

    def build(self) -> Iterator[Record]:
        """Yield every record, each after those that it refers to."""
        config = self.config
        self._refuse_doubles("subscription", (one.id for one in config.subscription))
        for kind in ("group", "principal", "storage_account", "vm", "scale_set"):
            self._refuse_doubles(kind, (one.name for one in getattr(config, kind)))
        yield from BUILT_IN_ROLES
        yield from self._subscriptions()
        yield from (self._group(one) for one in config.group)
        yield from (self._account(one) for one in config.storage_account)
        yield from (self._vm(one) for one in config.vm)
        for scale_set in config.scale_set:
            yield from self._scale_set(scale_set)
        for principal in config.principal:
            yield from self._principal(principal)

    def _subscriptions(self) -> Iterator[Subscription]:
        for table in self.config.subscription:
            yield Subscription(
                id=table.id.lower(),
                tenant=(table.tenant or self.config.tenant).lower(),
                name=table.name,
                state=table.state,
                console_enabled=table.console,
            )

    def _group(self, table: GroupTable) -> ResourceGroup:
        subscription = self._subscription_of(table)
        if not any(one.id.lower() == subscription for one in self.config.subscription):
            raise self._complaint(
                f"group {table.name!r} is in subscription {subscription}, which does not exist"
            )
        return ResourceGroup(
            subscription=subscription, name=table.name, location=self._location(table), tags=table.tags
        )

    def _account(self, table: StorageAccountTable) -> StorageAccount:
        place = self._place(table.group, table.location, owner=f"storage_account {table.name!r}")
        return StorageAccount(
            id=storage_account_id(place.subscription, place.group, table.name),
            document=account_document(table, place),
            created=self.now,
        )

    def _vm(self, table: VmTable) -> VirtualMachine:
        place = self._place_of(table, "vm")
        document = vm_document(table, place)
        resource = vm_id(place.subscription, place.group, table.name)
        return VirtualMachine(
            id=resource,
            document=document,
            vm_id=table.vm_id or stable_id(resource.key),
            created=self.now,
            guest=guest_of(table, document, known_images=self.known_images),
            power=PowerState(table.power),
        )

    def _scale_set(self, table: ScaleSetTable) -> Iterator[Record]:
        place = self._place_of(table, "scale_set")
        resource = scale_set_id(place.subscription, place.group, table.name)
        yield ScaleSet(
            id=resource,
            document=scale_set_document(table, place),
            unique_id=table.id or stable_id(resource.key),
            created=self.now,
        )
        for number in range(table.instances):
            yield self._instance(table, place, resource.child("virtualMachines", str(number)))

    def _instance(self, table: ScaleSetTable, place: ResourcePlace, resource: ResourceId) -> VirtualMachine:
        document = instance_document(table, place, number=int(resource.name))
        return VirtualMachine(
            id=resource,
            document=document,
            vm_id=stable_id(resource.key),
            created=self.now,
            guest=guest_of(table, document, known_images=self.known_images),
            power=PowerState(table.power),
            model_version=1,
        )

    def _principal(self, table: PrincipalTable) -> Iterator[Record]:
        user = "@" in table.name
        principal = Principal(
            id=(table.id or stable_id(f"principal:{table.name}")).lower(),
            tenant=(table.tenant or self.config.tenant).lower(),
            type=PrincipalType.USER if user else PrincipalType.SERVICE_PRINCIPAL,
            name=table.name,
            app_id=None if user else table.app_id or table.name,
            secret=table.secret,
        )
        yield principal
        for role in table.roles:
            yield from self._assignments(principal, role)

    def _assignments(self, principal: Principal, table: RoleTable) -> Iterator[RoleAssignment]:
        found = [one for one in BUILT_IN_ROLES if table.role.lower() in {one.name.lower(), one.id}]
        if not found:
            allowed = ", ".join(one.name for one in BUILT_IN_ROLES)
            raise self._complaint(
                f"principal {principal.name!r} has the role {table.role!r}; allowed: {allowed}"
            )
        for place in table.on:
            scope = self._scope(place, principal.name)
            yield RoleAssignment(
                id=stable_id(f"assignment:{principal.id}:{found[0].id}:{scope}"),
                scope=scope,
                role=found[0].id,
                principal=principal.id,
                principal_type=principal.type,
                created=self.now,
            )

    def _scope(self, text: str, owner: str) -> str:
        kind, _, name = text.partition(" ")
        if text == "subscription":
            return subscription_scope(self.config.subscription[0].id.lower())
        if text == "/" or text.startswith("/subscriptions/"):
            return self._literal_scope(text, owner)
        tables = getattr(self.config, kind.replace("-", "_")) if kind in _SCOPED else ()
        named = [one for one in tables if one.name == name]
        if not named:
            raise self._complaint(
                f"principal {owner!r} has a role on {text!r}, which does not exist; write subscription,"
                " group NAME, vm NAME, scale-set NAME, storage-account NAME or a scope"
            )
        return self._scope_of(kind, named[0])

    def _scope_of(self, kind: str, table: GroupTable | ComputeTable | StorageAccountTable) -> str:
        if isinstance(table, GroupTable):
            return group_scope(self._subscription_of(table), table.name)
        place = self._place(table.group, None, owner=f"{kind} {table.name!r}")
        makers = {"vm": vm_id, "scale-set": scale_set_id, "storage-account": storage_account_id}
        return str(makers[kind](place.subscription, place.group, table.name))

    def _literal_scope(self, scope: str, owner: str) -> str:
        parts = scope.strip("/").split("/")
        if len(parts) > 4:
            parse_resource_id(scope)
        inside = any(is_within(scope, subscription_scope(one.id)) for one in self.config.subscription)
        if scope != "/" and not inside:
            raise self._complaint(f"principal {owner!r} has a role on {scope}, which is in no subscription")
        return scope.rstrip("/") or "/"

    def _place_of(self, table: ComputeTable, kind: str) -> ResourcePlace:
        owner = f"{kind} {table.name!r}"
        if table.image is not None and table.image not in self.known_images:
            known = ", ".join(sorted(self.known_images))
            raise self._complaint(f"{owner} has the image {table.image!r}; allowed: {known}")
        if table.os == "windows" and table.image is None:
            try:
                parse_knobs(table.kernel_args)
            except SpecError as error:
                raise self._complaint(f"{owner} has the kernel_args {error}") from error
        place = self._place(table.group, table.location, owner=owner)
        return replace(place, storage_uri=self._storage_uri(table.boot_diagnostics, owner))

    def _place(self, group: str, location: str | None, *, owner: str) -> ResourcePlace:
        found = next((one for one in self.config.group if one.name == group), None)
        if found is None:
            raise self._complaint(f"{owner} is in group {group!r}, which does not exist")
        return ResourcePlace(
            subscription=self._subscription_of(found),
            group=found.name,
            location=location or self._location(found),
            kind=self._kind,
        )

    def _storage_uri(self, chosen: str, owner: str) -> str | None:
        if chosen in {"managed", "off"}:
            return None
        if chosen.startswith("https://"):
            return chosen
        if not any(one.name == chosen for one in self.config.storage_account):
            raise self._complaint(
                f"{owner} has boot_diagnostics {chosen!r}; allowed: managed, off, the name of a"
                " storage_account, or https://…"
            )
        return blob_endpoint(chosen, self._kind)

    @property
    def _kind(self) -> CloudKind:
        return self.config.settings.kind

    def _location(self, table: GroupTable) -> str:
        return table.location or CLOUD_FACTS[self._kind].locations[0]

    def _subscription_of(self, table: GroupTable) -> str:
        return (table.subscription or self.config.subscription[0].id).lower()

    def _refuse_doubles(self, kind: str, names: Iterable[str]) -> None:
        seen: set[str] = set()
        for name in names:
            if name.lower() in seen:
                raise self._complaint(f"{kind} {name!r} is there twice")
            seen.add(name.lower())

    def _complaint(self, text: str) -> SpecError:
        return SpecError(f"{self.origin}: {text}")
