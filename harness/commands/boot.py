"""`ttylab boot`: boot a guest, with this terminal on its console."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = """Examples:

  ttylab boot bookworm                        boot and log in as root, password ttylab

  ttylab boot sid --machine q35 --firmware ovmf --vcpus 2

  ttylab boot bookworm --append "sysctl.kernel.sysrq=1 panic=5"

  ttylab boot sac --append "menu_timeout_s=10"    a guest that speaks SAC; it is not Windows

  ttylab boot ws2022                          your own Windows, after `ttylab images add-windows`

  ttylab boot bench1                          a board of lab.toml, which is switched off and on

Ctrl-] opens a menu: NMI, SysRq, reset, power, help, quit. A second terminal joins with `ttylab attach`.
"""


def boot(
    image: Annotated[str, typer.Argument(help="Image to boot; see ttylab images list.")],
    *,
    machine: Annotated[
        str | None, typer.Option(help="pc, q35 or microvm; default: pc, for Windows q35.")
    ] = None,
    firmware: Annotated[
        str | None, typer.Option(help="seabios or ovmf; default: seabios, for Windows its own.")
    ] = None,
    vcpus: Annotated[int | None, typer.Option(help="1 to 4; default: 1, for Windows 2.")] = None,
    memory: Annotated[int | None, typer.Option(help="MiB; default: 256, for Windows 4096.")] = None,
    append: Annotated[str, typer.Option(help="More kernel parameters; for sac: knobs, key=value.")] = "",
    device: Annotated[list[str] | None, typer.Option(help="i6300esb or pvpanic; may be repeated.")] = None,
    run_dir: Annotated[Path | None, typer.Option(help="Keep the transcript here.")] = None,
) -> None:
    """Boot a guest and attach this terminal to its serial console; the guest ends with the command."""
    from emulator.lab_file.boards import lab_boards  # noqa: PLC0415
    from harness.run.lab import Lab  # noqa: PLC0415
    from harness.terminal.interactive import interactive_spec, run_board, run_interactive  # noqa: PLC0415

    if image in lab_boards():
        run_board(image, boots=True)
        return
    with tempfile.TemporaryDirectory(prefix="ttylab-boot-") as scratch:
        lab = Lab(run_dir=run_dir or Path(scratch))
        spec = interactive_spec(
            lab.guest_image(image),
            machine=machine,
            firmware=firmware,
            vcpus=vcpus,
            memory_mib=memory,
            append=tuple(append.split()),
            devices=tuple(device or ()),
        )
        run_interactive(spec, lab, label=f"boot {image}")
