"""Scenarios that users bring: found, named, and refused in one line with the line of their file."""

import signal

import pytest

from emulator.clock import loading
from emulator.errors import SpecError
from emulator.lab_file.read import VARIABLE
from harness.scenarios import LIBRARY, find_scenario, library, own
from harness.scenarios.own import load_scenarios, scenarios_in

OWN = """
from harness import Alive, Scenario

SCENARIOS = (Scenario(name="{name}", title="t", description="d", steps=(Alive(),)),)
"""


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """Write a lab.toml with one file of scenarios."""

    def write(text):
        (tmp_path / "mine.py").write_text(text, encoding="utf-8")
        (tmp_path / "lab.toml").write_text('[lab]\nscenarios = ["mine.py"]\n', encoding="utf-8")
        monkeypatch.setenv(VARIABLE, str(tmp_path / "lab.toml"))

    return write


def test_scenario_of_the_lab_is_in_the_library(lab):
    lab(OWN.format(name="my-own"))
    assert set(library()) == {*LIBRARY, "my-own"}
    assert find_scenario("my-own").title == "t"


def test_scenario_with_a_shipped_name_is_refused(lab):
    lab(OWN.format(name="boot-login"))
    with pytest.raises(SpecError, match="scenario 'boot-login' is there twice"):
        library()


def test_module_may_import_what_lies_beside_lab_toml(tmp_path):
    (tmp_path / "own_words_of_mine.py").write_text('NAME = "from-beside"\n', encoding="utf-8")
    text = "from own_words_of_mine import NAME\n" + OWN.replace('"{name}"', "NAME")
    (tmp_path / "mine.py").write_text(text, encoding="utf-8")
    assert [one.name for one in load_scenarios(str(tmp_path / "mine.py"), (tmp_path,))] == ["from-beside"]


def test_module_by_name(tmp_path):
    package = tmp_path / "a_lab_of_mine"
    package.mkdir()
    (package / "__init__.py").write_text("", encoding="utf-8")
    (package / "nmi.py").write_text(OWN.format(name="by-name"), encoding="utf-8")
    assert [one.name for one in load_scenarios("a_lab_of_mine.nmi", (tmp_path,))] == ["by-name"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = (\n", r"mine\.py: line 1: '\(' was never closed"),
        (
            "\nimport nothing_like_it\n",
            r"mine\.py: line 2: ModuleNotFoundError: No module named 'noth",
        ),
        ("import sys\nsys.exit(0)\n", r"mine\.py: line 2: SystemExit: 0"),
        ("1 / 0\n", r"mine\.py: line 1: ZeroDivisionError"),
        ("from harness import Scenario\nScenario(name='A')\n", r"mine\.py: line 2: TypeError"),
        ("raise KeyError('\\x1b[31m')\n", r"mine\.py: line 1: KeyError: [^\x1b]*$"),
        ("x = 1\n", r"mine\.py: has no SCENARIOS; allowed: a tuple of harness\.Scenario"),
        ("SCENARIOS = (1,)\n", r"mine\.py: SCENARIOS has 1; allowed: values of harness\.Scenario"),
    ],
)
def test_file_with_an_error_is_refused_in_one_line(lab, text, words):
    lab(text)
    with pytest.raises(SpecError, match=words) as caught:
        library()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "while True:\n    pass\n",
        "import threading\nthreading.Event().wait()\n",
        "while True:\n  try:\n    1 / 0\n  except Exception:\n    pass\n",
    ],
)
def test_file_whose_import_does_not_end_is_refused(lab, text, monkeypatch):
    lab(text)
    monkeypatch.setattr(own, "loading", lambda: loading(0.05))
    with pytest.raises(SpecError, match=r"mine\.py: line \d: has not ended in 0\.05 s$"):
        library()
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_missing_file_is_told(tmp_path):
    with pytest.raises(SpecError, match=r"none\.py: there is no such file"):
        load_scenarios(str(tmp_path / "none.py"), [tmp_path])


def test_iterable_of_scenarios_will_do():
    assert scenarios_in(list(LIBRARY.values())[:2], who="a package") == tuple(LIBRARY.values())[:2]
