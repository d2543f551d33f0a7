"""Long-running operations: how they end, and what they keep busy."""

import asyncio
from collections.abc import Coroutine

import pytest

from emulator.errors import CloudError, StateError
from emulator.service.parts.operations import Operation, Operations, OperationStatus
from emulator.service.parts.tokens import SCREENSHOTS_MAX, Screenshots
from tests.support.service_lab import Now


async def fail(error: Exception) -> None:
    raise error


async def end_of(work: Coroutine[None, None, None]) -> Operation:
    operation = Operations(Now()).start(work, subscription="S", location="eastus")
    await operation.over.wait()
    return operation


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (CloudError(409, "Conflict", "busy"), "Conflict", "busy"),
        (StateError("it is off"), "InternalExecutionError", "it is off"),
        (KeyError("secret"), "InternalExecutionError", "An internal error occurred."),
    ],
)
def test_failure_is_told_and_never_as_success(error: Exception, code: str, message: str) -> None:
    operation = asyncio.run(end_of(fail(error)))
    assert operation.status is OperationStatus.FAILED
    assert operation.body()["error"] == {"code": code, "message": message}


def test_resource_is_busy_until_the_end_and_for_the_latest() -> None:
    async def play() -> None:
        operations, gate = Operations(Now()), asyncio.Event()

        async def wait() -> None:
            await gate.wait()

        first = operations.start(wait(), subscription="s", location="l", action="start", resources=["a", "b"])
        later = operations.start(wait(), subscription="s", location="l", action="delete", resources=["a"])
        assert [operations.running_on(key) for key in "abc"] == [later, first, None]
        gate.set()
        await first.over.wait()
        await later.over.wait()
        assert [operations.running_on(key) for key in "ab"] == [None, None]

    asyncio.run(play())


def test_operation_is_found_in_its_subscription_alone() -> None:
    async def play() -> None:
        operations = Operations(Now())
        operation = operations.start(fail(StateError("x")), subscription="S1", location="l")
        assert operations.find(operation.id.upper(), subscription="s1") is operation
        assert operations.find(operation.id, subscription="s2") is None
        await operation.over.wait()

    asyncio.run(play())


def test_close_cancels_what_runs() -> None:
    async def play() -> Operation:
        operations = Operations(Now())
        operation = operations.start(asyncio.Event().wait(), subscription="s", location="l")  # type: ignore[arg-type]
        await asyncio.sleep(0)
        await operations.close()
        return operation

    operation = asyncio.run(play())
    assert operation.error is not None
    assert operation.error.code == "OperationCanceled"


def test_screenshots_are_kept_by_vm_and_not_too_many() -> None:
    kept = Screenshots()
    for number in range(SCREENSHOTS_MAX + 1):
        kept.keep(str(number), b"%d" % number)
    assert (kept.find("0"), kept.find("1")) == (None, b"1")
    kept.forget("1")
    assert kept.find("1") is None


def test_many_operations_of_one_subscription_drop_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emulator.service.parts.operations.OPERATIONS_MAX", 2)

    async def play() -> list[bool]:
        operations, made = Operations(Now()), []
        for subscription in "abbbb":
            made.append(operations.start(fail(StateError("x")), subscription=subscription, location="l"))
            await made[-1].over.wait()
        return [operations.find(one.id, subscription=one.subscription) is one for one in made]

    assert asyncio.run(play()) == [True, False, False, True, True]
