"""Refusals: what the code asks for is in the table, with the facts that its text needs, and the reverse."""

import ast
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import emulator
from emulator.cloud.refusals import refusal, refusal_texts


def asked_in(source: str) -> Iterator[tuple[str, frozenset[str]]]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "refusal":
            (name,) = node.args
            assert isinstance(name, ast.Constant)
            yield name.value, frozenset(str(word.arg) for word in node.keywords)


def facts_of(text: str) -> frozenset[str]:
    return frozenset(name for _, name, _, _ in Formatter().parse(text) if name is not None)


def test_the_code_asks_for_what_the_table_has_with_all_its_facts() -> None:
    files = Path(emulator.__file__).parent.rglob("*.py")
    asked = {one for file in files for one in asked_in(file.read_text())}
    assert asked == {(name, facts_of(text)) for name, (_, text) in refusal_texts().items()}


def test_a_call_with_other_facts_is_told_from_one_that_fits() -> None:
    assert list(asked_in("refusal('A.b', c=1)")) == [("A.b", frozenset({"c"}))]
    assert facts_of("{c:.80} {d}") == {"c", "d"}


def test_statuses_are_those_of_errors() -> None:
    assert {status // 100 for status, _ in refusal_texts().values()} <= {4, 5}


def test_a_refusal_has_the_code_before_the_point_and_a_shortened_fact() -> None:
    error = refusal("ResourceNotFound.port", port="7" * 30)
    assert (error.status, error.code) == (404, "ResourceNotFound")
    assert error.message == f"There is no serial port '{'7' * 20}', only '0'."


def test_braces_in_a_fact_are_shown_as_they_are() -> None:
    assert refusal("InvalidScope", scope="{status}").message == "The scope '{status}' is not valid."
