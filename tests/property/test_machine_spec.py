import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from emulator.disks.formats import DiskFormat
from emulator.machine.architectures import board_of
from emulator.machine.argv import FirmwareFiles, QemuVersion, Wiring, build_argv
from emulator.machine.spec import (
    SATA_MOST,
    Accelerator,
    Device,
    Disk,
    DiskBus,
    MachineSpec,
    MachineType,
    WatchdogAction,
    WindowsParts,
)
from emulator.values import json_ready, read_value

TEXT = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), min_size=1, max_size=12)
PATHS = TEXT.map(lambda text: Path("/") / text.lstrip("/"))
WORDS = st.text(st.characters(min_codepoint=33, max_codepoint=1000), min_size=1, max_size=8)
DISKS = st.builds(
    Disk,
    path=PATHS,
    format=st.sampled_from(DiskFormat),
    bus=st.sampled_from(DiskBus),
    discard_writes=st.booleans(),
)
OVMF = FirmwareFiles(code=Path("/code"), vars_template=Path("/vars"))
WINDOWS = st.builds(
    WindowsParts,
    cdroms=st.lists(PATHS, max_size=SATA_MOST - 3).map(tuple),
    acpi_tables=st.lists(PATHS, max_size=2).map(tuple),
    tpm=st.booleans(),
)
ONCE = ("-name", "-machine", "-accel", "-cpu", "-m", "-smp", "-S", "-mon", "-serial", "-kernel", "-append")


@st.composite
def specs(draw):
    machine = draw(st.sampled_from(MachineType))
    spec = MachineSpec(
        name=draw(st.from_regex(r"[a-z0-9][a-z0-9._-]{0,10}", fullmatch=True)),
        machine=machine,
        firmware=board_of(machine).firmwares[0],
        vcpus=draw(st.integers(1, 4)),
        memory_mib=draw(st.integers(128, 4096)),
        accelerator=draw(st.sampled_from(Accelerator)),
        kernel=draw(PATHS),
        initrd=draw(st.none() | PATHS),
        command_line=tuple(draw(st.lists(WORDS, max_size=5))),
        watchdog_action=draw(st.sampled_from(WatchdogAction)),
        seed=draw(st.none() | st.integers(0, 2**64 - 1)),
        fw_cfg=tuple(
            draw(st.dictionaries(st.from_regex(r"opt/[a-z0-9/_-]{1,9}", fullmatch=True), TEXT)).items()
        ),
        smbios=tuple(
            draw(st.dictionaries(st.sampled_from(["manufacturer", "product", "uuid"]), TEXT)).items()
        ),
    )
    if machine is MachineType.MICROVM:
        return spec
    return replace(
        spec,
        firmware=draw(st.sampled_from(board_of(machine).firmwares)),
        devices=frozenset(draw(st.lists(st.sampled_from(Device)))),
        disks=tuple(
            disk if board_of(machine).sata else replace(disk, bus=DiskBus.VIRTIO)
            for disk in draw(st.lists(DISKS, max_size=3))
        ),
        bulk_console=draw(st.booleans()),
        windows=draw(st.none() | WINDOWS) if board_of(machine).screen else None,
    )


def argv_of(spec, *, console_path=Path("/dev/pts/1")):
    uefi = spec.firmware.is_uefi
    wiring = Wiring(
        console_path=console_path,
        qmp_fd=3,
        bulk_fd=4 if spec.bulk_console else None,
        vars_file=Path("/run/vars") if uefi else None,
        com2_file=Path("/run/com2") if spec.windows else None,
        firmware_file=Path("/run/firmware") if spec.windows else None,
        tpm_fd=5 if spec.windows and spec.windows.tpm else None,
    )
    return build_argv(
        spec,
        qemu="qemu",
        accelerator="tcg",
        wiring=wiring,
        version=QemuVersion(7, 2),
        firmware=OVMF if uefi else None,
    )


def split_option(option):
    """Cut an option at its commas as QEMU does: ',,' is one comma of a value."""
    return [part.replace("\0", ",") for part in option.replace(",,", "\0").split(",")]


@given(specs())
def test_json_gives_an_equal_spec_and_the_same_argv(spec):
    kept = json.loads(json.dumps(json_ready(spec)))
    again = read_value(kept, MachineSpec, origin="here", whole=True)
    assert again == spec
    assert argv_of(again) == argv_of(spec)


@given(specs())
def test_argv_names_each_single_thing_once(spec):
    argv = argv_of(replace(spec, command_line=()))
    options = [word for word in argv if word in ONCE]
    assert len(options) == len(set(options)) + (spec.windows is not None)  # which has two -serial
    assert options.count("-serial") == (1 if spec.windows is None else 2)
    values = [value for name, value in pairwise(argv) if name in {"-chardev", "-object", "-drive"}]
    ids = [part for value in values for part in split_option(value) if part.startswith("id=")]
    assert len(ids) == len(set(ids))


@given(specs(), PATHS)
def test_argv_keeps_every_path_when_qemu_splits_it(spec, console):
    argv = argv_of(spec, console_path=console)
    given_parts = [part for word in argv for part in split_option(word)]
    assert f"path={console}" in given_parts
    assert all(f"file={disk.path}" in given_parts for disk in spec.disks)
    assert spec.windows is None or all(f"file={path}" in given_parts for path in spec.windows.cdroms)
    places = [part for part in given_parts if part.startswith("bootindex=")]
    assert len(places) == len(set(places))
    assert str(spec.kernel) in argv


@given(specs(), st.permutations(list(Device)))
def test_argv_does_not_hang_on_the_order_of_devices(spec, order):
    if spec.machine is not MachineType.MICROVM:
        assert argv_of(replace(spec, devices=frozenset(order))) == argv_of(
            replace(spec, devices=frozenset(reversed(order)))
        )
