"""Where boots begin."""

from emulator.console.marks import Mark, MarkKind, boot_starts


def mark(name, at, kind=MarkKind.QMP):
    return Mark(kind=kind, name=name, at=at, offset=int(at * 100))


def started(at):
    return mark("started", at, MarkKind.MACHINE)


def test_boots_count_three_reset_events_of_one_restart_once():
    marks = [started(0.1), mark("RESET", 5.0), mark("RESET", 5.4), mark("RESET", 6.0)]
    assert boot_starts(marks) == [marks[0], marks[1]]


def test_boots_count_resets_that_lie_apart():
    marks = [started(0.1), mark("RESET", 5.0), mark("RESET", 6.1)]
    assert boot_starts(marks) == marks


def test_boots_count_a_reset_right_after_the_start():
    marks = [started(0.1), mark("RESET", 0.3)]
    assert boot_starts(marks) == marks


def test_boots_count_each_power_on():
    marks = [started(0.1), mark("SHUTDOWN", 2), mark("off", 2, MarkKind.MACHINE), started(2.2)]
    assert boot_starts(marks) == [marks[0], marks[3]]


def test_boots_ignore_marks_of_others_with_the_same_names():
    assert boot_starts([mark("started", 1, MarkKind.STEP), mark("RESET", 2, MarkKind.STIMULUS)]) == []
