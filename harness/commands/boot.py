"""`ttylab boot`: boot a guest, with this terminal on its console."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from harness.commands import with_options
from harness.commands.own_options import OwnOptions, guest_of

EXAMPLES = """Examples:
  ttylab boot bookworm                        boot and log in as root, password ttylab
  ttylab boot sid --machine q35 --firmware ovmf --vcpus 2
  ttylab boot bookworm --append "sysctl.kernel.sysrq=1 panic=5"
  ttylab boot --kernel out/bzImage            your own kernel, in ttylab's initramfs; --initrd FILE
  ttylab boot ./server.qcow2                  your own disk (qcow2, raw, VHD, VHDX, VMDK); it is never written
  ttylab boot sac --append "menu_timeout_s=10"    a guest that speaks SAC; it is not Windows
  ttylab boot ws2022                          your own Windows, after `ttylab images add-windows`
  ttylab boot bench1                          a board of lab.toml, which is switched off and on

IMAGE with a "/" in it is a file; without one it is an image's name, or else a file in this directory. What
a file is, a kernel or a disk, is read from it.
Ctrl-] opens a menu: NMI, SysRq, reset, power, help, quit. A second terminal joins with `ttylab attach`.
"""


@with_options("own", OwnOptions)
def boot(
    image: Annotated[str, Argument(help="Image to boot (see ttylab images list), or a file.")] = "",
    *,
    machine: Annotated[
        str | None, Option(help="pc, q35, microvm or one of lab.toml; default: the image's.")
    ] = None,
    vcpus: Annotated[int | None, Option(help="1 to 4; default: 1, for Windows 2.")] = None,
    device: Annotated[list[str] | None, Option(help="i6300esb or pvpanic; may be repeated.")] = None,
    run_dir: Annotated[Path | None, Option(help="Keep the transcript here.")] = None,
    own: OwnOptions,
) -> None:
    """Boot a guest and attach this terminal to its serial console; the guest ends with the command."""
    from emulator.lab_file.boards import lab_boards  # noqa: PLC0415
    from harness.snapshots.lab import Lab  # noqa: PLC0415
    from harness.terminal.interactive import interactive_spec, run_board, run_interactive  # noqa: PLC0415

    if image in lab_boards():
        run_board(image, boots=True)
        return
    with tempfile.TemporaryDirectory(prefix="ttylab-boot-") as scratch:
        lab = Lab(run_dir=run_dir or Path(scratch))
        found = guest_of(lab, image, own)
        spec = interactive_spec(
            found,
            machine=machine,
            firmware=own.firmware,
            vcpus=vcpus,
            memory_mib=own.memory,
            append=tuple(own.append.split()),
            devices=tuple(device or ()),
        )
        run_interactive(spec, lab, label=f"boot {found.name}")
