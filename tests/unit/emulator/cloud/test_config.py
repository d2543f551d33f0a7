"""cloud.toml: the demo as it is shipped, and what is refused."""

import tomllib
from dataclasses import fields
from datetime import UTC, datetime

import pytest

from emulator.cloud.config import CloudConfig, demo_config, demo_text, load_cloud_config
from emulator.cloud.config_records import build_records, stable_id
from emulator.cloud.console_access import check_access
from emulator.cloud.guest_plan import DEFAULT_IMAGE
from emulator.cloud.records import (
    Cloud,
    PowerState,
    Principal,
    RoleAssignment,
    ScaleSet,
    StorageAccount,
    Subscription,
    VirtualMachine,
)
from emulator.cloud.resource_id import instance_id, vm_id
from emulator.cloud.roles import CONNECT, is_allowed
from emulator.cloud.settings import CloudKind, Era, Fault, Settings
from emulator.errors import CloudError, SpecError
from emulator.machine.spec import Firmware, MachineType
from emulator.values import read_value

NOW = datetime(2026, 3, 1, tzinfo=UTC)
IMAGES = frozenset({DEFAULT_IMAGE, "sid"})
TENANT = "11111111-1111-1111-1111-111111111111"
SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
HEAD = f"""tenant = "{TENANT}"
[[subscription]]
id = "{SUBSCRIPTION}"
name = "one"
[[group]]
name = "g"
"""


def read(text: str) -> CloudConfig:
    return read_value(tomllib.loads(text), CloudConfig, origin="cloud.toml")


def cloud_of(config: CloudConfig) -> Cloud:
    return Cloud(build_records(config, now=NOW, known_images=IMAGES, origin="cloud.toml"))


def build(extra: str) -> Cloud:
    return cloud_of(read(HEAD + extra))


@pytest.fixture(scope="module")
def demo() -> Cloud:
    return cloud_of(demo_config())


def vm_of(cloud: Cloud, name: str, group: str = "rg1") -> VirtualMachine:
    found = cloud.find(VirtualMachine, vm_id(SUBSCRIPTION, group, name).key)
    assert found is not None
    return found


def principal_of(cloud: Cloud, name: str) -> Principal:
    (found,) = (one for one in cloud.all(Principal) if one.name == name)
    return found


def test_demo_is_what_the_issue_describes(demo: Cloud) -> None:
    (subscription,) = demo.all(Subscription)
    assert (subscription.id, subscription.tenant) == (SUBSCRIPTION, TENANT)
    names = [one.id.name for one in demo.all(VirtualMachine)]
    assert names == ["linux1", "linux2", "win1", "nodiag1", "stopped1", "custom1", "0", "1", "2"]
    assert [(one.name, one.secret, one.app_id) for one in demo.all(Principal)] == [
        ("app", "secret", "app"),
        ("reader", "secret", "reader"),
        ("identity", None, "identity"),
        ("vmonly", "secret", "vmonly"),
        ("dev@localhost", "ttylab", None),
    ]


def test_demo_guests_have_their_generation_power_and_stand_in(demo: Cloud) -> None:
    first, second = vm_of(demo, "linux1").guest, vm_of(demo, "linux2").guest
    assert (first.machine, first.firmware, first.generation) == (MachineType.PC, Firmware.SEABIOS, "V1")
    assert (second.machine, second.firmware, second.vcpus) == (MachineType.Q35, Firmware.OVMF, 2)
    assert vm_of(demo, "win1").guest.stands_in_for == "Windows"
    assert vm_of(demo, "stopped1").power is PowerState.DEALLOCATED


def test_demo_boot_diagnostics_are_managed_off_and_custom(demo: Cloud) -> None:
    assert vm_of(demo, "linux1").boot_diagnostics.enabled
    assert not vm_of(demo, "nodiag1").boot_diagnostics.enabled
    uri = vm_of(demo, "custom1").boot_diagnostics.storage_uri
    assert uri == "https://custombootdiag.blob.core.windows.net/"
    assert [one.id.name for one in demo.all(StorageAccount)] == ["custombootdiag"]


@pytest.mark.parametrize(
    ("name", "vm", "reason"),
    [
        ("app", "linux1", ""),
        ("dev@localhost", "custom1", ""),
        ("vmonly", "custom1", ""),
        ("reader", "linux1", "AuthorizationFailed"),
        ("app", "nodiag1", "BootDiagnosticsDisabled"),
        ("app", "stopped1", "OperationNotAllowed"),
    ],
)
def test_demo_console_is_given_or_refused(demo: Cloud, name: str, vm: str, reason: str) -> None:
    def ask() -> None:
        target = vm_id(SUBSCRIPTION, "rg1", vm)
        check_access(demo, Settings(), principal=principal_of(demo, name).id, vm=target)

    if not reason:
        ask()
        return
    with pytest.raises(CloudError, match=reason):
        ask()


def test_u8_demo_vmonly_lacks_the_storage_account_in_2020(demo: Cloud) -> None:
    target = vm_id(SUBSCRIPTION, "rg1", "custom1")
    with pytest.raises(CloudError, match="write to the boot diagnostics storage account"):
        check_access(demo, Settings(era=Era.Y2020), principal=principal_of(demo, "vmonly").id, vm=target)


def test_u4_demo_vmonly_has_the_instances_of_the_scale_set(demo: Cloud) -> None:
    scope = str(instance_id(SUBSCRIPTION, "rg1", scale_set="ss1", instance="2"))
    assert is_allowed(demo, principal_of(demo, "vmonly").id, action=CONNECT, scope=scope)


def test_demo_documents_look_like_azures(demo: Cloud) -> None:
    document = vm_of(demo, "linux1").document
    properties = document["properties"]
    assert document["location"] == "eastus"
    assert properties["storageProfile"]["imageReference"]["offer"] == "debian-12"
    assert properties["storageProfile"]["osDisk"]["osType"] == "Linux"
    assert properties["osProfile"]["computerName"] == "linux1"
    assert properties["networkProfile"]["networkInterfaces"][0]["id"].endswith("/linux1-nic")
    (scale_set,) = demo.all(ScaleSet)
    assert scale_set.document["sku"]["capacity"] == 3
    model = scale_set.document["properties"]["virtualMachineProfile"]
    assert model["diagnosticsProfile"] == {"bootDiagnostics": {"enabled": True}}
    instance = demo.find(VirtualMachine, scale_set.id.child("virtualMachines", "2").key)
    assert instance is not None
    assert instance.document["properties"]["osProfile"]["computerName"] == "ss1000002"


def test_ids_are_the_same_on_each_start(demo: Cloud) -> None:
    again = cloud_of(demo_config())
    assert [one.vm_id for one in again.all(VirtualMachine)] == [one.vm_id for one in demo.all(VirtualMachine)]
    assert len({one.vm_id for one in demo.all(VirtualMachine)}) == 9
    assert stable_id("X") == stable_id("x")


def test_demo_text_says_every_setting() -> None:
    text = demo_text()
    assert [one.name for one in fields(Settings) if f"{one.name} = " not in text] == []
    assert demo_config().settings == Settings(identity_header="ttylab")


def test_settings_are_read() -> None:
    table = read(HEAD + '[settings]\nera = "2020"\nkind = "china"\nfaults = ["conflict"]\nidle_s = 900\n')
    assert table.settings == Settings(
        era=Era.Y2020, kind=CloudKind.CHINA, faults=frozenset({Fault.CONFLICT}), idle_s=900.0
    )


def test_other_cloud_has_its_regions_and_storage_names() -> None:
    account = '[[storage_account]]\nname = "diag1"\ngroup = "g"\nfirewall = true\n'
    vm = '[[vm]]\nname = "x"\ngroup = "g"\nboot_diagnostics = "diag1"\n'
    cloud = build(f'{account}{vm}[settings]\nkind = "government"\n')
    (found,) = cloud.all(VirtualMachine)
    assert found.document["location"] == "usgovvirginia"
    assert found.boot_diagnostics.storage_uri == "https://diag1.blob.core.usgovcloudapi.net/"
    (kept,) = cloud.all(StorageAccount)
    assert kept.document["properties"]["networkAcls"]["defaultAction"] == "Deny"


def test_image_memory_and_kernel_arguments_reach_the_guest() -> None:
    cloud = build(
        '[[vm]]\nname = "x"\ngroup = "g"\nimage = "sid"\ngeneration = 2\n'
        'memory_mib = 512\nkernel_args = ["panic=5"]\nboot_diagnostics = "https://gone.blob.test/"\n'
    )
    (found,) = cloud.all(VirtualMachine)
    plan = found.guest
    assert (plan.image, plan.firmware, plan.memory_mib) == ("sid", Firmware.OVMF, 512)
    assert plan.words == ("panic=5",)
    assert found.boot_diagnostics.storage_uri == "https://gone.blob.test/"


def test_windows_of_both_generations_stand_in() -> None:
    cloud = build('[[vm]]\nname = "w"\ngroup = "g"\nos = "windows"\ngeneration = 2\n')
    (found,) = cloud.all(VirtualMachine)
    assert (found.guest.stands_in_for, found.guest.generation) == ("Windows", "V2")
    assert (found.guest.image, found.guest.memory_mib) == ("sac", 64)
    assert "windowsConfiguration" in found.document["properties"]["osProfile"]


def test_kernel_arguments_of_windows_are_knobs() -> None:
    table = '[[vm]]\nname = "w"\ngroup = "g"\nos = "windows"\nkernel_args = ["{}"]\n'
    (found,) = build(table.format("menu_timeout_s=9")).all(VirtualMachine)
    assert found.guest.words == ("menu_timeout_s=9",)
    with pytest.raises(
        SpecError, match=r"vm 'w' has the kernel_args 'panic=5' is not a knob .*menu_timeout_s"
    ):
        build(table.format("panic=5"))


def principal(on: str, role: str = "Reader") -> str:
    return f'[[principal]]\nname = "p"\nsecret = "s"\nroles = [{{ role = "{role}", on = ["{on}"] }}]\n'


@pytest.mark.parametrize(
    ("on", "ending"),
    [
        ("/", "/"),
        ("subscription", SUBSCRIPTION),
        ("group g", "/resourceGroups/g"),
        ("vm v", "/virtualMachines/v"),
        ("scale-set s", "/virtualMachineScaleSets/s"),
        ("storage-account a12", "/storageAccounts/a12"),
        (f"/subscriptions/{SUBSCRIPTION}/resourceGroups/g", "/resourceGroups/g"),
    ],
)
def test_roles_are_assigned_where_the_file_says(on: str, ending: str) -> None:
    parts = "".join(
        f'[[{kind}]]\nname = "{name}"\ngroup = "g"\n'
        for kind, name in (("vm", "v"), ("scale_set", "s"), ("storage_account", "a12"))
    )
    (assignment,) = build(parts + principal(on)).all(RoleAssignment)
    assert assignment.scope.endswith(ending)


@pytest.mark.parametrize(
    ("extra", "complaint"),
    [
        ('[[vm]]\nname = "x"\ngroup = "nowhere"\n', "vm 'x' is in group 'nowhere', which does not exist"),
        ('[[vm]]\nname = "x"\ngroup = "g"\nimage = "none"\n', "image 'none'; allowed: bookworm-grub, sid"),
        ('[[vm]]\nname = "x"\ngroup = "g"\n[[vm]]\nname = "X"\ngroup = "g"\n', "vm 'X' is there twice"),
        ('[[vm]]\nname = "x"\ngroup = "g"\nboot_diagnostics = "no"\n', "boot_diagnostics 'no'; allowed"),
        (f'[[group]]\nname = "h"\nsubscription = "{TENANT}"\n', "which does not exist"),
        (principal("vm none"), "has a role on 'vm none', which does not exist"),
        (principal("nonsense"), "has a role on 'nonsense'"),
        (principal(f"/subscriptions/{TENANT}"), "which is in no subscription"),
        (principal("subscription", role="King"), "role 'King'; allowed: Owner, Contributor"),
    ],
)
def test_wrong_name_is_refused_with_its_place(extra: str, complaint: str) -> None:
    with pytest.raises(SpecError) as caught:
        build(extra)
    assert str(caught.value).startswith("cloud.toml: ")
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("extra", "complaint"),
    [
        ('[[vm]]\nname = "x"\ngroup = "g"\ncolour = 1\n', "unknown key 'vm.0.colour'"),
        ('[[vm]]\nname = "x/y"\ngroup = "g"\n', "'vm.0.name' has the value 'x/y'"),
        ('[[vm]]\nname = "x"\ngroup = "g"\ngeneration = 3\n', "vm.0.generation"),
        ('[settings]\nsession_s = "long"\n', "settings.session_s"),
        ('[settings]\nfaults = ["fire"]\n', "settings.faults.0"),
        ("[settings]\nidle_s = -1\n", "settings: idle_s is -1.0; allowed: 0 to 86400"),
        ("[settings]\nsession_s = 86_401\n", "settings: session_s is 86401.0; allowed: 0 to 86400"),
        ("[settings]\nreplay_lines = 1001\n", "settings: replay_lines is 1001; allowed: 0 to 1000"),
        ('[settings]\nidentity_header = ""\n', "settings: identity_header is ''; allowed: none, or text"),
    ],
)
def test_wrong_value_is_refused_with_its_key(tmp_path, extra: str, complaint: str) -> None:
    path = tmp_path / "cloud.toml"
    path.write_text(HEAD + extra, encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        load_cloud_config(path)
    assert complaint in str(caught.value)
    assert str(path) in str(caught.value)
