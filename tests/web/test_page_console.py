"""The console of the web page: typing, pasting, commands and their effects, ends and reconnects."""

import pytest
from playwright.sync_api import expect

from emulator.cloud.records import RoleAssignment
from emulator.errors import LabError
from tests.web.portal import (
    address,
    expect_feedback,
    expect_shown,
    expect_state,
    new_context,
    open_console,
    sign_in,
    wait_until,
)

pytestmark = pytest.mark.xdist_group("page")


def typed(portal, name="linux1") -> bytes:
    return bytes(portal.guest(name).typed)


def wait_typed(page, portal, data: bytes) -> None:
    """Wait until as much as `data` has come to the guest; it must be `data`."""
    wait_until(page, lambda: len(typed(portal)) >= len(data))
    assert typed(portal) == data


def paste(page, text: str) -> None:
    """Paste as the browser does it: by a paste event."""
    page.locator(".xterm-helper-textarea").evaluate(
        """(area, text) => {
            const data = new DataTransfer();
            data.setData("text/plain", text);
            const options = {clipboardData: data, bubbles: true, cancelable: true};
            area.dispatchEvent(new ClipboardEvent("paste", options));
        }""",
        text,
    )


# -- typing ------------------------------------------------------------------------------------


def test_u2_what_is_typed_comes_to_the_guest_and_its_answer_is_shown(page, portal) -> None:
    open_console(page)
    expect_shown(page, "login:")
    page.keyboard.type("root")
    page.keyboard.press("Enter")
    wait_typed(page, portal, b"root\r")
    portal.guest("linux1").feed("\r\nDürfen wir? 日本\r\n".encode())
    expect_shown(page, "Dürfen wir? 日本")


def test_control_and_function_keys_pass(page, portal) -> None:
    open_console(page)
    for key in ("Control+c", "Control+x", "Escape", "Tab", "F8", "F1", "F12", "Alt+b", "ArrowUp"):
        page.keyboard.press(key)
    wait_typed(page, portal, b"\x03\x18\x1b\t\x1b[19~\x1bOP\x1b[24~\x1bb\x1b[A")


def test_keyboard_menu_sends_what_the_browser_takes(page, portal) -> None:
    open_console(page)
    for key in ("Ctrl+W", "Ctrl+T", "F11"):
        page.get_by_role("button", name="Keyboard").click()
        page.get_by_role("menuitem", name=key).click()
    wait_typed(page, portal, b"\x17\x14\x1b[23~")


def test_windows_has_buttons_for_sac_and_its_size(page, portal) -> None:
    open_console(page, "win1")
    page.get_by_role("button", name="SAC").click()
    page.get_by_role("menuitem", name="ch -si 1").click()
    expect_shown(page, "ch -si 1")
    assert typed(portal, "win1") == b"ch -si 1\r"
    assert page.locator(".xterm-rows > div").count() == 25
    assert page.get_by_role("button", name="SysRq").count() == 0


# -- paste and copy ----------------------------------------------------------------------------


def test_paste_of_2048_characters_arrives_whole_and_paced(page, portal) -> None:
    open_console(page)
    text = ("äöü€" * 512)[:2046] + "\nx"
    portal.guest("linux1").echoes = False
    paste(page, text)
    wait_typed(page, portal, text.replace("\n", "\r").encode())


def test_paste_of_more_is_refused_with_a_reason(page, portal) -> None:
    open_console(page)
    paste(page, "a" * 2049)
    expect_feedback(page, "the text has 2,049 characters, and at most 2,048 can be pasted at once")
    page.keyboard.type("z")
    wait_typed(page, portal, b"z")


def test_pasted_escapes_can_not_end_a_bracketed_paste(page, portal) -> None:
    open_console(page)
    portal.guest("linux1").feed(b"\x1b[?2004hready")
    expect_shown(page, "ready")
    paste(page, "one\x1b[201~two")
    wait_typed(page, portal, b"\x1b[200~one[201~two\x1b[201~")


def test_selection_is_copied_by_the_keyboard_and_pasted_again(browser, portal) -> None:
    context = new_context(browser, portal, permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    open_console(page)
    expect_shown(page, "login:")
    page.locator(".xterm-rows").get_by_text("Debian").dblclick(force=True)  # the mouse is xterm.js's own
    page.keyboard.press("Control+Shift+C")
    expect_feedback(page, "Copied")
    copied = page.evaluate("() => navigator.clipboard.readText()")
    assert copied in "Debian GNU/Linux ttyS0"
    page.get_by_role("button", name="Paste").click()
    wait_typed(page, portal, copied.encode())
    context.close()


# -- commands ----------------------------------------------------------------------------------


def test_u15_nmi_asks_first_and_tells_its_effect(page, portal) -> None:
    open_console(page)
    page.get_by_role("button", name="NMI").click()
    page.get_by_role("button", name="Cancel").click()
    assert "nmi" not in portal.guest("linux1").calls
    page.get_by_role("button", name="NMI").click()
    page.get_by_role("button", name="Send NMI").click()
    expect_feedback(page, "NMI: done, and the guest reacted.")
    assert portal.guest("linux1").calls.count("nmi") == 1


def test_u14_sysrq_key_is_sent_and_its_effect_told(page, portal) -> None:
    open_console(page)
    page.get_by_role("button", name="SysRq").click()
    page.get_by_role("button", name="H Help").click()
    expect_feedback(page, "SysRq h: done, and the guest reacted.")
    expect(page.locator(".evidence").first).to_have_text("sysrq h")


def test_u14_sequence_asks_first_and_sends_each_key(page, portal) -> None:
    open_console(page)
    page.get_by_role("button", name="SysRq").click()
    page.get_by_role("button", name="REISUB").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Send").click()
    expect_feedback(page, "SysRq reisub: done")
    pressed = [call for call in portal.guest("linux1").calls if call.startswith("sysrq")]
    assert pressed == [f"sysrq {key}" for key in "reisub"]


def test_u14_free_text_is_refused_where_it_is_not_letters_and_digits(page, portal) -> None:
    open_console(page)
    page.get_by_role("button", name="SysRq").click()
    keys = page.get_by_label("Keys of your own")
    keys.fill("h; reboot")
    keys.press("Enter")
    expect(page.get_by_text("Only letters and digits can be sent")).to_be_visible()
    keys.fill("h")
    keys.press("Enter")
    expect_feedback(page, "SysRq h: done")


def test_effect_that_is_not_seen_is_said(page, portal) -> None:
    open_console(page)
    portal.guest("linux1").shows_effects = False
    page.get_by_role("button", name="SysRq").click()
    page.get_by_role("button", name="S Sync").click()
    expect_feedback(page, "SysRq s: sent, but no effect was seen.")


def test_failed_command_tells_the_services_reason(page, portal) -> None:
    open_console(page)
    portal.guest("linux1").fail("nmi", LabError("QMP <b>refused</b>"))
    page.get_by_role("button", name="NMI").click()
    page.get_by_role("button", name="Send NMI").click()
    expect_feedback(page, "NMI failed: QMP <b>refused</b>")


def test_u16_reset_keeps_the_console(page, portal) -> None:
    open_console(page)
    page.get_by_role("button", name="Power").click()
    page.get_by_role("menuitem", name="Reset VM").click()
    page.get_by_role("button", name="Reset VM").click()
    expect_feedback(page, "Reset: done, and the guest reacted.")
    expect_state(page, "Connected")
    assert "reset" in portal.guest("linux1").calls


def test_u16_restart_shuts_down_boots_and_goes_on(page, portal) -> None:
    open_console(page)
    page.get_by_role("button", name="Power").click()
    page.get_by_role("menuitem", name="Restart VM").click()
    page.get_by_role("button", name="Restart VM").click()
    expect_feedback(page, "Restart VM: done; the VM is running.")
    assert any(call.startswith("shut_down") for call in portal.guest("linux1").calls)
    page.keyboard.press("Control+F6")
    page.get_by_label("Console of linux1. Control F6").focus()
    page.keyboard.type("x")
    wait_typed(page, portal, b"x")


def test_stop_and_start_are_told(page, portal) -> None:
    open_console(page)
    page.get_by_role("button", name="Power").click()
    page.get_by_role("menuitem", name="Stop VM").click()
    page.get_by_role("button", name="Stop VM").click()
    expect_feedback(page, "Stop VM: done; the VM is stopped.")
    assert portal.power("linux1") == "stopped"
    page.get_by_role("button", name="Power").click()
    page.get_by_role("menuitem", name="Start VM", exact=True).click()
    expect_feedback(page, "Start VM: done; the VM is running.")
    expect_state(page, "Connected")


# -- ends and reconnects -----------------------------------------------------------------------


def test_takeover_is_told_and_not_fought(browser, page, portal) -> None:
    open_console(page)
    context = new_context(browser, portal)
    other = context.new_page()
    open_console(other)
    expect_state(page, "Disconnected")
    expect(page.locator(".status .words")).to_contain_text("another user connected")
    expect_shown(page, "another user connected")
    expect_state(other, "Connected")
    page.get_by_label("Console of linux1. Control F6").focus()
    page.keyboard.press("Enter")
    expect_state(page, "Connected")
    expect_state(other, "Disconnected")
    context.close()


def drop(portal) -> None:
    portal.in_loop(lambda: [link.end(1011, "dropped", notice="") for link in portal.service.links])


def test_dropped_link_counts_down_and_reconnects_by_itself(page, portal) -> None:
    open_console(page)
    drop(portal)
    expect(page.locator(".status .words")).to_contain_text("Trying again in 1 s; Enter tries now.")
    expect_state(page, "Connected")


def test_enter_reconnects_at_once_and_the_text_stays(page, portal) -> None:
    open_console(page)
    expect_shown(page, "login:")
    page.evaluate(
        "() => { const real = setTimeout; window.setTimeout = (run, ms) => real(run, ms < 1e3 ? ms : 6e4); }"
    )
    drop(portal)
    expect_state(page, "Disconnected")
    page.keyboard.press("Enter")
    expect_state(page, "Connected")
    expect_shown(page, "Debian GNU/Linux ttyS0")


def test_revoked_role_ends_the_link_with_its_reason(page, portal) -> None:
    page.goto(address("linux1", "serial"))
    sign_in(page, "vmonly", "secret")
    expect_state(page, "Connected")
    cloud = portal.service.cloud
    dropped = [one for one in cloud.all(RoleAssignment) if one.principal.endswith("3")]
    portal.in_loop(lambda: [cloud.remove(one) for one in dropped])
    expect_state(page, "Disconnected")
    expect(page.locator(".status .words")).to_contain_text(
        "You do not have the required permissions to use this VM"
    )
    expect_shown(page, "at least Virtual Machine Contributor")


def test_expired_token_asks_again_and_keeps_the_text(page, portal) -> None:
    open_console(page)
    portal.guest("linux1").feed(b"\r\nkept line\r\n")
    expect_shown(page, "kept line")
    portal.in_loop(lambda: [link.expire_in(0) for link in portal.service.links])
    expect(page.get_by_role("dialog", name="Your sign-in has expired")).to_be_visible()
    expect_shown(page, "kept line")
    page.get_by_label("Password").fill("ttylab")
    page.keyboard.press("Enter")
    expect_state(page, "Connected")
    expect_shown(page, "kept line")


def test_console_pops_out_with_the_sign_in_and_comes_back(page, portal) -> None:
    open_console(page)
    with page.expect_popup() as opened:
        page.get_by_role("button", name="Pop out").click()
    window = opened.value
    expect_state(window, "Connected")
    assert "eyJ" not in window.url
    expect(page.get_by_text("The console is in a window of its own.").first).to_be_visible()
    window.close()
    expect_state(page, "Connected")


def test_tab_with_an_open_console_is_not_closed_by_one_key(page, portal) -> None:
    open_console(page)
    page.keyboard.type("x")
    with page.expect_event("dialog") as asked:
        page.close(run_before_unload=True)
    assert asked.value.type == "beforeunload"
    asked.value.dismiss()
    expect_state(page, "Connected")
