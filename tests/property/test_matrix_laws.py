"""Laws of matrices: ids, shards, order, exclusion."""

import json
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from emulator.machine.spec import Firmware, MachineType
from harness.cells.cell import Cell, parse_cell_id, shard, spread
from harness.cells.matrix import Matrix, load_matrix
from harness.scenario.scenario import Scenario
from harness.scenario.steps import Alive

IMAGES = {"one": frozenset[str](), "two": frozenset({"spin"}), "two-x": frozenset[str]()}
SCENARIOS = {
    name: Scenario(
        name=name,
        title="t",
        description="d",
        steps=(Alive(),),
        tags=frozenset(tags),
        min_vcpus=vcpus,
        modules=frozenset(modules),
    )
    for name, tags, vcpus, modules in (
        ("a", {"x"}, 1, ()),
        ("b-c", {"x", "y"}, 2, ()),
        ("d", {"y"}, 1, ("spin",)),
    )
}

words = st.sampled_from(["a", "b2", "7", "sid", "nmi", "x"])
names = st.builds(lambda first, sign, last: first + sign + last, words, st.sampled_from("-."), words)
cells = st.builds(
    Cell,
    image=words | names,
    machine=st.sampled_from(MachineType),
    firmware=st.sampled_from(Firmware),
    vcpus=st.integers(1, 4),
    scenario=words | names.map(lambda name: name.replace(".", "-")),
)


def some_of(values: Iterable[object]) -> st.SearchStrategy[list[object]]:
    return st.lists(st.sampled_from(list(values)), min_size=1, unique=True)


axes = {
    "images": some_of(IMAGES),
    "machines": some_of(MachineType),
    "firmwares": some_of([Firmware.SEABIOS, Firmware.OVMF]),
    "vcpus": some_of([1, 2]),
    "scenarios": some_of(SCENARIOS),
}
blocks = st.lists(st.fixed_dictionaries(axes), min_size=1, max_size=3)
EVERYTHING = {
    "images": "all",
    "machines": ["pc"],
    "firmwares": ["seabios"],
    "vcpus": [1],
    "scenarios": ["a"],
}
# Each exclude meets EVERYTHING's cells of image "one" or "two", so none of them is dead, and "two-x" stays.
excludes = st.lists(
    st.fixed_dictionaries(
        {"images": st.sampled_from([["one"], ["two"], ["one", "two"]]), "reason": st.sampled_from("pqr")},
        optional={"vcpus": st.just([1, 2]), "tags": st.just(["x"])},
    ),
    max_size=3,
)


def write_table(name: str, table: dict[str, object]) -> str:
    lines = [f"{key} = {json.dumps(value)}" for key, value in table.items()]
    return "\n".join([f"[[{name}]]", *lines, ""])


def load(block_tables: list[dict[str, object]], exclude_tables: list[dict[str, object]]) -> Matrix:
    text = '[matrix]\nname = "m"\ndescription = "d"\n'
    text += "".join(write_table("block", table) for table in [*block_tables, EVERYTHING])
    text += "".join(write_table("exclude", table) for table in exclude_tables)
    with TemporaryDirectory() as directory:
        path = Path(directory, "m.toml")
        path.write_text(text, encoding="utf-8")
        return load_matrix(path, images=IMAGES, scenarios=SCENARIOS)


@given(cells)
def test_cell_id_gives_the_cell_back(cell):
    assert parse_cell_id(cell.id) == cell


@given(st.lists(cells, unique=True))
def test_cell_ids_differ_where_cells_do(several):
    assert len({cell.id for cell in several}) == len(several)


@given(blocks, excludes)
def test_matrix_ids_are_unique_and_sorted_and_no_cell_is_both_in_and_out(some, without):
    matrix = load(some, without)
    ids = [cell.id for cell in matrix.cells]
    out = [one.cell.id for one in matrix.excluded]
    assert ids == sorted(set(ids))
    assert out == sorted(set(out))
    assert not set(ids) & set(out)
    assert all(one.reason for one in matrix.excluded)


@given(blocks, excludes, st.data())
def test_matrix_does_not_depend_on_the_order_in_the_file(some, without, data):
    shuffled = [
        {
            key: data.draw(st.permutations(value))
            for key, value in data.draw(st.permutations(list(block.items())))
        }
        for block in data.draw(st.permutations(some))
    ]
    assert load(some, without) == load(shuffled, data.draw(st.permutations(without)))


@given(blocks)
def test_matrix_without_excludes_has_every_cell_of_the_product_in_or_out(some):
    matrix = load(some, [])
    known = {cell.id for cell in matrix.cells} | {one.cell.id for one in matrix.excluded}
    for block in some:
        size = len(block["images"]) * len(block["machines"]) * len(block["firmwares"])
        assert len(known) >= size * len(block["vcpus"]) * len(block["scenarios"])


@given(st.lists(cells, unique=True), st.integers(1, 9), st.randoms(use_true_random=False))
def test_shards_are_balanced_disjoint_and_together_everything(several, count, random):
    shuffled = list(several)
    random.shuffle(shuffled)
    parts = [shard(several, index, count) for index in range(1, count + 1)]
    assert sorted(cell.id for part in parts for cell in part) == sorted(cell.id for cell in several)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert [shard(shuffled, index, count) for index in range(1, count + 1)] == parts


@given(st.lists(cells, unique_by=lambda cell: cell.id))
def test_spread_loses_no_cell_and_keeps_the_order_of_each_kind(some: list[Cell]) -> None:
    order = spread(some, lambda cell: cell.image)
    assert sorted(cell.id for cell in order) == sorted(cell.id for cell in some)
    for image in {cell.image for cell in some}:
        assert [cell for cell in order if cell.image == image] == [c for c in some if c.image == image]


@given(st.lists(cells, unique_by=lambda cell: cell.id), st.integers(1, 40))
def test_spread_has_of_each_kind_in_each_part_what_is_its_share(some: list[Cell], length: int) -> None:
    order = spread(some, lambda cell: cell.vcpus)
    for vcpus in (1, 2, 3, 4):
        share = sum(cell.vcpus == vcpus for cell in some) / max(len(some), 1)
        found = sum(cell.vcpus == vcpus for cell in order[:length])
        assert abs(found - share * min(length, len(some))) <= 2
