"""The blobs of boot diagnostics, readable with a signed URL, as in Blob storage."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta
from typing import Annotated
from xml.sax.saxutils import escape

from fastapi import APIRouter, Path, Request, Response

from emulator.cloud.boot_diagnostics import render_boot_log
from emulator.cloud.compute import container_name, log_name, screenshot_name
from emulator.cloud.records import VirtualMachine
from emulator.service.compute.power import take_screenshot
from emulator.service.core.context import Service, ServiceOf
from emulator.service.https.admission import vouch
from emulator.service.routes.machine_routes import account_of

_RANGE = re.compile(r"bytes=(\d{1,18})-(\d{1,18})?")
BlobPart = Annotated[str, Path(max_length=300)]

router = APIRouter()


@router.get("/blobs/{account}/{container}/{blob}")
async def read_blob(
    account: BlobPart, container: BlobPart, blob: BlobPart, request: Request, service: ServiceOf
) -> Response:
    """Return a boot log or a screenshot; the query is the signature, and `Range` works as in Blob storage."""
    path = f"/blobs/{account}/{container}/{blob}"
    if not service.blobs.allows(path, request.query_params, now=service.now()):
        return _refuse(
            403,
            "AuthenticationFailed",
            "Server failed to authenticate the request. Make sure the value of Authorization header is formed"
            " correctly including the signature.",
        )
    vouch(request, path)
    vm = _find(service, account, container)
    reason = "The specified blob does not exist."
    if vm is not None and blob == log_name(vm):
        return _answer(boot_log_of(service, vm), kind="text/plain", asked=_range_of(request))
    if vm is not None and blob == screenshot_name(vm):
        screenshot = await take_screenshot(service, vm)
        if screenshot is not None:
            return _answer(screenshot, kind="image/bmp", asked=_range_of(request))
        reason = f"The specified blob does not exist: VM {vm.id.name} has not shown anything yet."
    return _refuse(404, "BlobNotFound", reason)


def boot_log_of(service: Service, vm: VirtualMachine) -> bytes:
    """Return the current boot log of `vm`; empty if its guest was never on."""
    guest = service.fleet.existing(vm.key)
    if guest is None:
        return b""
    transcript = guest.transcript
    epoch = service.now() - timedelta(seconds=transcript.now())
    first, data = -1, b""
    while first != transcript.first:  # the oldest bytes may be dropped while we read
        first = transcript.first
        data = transcript.read(first)
    return render_boot_log(data, first=first, marks=transcript.marks, epoch=epoch)


def _find(service: Service, account: str, container: str) -> VirtualMachine | None:
    for vm in service.cloud.all(VirtualMachine):
        if container == container_name(vm) and account == account_of(vm):
            return vm if vm.boot_diagnostics.enabled else None
    return None


def _range_of(request: Request) -> str:
    return request.headers.get("x-ms-range") or request.headers.get("range") or ""


def _answer(data: bytes, *, kind: str, asked: str) -> Response:
    """Return `data`, or the one range that was asked for; an unreadable Range is ignored."""
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Type": kind,  # not as media_type, which would claim that guests speak UTF-8
        "ETag": f'"0x{len(data):X}"',
        "x-ms-blob-type": "AppendBlob",
        "x-ms-version": "2021-08-06",
    }
    wanted = _RANGE.fullmatch(asked.strip())
    if wanted is None:
        return Response(data, headers=headers)
    start = int(wanted[1])
    end = min(int(wanted[2]) if wanted[2] else len(data) - 1, len(data) - 1)
    if start >= len(data) or end < start:
        response = _refuse(416, "InvalidRange", "The range specified is invalid for the current size.")
        response.headers["Content-Range"] = f"bytes */{len(data)}"
        return response
    headers["Content-Range"] = f"bytes {start}-{end}/{len(data)}"
    return Response(data[start : end + 1], 206, headers=headers)


def _refuse(status: int, code: str, message: str) -> Response:
    """Return an error as Blob storage words it."""
    body = (
        '<?xml version="1.0" encoding="utf-8"?>'
        f"<Error><Code>{code}</Code><Message>{escape(message)}\nRequestId:{uuid.uuid4()}</Message></Error>"
    )
    return Response(body, status, media_type="application/xml", headers={"x-ms-error-code": code})
