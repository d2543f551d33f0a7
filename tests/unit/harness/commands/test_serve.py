"""`ttylab serve` without a server: options that are refused, what it prints, what the banner says."""

import asyncio
import json
import os
import signal
import subprocess
import tomllib
from pathlib import Path

import pytest

from emulator.clock import utc_now
from emulator.cloud.config import CloudConfig, demo_config, demo_text
from emulator.cloud.config_records import build_records
from emulator.cloud.guest_plan import DEFAULT_IMAGE
from emulator.cloud.records import Cloud, PowerState, Record, VirtualMachine
from emulator.cloud.settings import CloudKind, Era, Fault, Settings
from emulator.errors import SpecError
from emulator.fleet.machine_guest import PowerChange
from emulator.service.running_service import follow_power
from emulator.values import read_value
from harness import cli
from harness.scenario.exit_codes import EXIT_INTERRUPTED, EXIT_PASSED, EXIT_USAGE
from harness.serving import server_process
from harness.serving.access import access_to
from harness.serving.environment import render_banner, render_environment
from harness.serving.trust import ADDING, REPLACING

ENDPOINT = "https://localhost:8443"
CA = Path("some dir/ca.pem")


@pytest.fixture(autouse=True)
def _own_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TTYLAB_STATE", str(tmp_path / "state"))


def demo_records() -> list[Record]:
    return build_records(demo_config(), now=utc_now(), known_images=frozenset({DEFAULT_IMAGE}), origin="demo")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--public-host", "windows-lab.test"], 'must not contain "ws"'),
        (["--host", "0.0.0.0"], "allowed: localhost and loopback addresses"),
        (["--config", "nowhere.toml"], "nowhere.toml: can't be read"),
        (["--port", "65536"], "65535"),
        (["--fault", "fire"], "'fire'"),
        (["--print-env", "--port", "0"], "--print-env needs the port"),
    ],
)
def test_wrong_option_is_one_line_and_exit_2(
    capfd: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    assert cli.main(["serve", "--port", "0", *arguments]) == EXIT_USAGE
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("ttylab: error: ")
    assert complaint in line


def test_damaged_state_is_named(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    state = tmp_path / "kept"
    state.mkdir()
    (state / "cloud.db").write_bytes(b"nonsense" * 100)
    assert cli.main(["serve", "--port", "0", "--state", str(state)]) == EXIT_USAGE
    assert f"{state / 'cloud.db'} can't be used" in capfd.readouterr().err


def test_print_config_is_the_demo(capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["serve", "--print-config"]) == EXIT_PASSED
    shown = capfd.readouterr().out
    assert shown == demo_text()
    assert read_value(tomllib.loads(shown), CloudConfig, origin="x") == demo_config()


def test_print_env_makes_the_authority_and_sets_a_shell(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (*REPLACING, ADDING, "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    assert cli.main(["serve", "--print-env", "--port", "9443"]) == EXIT_PASSED
    lines = capfd.readouterr().out
    shell = subprocess.run(
        ["sh", "-euc", f'{lines}\nprintf "%s %s" "$TTYLAB_ENDPOINT" "$REQUESTS_CA_BUNDLE"'],
        capture_output=True,
        text=True,
        check=True,
        timeout=10,
    )
    authority = tmp_path / "state" / "ca" / "ca.pem"
    assert shell.stdout == f"https://localhost:9443 {authority.with_name('bundle.pem')}"
    assert authority.read_bytes().strip() in authority.with_name("bundle.pem").read_bytes()


UNDO_PROBE = """\
eval "$TTYLAB_UNDO"
for name in $NAMES; do eval "value=\\${$name-unset}"; printf '%s=%s\\n' "$name" "$value"; done
"""


@pytest.mark.parametrize("times", [1, 2])
def test_undo_brings_back_what_was_set_before(times: int) -> None:
    access = access_to(demo_records(), endpoint=ENDPOINT, ca=CA, identity_header="knock")
    before = {"REQUESTS_CA_BUNDLE": "my ca's\nfile", "AZURE_CLIENT_SECRET": "hush", "SSL_CERT_FILE": ""}
    names = " ".join([*before, "ARM_TENANT_ID", "TTYLAB_ENDPOINT", "TTYLAB_UNDO", "TTYLAB_OLD_SSL_CERT_FILE"])
    lines = render_environment(access, before=before)
    assert "hush" not in lines
    if times == 2:
        lines += render_environment(access, before=before | {"TTYLAB_UNDO": "x"})
    shell = subprocess.run(
        ["sh", "-euc", f"{lines}\n{UNDO_PROBE}"],
        env=before | {"PATH": os.environ["PATH"], "NAMES": names},
        capture_output=True,
        text=True,
        check=True,
        timeout=10,
    )
    kept = [f"{name}={value}" for name, value in before.items()]
    gone = [f"{name}=unset" for name in names.split()[len(before) :]]
    assert shell.stdout == "\n".join([*kept, *gone, ""])


def test_environment_has_lines_for_every_client() -> None:
    shown = render_environment(access_to(demo_records(), endpoint=ENDPOINT, ca=CA, identity_header="knock"))
    for needed in (
        "export REQUESTS_CA_BUNDLE='some dir/ca.pem'",
        "export ARM_METADATA_HOSTNAME=localhost:8443",
        f"# az cloud register -n ttylab --endpoint-resource-manager {ENDPOINT}",
        "# az login --service-principal -u app -p secret --tenant 1111",
        "# az login -u dev@localhost -p ttylab",
        "ClientSecretCredential(",
        "NODE_EXTRA_CA_CERTS",
        "azidentity.NewClientSecretCredential",
        "IDENTITY_HEADER=knock az login --identity",
        'provider "azurerm"',
    ):
        assert needed in shown
    assert [line for line in shown.splitlines() if line and not line.startswith(("#", "export "))] == []


def test_environment_of_a_cloud_without_principals_has_blanks() -> None:
    records = [one for one in demo_records() if type(one).__name__ != "Principal"]
    shown = render_environment(access_to(records, endpoint=ENDPOINT, ca=CA))
    assert "IDENTITY_ENDPOINT" not in shown
    assert "export AZURE_CLIENT_ID=''" in shown
    assert "az login" not in shown


def test_access_keeps_secrets_out_of_its_repr() -> None:
    access = access_to(demo_records(), endpoint=ENDPOINT, ca=CA)
    assert "secret" not in repr(access)
    assert json.loads(access.to_json())["credentials"]["reader"]["client_id"] == "reader"


def test_access_to_a_cloud_without_subscription_is_refused() -> None:
    with pytest.raises(SpecError, match="no subscription"):
        access_to([], endpoint=ENDPOINT, ca=CA)


def test_banner_says_where_who_and_what() -> None:
    access = access_to(demo_records(), endpoint=ENDPOINT, ca=CA)
    shown = render_banner(access, demo_records(), Settings())
    for needed in (
        ENDPOINT,
        "some dir/ca.pem",
        "app / secret",
        "win1 (the SAC guest stands in for Windows)",
        "nodiag1 (no boot diagnostics)",
        "stopped1 (deallocated)",
        "custom1 (custom storage account)",
        "ss1: 0, 1, 2",
        "--print-env",
    ):
        assert needed in shown
    assert "era" not in shown


def test_banner_says_what_is_unusual() -> None:
    access = access_to(demo_records(), endpoint=ENDPOINT, ca=CA)
    settings = Settings(era=Era.Y2020, kind=CloudKind.GOVERNMENT, faults=frozenset({Fault.CONFLICT}))
    shown = render_banner(access, [], settings)
    for needed in ("2020", "government: serial console preview", "conflict", "VMs           none"):
        assert needed in shown


def test_banner_of_many_machines_stays_short() -> None:
    extra = "".join(f'[[vm]]\nname = "v{number}"\ngroup = "rg1"\n' for number in range(40))
    config = read_value(tomllib.loads(demo_text() + extra), CloudConfig, origin="x")
    records = build_records(config, now=utc_now(), known_images=frozenset({DEFAULT_IMAGE}), origin="x")
    shown = render_banner(access_to(records, endpoint=ENDPOINT, ca=CA), records, Settings())
    assert "and 34 more" in shown


@pytest.mark.parametrize(
    ("is_on", "asked", "expected"),
    [
        (False, False, PowerState.STOPPED),
        (False, True, PowerState.RUNNING),
        (True, False, PowerState.RUNNING),
    ],
)
def test_vm_whose_guest_went_off_by_itself_is_stopped(is_on: bool, asked: bool, expected: PowerState) -> None:
    cloud = Cloud(demo_records())
    vm = cloud.all(VirtualMachine)[0]
    follow_power(cloud, PowerChange(key=vm.key, is_on=is_on, asked=asked, reason="guest-shutdown"))
    found = cloud.find(VirtualMachine, vm.key)
    assert found is not None
    assert found.power is expected


def test_power_of_a_vm_that_is_gone_changes_nothing() -> None:
    cloud = Cloud()
    follow_power(cloud, PowerChange(key="gone", is_on=False))
    assert cloud.records() == []


def test_second_signal_ends_at_once(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    codes: list[int] = []
    monkeypatch.setattr(server_process.os, "_exit", codes.append)

    async def hear_two() -> None:
        told = asyncio.Event()
        with server_process._signals_to(told):
            os.kill(os.getpid(), signal.SIGTERM)
            await told.wait()
            assert codes == []
            os.kill(os.getpid(), signal.SIGTERM)
            async with asyncio.timeout(10):
                while not codes:  # noqa: ASYNC110  # a signal has no other witness
                    await asyncio.sleep(0)

    asyncio.run(hear_two())
    assert codes == [EXIT_INTERRUPTED]
    assert "ttylab gc" in capfd.readouterr().err
