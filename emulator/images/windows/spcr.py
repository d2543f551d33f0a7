"""The ACPI table that tells Windows on which port its console is; pure.

Stock media have EMS on but name no port (spec/windows-sac.md 4.1), so Windows asks the table SPCR, which
QEMU's x86 boards lack. That Windows then speaks has been seen by nobody here; that guests see the table has.
"""

from __future__ import annotations

import struct

LENGTH = 80
_REVISION = 2
_COM1 = 0x3F8
_IRQ = 4
_BAUD_115200, _VT_UTF8 = 7, 2
_IO_SPACE, _BYTE_ACCESS = 1, 1
_DUAL_8259 = 1
_HEADER = "<4sIBB6s8sI4sI"
_BODY = "<B3x4BQBBIBBBBBxHHBBBIB4x"


def spcr_table() -> bytes:
    """Return the table for COM1: I/O port 0x3f8, IRQ 4, 115200 8N1, VT-UTF8.

    The layout is Microsoft's "Serial Port Console Redirection Table", revision 2, 80 bytes.
    """
    address = (_IO_SPACE, 8, 0, _BYTE_ACCESS, _COM1)
    line = (_BAUD_115200, 0, 1, 0, _VT_UTF8)  # no parity, one stop bit, no flow control
    no_pci = (0xFFFF, 0xFFFF, 0, 0, 0, 0, 0)
    body = struct.pack(_BODY, 0, *address, _DUAL_8259, _IRQ, 0, *line, *no_pci)
    header = struct.pack(_HEADER, b"SPCR", LENGTH, _REVISION, 0, b"TTYLAB", b"TTYLABSC", 1, b"TTYL", 1)
    table = bytearray(header + body)
    table[9] = -sum(table) & 0xFF
    return bytes(table)
