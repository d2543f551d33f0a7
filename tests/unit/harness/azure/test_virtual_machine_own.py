"""A cell's VM: made, given its machine, deleted, and what can't be played there."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from emulator.cloud.resource_id import vm_id
from emulator.errors import LabError
from emulator.machine.control import Capability
from emulator.machine.spec import Device, Firmware, MachineSpec, MachineType
from harness.azure.arm import Arm
from harness.azure.virtual_machine import own_vm
from harness.cells.cell import parse_cell_id
from harness.cells.matrix import misfit
from harness.scenarios import LIBRARY
from harness.targets import find_target
from harness.targets.service import NOT_ALIKE, OBSTACLES, service_capabilities, vm_name
from tests.support.planned_arm import ADDRESS, Server, Tokens, reply

VM = vm_id("s", "g", "vm1")
SPEC = MachineSpec(
    name="x",
    machine=MachineType.Q35,
    firmware=Firmware.SEABIOS,
    vcpus=2,
    kernel=Path("/kernel"),
    command_line=("console=ttyS0,115200", "a=1"),
    devices=frozenset({Device.PVPANIC, Device.I6300ESB}),
    seed=7,
)


def test_vm_is_made_with_the_cells_machine_and_deleted():
    server = Server(plan=[reply(201), reply(200), reply(204)])
    with own_vm(Arm(ADDRESS, server, Tokens()), VM, SPEC, image="bookworm", words=("a=1",)):
        pass
    assert [(method, url) for method, url, _, _ in server.asked] == [
        ("PUT", f"https://h{VM}?api-version=2024-07-01"),
        ("PUT", f"https://h/ttylab/guests{VM}"),
        ("DELETE", f"https://h{VM}?api-version=2024-07-01"),
    ]
    assert json.loads(server.asked[1][3]) == {
        "image": "bookworm",
        "machine": "q35",
        "firmware": "seabios",
        "vcpus": 2,
        "memoryMib": 256,
        "words": ["a=1"],
        "devices": ["i6300esb", "pvpanic"],
        "watchdogAction": "reset",
        "seed": 7,
        "uuid": None,
    }
    assert json.loads(server.asked[0][3])["properties"]["storageProfile"]["osDisk"]["osType"] == "Linux"


def test_vm_of_a_sac_guest_is_shown_as_windows_and_has_its_knobs_and_uuid():
    server = Server(plan=[reply(201), reply(200), reply(204)])
    uuid = "12345678-9abc-def0-1122-334455667788"
    spec = replace(SPEC, smbios=(("manufacturer", "ttylab"), ("uuid", uuid)))
    with own_vm(
        Arm(ADDRESS, server, Tokens()), VM, spec, image="sac-2019", os_type="Windows", words=("menu=0",)
    ):
        pass
    assert json.loads(server.asked[0][3])["properties"]["storageProfile"]["osDisk"]["osType"] == "Windows"
    table = json.loads(server.asked[1][3])
    assert (table["image"], table["words"], table["uuid"]) == ("sac-2019", ["menu=0"], uuid)


def test_vm_that_can_not_be_made_is_the_labs_fault():
    server = Server(plan=[reply(403, {"error": {"code": "AuthorizationFailed", "message": "no"}})])
    opened = own_vm(Arm(ADDRESS, server, Tokens()), VM, SPEC, image="bookworm")
    with pytest.raises(LabError, match=r"VM vm1 can't be made: .*AuthorizationFailed: no"), opened:
        pass


def test_vm_that_can_not_be_deleted_is_said():
    server = Server(plan=[reply(201), reply(200), reply(500)])
    opened = own_vm(Arm(ADDRESS, server, Tokens()), VM, SPEC, image="bookworm")
    with pytest.raises(LabError, match="VM vm1 can't be deleted"), opened:
        pass


def test_names_of_cells_are_names_of_vms():
    ids = [f"{image}.pc.seabios.1.{name}" for image in ("bookworm", "sid") for name in LIBRARY]
    names = {vm_name(parse_cell_id(one).id) for one in ids}
    assert len(names) == len(ids)
    assert max(map(len, names)) <= 64
    assert all(vm_id("s", "g", name) for name in names)


def test_service_lacks_what_has_no_way_through_it():
    assert not service_capabilities(SPEC) & frozenset(OBSTACLES)
    assert {Capability.NMI, Capability.SERIAL_BREAK, Capability.POWER_CYCLE} <= service_capabilities(SPEC)


def test_scenarios_that_the_service_can_not_play_are_excluded_with_the_reason():
    cells = {name: parse_cell_id(f"trixie.pc.seabios.2.{name}") for name in LIBRARY}
    features = frozenset({"i6300esb", "pvpanic", "spin", "has_knobs", "has_powershell"})
    why = {
        name: reason
        for name, cell in cells.items()
        if misfit(cell, LIBRARY[name], features) is None
        and (reason := misfit(cell, LIBRARY[name], features, target=find_target("service"))) is not None
    }
    assert set(why) == {
        *("sysrq-keyboard", "sysrq-keyboard-sync", "power-button-ignored", *NOT_ALIKE),
        *("sac-dump-nmi", "sac-dump-crashdump", "sac-crashdump-off"),
        *("sac-power-button-bugcheck", "sac-power-button-ignored"),
    }
    assert all(reason.startswith("through the service: ") for reason in why.values())
