"""What a person sees of a hunt on its way."""

from io import StringIO

import pytest
from rich.console import Console

from harness.repeat.plan import Repetition
from harness.repeat.summary import Ending
from harness.repeat.text import hunt_progress
from harness.scenario.verdict import Status


def shown(monkeypatch, *statuses, terminal=False, total=4):
    monkeypatch.delenv("CI", raising=False)
    out = StringIO()
    console = Console(file=out, force_terminal=terminal, width=100, color_system=None)
    with hunt_progress(total, console) as show:
        for number, status in enumerate(statuses, 1):
            show(Ending(repetition=Repetition(number=number), status=status, message="[bold]why"))
    return out.getvalue()


def test_what_did_not_pass_has_a_line_and_what_passed_has_none(monkeypatch):
    text = shown(monkeypatch, Status.PASSED, Status.FAILED, Status.BROKEN, Status.SKIPPED)
    assert text.splitlines() == [
        "FAILED     2 (undisturbed): [bold]why",
        "BROKEN     3 (undisturbed): [bold]why",
        "SKIPPED    4 (undisturbed): [bold]why",
    ]


@pytest.mark.parametrize(("total", "said"), [(4, "2/4"), (None, "2/?")])
def test_bar_on_a_terminal_counts(monkeypatch, total, said):
    text = shown(monkeypatch, Status.PASSED, Status.FAILED, terminal=True, total=total)
    assert "repetitions, 1 failed" in text
    assert said in text


def test_guest_that_is_held_is_told_with_its_failure():
    out = StringIO()
    ending = Ending(
        repetition=Repetition(number=7), status=Status.FAILED, held=("held", "ttylab attach\x1b x")
    )
    with hunt_progress(9, Console(file=out, width=100)) as show:
        show(ending)
    assert out.getvalue().splitlines() == [
        "FAILED     7 (undisturbed)",
        "        held",
        "        ttylab attach\\x1b x",
    ]
