"""The README's table of the user's rules names tests that are there and carry the rule's number."""

import re
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
ROW = re.compile(r"\| U(\d+) \|[^|]*\|([^|]*)\|")


def rows() -> dict[int, list[str]]:
    text = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    return {int(number): re.findall(r"`(test_\w+)`", tests) for number, tests in ROW.findall(text)}


def known_tests() -> set[str]:
    sources = (path.read_text(encoding="utf-8") for path in (CHECKOUT / "tests").rglob("test_*.py"))
    return {name for source in sources for name in re.findall(r"^def (test_\w+)", source, re.MULTILINE)}


def test_every_rule_has_its_row_and_its_tests():
    found = rows()
    assert sorted(found) == list(range(1, 18))
    assert [number for number, tests in found.items() if not tests] == []


def test_tests_of_a_rule_are_there_and_carry_its_number():
    known = known_tests()
    wrong = [
        (number, name)
        for number, tests in rows().items()
        for name in tests
        if name not in known or not re.search(rf"_u{number}_", name)
    ]
    assert wrong == []
