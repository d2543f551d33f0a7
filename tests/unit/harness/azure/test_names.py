"""VM names, URLs that are derived, and what a close code means."""

import pytest

from emulator.errors import SpecError
from harness.azure.names import (
    EndKind,
    admin_url,
    judge_end,
    may_have_token,
    parse_vm,
    require_connection_string,
    serial_port,
)

VM = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/vm1"
INSTANCE = f"{VM.removesuffix('s/vm1')}ScaleSets/ss1/virtualMachines/0"


@pytest.mark.parametrize(("text", "id_"), [("vm1", VM), ("ss1/0", INSTANCE), (VM, VM), (INSTANCE, INSTANCE)])
def test_vm_is_named_by_name_instance_or_id(text, id_):
    assert str(parse_vm(text, subscription="s", group="g")) == id_


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "allowed: VM"),
        ("a/b/c", "allowed: VM"),
        ("a/", "allowed: VM"),
        ("a b", "allowed: 1 to 90"),
        ("vm1.", "no dot at the end"),
        ("/subscriptions/s", "need /subscriptions"),
        (VM.replace("virtualMachines", "disks"), "need a VM or an instance"),
        (INSTANCE.rpartition("/virtualMachines")[0], "need a VM or an instance"),
    ],
)
def test_vm_that_is_none_is_refused(text, said):
    with pytest.raises(SpecError, match=said):
        parse_vm(text, subscription="s", group="g")


def test_name_without_a_subscription_is_refused():
    with pytest.raises(SpecError, match="--subscription"):
        parse_vm("vm1", subscription="", group="g")


def test_urls_are_derived_as_az_does_it():
    session = "wss://h:1/n/connector/consoleconn-1/sessions/2/client"
    assert admin_url(session, "nmi") == "https://h:1/n/connector/consoleconn-1/sessions/2/adminCommand/nmi"
    assert serial_port(parse_vm("vm1", subscription="s", group="g")).endswith(
        "/vm1/providers/Microsoft.SerialConsole/serialPorts/0"
    )
    with pytest.raises(SpecError, match="admin command"):
        admin_url(session, "../nmi")


@pytest.mark.parametrize(
    "text", [None, 1, "", "ws://h/client", "wss://h/x", "wss://h/client?t=1", "wss:///client"]
)
def test_connection_string_that_is_none_is_refused_and_not_repeated(text):
    with pytest.raises(SpecError, match="is not of the form wss://") as caught:
        require_connection_string(text)
    assert not text or str(text) not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "may"),
    [
        ("https://h:1/x", True),
        ("https://eastus.gateway.serialconsole.azure.com/n/x", True),
        ("https://h:10/x", False),
        ("https://h:1.evil/x", False),
        ("https://evil/serialconsole.azure.com/", False),
        ("https://evil?x.serialconsole.azure.com/", False),
        ("http://eastus.gateway.serialconsole.azure.com/n/x", False),
    ],
)
def test_token_goes_to_the_service_and_its_gateways_alone(url, may):
    assert may_have_token(url, endpoint="https://h:1") is may


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (1000, "The connection was closed: another user connected to the console", EndKind.TAKEN),
        (1011, "Connection not trusted", EndKind.REFUSED),
        (1008, "no longer allowed", EndKind.REFUSED),
        (1000, "", EndKind.DROPPED),
        (1001, "the service is being stopped", EndKind.DROPPED),
        (1006, "", EndKind.DROPPED),
    ],
)
def test_end_of_a_link_is_understood(code, reason, kind):
    assert judge_end(code, reason) is kind
    assert judge_end(code, reason, ours=True) is EndKind.LEFT
