"""The whole way: Chromium, the page, the service, a real guest."""

import pytest
from playwright.sync_api import expect, sync_playwright

from emulator.guest_text.linux import LinuxProfile
from emulator.service.page.assets import PACKAGES
from tests.web.portal import CONTEXT, address, expect_feedback, expect_shown, expect_state, launch, sign_in

pytestmark = [pytest.mark.qemu, pytest.mark.xdist_group("page-guest")]
BOOT_MS = 180_000
PROFILE = LinuxProfile()


@pytest.fixture(scope="module")
def page(cloud):
    """A page of the demo cloud whose `linux1` is at its shell."""
    PACKAGES.ensure()
    with sync_playwright() as playwright:
        browser = launch(playwright, cloud.endpoint)
        context = browser.new_context(base_url=cloud.endpoint, **CONTEXT)
        context.set_default_timeout(60_000)
        expect.set_options(timeout=60_000)
        page = context.new_page()
        page.goto(address("linux1", "serial"))
        sign_in(page)
        expect_state(page, "Connected")
        expect(page.locator(".xterm-rows")).to_contain_text("login:", timeout=BOOT_MS)
        page.keyboard.type(f"{PROFILE.user.decode()}\n")
        expect_shown(page, "Password:")
        page.keyboard.type(f"{PROFILE.password.decode()}\n")
        expect_shown(page, "# ")
        yield page
        browser.close()


def test_u2_typed_command_is_run_by_the_guest(page) -> None:
    page.keyboard.type("echo $((6*7))-answer\n")
    expect_shown(page, "42-answer")


def test_u14_sysrq_help_is_seen_on_the_console(page) -> None:
    page.get_by_role("button", name="SysRq").click()
    page.get_by_role("button", name="H Help").click()
    expect_feedback(page, "SysRq h: done, and the guest reacted.")
    expect_shown(page, "sysrq: HELP")


def test_boot_diagnostics_show_the_real_screen_and_log(page) -> None:
    page.get_by_role("link", name="Boot diagnostics").click()
    screen = page.get_by_role("img", name="The screen of linux1")
    width = screen.evaluate("async image => (await image.decode(), image.naturalWidth)")
    assert width >= 640
    expect(page.get_by_label("Serial log")).to_contain_text("42-answer")
    page.get_by_role("link", name="Serial console").click()
    expect_state(page, "Connected")


def test_u15_nmi_reaches_the_kernel(page) -> None:
    page.get_by_role("button", name="NMI").click()
    page.get_by_role("button", name="Send NMI").click()
    expect_feedback(page, "NMI: done, and the guest reacted.")
    expect_shown(page, "NMI")


def test_u16_reset_shows_grub_on_the_same_link(page) -> None:
    page.get_by_role("button", name="Power").click()
    page.get_by_role("menuitem", name="Reset VM").click()
    page.get_by_role("button", name="Reset VM").click()
    expect_feedback(page, "Reset: done, and the guest reacted.")
    expect(page.locator(".xterm-rows")).to_contain_text("GNU GRUB", timeout=BOOT_MS)
    expect_state(page, "Connected")
