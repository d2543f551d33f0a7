"""The page for everybody: names, headings, contrast, live regions, themes, and a console read aloud."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.web.portal import address, expect_feedback, expect_state, new_context, open_console, sign_in

pytestmark = pytest.mark.xdist_group("page")
AUDIT = (Path(__file__).parent / "audit.js").read_text(encoding="utf-8")


def audit(page) -> list[str]:
    page.get_by_text("Loading …").first.wait_for(state="detached")
    return page.evaluate(AUDIT.split("\n", 1)[1])


@pytest.fixture(params=["dark", "light"])
def themed(request, browser, portal):
    """A page for people who like it dark, or light."""
    context = new_context(browser, portal, color_scheme=request.param, reduced_motion="reduce")
    yield context.new_page()
    context.close()


def test_every_view_passes_the_audit_in_both_themes(themed, portal) -> None:
    page = themed
    page.goto("/")
    expect(page.get_by_role("dialog")).to_be_visible()
    found = {"sign-in": audit(page)}
    sign_in(page)
    expect(page.get_by_role("link", name="linux1")).to_be_visible()
    found["list"] = audit(page)
    for name in ("overview", "boot", "password", "serial"):
        page.goto(address("linux1", name))
        expect(page.get_by_role("heading", level=2)).to_be_visible()
        found[name] = audit(page)
    expect_state(page, "Connected")
    page.get_by_role("button", name="Power").click()
    found["menu"] = audit(page)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="SysRq").click()
    found["sysrq"] = audit(page)
    page.get_by_role("button", name="H Help").click()
    expect_feedback(page, "SysRq h: done")
    found["feedback"] = audit(page)
    assert {view: said for view, said in found.items() if said} == {}


def test_audit_says_no(page) -> None:
    page.goto("/")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.evaluate(
        """() => {
            const bad = document.createElement("button");
            const faint = document.createElement("p");
            faint.textContent = "faint";
            faint.className = "faint";
            const sheet = new CSSStyleSheet();
            sheet.replaceSync(".faint { color: #888; background: #999; }");
            document.adoptedStyleSheets = [sheet];
            document.body.append(bad, faint);
        }"""
    )
    said = " ".join(audit(page))
    assert "no name: <button>" in said
    assert "contrast 1" in said


def test_theme_follows_the_system_until_the_user_chooses(themed) -> None:
    page = themed
    page.goto("/")
    before = page.evaluate("() => document.documentElement.dataset.theme")
    sign_in(page)
    page.get_by_role("button", name="theme").click()
    after = page.evaluate("() => document.documentElement.dataset.theme")
    assert {before, after} == {"dark", "light"}
    page.reload()
    assert page.evaluate("() => document.documentElement.dataset.theme") == after


def test_state_is_spoken(page) -> None:
    open_console(page)
    expect(page.locator("#polite")).to_contain_text("Connected")


def test_screen_reader_switch_gives_the_console_as_text(page) -> None:
    open_console(page)
    assert page.locator(".xterm-accessibility").count() == 0
    page.get_by_role("button", name="Settings").click()
    page.get_by_label("Read the console to a screen reader").check()
    page.get_by_role("button", name="Close").click()
    expect(page.locator(".xterm-accessibility")).to_contain_text("login:")


def test_font_size_and_terminal_size_change_and_stty_is_typed_only_when_asked(page, portal) -> None:
    open_console(page)
    screen = page.locator(".xterm-screen")
    before = screen.bounding_box()
    page.get_by_role("button", name="Settings").click()
    page.get_by_label("Font size").select_option("20")
    page.get_by_label("Columns × rows").select_option("100 × 30")
    assert bytes(portal.guest("linux1").typed) == b""
    page.get_by_role("button", name='Type "stty').click()
    page.get_by_role("button", name="Close").click()
    after = screen.bounding_box()
    assert after["width"] > before["width"]
    expect(page.locator(".xterm-rows > div")).to_have_count(30)
    expect(page.locator(".xterm-rows")).to_contain_text("stty rows 30 cols 100")
    assert bytes(portal.guest("linux1").typed) == b"stty rows 30 cols 100\r"


def test_find_counts_and_download_holds_the_scrollback(page, portal) -> None:
    open_console(page)
    portal.guest("linux1").feed(b"".join(b"line %d needle\r\n" % number for number in range(60)) + b"the end")
    expect(page.locator(".xterm-rows")).to_contain_text("the end")
    page.get_by_role("button", name="Find").click()
    page.keyboard.type("needle")
    expect(page.locator(".find .note")).to_have_text("60 of 60")
    page.keyboard.press("Escape")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Download").click()
    text = Path(saved.value.path()).read_text(encoding="utf-8")
    assert saved.value.suggested_filename == "linux1-console.txt"
    assert "line 0 needle\nline 1 needle\n" in text
    assert text.endswith("the end\n")
