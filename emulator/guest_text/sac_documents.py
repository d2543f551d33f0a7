"""What Windows' documents on the console say: `machine-info`, and a bugcheck with its details; pure.

A bugcheck comes as the XML with the code, `!SAC>`, then the text (docs/facts/sac.md 1.9).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from emulator.guest_text.printable import escape
from emulator.guest_text.sac import BUGCHECK, BUGCHECK_END, DOCUMENT

MACHINE_INFO = rb"<machine-info>.{0,4000}?</machine-info>"
"""The whole element; to be compiled with DOTALL."""
_ELEMENT = re.compile(rb"<([a-z-]+)>([^<\r\n]*)</\1>")
_FIELDS = {
    b"name": "name",
    b"guid": "guid",
    b"processor-architecture": "architecture",
    b"os-version": "version",
    b"os-build-number": "build",
    b"os-product": "product",
    b"os-service-pack": "service_pack",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineInfo:
    """What the guest says of itself; "" for an element that it leaves out.

    Attributes:
        name: the computer's.
        guid: UUID of the machine (SMBIOS).
        architecture: "AMD64".
        version: "10.0".
        build: "20348".
        product: "Windows Server 2022 Datacenter".
        service_pack: "None".
    """

    name: str = ""
    guid: str = ""
    architecture: str = ""
    version: str = ""
    build: str = ""
    product: str = ""
    service_pack: str = ""


def parse_machine_info(data: bytes) -> MachineInfo | None:
    """Return the first whole `machine-info` in `data`, or None."""
    found = re.search(MACHINE_INFO, data, re.DOTALL)
    if found is None:
        return None
    elements = _ELEMENT.findall(found[0])
    return MachineInfo(**{_FIELDS[name]: escape(value) for name, value in elements if name in _FIELDS})


_CODE = re.compile(rb'NAME="STOPCODE"[^\n]*<VALUE>"0x([0-9A-Fa-f]{1,8})"')
_PROMPT = re.compile(rb"(?:\A|[\r\n])!SAC>")
_NAME = re.compile(rb"[\r\n]([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)[ ]*\r?\n")
_MODULE = re.compile(rb"[\r\n]([A-Za-z0-9._-]{1,60}\.(?:sys|SYS|dll|DLL|exe|EXE))[ ]*\r?\n")
_PARAMETERS = re.compile(rb"(?:[\r\n]|\A)" + rb"\s+".join([rb"0x([0-9A-Fa-f]{1,16})"] * 4) + rb"[ ]*\r?\n")
_PROGRESS = re.compile(rb"([0-9]{1,3})% complete|memory to disk: +([0-9]{1,3})")
_REGION_MOST = 16384

NAMES = {
    0x0A: "IRQL_NOT_LESS_OR_EQUAL",
    0x1E: "KMODE_EXCEPTION_NOT_HANDLED",
    0x50: "PAGE_FAULT_IN_NONPAGED_AREA",
    0x7B: "INACCESSIBLE_BOOT_DEVICE",
    0x7E: "SYSTEM_THREAD_EXCEPTION_NOT_HANDLED",
    0x80: "NMI_HARDWARE_FAILURE",
    0x9F: "DRIVER_POWER_STATE_FAILURE",
    0xD1: "DRIVER_IRQL_NOT_LESS_OR_EQUAL",
    0xE2: "MANUALLY_INITIATED_CRASH",
    0xEF: "CRITICAL_PROCESS_DIED",
}
"""Names by code (Microsoft's bug check reference), for a console that ends before the name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bugcheck:
    """A stop error.

    Attributes:
        code: its number; None without the XML.
        name: in capitals; "" if neither text nor code tells.
        parameters: the four numbers, or empty.
        module: the blamed driver, or "".
        progress: the last percentage of the dump; None if it did not begin.
        has_prompt: whether `!SAC>` was shown.
        machine: what the guest said of itself.
        start: offset of its first byte in the bytes that were searched.
    """

    code: int | None
    name: str
    parameters: tuple[int, ...]
    module: str
    progress: int | None
    has_prompt: bool
    machine: MachineInfo | None
    start: int

    @property
    def title(self) -> str:
        """Short text: "0x80 NMI_HARDWARE_FAILURE"."""
        shown = "" if self.code is None else f"0x{self.code:X}"
        return " ".join(part for part in (shown, self.name) if part) or "without a code"


def parse_bugcheck(data: bytes) -> Bugcheck | None:
    """Return the last bugcheck in `data`, as much of it as has come, or None.

    `data` may be raw or without escape sequences. The bugcheck ends where the next boot begins.
    """
    start = data.rfind(BUGCHECK)
    if start < 0:
        prompts = list(_PROMPT.finditer(data))
        if not prompts:
            return None
        start = prompts[-1].start()
    region = _own_part(data[start : start + _REGION_MOST])
    found = _CODE.search(region)
    code = None if found is None else int(found[1], 16)
    prompt = _PROMPT.search(region)
    text = region if prompt is None else region[prompt.end() :]
    name, module, numbers = _NAME.search(text), _MODULE.search(text), _PARAMETERS.search(text)
    steps = [int(one[1] or one[2]) for one in _PROGRESS.finditer(text)]
    return Bugcheck(
        code=code,
        name=escape(name[1]) if name else NAMES.get(code or 0, ""),
        parameters=tuple(int(one, 16) for one in numbers.groups()) if numbers else (),
        module=escape(module[1]) if module else "",
        progress=steps[-1] if steps else None,
        has_prompt=prompt is not None,
        machine=parse_machine_info(region),
        start=start,
    )


def _own_part(region: bytes) -> bytes:
    """Cut off the next boot: its `machine-info`, or its firmware's first words."""
    closed = region.find(BUGCHECK_END)
    later = (region.find(sign, max(closed, 0)) for sign in (DOCUMENT, b"BdsDxe: "))
    return region[: min((at for at in later if at > 0), default=len(region))]
