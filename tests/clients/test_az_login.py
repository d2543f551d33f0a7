"""`az cloud register` and every login that is known to work, unmodified azure-cli 2.91.

See docs/facts/azure.md 5.
"""

import re

import pytest
import requests

from emulator.cloud.records import Principal, PrincipalType, RoleAssignment
from emulator.cloud.resource_id import subscription_scope
from emulator.service.core.context import Service
from tests.clients.az import Az, open_az
from tests.clients.lab import SUBSCRIPTION, TENANT, CloudLab
from tests.support.service_lab import READER

pytestmark = pytest.mark.clients


@pytest.fixture
def az(lab: CloudLab, tmp_path) -> Az:
    """The cloud as its metadata describe it: the authority ends in /adfs, and nothing is configured."""
    return open_az(lab, tmp_path / "az")


@pytest.fixture
def entra(lab: CloudLab, tmp_path) -> Az:
    """The cloud registered with an authority like Entra's; az must not ask Microsoft about it."""
    words = ("--endpoint-resource-manager", lab.endpoint, "--endpoint-active-directory", lab.endpoint)
    az = open_az(lab, tmp_path / "az", *words)
    az.must("config set core.instance_discovery=false --only-show-errors")
    return az


def check_account(shown: list[dict], *, user: str, kind: str) -> None:
    (account,) = shown
    assert (account["id"], account["tenantId"], account["state"]) == (SUBSCRIPTION, TENANT, "Enabled")
    assert account["user"]["name"] == user
    assert account["user"]["type"] == kind


def test_az_signs_a_service_principal_in_without_configuration(az: Az) -> None:
    shown = az.must(f"login --service-principal -u app -p secret --tenant {TENANT}")
    check_account(shown, user="app", kind="servicePrincipal")
    assert az.must("group list --query [].name") == ["rg1"]
    assert az.must("account get-access-token --query tenant") == TENANT


def test_az_signs_a_user_in_without_configuration(az: Az) -> None:
    check_account(az.must("login -u dev@localhost -p ttylab"), user="dev@localhost", kind="user")
    assert az.must("vm list --query [].name")[:2] == ["linux1", "linux2"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (f"login --service-principal -u app -p wrong --tenant {TENANT}", "AADSTS7000215"),
        ("login -u dev@localhost -p wrong", "AADSTS50126"),
        (f"login --service-principal -u nobody -p secret --tenant {TENANT}", "AADSTS700016"),
    ],
)
def test_az_shows_why_a_login_is_refused(az: Az, line: str, reason: str) -> None:
    said = az.run(line)
    assert said.code == 1
    assert reason in said.err


def test_az_signs_a_service_principal_in_at_an_authority_like_entras(entra: Az) -> None:
    shown = entra.must(f"login --service-principal -u app -p secret --tenant {TENANT}")
    check_account(shown, user="app", kind="servicePrincipal")


def test_az_signs_a_user_in_with_a_device_code(entra: Az, lab: CloudLab) -> None:
    waiting = entra.start(f"login --use-device-code --tenant {TENANT}", lambda line: "enter the code" in line)
    code = re.search(r"enter the code (\S+)", waiting.line)
    page = re.search(r"https://\S+/device\S*", waiting.line)
    assert code, waiting.line
    assert page, waiting.line
    form = {"code": code[1], "user": "dev@localhost", "password": "ttylab"}
    assert requests.post(page[0], data=form, verify=str(lab.ca), timeout=30).ok
    said = waiting.end()
    assert said.code == 0, said.err
    assert entra.must("account show --query user.name") == "dev@localhost"


def put_managed_identity(service: Service) -> None:
    """Add a managed identity, a service principal without a secret, that reads the subscription."""
    identity = Principal(
        id="77777777-0000-0000-0000-000000000001",
        tenant=TENANT,
        type=PrincipalType.SERVICE_PRINCIPAL,
        name="identity",
    )
    service.cloud.put(identity)
    service.cloud.put(
        RoleAssignment(
            id="77777777-0000-0000-0000-000000000002",
            scope=subscription_scope(SUBSCRIPTION),
            role=READER,
            principal=identity.id,
            principal_type=identity.type,
            created=service.now(),
        )
    )


def test_az_signs_a_managed_identity_in(az: Az, lab: CloudLab) -> None:
    lab.on_loop(put_managed_identity)
    environment = {
        "IDENTITY_ENDPOINT": f"{lab.endpoint}/ttylab/identity/token",
        "IDENTITY_HEADER": lab.on_loop(lambda service: service.sign_in.identity_header),
    }
    shown = az.must("login --identity", **environment)
    check_account(shown, user="systemAssignedIdentity", kind="servicePrincipal")
    assert az.must("group list --query [].name", **environment) == ["rg1"]
