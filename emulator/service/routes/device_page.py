"""The page where a person enters a program's code and signs in; it needs no script and sets no cookie.

Another site can't make a browser do anything here: the form carries the user's password.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, Template

from emulator.cloud.directory import find_user
from emulator.cloud.refusals import refusal
from emulator.errors import CloudError
from emulator.service.core.context import CaseBlindRoute, Service, ServiceOf
from emulator.service.core.entra import read_form
from emulator.service.page.assets import SOURCES
from emulator.service.parts.sign_in import sign_in_user

_STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:24rem;margin:4rem auto;padding:0 1rem;"
    "color-scheme:light dark}label{display:block;margin-top:1rem}"
    "input,button{font:inherit;width:100%;box-sizing:border-box;padding:.5rem}button{margin-top:1.5rem}"
)
_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_DIGEST}'; form-action 'self';"
    " frame-ancestors 'none'; base-uri 'none'",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
router = APIRouter(route_class=CaseBlindRoute, tags=["sign-in"])


@router.get("/device")
async def show_device_form(user_code: str = "") -> HTMLResponse:
    """Show the form; a code in the query fills its field."""
    return _page("form", code=user_code[:20])


@router.post(
    "/device",
    openapi_extra={
        "requestBody": {"content": {"application/x-www-form-urlencoded": {"schema": {"type": "object"}}}}
    },
)
async def sign_in_device(request: Request, service: ServiceOf) -> HTMLResponse:
    """Sign a person in for the program that shows the code."""
    form: dict[str, str] = {}
    try:
        form = await read_form(request)
        await _approve(service, form)
    except CloudError as error:
        reason = error.message.partition(": ")[2] or error.message
        code, user = form.get("code", "")[:20], form.get("user", "")[:256]
        return _page("form", code=code, user=user, reason=reason, status=error.status)
    return _page("signed-in")


@router.get("/{tenant}/oauth2/v2.0/authorize")
@router.get("/{tenant}/oauth2/authorize")
@router.get("/adfs/{tenant}/oauth2/v2.0/authorize")
async def explain_sign_in(tenant: str) -> HTMLResponse:
    """Explain, where `az login` sends a browser, which ways to sign in exist."""
    del tenant
    return _page("other ways", status=400)


async def _approve(service: Service, form: dict[str, str]) -> None:
    grant = service.sign_in.devices.find(form.get("code", ""), now=service.now())
    if grant is None:
        await service.sign_in.throttle.fail("device-page")
        raise refusal("invalid_request.user-code")
    name = form.get("user", "")
    found = find_user(service.cloud, name, tenant=grant.tenant)
    principal = await sign_in_user(service.sign_in, found, name=name, password=form.get("password", ""))
    service.sign_in.devices.approve(grant, principal=principal.id)


def _page(says: str, *, status: int = 200, **texts: str) -> HTMLResponse:
    return HTMLResponse(_template().render(says=says, style=_STYLE, **texts), status, headers=_HEADERS)


@cache
def _template() -> Template:
    environment = Environment(autoescape=True)
    return environment.from_string((SOURCES / "device.html.jinja").read_text(encoding="utf-8"))
