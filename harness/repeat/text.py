"""A hunt for people: its progress, its repetitions and its summary as text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text

from emulator.guest_text.printable import visible
from harness.plugin.progress import STYLES, counting_bar, is_live
from harness.repeat.plan import Repetition
from harness.repeat.summary import Ending, Group, Hunt, Share, Summary
from harness.scenario.verdict import Status
from harness.terminal.output import ProgressOutput

_SHOWN = 12
_APART = (Status.BROKEN, Status.SKIPPED)


def render_summary(summary: Summary) -> str:
    """Return the summary: the probability, then each cause with the command that reproduces it."""
    return "\n".join(_lines(summary))


def render_ending(ending: Ending) -> str:
    """Return one line about a repetition."""
    said = f": {visible(ending.message)}" if ending.message else ""
    number = ending.repetition.number
    return f"{ending.status.upper():7} {number:>4} ({render_jitter(ending.repetition)}){said}"


def render_jitter(repetition: Repetition) -> str:
    """Return in a few words what disturbed a repetition."""
    words = [f"load {repetition.load}"] if repetition.load else []
    if repetition.icount_shift is not None:
        words.append(f"icount {repetition.icount_shift}")
    if repetition.delays:
        words.append("delay " + "+".join(f"{1000 * s:.0f}" for s in repetition.delays.values()) + " ms")
    return ", ".join(words) or "undisturbed"


def _lines(summary: Summary) -> Iterator[str]:
    hunt, share = summary.hunt, summary.failures
    if share is None:
        yield f"{hunt.cell}: no repetition gave a verdict on the guest"
    else:
        yield f"{hunt.cell}: {share.count} of {share.of} failed: {_percent(share)}"
    yield f"jitter {hunt.jitter}, seed {hunt.seed}; {_pace(summary)}"
    apart = [f"{count} {status.value}" for status in _APART if (count := summary.count(status))]
    if apart:
        yield f"not counted: {', '.join(apart)}"
    if summary.stopped:
        yield "stopped at the first failure, so this probability is too high"
    if summary.booted:
        yield f"{len(summary.booted)} could not start from a snapshot: {visible(summary.booted[0].start)}"
    yield from summary.notes
    for status in (Status.FAILED, *_APART):
        for group in summary.groups(status):
            yield from _group(group, status, hunt)


def _percent(share: Share) -> str:
    interval = f"{100 * share.confidence:.0f} % interval {100 * share.low:.1f} to {100 * share.high:.1f} %"
    return f"{100 * share.estimate:.1f} %, {interval}"


def _pace(summary: Summary) -> str:
    ended = len(summary.endings)
    planned = "" if summary.hunt.planned in {None, ended} else f" of {summary.hunt.planned}"
    pace = f"{ended}{planned} in {summary.duration_s:.0f} s, {summary.per_minute:.0f}/min"
    return f"{pace}, {summary.hunt.jobs} at once" + (" (interrupted)" if summary.interrupted else "")


def _group(group: Group, status: Status, hunt: Hunt) -> Iterator[str]:
    numbers = [ending.repetition.number for ending in group.endings]
    cause = group.cause
    yield ""
    rule = f" [{cause.rule}]" if cause.rule else ""
    yield f"{len(numbers):>4} {status.upper()} {cause.reason}: {visible(cause.title)}{rule}"
    message = group.endings[0].message
    if message and message != cause.title:
        yield f"     e.g. {visible(message)}"
    more = f" and {len(numbers) - _SHOWN} more" if len(numbers) > _SHOWN else ""
    yield f"     repetitions {', '.join(map(str, numbers[:_SHOWN]))}{more}"
    if group.endings[0].directory:
        yield f"     evidence: {group.endings[0].directory}"
    yield f"     again: {hunt.repro(numbers[0])}"


@contextmanager
def hunt_progress(total: int | None, console: Console | None = None) -> Iterator[Callable[[Ending], None]]:
    """Draw a bar, on a terminal only, and print a line for each repetition that did not pass.

    Yields a function that takes each ending.
    """
    shown = console or ProgressOutput()
    bar = counting_bar(shown, disable=not is_live(shown))
    task = bar.add_task("repetitions, 0 failed", total=total)
    failed = 0

    def show(ending: Ending) -> None:
        nonlocal failed
        if ending.status is not Status.PASSED:
            shown.print(Text(render_ending(ending), style=STYLES[ending.status]), soft_wrap=True)
        for joins in ending.held:
            shown.print(Text(f"        {visible(joins)}"), soft_wrap=True)
        failed += ending.status is Status.FAILED
        bar.update(task, advance=1, description=f"repetitions, {failed} failed")

    with bar:
        yield show
