"""The console's WebSocket as each generation of az and LISA speaks it (docs/facts/azure.md 3, 6)."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from emulator.errors import ControlError
from emulator.service.console.gateway import FIRST_FRAME, NOT_TRUSTED
from emulator.service.parts.links import TAKEN_OVER
from tests.clients.environments import python_of
from tests.clients.lab import BOUND_S, CloudLab

pytestmark = pytest.mark.clients

CONSOLES = ["0.1.0", "0.1.7 old", "0.1.8 new", "b2", "b4"]
SENDERS = ["0.1.0", "0.1.8 new", "b2", "b4"]
TYPED = "r\u00e9\u20ac\U0001f600\r"
PLACES = {"linux1": "virtualMachines/linux1", "ss1/1": "virtualMachineScaleSets/ss1%2FvirtualMachines%2F1"}


def play(lab: CloudLab, behaviour: str, **options: object) -> dict:
    facts = {"as": behaviour, "prompt": "login: ", "type": TYPED, "until": TYPED, **options}
    return lab.run_program(python_of("sdk2"), "frame_client.py", **facts)


@pytest.mark.parametrize("behaviour", CONSOLES)
@pytest.mark.parametrize("place", PLACES)
def test_u4_console_of_az_shows_and_types(lab: CloudLab, behaviour: str, place: str) -> None:
    said = play(lab, behaviour, parent=PLACES[place])
    first, *rest = said["frames"]
    assert first == FIRST_FRAME
    assert "".join(rest).endswith(f"login: {TYPED}")
    assert said["closed"][0] in (None, 1000)
    assert said["errors"] == []
    assert bytes(lab.fake_guest(place).typed) == TYPED.encode()


def test_console_of_lisa_sends_its_token_at_once_and_reads_text(lab: CloudLab) -> None:
    said = play(lab, "lisa", type="echo back\r", ping_s=0.2)
    assert said["frames"][0] == FIRST_FRAME
    assert "".join(said["frames"]).endswith("login: echo back\r")
    assert said["closed"][0] == 1000
    assert said["latency"] > 0  # a pong came
    assert bytes(lab.fake_guest("linux1").typed) == b"echo back\r"


def test_console_frees_the_link_of_a_client_that_was_killed(lab: CloudLab) -> None:
    play(lab, "b4", end="kill")
    wait_free(lab, "linux1")
    assert "".join(play(lab, "b4")["frames"]).endswith(TYPED)


@pytest.mark.parametrize(
    ("command", "keys", "call"), [("nmi", None, "nmi"), ("reset", None, "reset"), ("sysrq", "h", "sysrq h")]
)
@pytest.mark.parametrize("behaviour", SENDERS)
def test_u14_u15_u16_admin_command_of_az_reaches_the_guest(
    lab: CloudLab, behaviour: str, command: str, keys: str | None, call: str
) -> None:
    said = play(lab, behaviour, command=command, keys=keys)
    assert [status for status, _ in said["posts"]] == [200]
    assert lab.fake_guest("linux1").calls.count(call) == 1
    assert bytes(lab.fake_guest("linux1").typed) == b""


@pytest.mark.parametrize("behaviour", SENDERS)
def test_admin_command_that_fails_sends_one_more_frame_so_that_az_ends(lab: CloudLab, behaviour: str) -> None:
    lab.fake_guest("linux1").fail("nmi", ControlError("the monitor is gone"))
    said = play(lab, behaviour, command="nmi")
    assert len(said["posts"]) == 2
    assert all(status >= 400 for status, _ in said["posts"])
    assert "the monitor is gone" in said["posts"][0][1]


def test_sysrq_refuses_what_is_not_alphanumeric(lab: CloudLab) -> None:
    said = play(lab, "b4", command="sysrq", keys="h;")
    assert [status for status, _ in said["posts"]] == [400, 400]
    assert not [call for call in lab.fake_guest("linux1").calls if call.startswith("sysrq")]


def test_u14_sysrq_sends_each_key_of_a_sequence(lab: CloudLab) -> None:
    play(lab, "b4", command="sysrq", keys="REISUB")
    calls = [call for call in lab.fake_guest("linux1").calls if call.startswith("sysrq")]
    assert [call.lower() for call in calls] == [f"sysrq {key}" for key in "reisub"]


def test_console_is_closed_as_not_trusted_when_the_token_is_none(lab: CloudLab) -> None:
    said = play(lab, "b4", wrong_token="eyJhbGciOiJub25lIn0.e30.")
    assert said["closed"] == [1011, NOT_TRUSTED]


def test_unknown_session_is_refused_before_any_frame(lab: CloudLab) -> None:
    address = lab.endpoint.replace("https", "wss")
    url = f"{address}/n/connector/consoleconn-00000/sessions/00000000-0000-0000-0000-000000000000/client"
    said = play(lab, "b4", url=url)
    assert said["frames"] == []
    assert "404" in said["errors"][0]


def test_second_user_takes_the_console_and_the_first_is_told_in_band(lab: CloudLab) -> None:
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(play, lab, "b4", end="stay")
        lab.wait(lambda: bytes(lab.fake_guest("linux1").typed) == TYPED.encode())
        second = play(lab, "b2", client="vmonly", type="x", until="x")
        displaced = first.result(BOUND_S)
    assert TAKEN_OVER in "".join(displaced["frames"])
    assert displaced["closed"][0] == 1000
    assert "".join(second["frames"]).endswith("x")


def wait_free(lab: CloudLab, name: str) -> None:
    vm = lab.vm(name)
    lab.wait(lambda: lab.on_loop(lambda service: service.links.holder(vm.id)) is None)
