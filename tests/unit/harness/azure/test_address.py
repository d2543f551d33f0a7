"""Where a service is and who asks: ready file and environment."""

from pathlib import Path

import pytest

from emulator.errors import SpecError
from harness.azure.address import (
    DEMO_GROUP,
    DEMO_SUBSCRIPTION,
    DEMO_TENANT,
    ServiceAddress,
    ServiceChoice,
    address_of_environment,
    address_of_ready,
)
from harness.azure.http import grant_of

READY = {
    "endpoint": "https://localhost:8443",
    "ca": "/ca.pem",
    "tenant": "t",
    "subscription": "s",
    "credentials": {
        "other": {"client_id": "guid", "client_secret": "x"},
        "app": {"client_id": "app", "client_secret": "secret"},
        "dev@localhost": {"username": "dev@localhost", "password": "ttylab"},
    },
}


def test_ready_file_gives_the_demo_principal():
    address = address_of_ready(READY, name="ready.json")
    assert address == ServiceAddress(
        endpoint="https://localhost:8443",
        ca=Path("/ca.pem"),
        tenant="t",
        subscription="s",
        principal="app",
        secret="secret",
    )
    assert "secret" not in repr(address)


def test_ready_file_gives_the_principal_that_is_asked_for():
    assert address_of_ready(READY, name="r", principal="other").principal == "guid"
    assert address_of_ready(READY, name="r", principal="dev@localhost").secret == "ttylab"
    with pytest.raises(SpecError, match=r"r: no principal 'nobody'; allowed: app, dev@localhost, other"):
        address_of_ready(READY, name="r", principal="nobody")


@pytest.mark.parametrize(
    "ready", [{}, {"endpoint": 1}, READY | {"credentials": []}, READY | {"credentials": {"a": 1}}]
)
def test_ready_file_that_is_none_is_refused(ready):
    with pytest.raises(SpecError, match="need endpoint and credentials"):
        address_of_ready(ready, name="r")


def test_environment_gives_the_rest_its_defaults():
    address = address_of_environment({"TTYLAB_ENDPOINT": "https://localhost:1/"})
    assert (address.endpoint, address.ca, address.tenant) == ("https://localhost:1", None, DEMO_TENANT)
    assert (address.subscription, address.group, address.principal) == (DEMO_SUBSCRIPTION, DEMO_GROUP, "app")
    with pytest.raises(SpecError, match="give --ready-file"):
        address_of_environment({})


@pytest.mark.parametrize(
    "endpoint", ["http://h", "https://h/", "https://h/x", "https://u@h", "https://h?x", "h"]
)
def test_endpoint_that_must_not_have_a_token_is_refused(endpoint):
    with pytest.raises(SpecError, match="endpoint is"):
        ServiceAddress(endpoint=endpoint)


def test_options_place_an_address():
    address = ServiceChoice(real_azure=True, subscription="s", group="g").address()
    assert (address.subscription, address.group, address.azure) == ("s", "g", True)


def test_grant_is_a_users_where_the_name_has_an_at():
    user = address_of_ready(READY, name="r", principal="dev@localhost")
    assert grant_of(user)["grant_type"] == "password"
    assert grant_of(address_of_ready(READY, name="r")) == {
        "grant_type": "client_credentials",
        "client_id": "app",
        "client_secret": "secret",
        "scope": "https://localhost:8443/.default",
    }
