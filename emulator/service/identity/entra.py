"""Routes of sign-in: forms in, and errors in the form that Entra gives them."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from emulator.errors import CloudError
from emulator.service.context import Service, service_of
from emulator.service.routing import CaseBlindRoute

FORM_MAX = 65_536
FIELDS_MAX = 50
_CODE = re.compile(r"AADSTS(\d+)")
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class EntraRoute(CaseBlindRoute):
    """A route whose errors are Entra's, not Resource Manager's."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, with errors turned into answers."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except CloudError as error:
                return entra_error(service_of(request), error)

        return answer


def entra_router() -> APIRouter:
    """Return a router for routes of sign-in."""
    return APIRouter(route_class=EntraRoute, tags=["sign-in"])


def entra_error(service: Service, error: CloudError) -> JSONResponse:
    """Return `error` as Entra answers it; its AADSTS number is read from its message."""
    trace, correlation = str(uuid.uuid4()), str(uuid.uuid4())
    stamp = service.now().strftime("%Y-%m-%d %H:%M:%SZ")
    described = f"{error.message} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {stamp}"
    body = {
        "error": error.code,
        "error_description": described,
        "error_codes": [int(code) for code in _CODE.findall(error.message)[:1]],
        "timestamp": stamp,
        "trace_id": trace,
        "correlation_id": correlation,
    }
    return JSONResponse(body, error.status, headers=NO_STORE)


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a form.

    Raises:
        CloudError: 400 or 413; it is no form, too long, or has a field twice.
    """
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/x-www-form-urlencoded":
        raise _invalid(
            "AADSTS900561", "The endpoint only accepts application/x-www-form-urlencoded requests."
        )
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > FORM_MAX:
            raise CloudError(413, "invalid_request", "AADSTS90015: The request is too long.")
    return parse_form(bytes(body))


def parse_form(body: bytes) -> dict[str, str]:
    """Return the fields of a form's body.

    Raises:
        CloudError: 400; see `read_form`.
    """
    try:
        fields = parse_qs(
            body.decode("ascii"), keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict"
        )
    except ValueError:
        raise _invalid("AADSTS90014", "The request body is no form in UTF-8.") from None
    twice = next((name for name, values in fields.items() if len(values) > 1), None)
    if twice is not None:
        raise _invalid("AADSTS90100", f"The parameter '{twice[:40]}' is given twice.")
    return {name: values[0] for name, values in fields.items()}


def require_field(form: dict[str, str], name: str) -> str:
    """Return a field of a form.

    Raises:
        CloudError: AADSTS900144; it is missing or empty.
    """
    value = form.get(name, "")
    if not value:
        raise _invalid("AADSTS900144", f"The request body must contain the following parameter: '{name}'.")
    return value


def _invalid(code: str, reason: str) -> CloudError:
    return CloudError(400, "invalid_request", f"{code}: {reason}")
