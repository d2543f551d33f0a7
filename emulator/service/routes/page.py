"""The web console: the page at `/` and its files under `/page/`."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Header, Response
from fastapi.responses import HTMLResponse

from emulator.cloud.refusals import refusal
from emulator.service.core.context import ServiceOf
from emulator.service.page.assets import find_asset, render_page

router = APIRouter(tags=["page"])

_HEADERS: Mapping[str, str] = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}


def content_security_policy(nonce: str, *, endpoint: str) -> str:
    """Return the tightest policy that the page works with.

    xterm.js 6 creates style elements, which carry the nonce, and style attributes for 24-bit colours;
    neither it nor the page needs a trusted type.
    """
    sockets = f"wss{endpoint.removeprefix('https')}"
    return (
        "default-src 'none'; script-src 'self'; img-src 'self';"
        f" style-src 'self' 'nonce-{nonce}'; style-src-attr 'unsafe-inline';"
        f" connect-src 'self' {sockets}; base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
        " require-trusted-types-for 'script'; trusted-types 'none'"
    )


@router.head("/", include_in_schema=False)
@router.get("/", response_class=HTMLResponse)
async def show_page(service: ServiceOf) -> Response:
    """Return the page; it differs each time, since its nonce does."""
    nonce = secrets.token_urlsafe(18)
    headers = {
        **_HEADERS,
        "Cache-Control": "no-store",
        "Content-Security-Policy": content_security_policy(nonce, endpoint=service.endpoint),
    }
    return HTMLResponse(render_page(nonce), headers=headers)


@router.head("/page/{name:path}", include_in_schema=False)
@router.get("/page/{name:path}", response_class=Response)
async def show_file(name: str, if_none_match: Annotated[str, Header()] = "") -> Response:
    """Return one of the page's files."""
    asset = find_asset(name)
    if asset is None:
        raise refusal("NotFound.page")
    headers = {**_HEADERS, "Cache-Control": "no-cache", "ETag": asset.tag}
    if asset.tag in {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}:
        return Response(status_code=304, headers=headers)
    return Response(asset.body, media_type=asset.media_type, headers=headers)
