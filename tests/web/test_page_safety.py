"""What a guest, another site or a stranger's text may not do to the page."""

import pytest
from playwright.sync_api import expect

from tests.web.portal import address, expect_shown, expect_state, new_context, open_console, wait_until

pytestmark = pytest.mark.xdist_group("page")

ATTACK = (
    b"\x1b]0;evil <b>title</b>\x07"  # the window's title
    b"\x1b]52;c;ZXZpbA==\x07"  # the clipboard
    b"\x1b]8;;https://elsewhere.example/\x1b\\link\x1b]8;;\x1b\\ "  # a link
    b"<img src=https://elsewhere.example/x onerror=alert(1)><script>alert(2)</script> "
    b"\x1b[21t\x1b[14t"  # reports of title and window
    b"\x1bP+q544e\x1b\\"  # termcap query
    b"\x07\x07"
    b"done\r\n"
)


def test_escape_sequences_of_a_guest_reach_the_text_alone(browser, portal) -> None:
    context = new_context(browser, portal, permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    asked, dialogs = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    open_console(page)
    page.evaluate("() => navigator.clipboard.writeText('mine')")
    title = page.title()
    portal.guest("linux1").feed(ATTACK)
    expect_shown(page, "done")
    expect_shown(page, "<img src=https://elsewhere.example/x onerror=alert(1)>")
    expect(page.locator(".guest-title")).to_have_text("evil <b>title</b>")
    page.locator(".xterm-rows").get_by_text("link").click(force=True)
    page.keyboard.press("x")  # whatever would answer has answered when this arrives
    guest = portal.guest("linux1")
    wait_until(page, lambda: b"x" in bytes(guest.typed))
    assert bytes(guest.typed) == b"x"
    assert page.title() == title
    assert page.evaluate("() => navigator.clipboard.readText()") == "mine"
    assert page.locator("main img, main script, main b").count() == 0
    assert [url for url in asked if "elsewhere" in url] == []
    assert dialogs == []
    assert len(context.pages) == 1
    context.close()


def test_only_the_terminal_answers_queries_and_once(page, portal) -> None:
    open_console(page)
    portal.guest("linux1").echoes = False
    portal.guest("linux1").feed(b"\x1b[c\x1b[5;7H\x1b[6n")
    guest = portal.guest("linux1")
    wait_until(page, lambda: bytes(guest.typed).endswith(b"R"))
    assert bytes(guest.typed) == b"\x1b[?1;2c\x1b[5;7R"


def test_colours_of_24_bits_work_under_the_policy(page, portal) -> None:
    open_console(page)
    portal.guest("linux1").feed(b"\x1b[48;2;10;20;30mdeep\x1b[0m\r\n")
    expect(page.locator(".xterm-rows").get_by_text("deep")).to_have_css("background-color", "rgb(10, 20, 30)")


def test_policy_refuses_scripts_styles_frames_and_strangers(browser, portal) -> None:
    context = new_context(browser, portal)
    page = context.new_page()
    page.goto("/")
    expect(page.get_by_role("dialog")).to_be_visible()
    refused = page.evaluate(
        """async () => {
            const found = [];
            const last = new Promise((resolve) => {
                document.addEventListener("securitypolicyviolation", ({effectiveDirective}) => {
                    found.push(effectiveDirective);
                    if (effectiveDirective === "frame-src") resolve();
                });
            });
            const style = document.createElementNS("http://www.w3.org/1999/xhtml", "style");
            style.textContent = "body { display: none }";
            const script = document.createElement("script");
            try { script.text = "window.evil = 1"; } catch { found.push("trusted-types"); }
            document.body.append(style, script);
            await fetch("https://elsewhere.example/").catch(() => {});
            try { document.body.innerHTML = "<b>x</b>"; } catch { found.push("trusted-types"); }
            const frame = document.createElement("iframe");
            frame.src = "/";
            document.body.append(frame);
            await last;
            return [window.evil ?? null, [...new Set(found)].sort()];
        }"""
    )
    context.close()
    assert refused[0] is None
    wanted = {"connect-src", "frame-src", "require-trusted-types-for", "style-src-elem", "trusted-types"}
    assert wanted <= set(refused[1])


def test_page_of_another_site_can_not_open_the_gateways_socket(browser, portals, page, portal) -> None:
    open_console(page)
    (link,) = portal.service.links
    url = f"wss{portal.endpoint[5:]}/n/connector/{link.session.container}/sessions/{link.session.id}/client"
    other = next(one for one in portals.values() if one is not portal)
    context = new_context(browser, other, bypass_csp=True)
    stranger = context.new_page()
    stranger.goto("/")
    opened = stranger.evaluate(
        """url => new Promise(resolve => {
            const socket = new WebSocket(url);
            socket.onmessage = () => resolve(true);
            socket.onclose = () => resolve(false);
        })""",
        url,
    )
    context.close()
    assert opened is False
    expect_state(page, "Connected")


def test_deep_link_to_elsewhere_shows_the_list(page) -> None:
    page.goto("/#/vm//elsewhere.example/x")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.get_by_label("User").fill("dev@localhost")
    page.get_by_label("Password").fill("ttylab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="All resources")).to_be_visible()
    assert address("linux1", "overview").removeprefix("/") in page.get_by_role(
        "link", name="linux1"
    ).get_attribute("href")
