"""The routes of the web console and the files behind them."""

import re

import pytest

from emulator.service.page import assets as page_assets
from emulator.service.page.assets import SOURCES, find_asset
from tests.support.service_lab import client_for, open_test_service


@pytest.fixture(scope="module")
def client():
    with client_for(open_test_service()) as client:
        yield client


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """Installed packages, as far as the page knows."""
    folder = tmp_path / "node_modules"
    for name in page_assets._FROM_NPM.values():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    monkeypatch.setattr(page_assets.NodePackages, "find", lambda _: folder)


def policy_of(response) -> dict[str, list[str]]:
    parts = response.headers["content-security-policy"].split(";")
    return {name: values for name, *values in (part.split() for part in parts)}


def test_page_has_no_inline_code_and_a_policy_that_forbids_it(client, modules) -> None:
    response = client.get("/")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    policy = policy_of(response)
    assert policy["default-src"] == policy["frame-ancestors"] == policy["form-action"] == ["'none'"]
    assert policy["script-src"] == ["'self'"]
    assert policy["connect-src"] == ["'self'", "wss://testserver"]
    assert "'unsafe-inline'" not in policy["style-src"]
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\bon\w+=|\bstyle=", response.text)
    assert not re.search(r'(?:src|href)="(?!/page/)', response.text)


def test_nonce_is_new_each_time_and_stands_in_page_and_policy(client) -> None:
    found = set()
    for _ in range(3):
        response = client.get("/")
        (nonce,) = re.findall(r'nonce="([\w-]{20,})"', response.text)
        assert f"'nonce-{nonce}'" in policy_of(response)["style-src"]
        assert response.headers["cache-control"] == "no-store"
        found.add(nonce)
    assert len(found) == 3


def test_page_names_the_command_where_the_terminal_is_missing(client, monkeypatch) -> None:
    monkeypatch.setattr(page_assets.NodePackages, "find", lambda _: None)
    response = client.get("/")
    assert 'data-install="python -m emulator.service.page.assets"' in response.text
    assert client.get("/page/xterm/xterm.mjs").status_code == 404
    assert client.get("/page/main.js").status_code == 200


def test_page_names_no_command_where_it_is_there(client, modules) -> None:
    assert 'data-install=""' in client.get("/").text


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("main.js", "text/javascript; charset=utf-8"),
        ("style.css", "text/css; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
        ("xterm/xterm.mjs", "text/javascript; charset=utf-8"),
        ("xterm/xterm.css", "text/css; charset=utf-8"),
    ],
)
def test_file_has_its_type_and_is_asked_for_again_by_its_tag(client, modules, name, media_type) -> None:
    first = client.get(f"/page/{name}")
    assert (first.status_code, first.headers["content-type"]) == (200, media_type)
    assert first.headers["cache-control"] == "no-cache"
    again = client.get(f"/page/{name}", headers={"If-None-Match": f'"other", W/{first.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", ["/", "/page/main.js"])
def test_head_is_get_without_its_body(client, path) -> None:
    response = client.head(path)
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-length"] != "0"


@pytest.mark.parametrize(
    "name",
    [
        "..%2f..%2ferrors.py",
        "../page_assets.py",
        "index.html",
        "node/package.json",
        "%2fetc%2fpasswd",
        "xterm/..%2fmain.js",
        "main.js/",
        "",
        "a" * 5000,
    ],
)
def test_what_is_not_in_the_table_is_not_served(client, modules, name) -> None:
    response = client.get(f"/page/{name}")
    assert response.status_code == 404
    assert response.json()["error"]["code"]


def test_every_file_that_the_page_asks_for_is_served(modules) -> None:
    asked = set(re.findall(r'"/page/([\w./-]+)"', (SOURCES / "index.html").read_text()))
    for source in SOURCES.glob("*.js"):
        text = source.read_text()
        asked.update(re.findall(r'from "\./([\w.]+)"', text))
        asked.update(re.findall(r'from "/page/([\w./-]+)"', text))
    asked.update(re.findall(r'url\("/page/([\w./-]+)"\)', (SOURCES / "console.css").read_text()))
    assert len(asked) > 20
    assert {name for name in asked if find_asset(name) is None} == set()
