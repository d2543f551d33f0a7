"""Calls the routes of one service over HTTP as one principal."""

from collections.abc import Callable
from typing import Any, Self

from httpx2 import Response

from emulator.cloud.records import ActivityEvent, VirtualMachine
from emulator.service.core.context import Service
from tests.support.fake_fleet import FakeGuest
from tests.support.service_lab import bearer, client_for, demo_instance_id, demo_vm_id, fake_fleet_of

LINUX = demo_vm_id("linux1")
INSTANCE = demo_instance_id("0")
VERSION = "api-version=2024-07-01"


class Caller:
    """Calls the routes of one service as one principal."""

    def __init__(self, service: Service, name: str = "app") -> None:
        self.service = service
        self._headers = bearer(service, name)

    def __enter__(self) -> Self:
        self._client = client_for(self.service)
        self._client.__enter__()
        return self

    def __exit__(self, *ended: object) -> None:
        self._client.__exit__(*ended)

    def send(self, method: str, path: object, body: Any = None, **options: Any) -> Response:
        url = f"{path}{'&' if '?' in str(path) else '?'}{VERSION}"
        return self._client.request(method, url, json=body, headers=self._headers, **options)

    def get(self, path: object) -> Any:
        answer = self.send("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def fetch(self, url: str, **headers: str) -> Response:
        return self._client.get(url, headers=headers)

    def poll(self, accepted: Response) -> Response:
        return self._client.get(accepted.headers["azure-asyncoperation"], headers=self._headers)

    def monitor(self, accepted: Response) -> Response:
        return self._client.get(accepted.headers["location"], headers=self._headers)

    def finish(self, accepted: Response) -> dict[str, Any]:
        """Poll until the operation ends; each poll gives its work a turn."""
        assert accepted.status_code in {200, 201, 202}, accepted.text
        for _ in range(200):
            said = self.poll(accepted).json()
            if said["status"] != "InProgress":
                return said
        raise AssertionError(said)

    def act(self, path: object, body: Any = None) -> None:
        assert self.finish(self.send("POST", path, body))["status"] == "Succeeded"

    def vm(self, target: object = LINUX) -> VirtualMachine:
        found = self.service.cloud.find(VirtualMachine, str(target))
        assert found is not None
        return found

    def guest(self, target: object = LINUX) -> FakeGuest:
        return fake_fleet_of(self.service).guest(self.vm(target))

    def wait_for(self, reached: Callable[[], bool]) -> None:
        """Give the service turns until `reached`."""
        for _ in range(200):
            if reached():
                return
            self.get(LINUX)
        raise AssertionError("not reached")


def code_of(answer: Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def operations_of(service: Service) -> list[str]:
    return [event.operation for event in service.cloud.all(ActivityEvent)]
