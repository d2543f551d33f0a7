"""`machine-info`: what a Windows guest says of itself, once a boot and with a bugcheck; pure.

It is not well-formed XML, so it is read by patterns (spec/windows-sac.md 1.4).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.report.text import escape

MACHINE_INFO = rb"<machine-info>.{0,4000}?</machine-info>"
"""The whole element, to be compiled with DOTALL."""
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
    """What the guest says of itself; "" where it leaves an element out.

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
