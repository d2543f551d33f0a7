"""Matrix files: what they select, what they exclude and why, and what they are refused for."""

from pathlib import Path
from textwrap import dedent

import pytest

from emulator.errors import SpecError
from emulator.machine.architectures import UNKNOWN, X86_64
from emulator.machine.control import Capability
from emulator.machine.spec import Device, Firmware, MachineType
from emulator.sac.image import SAC_IMAGES, sac_features
from harness.cells.cell import Cell, parse_cell_id, parse_shard, shard
from harness.cells.matrix import Matrix, load_matrix
from harness.scenario.kind import GuestKind
from harness.scenario.scenario import Scenario
from harness.scenario.steps import Alive, Inject
from harness.scenario.stimulus import SysRq, Via
from harness.scenarios import LIBRARY
from harness.scenarios.phrases import SYSRQ_HELP
from harness.snapshots.stage import snapshot_stage
from harness.targets.service import OBSTACLES

IMAGES = {"old": frozenset({"spin"}), "new": frozenset({"spin", "i6300esb"}), "sac": sac_features("sac")}
CI = Path(__file__).parents[4] / "ci"
CATALOG = {
    "bullseye": frozenset({"pvpanic", "spin"}),
    "bookworm": frozenset({"pvpanic", "spin"}),
    "bookworm-generic": frozenset({"i6300esb", "pvpanic", "spin"}),
    "bookworm-grub": frozenset({"pvpanic", "spin"}),
    "trixie": frozenset({"i6300esb", "pvpanic", "spin"}),
    "sid": frozenset({"i6300esb", "pvpanic", "spin"}),
} | {name: sac_features(name) for name in SAC_IMAGES}


def a_scenario(name: str, **changes: object) -> Scenario:
    fields = {"title": "t", "description": "d", "steps": (Alive(),), **changes}
    return Scenario(name=name, **fields)


SCENARIOS = {
    one.name: one
    for one in (
        a_scenario("plain", tags=frozenset({"easy"})),
        a_scenario("pair", min_vcpus=2),
        a_scenario("talk", guest=GuestKind.SAC),
        a_scenario("hang", modules=frozenset({"spin"}), tags=frozenset({"hard"})),
        a_scenario("dog", devices=frozenset({Device.I6300ESB}), modules=frozenset({"i6300esb"})),
        a_scenario("keys", steps=(Inject(stimulus=SysRq(key="h", via=Via.KEYBOARD), effects=(SYSRQ_HELP,)),)),
    )
}
HEAD = """
    [matrix]
    name = "m"
    description = "d"
"""
BLOCK = """
    [[block]]
    images = ["old"]
    machines = ["pc"]
    firmwares = ["seabios"]
    vcpus = [1]
    scenarios = ["plain"]
"""


@pytest.fixture
def load(tmp_path: Path):
    def load_text(text: str) -> Matrix:
        path = tmp_path / "m.toml"
        path.write_text(dedent(text), encoding="utf-8")
        return load_matrix(path, images=IMAGES, scenarios=SCENARIOS)

    return load_text


def ids(matrix: Matrix) -> list[str]:
    return [cell.id for cell in matrix.cells]


def reasons(matrix: Matrix) -> dict[str, str]:
    return {one.cell.id: one.reason for one in matrix.excluded}


def test_matrix_has_the_product_of_a_block_sorted_by_id(load):
    matrix = load(HEAD + BLOCK.replace('["pc"]', '["q35", "pc"]').replace('["old"]', '["old", "new"]'))
    assert ids(matrix) == [f"{i}.{m}.seabios.1.plain" for i in ("new", "old") for m in ("pc", "q35")]


def test_matrix_unites_blocks_that_overlap(load):
    matrix = load(HEAD + BLOCK + BLOCK.replace("[1]", "[1, 2]"))
    assert ids(matrix) == ["old.pc.seabios.1.plain", "old.pc.seabios.2.plain"]


def test_matrix_takes_scenarios_by_tag_beside_those_by_name(load):
    matrix = load(HEAD + BLOCK.replace('["plain"]', '["plain"]\n    tags = ["hard"]'))
    assert ids(matrix) == ["old.pc.seabios.1.hang", "old.pc.seabios.1.plain"]


def test_matrix_takes_everything_for_all(load):
    matrix = load(HEAD + BLOCK.replace('["plain"]', '"all"').replace('["old"]', '"all"'))
    assert {cell.image for cell in matrix.cells} == {"old", "new", "sac"}
    assert {cell.scenario for cell in matrix.cells} == {"plain", "hang", "dog", "keys", "talk"}


def test_matrix_has_its_name_text_and_default_timeout(load):
    matrix = load(HEAD + BLOCK)
    assert (matrix.name, matrix.description, matrix.timeout_s) == ("m", "d", 180.0)


def test_matrix_excludes_with_the_given_reason(load):
    text = HEAD + BLOCK.replace("[1]", "[1, 2]") + '[[exclude]]\n    vcpus = [2]\n    reason = "slow"\n'
    matrix = load(text)
    assert ids(matrix) == ["old.pc.seabios.1.plain"]
    assert reasons(matrix) == {"old.pc.seabios.2.plain": "slow"}


def test_matrix_excludes_only_what_has_every_named_value(load):
    text = (
        HEAD
        + BLOCK.replace("[1]", "[1, 2]").replace('["plain"]', '["plain", "hang"]')
        + '[[exclude]]\n    vcpus = [2]\n    tags = ["hard"]\n    reason = "r"\n'
    )
    assert reasons(load(text)) == {"old.pc.seabios.2.hang": "r"}


def test_matrix_joins_the_reasons_of_several_excludes(load):
    text = HEAD + BLOCK.replace("[1]", "[1, 2]")
    for reason in ("slow", "dull"):
        text += f'[[exclude]]\n    vcpus = [2]\n    reason = "{reason}"\n'
    assert reasons(load(text)) == {"old.pc.seabios.2.plain": "dull; slow"}


@pytest.mark.parametrize(
    ("change", "cell", "reason"),
    [
        (('["pc"]', '["pc", "microvm"]'), "old.microvm.seabios.1.dog", "i6300esb"),
        (('["seabios"]', '["seabios", "ovmf"]'), "old.pc.ovmf.1.dog", "the guest has no i6300esb"),
        (('["plain"]', '["plain", "pair"]'), "old.pc.seabios.1.pair", "takes 2 vCPUs"),
        (("images", "images"), "old.pc.seabios.1.dog", "the guest has no i6300esb"),
    ],
)
def test_matrix_excludes_by_itself_what_cannot_be(load, change, cell, reason):
    text = BLOCK.replace(*change)
    matrix = load(HEAD + text + BLOCK.replace('["plain"]', '["dog"]').replace(*change))
    assert reason in reasons(matrix)[cell]


def test_matrix_excludes_ovmf_on_a_board_without_flash(load):
    text = BLOCK.replace('["pc"]', '["microvm"]').replace('["seabios"]', '["seabios", "ovmf"]')
    assert "no flash" in reasons(load(HEAD + text))["old.microvm.ovmf.1.plain"]


def test_matrix_excludes_a_device_on_a_board_without_a_bus(load):
    text = BLOCK.replace('["old"]', '["new"]').replace('["pc"]', '["pc", "microvm"]')
    matrix = load(HEAD + text.replace('["plain"]', '["dog"]'))
    assert ids(matrix) == ["new.pc.seabios.1.dog"]
    assert "microvm" in reasons(matrix)["new.microvm.seabios.1.dog"]


def test_matrix_excludes_a_stimulus_that_the_board_cannot_take(tmp_path):
    path = tmp_path / "m.toml"
    text = HEAD + BLOCK.replace('["old"]', '["bookworm"]').replace('["pc"]', '["pc", "microvm"]')
    path.write_text(dedent(text.replace('"plain"', '"power-button"')), encoding="utf-8")
    matrix = load_matrix(path, images=CATALOG, scenarios=LIBRARY)
    assert reasons(matrix) == {
        "bookworm.microvm.seabios.1.power-button": "microvm can't do: power_button (it is without ACPI)"
    }


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('["old"]', '["odl"]', "key 'images': unknown value 'odl'; did you mean old? allowed: new, old"),
        (
            '["pc"]',
            '["pcs"]',
            "key 'machines': unknown value 'pcs'; did you mean pc? allowed: microvm, pc, q35, virt",
        ),
        ('["seabios"]', '["bios"]', "allowed: aavmf, none, ovmf, seabios"),
        ('["plain"]', '["plan"]', "key 'scenarios': unknown value 'plan'; did you mean plain?"),
        ('["plain"]', '"plain"', "block.0.scenarios"),
        ('scenarios = ["plain"]', 'tags = ["esy"]', "key 'tags': unknown value 'esy'; did you mean easy?"),
        ('scenarios = ["plain"]', "", "block.0: key 'scenarios' is missing"),
        ("vcpus = [1]", "vcpus = [0]", "block.0.vcpus"),
        ("vcpus = [1]", "vcpus = [65]", "block.0.vcpus"),
        ("vcpus = [1]", 'vcpus = ["1"]', "block.0.vcpus"),
        ("vcpus = [1]", "vcpu = [1]", "vcpu"),
        ("vcpus = [1]", "vcpus = []", "block.0.vcpus"),
        ("images =", "image =", "image"),
    ],
)
def test_matrix_refuses_a_wrong_block_and_names_file_key_and_value(load, old, new, message):
    with pytest.raises(SpecError) as caught:
        load(HEAD + BLOCK.replace(old, new))
    assert "m.toml" in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BLOCK, "'matrix' is missing"),
        (HEAD, "'block' is missing"),
        (HEAD + "    timeout_s = 0\n" + BLOCK, "matrix.timeout_s"),
        (HEAD + '    timeout_s = "1"\n' + BLOCK, "matrix.timeout_s"),
        (HEAD + "    colour = 1\n" + BLOCK, "colour"),
        (HEAD.replace('"m"', '"M m"') + BLOCK, "matrix.name"),
        (HEAD + BLOCK + "[[exclude]]\n    vcpus = [1]\n", "exclude.0.reason"),
        (HEAD + BLOCK + '[[exclude]]\n    vcpus = [2]\n    reason = "r"\n', "matches no cell that could run"),
        (
            HEAD + BLOCK + '[[exclude]]\n    vcpus = [1]\n    reason = "r"\n',
            "no cell is left; 1 are excluded",
        ),
        (HEAD + BLOCK + '[[exclude]]\n    images = ["x"]\n    reason = "r"\n', "exclude.0: key 'images'"),
        ("[matrix", "not TOML"),
    ],
)
def test_matrix_refuses_a_wrong_file(load, text, message):
    with pytest.raises(SpecError) as caught:
        load(text)
    assert message in str(caught.value)


def test_matrix_refuses_an_exclude_of_what_cannot_be_anyway(load):
    text = HEAD + BLOCK.replace('["plain"]', '["plain", "pair"]')
    with pytest.raises(SpecError, match="remove it"):
        load(text + '[[exclude]]\n    scenarios = ["pair"]\n    reason = "r"\n')


def test_cell_id_has_all_axes_in_order():
    cell = Cell(
        image="bookworm-generic",
        machine=MachineType.Q35,
        firmware=Firmware.OVMF,
        vcpus=2,
        scenario="sysrq-help",
    )
    assert cell.id == "bookworm-generic.q35.ovmf.2.sysrq-help"
    assert parse_cell_id(cell.id) == cell


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has 1 parts; it reads IMAGE.MACHINE.FIRMWARE.VCPUS.SCENARIO"),
        ("a.pc.seabios.1", "has 4 parts"),
        ("a.PC.seabios.1.b", "machine is 'PC'"),
        ("a.pc.ovfm.1.b", "unknown firmware 'ovfm'; did you mean ovmf?"),
        ("a.pc.ovmf.99.b", "vcpus is 99; allowed: 1 to 64"),
        ("a.pc.ovmf.01.b", "vcpus is '01'; allowed: 1 to 64"),
        ("A.pc.ovmf.1.b", "image is 'A'"),
        ("a.pc.ovmf.1.B", "scenario is 'B'"),
    ],
)
def test_cell_id_is_refused_with_what_is_allowed(text, message):
    with pytest.raises(SpecError) as caught:
        parse_cell_id(text)
    assert message in str(caught.value)


def test_cell_id_of_unknown_names_is_refused_with_close_matches():
    with pytest.raises(SpecError, match="unknown image 'bookwurm'; did you mean bookworm"):
        parse_cell_id("bookwurm.pc.ovmf.1.nmi", images=CATALOG)
    with pytest.raises(SpecError, match="unknown machine 'pcc'; did you mean pc"):
        parse_cell_id("sid.pcc.ovmf.1.nmi", images=CATALOG, machines=list(MachineType))
    with pytest.raises(SpecError, match="unknown scenario 'nmi-panik'; did you mean nmi-panic"):
        parse_cell_id("sid.pc.ovmf.1.nmi-panik", images=CATALOG, scenarios=LIBRARY)


def test_cell_refuses_a_scenario_with_a_dot():
    with pytest.raises(SpecError, match="scenario is"):
        Cell(image="a", machine=MachineType.PC, firmware=Firmware.OVMF, vcpus=1, scenario="b.c")


def test_shard_is_parsed():
    assert parse_shard("2/5") == (2, 5)


@pytest.mark.parametrize("text", ["", "2", "2/", "/5", "a/5", "2/5/6", "-1/5", "2 / 5", "٢/5"])
def test_shard_is_refused_when_it_is_not_written_so(text):
    with pytest.raises(SpecError, match="write INDEX/COUNT, as in 2/5"):
        parse_shard(text)


@pytest.mark.parametrize("text", ["0/5", "6/5", "1/0"])
def test_shard_is_refused_when_there_is_no_such_part(text):
    with pytest.raises(SpecError, match="the number before '/' is 1 to"):
        parse_shard(text)


def shipped(name: str) -> Matrix:
    return load_matrix(CI / name, images=CATALOG, scenarios=LIBRARY)


def test_push_matrix_covers_every_value_of_every_axis():
    matrix = shipped("push.toml")
    cells = matrix.cells
    assert matrix.excluded == ()  # "all" are all that go together
    assert {cell.image for cell in cells} == {name for name in CATALOG if "aarch64" not in CATALOG[name]}
    assert {cell.machine for cell in cells} == {board.machine for board in X86_64.boards}
    assert {cell.firmware for cell in cells} == X86_64.firmwares
    assert {cell.vcpus for cell in cells} == {1, 2}
    assert {cell.scenario for cell in cells} == set(LIBRARY)


def test_push_matrix_is_of_a_size_that_finishes_in_time():
    cells = shipped("push.toml").cells
    linux = [cell for cell in cells if cell.image not in SAC_IMAGES]
    assert len(linux) <= 200  # forks of booted guests, but for these:
    assert sum(snapshot_stage(LIBRARY[cell.scenario]) is None for cell in linux) <= 20
    assert 60 <= sum(cell.image in SAC_IMAGES for cell in cells) <= 100


ARM = """
[[block]]
images = ["arm", "old"]
machines = ["pc", "virt"]
firmwares = ["none", "seabios"]
vcpus = [1]
scenarios = ["plain", "nmi-panic"]
"""
ARM_CATALOG = {"old": frozenset(), "arm": frozenset({"aarch64"}), "odd": frozenset({UNKNOWN})}


def load_arm(tmp_path, text):
    path = tmp_path / "m.toml"
    path.write_text(dedent(HEAD + text).replace('"plain"', '"sysrq-help"'), encoding="utf-8")
    return load_matrix(path, images=ARM_CATALOG, scenarios=LIBRARY)


def test_matrix_says_why_named_images_and_machines_of_two_architectures_do_not_go_together(tmp_path):
    matrix = load_arm(tmp_path, ARM)
    assert ids(matrix) == [
        "arm.virt.none.1.sysrq-help",
        "old.pc.seabios.1.nmi-panic",
        "old.pc.seabios.1.sysrq-help",
    ]
    told = reasons(matrix)
    assert told["arm.pc.seabios.1.sysrq-help"] == "arm is for aarch64, and machine pc is x86_64"
    assert told["old.virt.none.1.sysrq-help"] == "old is for x86_64, and machine virt is aarch64"
    assert told["arm.virt.seabios.1.sysrq-help"].endswith("allowed: none aavmf on virt")
    assert "virt can't do: nmi (QEMU's virt raises no NMI" in told["arm.virt.none.1.nmi-panic"]


def test_matrix_takes_all_as_what_goes_together(tmp_path):
    every = ARM.replace('["arm", "old"]', '"all"').replace('["none", "seabios"]', '"all"')
    matrix = load_arm(tmp_path, every.replace('"sysrq-help", "nmi-panic"', '"sysrq-help"'))
    assert {one.cell.image for one in matrix.excluded} == {"arm", "odd"}  # virt has no NMI
    assert {(one.image, one.machine) for one in matrix.cells} == {
        ("old", "pc"),
        ("arm", "virt"),
        ("odd", "pc"),  # nobody knows what it is: that is told when it is opened
        ("odd", "virt"),
    }


def test_matrix_pairs_images_and_scenarios_of_one_kind_alone(load):
    text = BLOCK.replace('["old"]', '["old", "sac"]').replace('["plain"]', '["plain", "talk"]')
    matrix = load(HEAD + text)
    assert ids(matrix) == ["old.pc.seabios.1.plain", "sac.pc.seabios.1.talk"]
    assert matrix.excluded == ()


def test_matrix_excludes_a_sac_guest_on_a_board_without_a_disk(load):
    text = (
        BLOCK.replace('["old"]', '["sac"]')
        .replace('["plain"]', '["talk"]')
        .replace('["pc"]', '["pc", "microvm"]')
    )
    assert "kernel is None" in reasons(load(HEAD + text))["sac.microvm.seabios.1.talk"]


def test_nightly_matrix_holds_every_scenario_and_gives_every_exclusion_a_reason():
    matrix = shipped("nightly.toml")
    assert {cell.scenario for cell in matrix.cells} == set(LIBRARY)
    assert [one.cell.id for one in matrix.excluded if not one.reason] == []


def test_shards_of_the_push_matrix_share_out_every_image():
    cells = shipped("push.toml").cells
    for image in ("bookworm", "bullseye"):
        counts = [sum(cell.image == image for cell in shard(cells, part, 4)) for part in (1, 2, 3, 4)]
        assert max(counts) - min(counts) <= 1


def test_matrix_for_the_service_excludes_what_it_can_not_play(tmp_path):
    text = """
[matrix]
name = "through"
description = "For a test."
target = "service"

[[block]]
images = ["bookworm"]
machines = ["pc"]
firmwares = ["seabios"]
vcpus = [1]
scenarios = ["sysrq-help", "sysrq-keyboard"]
"""
    path = tmp_path / "through.toml"
    path.write_text(text)
    matrix = load_matrix(path, images={"bookworm": frozenset()}, scenarios=LIBRARY)
    assert [cell.scenario for cell in matrix.cells] == ["sysrq-help"]
    assert [(one.cell.scenario, one.reason) for one in matrix.excluded] == [
        ("sysrq-keyboard", f"through the service: {OBSTACLES[Capability.KEYBOARD]}")
    ]
    path.write_text(text.replace('"service"', '"moon"'))
    with pytest.raises(SpecError, match="target"):
        load_matrix(path, images={"bookworm": frozenset()}, scenarios=LIBRARY)


def test_shipped_matrix_for_the_service_is_right():
    matrix = shipped("service.toml")
    assert 20 <= len(matrix.cells) <= 25
    assert matrix.excluded == ()
    assert matrix.target.name == "service"


SERIAL = f'{HEAD}    target = "serial"\n    port = "/dev/ttyUSB0{{}}"\n'


@pytest.mark.parametrize(
    ("query", "keys", "port"),
    [
        ("", "", "/dev/ttyUSB0"),
        ("", "port_dtr = false\nport_rts = true\n", "/dev/ttyUSB0?dtr=off&rts=on"),
        ("?dtr=off", "port_rts = false\n", "/dev/ttyUSB0?dtr=off&rts=off"),
    ],
)
def test_matrix_says_how_its_ports_lines_are_set(load, query, keys, port):
    assert load(dedent(SERIAL.format(query)) + keys + dedent(BLOCK)).port == port


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (HEAD + "    port_dtr = false\n", "DTR and RTS are lines of a serial port, and no port is given"),
        (SERIAL.format("?rts=no"), "rts is 'no'; allowed: on, off"),
        (SERIAL.format("") + "    port_dtr = 0\n", "port_dtr"),
    ],
)
def test_wrong_setting_of_a_line_is_refused_with_the_file(load, head, words):
    with pytest.raises(SpecError, match=rf"m\.toml: .*{words}"):
        load(dedent(head) + dedent(BLOCK))
