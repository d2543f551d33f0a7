"""A whole service without sockets and machines, for tests of routes; the demo cloud is in it.

service = open_test_service()
with client_for(service) as client:  # `with` keeps one loop, so that operations go on between requests
    client.get(path, headers=bearer(service, "app"))
"""

from datetime import UTC, datetime, timedelta
from functools import cache

from starlette.testclient import TestClient

from emulator.cloud.guest_plan import DEFAULT_IMAGE, plan_guest
from emulator.cloud.records import (
    Cloud,
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
    instance_id,
    scale_set_id,
    storage_account_id,
    subscription_scope,
    vm_id,
)
from emulator.cloud.roles import BUILT_IN_ROLES
from emulator.cloud.settings import Settings
from emulator.service.app import create_app
from emulator.service.core.context import Service
from emulator.service.parts.operations import Operations
from emulator.service.parts.sessions import Faults, Sessions
from emulator.service.parts.tokens import BlobSigner, TokenDesk, TokenKey
from tests.support.fake_fleet import FakeFleet

OWNER = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
CONTRIBUTOR = "b24988ac-6180-42a0-ab88-20f7382dd24c"
READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
VM_CONTRIBUTOR = "9980e02c-c2be-4d73-94e8-173b1dc7cf3c"

TENANT = "11111111-1111-1111-1111-111111111111"
SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
GROUP = "rg1"
ENDPOINT = "https://testserver"
START = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
VMS = ("linux1", "linux2", "win1", "nodiag1", "stopped1", "custom1")
INSTANCES = ("0", "1", "2")
ACCOUNT = "customdiag1"


class Now:
    """The present of a test; call it, or `advance` it."""

    def __init__(self, at: datetime = START) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def advance(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


def open_test_service(
    *, settings: Settings | None = None, fleet: FakeFleet | None = None, now: Now | None = None
) -> Service:
    """Return a service over the demo cloud; `service.fleet` is a FakeFleet and `service.now` a Now."""
    now = now or Now()
    settings = settings or Settings()
    cloud = Cloud(demo_records())
    return Service(
        endpoint=ENDPOINT,
        cloud=cloud,
        settings=settings,
        fleet=fleet or FakeFleet(),
        tokens=TokenDesk(_key(), issuer=ENDPOINT),
        operations=Operations(now),
        sessions=Sessions(lifetime_s=settings.session_s),
        blobs=BlobSigner(b"k" * 32, endpoint=ENDPOINT),
        faults=Faults(settings),
        now=now,
    )


def client_for(service: Service) -> TestClient:
    """Return a client of the whole application; use it in a `with`."""
    return TestClient(create_app(service), base_url=ENDPOINT, follow_redirects=False)


def token_for(service: Service, name: str, *, audience: str = ENDPOINT, lifetime_s: float = 3600.0) -> str:
    """Return an access token of the principal called `name` ("app", "reader", "vmonly", "dev@localhost")."""
    (principal,) = (one for one in service.cloud.all(Principal) if one.name == name)
    return service.tokens.issue(
        principal, audience=audience, now=service.now(), lifetime_s=lifetime_s, client=name
    )


def bearer(service: Service, name: str = "app") -> dict[str, str]:
    """Return the Authorization header of the principal called `name`."""
    return {"Authorization": f"Bearer {token_for(service, name)}"}


def demo_vm_id(name: str) -> ResourceId:
    """Return the id of a demo VM."""
    return vm_id(SUBSCRIPTION, GROUP, name)


def demo_instance_id(instance: str) -> ResourceId:
    """Return the id of an instance of `ss1`."""
    return instance_id(SUBSCRIPTION, GROUP, scale_set="ss1", instance=instance)


def fake_fleet_of(service: Service) -> FakeFleet:
    """Return the fleet of a test's service as what it is."""
    assert isinstance(service.fleet, FakeFleet)
    return service.fleet


@cache
def _key() -> TokenKey:
    return TokenKey.generate()


# -- the demo cloud ----------------------------------------------------------------------------


def demo_records() -> list[Record]:
    """Return the demo cloud: subscription, group, principals, roles, VMs, scale set, storage account."""
    return [
        Subscription(id=SUBSCRIPTION, tenant=TENANT, name="ttylab"),
        ResourceGroup(subscription=SUBSCRIPTION, name=GROUP, location="eastus"),
        *BUILT_IN_ROLES,
        *_principals(),
        *_vms(),
        _scale_set(),
        *(_instance(one) for one in INSTANCES),
        StorageAccount(
            id=storage_account_id(SUBSCRIPTION, GROUP, ACCOUNT),
            created=START,
            document={
                "location": "eastus",
                "kind": "StorageV2",
                "sku": {"name": "Standard_LRS"},
                "properties": {"networkAcls": {"defaultAction": "Allow", "ipRules": []}},
            },
        ),
    ]


def _principals() -> list[Record]:
    app, reader, vmonly, dev = (
        Principal(
            id=f"22222222-0000-0000-0000-{number:012}",
            tenant=TENANT,
            type=PrincipalType.USER if "@" in name else PrincipalType.SERVICE_PRINCIPAL,
            name=name,
            app_id=None if "@" in name else name,
            secret="ttylab" if "@" in name else "secret",
        )
        for number, name in enumerate(("app", "reader", "vmonly", "dev@localhost"), start=1)
    )
    everywhere = subscription_scope(SUBSCRIPTION)
    own = [*(str(demo_vm_id(name)) for name in VMS), str(scale_set_id(SUBSCRIPTION, GROUP, "ss1"))]
    grants = [(app, OWNER, everywhere), (reader, READER, everywhere), (dev, OWNER, everywhere)]
    grants += [(vmonly, VM_CONTRIBUTOR, scope) for scope in own]
    assignments = [
        RoleAssignment(
            id=f"33333333-0000-0000-0000-{number:012}",
            scope=scope,
            role=role,
            principal=principal.id,
            principal_type=principal.type,
            created=START,
        )
        for number, (principal, role, scope) in enumerate(grants, start=1)
    ]
    return [app, reader, vmonly, dev, *assignments]


def _vms() -> list[VirtualMachine]:
    return [
        VirtualMachine(
            id=demo_vm_id(name),
            document=_document(name),
            vm_id=f"44444444-0000-0000-0000-{number:012}",
            created=START,
            guest=plan_guest(_document(name)["properties"], known_images=frozenset({DEFAULT_IMAGE})),
            power=PowerState.DEALLOCATED if name == "stopped1" else PowerState.RUNNING,
        )
        for number, name in enumerate(VMS, start=1)
    ]


def _document(name: str) -> dict:
    diagnostics = {"enabled": True}
    if name == "custom1":
        diagnostics["storageUri"] = f"https://{ACCOUNT}.blob.core.windows.net/"
    windows = name == "win1"
    reference = {
        "publisher": "MicrosoftWindowsServer" if windows else "Debian",
        "offer": "WindowsServer" if windows else DEFAULT_IMAGE,
        "sku": "12-gen2" if name == "linux2" else "12",
        "version": "latest",
    }
    properties = {
        "hardwareProfile": {"vmSize": "Standard_B1s"},
        "storageProfile": {
            "imageReference": reference,
            "osDisk": {"osType": "Windows" if windows else "Linux", "createOption": "FromImage"},
        },
        "osProfile": {"computerName": name, "adminUsername": "root"},
    }
    if name != "nodiag1":
        properties["diagnosticsProfile"] = {"bootDiagnostics": diagnostics}
    return {"location": "eastus", "tags": {}, "properties": properties}


def _scale_set() -> ScaleSet:
    properties = _document("ss1")["properties"]
    properties["osProfile"] = {"computerNamePrefix": "ss1", "adminUsername": "root"}
    return ScaleSet(
        id=scale_set_id(SUBSCRIPTION, GROUP, "ss1"),
        document={
            "location": "eastus",
            "tags": {},
            "sku": {"name": "Standard_B1s", "tier": "Standard", "capacity": len(INSTANCES)},
            "properties": {
                "upgradePolicy": {"mode": "Manual"},
                "singlePlacementGroup": True,
                "orchestrationMode": "Uniform",
                "virtualMachineProfile": {
                    name: value for name, value in properties.items() if name != "hardwareProfile"
                },
            },
        },
        unique_id="55555555-0000-0000-0000-000000000001",
        created=START,
    )


def _instance(number: str) -> VirtualMachine:
    document = _document(f"ss1_{number}")
    return VirtualMachine(
        id=demo_instance_id(number),
        document=document,
        vm_id=f"66666666-0000-0000-0000-{int(number):012}",
        created=START,
        guest=plan_guest(document["properties"], known_images=frozenset({DEFAULT_IMAGE})),
        model_version=1,
    )
