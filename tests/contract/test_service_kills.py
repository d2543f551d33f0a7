"""`ttylab serve --state` is killed in the midst of writes: what was acknowledged is there afterwards.

TTYLAB_KILLS=60 makes a campaign of it. No guest is started.
"""

import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests

from tests.support.serve_command import Served, serve
from tests.support.served_sockets import WAIT_S, token_of

pytestmark = pytest.mark.slow
KILLS = int(os.environ.get("TTYLAB_KILLS", "3"))
WRITERS = 3
READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"


class Caller:
    """The demo's owner of everything."""

    def __init__(self, served: Served) -> None:
        access = served.wait_access()
        self.root = f"/subscriptions/{access.subscription}"
        self.machines = f"{self.root}/resourceGroups/rg1/providers/Microsoft.Compute/virtualMachines"
        self.id = access.credentials["app"]["object_id"]
        self._endpoint, self._session = access.endpoint, requests.Session()
        self._session.verify, self._session.trust_env = str(access.ca), False
        self._session.headers["Authorization"] = f"Bearer {token_of(access)}"

    def ask(self, method: str, path: str, body: object = None) -> requests.Response:
        url = f"{self._endpoint}{path}?api-version=2024-07-01"
        return self._session.request(method, url, json=body, timeout=WAIT_S)

    def see(self, path: str, *names: str) -> Any:
        """Return a value in what is shown at `path`, or the status if no value is asked for."""
        answer = self.ask("GET", path)
        found: Any = answer.json() if names else answer.status_code
        for name in names:
            found = found[name]
        return found


class Write(NamedTuple):
    """A request, and what is seen once it was acknowledged, until the next of its `kind`."""

    kind: str
    method: str
    path: str
    body: object
    see: Callable[[Caller], object]
    wanted: object


def writes(to: Caller, writer: int) -> Iterator[Write]:
    """Yield writes that touch nothing of other writers, for ever."""
    group, rights = f"{to.root}/resourceGroups/w{writer}", "providers/Microsoft.Authorization"
    vm, gone = f"{to.machines}/kept{writer}", f"{to.machines}/gone{writer}"
    port = f"{vm}/providers/Microsoft.SerialConsole/serialPorts/0"
    grant = f"{group}/{rights}/roleAssignments/00000000-0000-0000-0000-{writer:012}"
    role = f"{to.root}/{rights}/roleDefinitions/{READER}"
    given = {"properties": {"roleDefinitionId": role, "principalId": to.id}}
    new = {name: to.see(f"{to.machines}/linux2", name) for name in ("location", "properties")}
    off = lambda by: by.see(f"{vm}/instanceView", "statuses")[-1]["code"]  # noqa: E731
    for turn in count():
        tags, state = {"turn": str(turn)}, ("enabled", "disabled")[turn % 2]
        shown = {"bootDiagnostics": {"enabled": turn % 2 == 0}}
        place = {"location": "eastus", "tags": tags}
        yield Write("tags", "PUT", group, place, lambda by: by.see(group, "tags"), tags)
        yield Write("vm", "PUT", vm, new, lambda by: by.see(vm), 200)
        yield Write("gone", "PUT", gone, new, lambda by: by.see(gone), 200)
        yield Write("gone", "DELETE", gone, None, lambda by: by.see(gone), 404)
        yield Write(
            "vm", "PATCH", vm, {"properties": {"diagnosticsProfile": shown}},
            lambda by: by.see(vm, "properties", "diagnosticsProfile"), shown,
        )  # fmt: skip
        yield Write(
            "port", "PUT", port, {"properties": {"state": state}},
            lambda by: by.see(port, "properties", "state"), state,
        )  # fmt: skip
        yield Write("role", "PUT", grant, given, lambda by: by.see(grant), 200)
        yield Write("role", "DELETE", grant, None, lambda by: by.see(grant), 404)
        yield Write("power", "POST", f"{vm}/deallocate", None, off, "PowerState/deallocated")
        yield Write("group", "PUT", f"{group}x", place, lambda by: by.see(f"{group}x"), 200)
        yield Write("group", "DELETE", f"{group}x", None, lambda by: by.see(f"{group}x"), 404)


def write(to: Caller, writer: int, kept: dict[tuple[int, str], Write], enough: threading.Semaphore) -> None:
    """Write until the service is killed; `kept` has what was acknowledged, and nothing that may be either."""
    with suppress(requests.RequestException):
        for one in writes(to, writer):
            before = kept.pop((writer, one.kind), None)
            answer = to.ask(one.method, one.path, one.body)
            last = one if answer.ok else before  # 409: an operation is in progress on it
            if last is not None:
                kept[writer, one.kind] = last
            assert answer.ok or answer.status_code == 409, answer.text
            enough.release()


def test_what_was_acknowledged_survives_kills(tmp_path: Path) -> None:
    chance = random.Random(20)
    kept: dict[tuple[int, str], Write] = {}
    for _ in range(KILLS):
        with serve(tmp_path, "--state", str(tmp_path / "kept")) as served:
            caller = Caller(served)
            assert not [one for one in kept.values() if one.see(caller) != one.wanted]
            enough = threading.Semaphore(0)
            threads = [
                threading.Thread(target=write, args=(Caller(served), number, kept, enough))
                for number in range(WRITERS)
            ]
            for one in threads:
                one.start()
            assert all(enough.acquire(timeout=WAIT_S) for _ in range(chance.randrange(1, 60)))
            served.end(signal.SIGKILL)
            for one in threads:
                one.join(WAIT_S)
        served.ready_file.unlink()
    assert len(kept) > 5
