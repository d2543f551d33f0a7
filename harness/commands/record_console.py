"""`ttylab record-console`: record a console's bytes, times and events, and make a copy fit to share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from emulator.clock import utc_now
from emulator.errors import LabError, SpecError
from harness.commands import say
from harness.commands.options import Baudrate, Dtr, Rts, chosen_port
from harness.commands.own_options import OwnOptions, guest_of

if TYPE_CHECKING:
    from harness.recording.record import RecordOptions
    from harness.recording.sanitise import Sanitised

EXAMPLES = """Examples:
  ttylab record-console --port /dev/ttyUSB0         a real Windows by cable; also socket://, rfc2217://
  ttylab record-console sac --for 30                boot an image and record it for 30 s
  ttylab record-console --attach nmi-panic          a running machine, from its first byte
  ttylab record-console --sanitise DIR --hide acme  make the copy again, and hide one more word

DIR/raw is for you alone: it holds everything typed, passwords too. DIR/sanitised is the copy for others:
names, passwords, addresses, GUIDs and serial numbers are replaced by others of the same length. Recording
ends on Ctrl-] q, after --for, 2 s after the end of a piped input, or with the guest. Exit code 3: the far end
left (a device unplugged, a peer that closed, QEMU ended from outside); what came until then is kept.
"""


def record_console(
    image: Annotated[str, Argument(help="Image to boot, or a file of yours, as for ttylab boot.")] = "",
    *,
    port: Annotated[str, Option(metavar="URL", help="A serial port, or a board.")] = "",
    attach: Annotated[str, Option(metavar="NAME", help="A running machine, as for ttylab attach.")] = "",
    sanitise: Annotated[
        Path | None, Option(metavar="DIR", help="Record nothing: only make the copy of DIR.")
    ] = None,
    into: Annotated[Path | None, Option(metavar="DIR", help="Where; default: console-TIME.")] = None,
    stay: Annotated[
        float | None, Option("--for", metavar="SECONDS", min=0, help="Leave after this long.")
    ] = None,
    read_only: Annotated[bool, Option("--read-only", help="Type nothing.")] = False,
    baudrate: Baudrate = None,
    dtr: Dtr = None,
    rts: Rts = None,
    append: Annotated[str, Option(help="For the image: kernel parameters; for sac: knobs.")] = "",
    hide: Annotated[
        list[str] | None, Option(metavar="WORD", help="Hide this word too; may be repeated.")
    ] = None,
) -> None:
    """Record a console, and make a copy of the recording without names, passwords and addresses."""
    from harness.recording.record import RAW, RecordOptions, private_files  # noqa: PLC0415

    port, baud = chosen_port(port, baudrate, dtr=dtr, rts=rts)
    if sum((bool(image), bool(port), bool(attach), sanitise is not None)) != 1:
        raise SpecError("what to record: give one of IMAGE, --port URL, --attach NAME, or --sanitise DIR")
    if hide is not None and not all(word.strip() for word in hide):
        raise SpecError("--hide is empty; need a word")
    fault: LabError | None = None
    with private_files():
        directory = sanitise
        if directory is None:
            directory = into or Path(f"console-{utc_now():%Y%m%d-%H%M%S}")
            options = RecordOptions(stay_s=stay, writable=not read_only)
            source = {"image": image, "port": port, "name": attach, "append": append}
            fault = _record(directory / RAW, options, **source, baudrate=baud)
            say(f"ttylab: raw recording in {directory / RAW}: for you alone, not to be shared", err=True)
        _make_copy(directory, tuple(hide or ()))
    if fault is not None:
        raise fault


def _record(
    directory: Path, options: RecordOptions, *, image: str, port: str, name: str, baudrate: int, append: str
) -> LabError | None:
    from emulator.machine.ledger import list_machines  # noqa: PLC0415
    from harness.recording.record import record_image, record_machine, record_port  # noqa: PLC0415
    from harness.snapshots.lab import Lab  # noqa: PLC0415
    from harness.terminal.interactive import choose_machine, interactive_spec  # noqa: PLC0415

    if port:
        return record_port(port, baudrate=baudrate, directory=directory, options=options)
    if name:
        record_machine(choose_machine(list_machines(), name), directory=directory, options=options)
        return None
    lab = Lab(run_dir=directory)
    spec = interactive_spec(guest_of(lab, image, OwnOptions()), vcpus=1, append=tuple(append.split()))
    return record_image(spec, lab, label=image, options=options)


def _make_copy(directory: Path, words: tuple[str, ...]) -> None:
    from harness.recording.record import sanitise_directory  # noqa: PLC0415

    place, made = sanitise_directory(directory, words=words)
    say(
        f"ttylab: sanitised copy in {place}: this one may be sent to others, once you have checked it",
        err=True,
    )
    say(f"ttylab: replaced: {_counted(made)}", err=True)
    if made.in_place:
        say(
            f"ttylab: {made.in_place} of these are ordinary words or very short: they are hidden where they"
            " are used as names, and may remain elsewhere; --hide WORD hides one everywhere",
            err=True,
        )


def _counted(made: Sanitised) -> str:
    words = (
        f"{count} {kind.value}{'' if count == 1 else 'es' if kind.value.endswith('s') else 's'}"
        for kind, count in made.counts.items()
    )
    return ", ".join(words) or "nothing"
