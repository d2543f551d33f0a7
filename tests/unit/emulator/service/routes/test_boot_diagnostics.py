"""Boot logs and screenshots over HTTP (docs/facts/azure.md 4; U4, U6, U10)."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from emulator.cloud.settings import Era, Settings
from emulator.console.marks import MarkKind
from emulator.errors import LaunchError
from tests.support.service_caller import INSTANCE, LINUX, Caller, code_of
from tests.support.service_lab import ACCOUNT, ENDPOINT, Now, demo_vm_id, open_test_service

EITHER = pytest.mark.parametrize("target", [LINUX, INSTANCE], ids=["vm", "instance"])


@pytest.fixture
def app() -> Iterator[Caller]:
    with Caller(open_test_service()) as caller:
        yield caller


@EITHER
def test_u4_boot_log_and_screenshot_are_read_without_a_token(app: Caller, target: object) -> None:
    app.guest(target).says_at_power_on = b"Booting\r\nlogin: "
    uris = app.send("POST", f"{target}/retrieveBootDiagnosticsData").json()
    assert app.guest(target).is_on
    app.guest(target).transcript.mark(MarkKind.LINK, "connected", {"by": "dev@localhost"})
    log = app.fetch(uris["serialConsoleLogBlobUri"])
    assert log.headers["content-type"] == "text/plain"
    first, second, third = log.content.split(b"\r\n", 2)
    assert (first, second) == (b"Booting", b"login: ")
    assert third.startswith(b"[2026-03-01T1")
    assert third.endswith(b"Z] Serial console: connected by dev@localhost\r\n")
    screenshot = app.fetch(uris["consoleScreenshotBlobUri"])
    assert screenshot.headers["content-type"] == "image/bmp"
    assert screenshot.content[:2] == b"BM"
    for uri in uris.values():
        assert uri.startswith(f"{ENDPOINT}/blobs/")


def test_range_of_a_blob_is_read(app: Caller) -> None:
    app.guest().says_at_power_on = b"0123456789"
    uri = app.send("POST", f"{LINUX}/retrieveBootDiagnosticsData").json()["serialConsoleLogBlobUri"]
    for asked, status, expected in (
        ("bytes=2-4", 206, b"234"),
        ("bytes=8-", 206, b"89"),
        ("bytes=0-99999", 206, b"0123456789"),
        ("bytes=x", 200, b"0123456789"),
        ("bytes=10-", 416, None),
    ):
        answer = app.fetch(uri, Range=asked)
        assert answer.status_code == status
        assert expected is None or answer.content == expected
    assert app.fetch(uri, Range="bytes=2-4").headers["content-range"] == "bytes 2-4/10"


def test_signed_url_expires_and_can_not_be_bent() -> None:
    now = Now()
    with Caller(open_test_service(now=now)) as app:
        path = f"{LINUX}/retrieveBootDiagnosticsData?sasUriExpirationTimeInMinutes=5"
        uri = app.send("POST", path).json()["serialConsoleLogBlobUri"]
        assert app.fetch(uri).status_code == 200
        bent = (
            uri[:-1] + ("0" if uri[-1] != "0" else "1"),
            uri.partition("?")[0],
            uri.replace("linux1", "x"),
        )
        for url in bent:
            answer = app.fetch(url)
            assert answer.status_code == 403
            assert b"<Code>AuthenticationFailed</Code>" in answer.content
        now.advance(301)
        assert app.fetch(uri).status_code == 403


def test_blob_of_a_vm_that_is_gone_is_not_found(app: Caller) -> None:
    uris = app.send("POST", f"{LINUX}/retrieveBootDiagnosticsData").json()
    app.finish(app.send("DELETE", LINUX))
    for uri in uris.values():
        answer = app.fetch(uri)
        assert answer.status_code == 404
        assert b"<Code>BlobNotFound</Code>" in answer.content


def test_screenshot_of_a_vm_that_is_off_is_its_last(app: Caller) -> None:
    off = demo_vm_id("stopped1")
    never = app.send("POST", f"{off}/retrieveBootDiagnosticsData").json()["consoleScreenshotBlobUri"]
    answer = app.fetch(never)
    assert answer.status_code == 404
    assert b"has not shown anything yet" in answer.content
    app.act(f"{LINUX}/start")
    app.act(f"{LINUX}/powerOff")
    last = app.send("POST", f"{LINUX}/retrieveBootDiagnosticsData").json()["consoleScreenshotBlobUri"]
    assert app.fetch(last).content[:2] == b"BM"
    assert not app.guest().is_on
    app.service.cloud.put(replace(app.vm(), vm_id="77777777-0000-0000-0000-000000000001"))  # its namesake
    other = app.send("POST", f"{LINUX}/retrieveBootDiagnosticsData").json()["consoleScreenshotBlobUri"]
    assert app.fetch(other).status_code == 404


def test_log_of_a_vm_that_never_was_on_is_empty(app: Caller) -> None:
    off = demo_vm_id("stopped1")
    uri = app.send("POST", f"{off}/retrieveBootDiagnosticsData").json()["serialConsoleLogBlobUri"]
    assert app.fetch(uri).content == b""


@pytest.mark.parametrize("minutes", ["0", "1441", "-1", "x", "1.5", "", "9" * 5000])
def test_expiry_says_no(app: Caller, minutes: str) -> None:
    path = f"{LINUX}/retrieveBootDiagnosticsData?sasUriExpirationTimeInMinutes={minutes}"
    assert code_of(app.send("POST", path)) == (400, "InvalidParameter")


def test_u6_there_is_no_boot_log_without_boot_diagnostics(app: Caller) -> None:
    path = f"{demo_vm_id('nodiag1')}/retrieveBootDiagnosticsData"
    assert code_of(app.send("POST", path)) == (409, "OperationNotAllowed")


def test_guest_that_can_not_start_gives_a_reason(app: Caller) -> None:
    app.guest().fail("power_on", LaunchError("no QEMU", argv=("qemu",), exit_code=1, stderr=b""))
    answer = app.send("POST", f"{LINUX}/retrieveBootDiagnosticsData")
    assert answer.status_code == 409
    assert "no QEMU" in answer.json()["error"]["message"]


@EITHER
def test_u10_managed_boot_diagnostics_had_no_console_in_2020(target: object) -> None:
    for era, status in ((Era.Y2020, 409), (Era.CURRENT, 200)):
        with Caller(open_test_service(settings=Settings(era=era))) as app:
            answer = app.send("POST", f"{target}/providers/Microsoft.SerialConsole/serialPorts/0/connect")
            assert answer.status_code == status
    with Caller(open_test_service(settings=Settings(era=Era.Y2020))) as app:
        profile = {"bootDiagnostics": {"storageUri": f"https://{ACCOUNT}.blob.core.windows.net/"}}
        app.finish(app.send("PATCH", target, {"properties": {"diagnosticsProfile": profile}}))
        answer = app.send("POST", f"{target}/providers/Microsoft.SerialConsole/serialPorts/0/connect")
        assert answer.status_code == 200
