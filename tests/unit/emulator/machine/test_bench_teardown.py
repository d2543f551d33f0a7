"""Undoing in order, whatever fails."""

from contextlib import contextmanager

import pytest

from emulator.machine.bench import Teardown


class Boom(Exception):
    pass


def fail(text):
    raise Boom(text)


def test_teardown_undoes_in_reverse_and_leaves_entered_managers():
    done = []

    @contextmanager
    def manager():
        yield "value"
        done.append("manager")

    with Teardown("test") as teardown:
        teardown.push(lambda: done.append("first"))
        assert teardown.enter(manager()) == "value"
        teardown.push(lambda: done.append("last"))
    assert done == ["last", "manager", "first"]


def run(*steps, body=lambda: None):
    with Teardown("test") as teardown:
        for step in steps:
            teardown.push(step)
        body()


def test_teardown_raises_one_failure_as_it_is_after_all_steps():
    done = []
    with pytest.raises(Boom, match="one"):
        run(lambda: done.append("first"), lambda: fail("one"))
    assert done == ["first"]


def test_teardown_raises_several_failures_as_a_group():
    with pytest.raises(BaseExceptionGroup, match="test failed in 2 steps") as caught:
        run(lambda: fail("one"), lambda: fail("two"))
    assert [str(each) for each in caught.value.exceptions] == ["two", "one"]


def test_teardown_never_replaces_what_left_the_block():
    with pytest.raises(KeyError) as caught:
        run(lambda: fail("one"), body=lambda: {}["missing"])
    assert caught.value.__notes__ == ["test also failed: Boom: one"]


def test_teardown_goes_on_after_an_interrupt():
    done = []

    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(lambda: done.append("first"), interrupted)
    assert done == ["first"]
