"""The ways to a console, as the portal has them; and what helps where there is none (U5, U11, U12)."""

import re
from dataclasses import replace

import pytest
from playwright.sync_api import expect

from emulator.cloud.records import ScaleSet, Subscription, VirtualMachine
from emulator.cloud.settings import CloudKind
from tests.web.portal import address, expect_shown, expect_state, new_context, resource, sign_in

pytestmark = pytest.mark.xdist_group("page")


def expect_focus(page, name: str) -> None:
    """Wait until what has the focus is called `name`."""
    expect(page.locator(":focus")).to_have_accessible_name(re.compile(name))


def tab_to(page, name: str) -> None:
    """Press Tab until what is called `name` has the focus."""
    for _ in range(30):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            "() => document.activeElement.textContent || document.activeElement.ariaLabel || ''"
        )
        if focused.startswith(name):
            return
    pytest.fail(f"Tab does not come to {name!r}")


# -- sign-in -----------------------------------------------------------------------------------


def test_wrong_password_is_refused_with_a_reason_and_the_right_one_goes_on(page) -> None:
    page.goto("/")
    sign_in(page, password="wrong")
    expect(page.locator(".sign-in .refusal")).to_contain_text("AADSTS50126")
    expect_focus(page, "Password")
    sign_in(page)
    expect(page.get_by_role("heading", name="All resources")).to_be_visible()


def test_token_is_in_no_storage_cookie_or_address(page) -> None:
    page.goto("/")
    urls = []
    page.on("request", lambda asked: urls.append(asked.url))
    sign_in(page)
    expect(page.get_by_role("link", name="linux1")).to_be_visible()
    kept = page.evaluate(
        "() => JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href])"
    )
    assert page.context.cookies() == []
    assert "eyJ" not in kept
    assert "ttylab" not in kept.replace("ttylab-preferences", "")
    assert not any("eyJ" in url for url in urls)


def test_service_principal_signs_in_and_sees_what_it_may(page) -> None:
    page.goto("/")
    sign_in(page, "vmonly", "secret")
    expect(page.get_by_role("link", name="linux1")).to_be_visible()


# -- the portal's ways -------------------------------------------------------------------------


def test_u11_by_mouse_all_resources_vm_support_serial_console(page, portal) -> None:
    page.goto("/")
    sign_in(page)
    row = page.get_by_role("row", name="stopped1")
    expect(row).to_contain_text("deallocated")
    page.get_by_role("link", name="linux1").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    support = page.get_by_role("button", name="Support + troubleshooting")
    support.click()
    expect(page.get_by_role("link", name="Serial console")).to_be_hidden()
    support.click()
    page.get_by_role("link", name="Serial console").click()
    expect_state(page, "Connected")
    expect_shown(page, "login:")


def test_u11_by_keyboard_alone_in_and_out_of_the_console(page, portal) -> None:
    page.goto("/")
    expect_focus(page, "User")
    page.keyboard.type("dev@localhost")
    page.keyboard.press("Tab")
    page.keyboard.type("ttylab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="linux1")).to_be_visible()
    tab_to(page, "linux1")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    tab_to(page, "Serial console")
    page.keyboard.press("Enter")
    expect_state(page, "Connected")
    expect_focus(page, "Console of linux1")
    page.keyboard.press("Tab")
    expect_shown(page, "login:")
    page.keyboard.type("root")
    expect_shown(page, "root")
    page.keyboard.press("Control+F6")
    expect_focus(page, "Keyboard")
    page.keyboard.press("ArrowDown")
    expect_focus(page, "Ctrl\\+W")
    page.keyboard.press("Escape")
    expect_focus(page, "Keyboard")
    tab_to(page, "Console of linux1")
    assert bytes(portal.guest("linux1").typed) == b"\troot"


def test_u12_scale_set_instances_instance_serial_console(page, portal) -> None:
    page.goto("/")
    sign_in(page)
    page.get_by_role("link", name="ss1").click()
    expect(page.get_by_role("heading", name="ss1: Instances")).to_be_visible()
    page.get_by_role("link", name="ss1 / 1").click()
    page.get_by_role("link", name="Serial console").click()
    expect_state(page, "Connected")
    expect_shown(page, "login:")  # what is typed before a machine has power, nobody reads
    page.keyboard.type("hi")
    expect_shown(page, "hi")
    assert bytes(portal.guest("ss1/1").typed) == b"hi"


def without_diagnostics(document):
    properties = {key: value for key, value in document["properties"].items() if key != "diagnosticsProfile"}
    if "virtualMachineProfile" in properties:
        profile = properties["virtualMachineProfile"]
        properties["virtualMachineProfile"] = {
            key: value for key, value in profile.items() if key != "diagnosticsProfile"
        }
    return {**document, "properties": properties}


def test_u12_button_is_seen_once_model_and_instance_have_boot_diagnostics(page, portal) -> None:
    cloud = portal.service.cloud
    model = cloud.find(ScaleSet, resource("ss1/0").parent.key)
    instance = cloud.find(VirtualMachine, resource("ss1/0").key)
    for record in (model, instance):
        changed = replace(record, document=without_diagnostics(record.document))
        portal.in_loop(lambda changed=changed: cloud.put(changed))
    page.goto(address("ss1/0", "overview"))
    sign_in(page)
    expect(
        page.get_by_text("Serial console: enable boot diagnostics in the scale set's model")
    ).to_be_visible()
    expect(page.get_by_role("link", name="Serial console")).to_have_count(0)
    page.get_by_role("link", name="Boot diagnostics").click()
    page.get_by_role("button", name="Enable boot diagnostics").click()
    page.get_by_role("link", name="Serial console").click()
    expect_state(page, "Connected")


# -- refusals and remedies ---------------------------------------------------------------------


def test_u6_vm_without_boot_diagnostics_is_mended_by_a_button(page) -> None:
    page.goto(address("nodiag1", "serial"))
    sign_in(page)
    expect(page.locator(".status")).to_contain_text("requires boot diagnostics to be enabled")
    page.get_by_role("button", name="Enable boot diagnostics").click()
    expect_state(page, "Connected")


def test_stopped_vm_is_started_by_a_button(page, portal) -> None:
    page.goto(address("stopped1", "serial"))
    sign_in(page)
    expect(page.locator(".status")).to_contain_text("requires a virtual machine to be running")
    page.get_by_role("button", name="Start the VM").click()
    expect_state(page, "Connected")
    assert portal.power("stopped1") == "running"


def test_console_that_the_subscription_has_off_is_enabled_by_a_button(page, portal) -> None:
    (subscription,) = portal.service.cloud.all(Subscription)
    portal.in_loop(lambda: portal.service.cloud.put(replace(subscription, console_enabled=False)))
    page.goto(address("linux1", "serial"))
    sign_in(page)
    expect(page.locator(".status")).to_contain_text("not enabled for this subscription")
    page.get_by_role("button", name="Enable serial console for the subscription").click()
    expect_state(page, "Connected")


def test_u3_reader_is_told_the_role_that_is_needed(page) -> None:
    page.goto(address("linux1", "serial"))
    sign_in(page, "reader", "secret")
    expect(page.locator(".status")).to_contain_text(
        "Ensure you have at least Virtual Machine Contributor role"
    )
    expect_state(page, "Disconnected")


def test_vm_that_is_not_there_is_said(page) -> None:
    page.goto(address("linux9", "serial"))
    sign_in(page)
    expect(page.get_by_role("alert").filter(has_text="was not found")).to_be_visible()


# -- other pages -------------------------------------------------------------------------------


def test_boot_diagnostics_shows_screen_and_log_without_escapes(page, portal) -> None:
    portal.guest("linux1").feed(b"\x1b[1;31mred\x1b[0m <img src=x onerror=alert(1)>\r\nlogin: ")
    page.goto(address("linux1", "boot"))
    sign_in(page)
    expect(page.get_by_label("Serial log")).to_contain_text("red <img src=x onerror=alert(1)>")


def test_boot_diagnostics_shows_the_guests_real_screen(page, portal) -> None:
    page.goto(address("linux1", "serial"))
    sign_in(page)
    expect_state(page, "Connected")
    page.get_by_role("link", name="Boot diagnostics").click()
    screen = page.get_by_role("img", name="The screen of linux1")
    expect(screen).to_be_visible()
    assert screen.evaluate(
        "async image => (await image.decode(), [image.naturalWidth, image.naturalHeight])"
    ) == [2, 2]


def test_u7_reset_password_page_says_how(page) -> None:
    page.goto(address("linux1", "password"))
    sign_in(page)
    expect(page.get_by_role("heading", name="Reset password")).to_be_visible()
    expect(page.get_by_text("passwd USER")).to_be_visible()


def test_u16_overview_restarts_and_stops(page, portal) -> None:
    page.goto(address("linux1", "overview"))
    sign_in(page)
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Stop linux1: done; it is stopped.").first).to_be_visible()
    assert portal.power("linux1") == "stopped"


def test_u5_government_cloud_says_preview(browser, portals) -> None:
    context = new_context(browser, portals[CloudKind.GOVERNMENT])
    page = context.new_page()
    page.goto("/")
    expect(page.get_by_text("Preview", exact=True)).to_be_visible()
    context.close()


def test_u5_china_cloud_says_not_available(browser, portals) -> None:
    context = new_context(browser, portals[CloudKind.CHINA])
    page = context.new_page()
    page.goto(address("linux1", "serial"))
    sign_in(page)
    expect(page.get_by_text("Serial Console is not available in the China cloud")).to_be_visible()
    expect(page.locator(".status")).to_contain_text("not yet available in the China cloud")
    context.close()
