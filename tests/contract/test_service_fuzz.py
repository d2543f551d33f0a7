"""Every route of the OpenAPI document, with whatever schemathesis makes up: no 5xx, no hang.

Once with names that it makes up too, which seldom get beyond a 404, and once with those of the demo cloud.
"""

from dataclasses import dataclass, replace

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error

from emulator.cloud.records import VirtualMachine
from emulator.service.app import create_app
from emulator.service.parts.sign_in import SignIn, Throttle
from tests.support.service_lab import GROUP, SUBSCRIPTION, TENANT, demo_vm_id, open_test_service, token_for
from tests.support.service_server import Served, run_service

pytestmark = pytest.mark.slow
ANSWER_S = 15.0
SCHEMA = schemathesis.openapi.from_dict(create_app(open_test_service()).openapi())
KNOWN = {
    "subscription": SUBSCRIPTION,
    "group": GROUP,
    "tenant": TENANT,
    "vm": "linux1",
    "scale_set": "ss1",
    "instance": "0",
    "namespace": "Microsoft.Compute",
    "parent_type": "virtualMachines",
    "parent": "linux1",
    "port": "0",
    "resource": str(demo_vm_id("linux1")).lstrip("/"),
    "scope": str(demo_vm_id("linux1")).lstrip("/"),
    "base": "Microsoft.Compute/virtualMachines",
}
BOUNDS = settings(
    deadline=None,  # the client's own time-out tells a hang
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    def make():
        return replace(open_test_service(), sign_in=SignIn(throttle=Throttle(pause=at_once)))

    with run_service(tmp_path_factory.mktemp("served"), make=make) as served, requests.Session() as session:
        session.trust_env = False
        yield Client(served=served, session=session)


async def at_once(_: float) -> None:
    """Answer wrong secrets without delay: there are many of them here."""


@dataclass(frozen=True, kw_only=True)
class Client:
    """One kept connection to the service."""

    served: Served
    session: requests.Session


def call(case, client: Client) -> None:
    token = token_for(client.served.service, "app")
    response = case.call(
        base_url=client.served.endpoint,
        session=client.session,
        verify=client.served.ca,
        headers={"Authorization": f"Bearer {token}"},
        timeout=ANSWER_S,
    )
    case.validate_response(response, checks=[not_a_server_error])


@SCHEMA.parametrize()
@settings(BOUNDS, max_examples=4, phases=[Phase.generate])
def test_route_never_fails_inside_with_made_up_names(client, case):
    call(case, client)


@SCHEMA.parametrize()
@settings(BOUNDS, max_examples=2)
def test_route_never_fails_inside_with_names_of_the_demo(client, case):
    known = KNOWN | {"name": "ss1" if "ScaleSets/{name}" in case.operation.path else "linux1"}
    case.path_parameters.update({name: known[name] for name in case.path_parameters if name in known})
    case.query["api-version"] = "2024-07-01"
    call(case, client)


def test_document_lists_every_plane():
    paths = " ".join(SCHEMA.raw_schema["paths"])
    for word in (
        "Microsoft.Compute",
        "Microsoft.SerialConsole",
        "Microsoft.Storage",
        "oauth2",
        "adminCommand",
    ):
        assert word in paths


def test_service_still_serves_after_all_that(client):
    assert client.served.service.cloud.find(VirtualMachine, demo_vm_id("linux2").key) is not None
