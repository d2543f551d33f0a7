"""`ttylab serve --state` is killed in the midst of writes: what was acknowledged is there afterwards.

TTYLAB_KILLS=60 makes a campaign of it. No guest is started.
"""

import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests

from tests.contract.test_serve_command import Served, serve

pytestmark = pytest.mark.slow
KILLS = int(os.environ.get("TTYLAB_KILLS", "4"))
WRITERS = 3
WAIT_S = 60.0
VERSION = {"api-version": "2024-07-01"}
READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"


class Caller:
    """The demo's owner of everything."""

    def __init__(self, served: Served) -> None:
        ready = served.wait_ready()
        self.root = f"/subscriptions/{ready['subscription']}"
        self.group = f"{self.root}/resourceGroups/rg1"
        self.app = ready["credentials"]["app"]
        self._endpoint = ready["endpoint"]
        self._session = requests.Session()
        self._session.verify, self._session.trust_env = ready["ca"], False
        form = {"grant_type": "client_credentials", "client_id": self.app["client_id"]}
        form |= {"client_secret": self.app["client_secret"], "scope": f"{self._endpoint}/.default"}
        token = self._session.post(f"{self._endpoint}/{ready['tenant']}/oauth2/v2.0/token", data=form)
        self._session.headers["Authorization"] = f"Bearer {token.json()['access_token']}"

    def __call__(self, method: str, path: str, body: object = None) -> requests.Response:
        url = self._endpoint + path
        return self._session.request(method, url, params=VERSION, json=body, timeout=WAIT_S)

    def vm(self, name: str) -> str:
        return f"{self.group}/providers/Microsoft.Compute/virtualMachines/{name}"

    def see(self, path: str, *names: str) -> Any:
        """Return a value in what is shown at `path`, or the status if no value is asked for."""
        answer = self("GET", path)
        found: Any = answer.json() if names else answer.status_code
        for name in names:
            found = found[name]
        return found

    def power(self, path: str) -> object:
        codes = [one["code"] for one in self.see(f"{path}/instanceView", "statuses")]
        return next(code for code in codes if code.startswith("PowerState/"))


class Write(NamedTuple):
    """A request, and what must be seen once it was acknowledged; the next of its `kind` changes that."""

    kind: str
    method: str
    path: str
    body: object
    see: Callable[[Caller], object]
    wanted: object


def writes(call: Caller, writer: int, turn: int) -> Iterator[Write]:
    """Yield one turn of writes that touch nothing of other writers."""
    on, tags = turn % 2 == 0, {"turn": str(turn)}
    group, vm, gone = (
        f"{call.root}/resourceGroups/w{writer}",
        call.vm(f"kept{writer}"),
        call.vm(f"gone{writer}"),
    )
    port, state = f"{vm}/providers/Microsoft.SerialConsole/serialPorts/0", "enabled" if on else "disabled"
    rights = "providers/Microsoft.Authorization"
    grant = f"{group}/{rights}/roleAssignments/00000000-0000-0000-0000-{writer:012}"
    role = f"{call.root}/{rights}/roleDefinitions/{READER}"
    given = {"properties": {"roleDefinitionId": role, "principalId": call.app["object_id"]}}
    shown = {"bootDiagnostics": {"enabled": on}}
    patch = {"properties": {"diagnosticsProfile": shown}}
    seen = ("properties", "diagnosticsProfile")
    machine = call("GET", call.vm("linux2")).json()
    new = {name: machine[name] for name in ("location", "properties")}
    yield Write(
        "tags", "PUT", group, {"location": "eastus", "tags": tags}, lambda to: to.see(group, "tags"), tags
    )
    yield Write("vm", "PUT", vm, new, lambda to: to.see(vm), 200)
    yield Write("gone", "PUT", gone, new, lambda to: to.see(gone), 200)
    yield Write("gone", "DELETE", gone, None, lambda to: to.see(gone), 404)
    yield Write("vm", "PATCH", vm, patch, lambda to: to.see(vm, *seen), shown)
    yield Write(
        "port",
        "PUT",
        port,
        {"properties": {"state": state}},
        lambda to: to.see(port, "properties", "state"),
        state,
    )
    yield Write("role", "PUT", grant, given, lambda to: to.see(grant), 200)
    yield Write("role", "DELETE", grant, None, lambda to: to.see(grant), 404)
    yield Write("power", "POST", f"{vm}/deallocate", None, lambda to: to.power(vm), "PowerState/deallocated")
    yield Write("group", "PUT", f"{group}x", {"location": "eastus"}, lambda to: to.see(f"{group}x"), 200)
    yield Write("group", "DELETE", f"{group}x", None, lambda to: to.see(f"{group}x"), 404)


class Ledger:
    """What was acknowledged; writers add to it until their server is killed."""

    def __init__(self) -> None:
        self.kept: dict[tuple[int, str], Write] = {}
        self.refused: list[str] = []
        self.enough = threading.Event()
        self._left = 0

    def open(self, writes_until_kill: int) -> None:
        self._left = writes_until_kill
        self.enough.clear()

    def write(self, call: Caller, writer: int) -> None:
        with suppress(requests.RequestException):  # its server is killed
            for turn in range(1_000_000):
                for one in writes(call, writer, turn):
                    self._note(call, writer, one)

    def _note(self, call: Caller, writer: int, one: Write) -> None:
        before = self.kept.pop((writer, one.kind), None)  # until the answer it may be either
        answer = call(one.method, one.path, one.body)
        if answer.ok or (answer.status_code == 409 and before is not None):  # an operation is in progress
            self.kept[writer, one.kind] = one if answer.ok or before is None else before
        elif answer.status_code != 409:
            self.refused.append(f"{one}: {answer.status_code} {answer.text}")
        self._left -= 1
        if self._left <= 0:
            self.enough.set()


def test_what_was_acknowledged_survives_kills(tmp_path: Path) -> None:
    chance, ledger, checked = random.Random(20), Ledger(), 0
    for _ in range(KILLS):
        with serve(tmp_path, "--state", str(tmp_path / "kept")) as served:
            call = Caller(served)
            lost = [one for one in ledger.kept.values() if one.see(call) != one.wanted]
            assert not lost
            checked += len(ledger.kept)
            ledger.open(chance.randrange(1, 60))
            callers = [Caller(served) for _ in range(WRITERS)]
            writers = [
                threading.Thread(target=ledger.write, args=(one, number))
                for number, one in enumerate(callers)
            ]
            for one in writers:
                one.start()
            assert ledger.enough.wait(WAIT_S)
            served.end(signal.SIGKILL)
            for one in writers:
                one.join(WAIT_S)
        served.ready_file.unlink()
    assert not ledger.refused
    assert checked > 10
