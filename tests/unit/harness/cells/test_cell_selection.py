"""`-k` on cells: the same cells as pytest's own `-k`, and clear errors."""

import pytest
from _pytest.mark.expression import Expression
from hypothesis import given
from hypothesis import strategies as st

from emulator.errors import SpecError
from harness.cells.cell import compile_expression, parse_cell_id, select

CELLS = tuple(
    parse_cell_id(text)
    for text in (
        "bookworm.pc.seabios.1.nmi-panic",
        "bookworm.q35.ovmf.1.nmi-dazed",
        "sid.q35.seabios.2.sysrq-help",
        "sid.microvm.seabios.1.reset-boot",
    )
)


def chosen(expression: str, **options: object) -> list[str]:
    return [cell.scenario for cell in select(CELLS, expression, **options)]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("nmi", ["nmi-panic", "nmi-dazed"]),
        ("NMI and q35", ["nmi-dazed"]),
        ("not nmi", ["sysrq-help", "reset-boot"]),
        ("not (nmi or sid)", []),
        ("nmi and not q35 or reset", ["nmi-panic", "reset-boot"]),
        ("sid.q35.seabios.2.sysrq-help", ["sysrq-help"]),
        ("", ["nmi-panic", "nmi-dazed", "sysrq-help", "reset-boot"]),
        ("  ", ["nmi-panic", "nmi-dazed", "sysrq-help", "reset-boot"]),
    ],
)
def test_select_takes_what_the_expression_says(expression, expected):
    assert chosen(expression) == expected


def test_select_matches_tags_of_the_scenario_too():
    assert chosen("panicky", tags={"nmi-panic": {"panicky"}}) == ["nmi-panic"]


@pytest.mark.parametrize(
    ("expression", "column"),
    [
        ("nmi and", 8),
        ("(nmi", 5),
        ("nmi reset", 5),
        ("nmi)", 4),
        ("or nmi", 1),
        ("nmi & reset", 5),
        ("nmi,reset", 4),
    ],
)
def test_select_refuses_what_is_no_expression_and_says_where(expression, column):
    with pytest.raises(SpecError) as caught:
        select(CELLS, expression)
    assert repr(expression) in str(caught.value)
    assert f"column {column}" in str(caught.value)


words = st.sampled_from(
    ["nmi", "Q35", "sid.q35", "and", "or", "not", "(", ")", "1.", "reset-boot", "a[1]", "&"]
)


def by_pytest(expression: str, names: tuple[str, ...]) -> bool | None:
    """Return what pytest says, None if it refuses."""
    try:
        compiled = Expression.compile(expression)
    except SyntaxError:
        return None
    return compiled.evaluate(lambda word, /: any(word.lower() in name.lower() for name in names))


def by_ttylab(expression: str, names: tuple[str, ...]) -> bool | None:
    try:
        return compile_expression(expression)(names)
    except SpecError:
        return None


@given(st.lists(words, min_size=1, max_size=9))
def test_select_agrees_with_pytest_on_any_expression(parts):
    # "word (" is a call to pytest's compiler, which -k refuses only when it is evaluated.
    expression = " ".join(parts)
    for cell in CELLS:
        names = (cell.id, "tag")
        try:
            expected = by_pytest(expression, names)
        except TypeError:
            expected = None
        assert by_ttylab(expression, names) == expected
