"""`ttylab dump`: a running guest's memory as a file for crash and gdb."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from harness.commands import say

EXAMPLES = """Examples:
  ttylab dump nmi-panic guest.core                    an ELF core: crash vmlinux guest.core
  ttylab dump boot guest.kdump --format kdump-zlib    compressed, for crash
"""
_MIB = 1 << 20


def dump(
    name: Annotated[str, Argument(help="Id of the machine, or part of its label (attach --list).")],
    file: Annotated[Path, Argument(help="A new file; it is never overwritten.")],
    *,
    kind: Annotated[str, Option("--format", help="elf, or another that QEMU offers.")] = "elf",
) -> None:
    """Write the memory of a running guest, which stands meanwhile, to FILE, for crash or gdb.

    It holds whatever the guest has in memory, passwords too: only its owner can read it.
    """
    from harness.terminal.by_hand import dump_memory, find_machine  # noqa: PLC0415

    entry = find_machine(name)
    say(f"ttylab: dumping the memory of {entry.label} ({entry.id})", err=True)
    dump_memory(entry, file, kind=kind, progress=_show if sys.stderr.isatty() else _ignore)
    say(f"{file}: {file.stat().st_size // _MIB} MiB")


def _show(done: int, total: int) -> None:
    end = "\n" if done == total else "\r"
    typer.echo(f"{done // _MIB:6} of {total // _MIB} MiB{end}", err=True, nl=False)


def _ignore(_done: int, _total: int) -> None:
    """Show nothing: nobody watches a log grow."""
