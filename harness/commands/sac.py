"""`ttylab sac`: compare what a SAC says with its specification."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Option

from emulator.clock import utc_now
from emulator.errors import SpecError
from emulator.guest_text.printable import escape
from harness.commands import say, spaced
from harness.commands.options import Baudrate, Dtr, Rts, chosen_port

if TYPE_CHECKING:
    from emulator.guest_images.kinds import GuestImage
    from emulator.sac.image import Account
    from emulator.sac.profile import SacProfile
    from harness.conformance.checks import ConformanceResult

EXAMPLES = """Examples:
  ttylab sac conformance --target sac                     ttylab's own guest, with its own texts
  ttylab sac conformance --target sac --profile 2003      with those of another release
  ttylab sac conformance --port /dev/ttyUSB0 --password - a real Windows; asks for the password
  ttylab sac conformance --recording DIR --profile 2025   a recording by ttylab record-console

Without --destructive a target is neither crashed nor restarted, except ttylab's own guest; --no-destructive
spares that too. Without --password there is no login. Blank lines are not compared.

Exit codes: 0 no difference, 1 differences, or no SAC prompt; 2 wrong input; 3 the lab is broken.
"""

_Recording = Annotated[Path | None, Option(metavar="DIR", help="A recording instead of a guest.")]
app = typer.Typer(add_completion=False, help="Compare what a SAC says with its specification.")


@app.command("conformance", epilog=spaced(EXAMPLES))
def conformance(
    *,
    target: Annotated[str, Option(metavar="NAME", help="An image, or a running machine.")] = "",
    port: Annotated[str, Option(metavar="URL", help="A serial port, or a board.")] = "",
    recording: _Recording = None,
    profile: Annotated[str, Option(help="The release to compare with: 2003 to 2025.")] = "",
    destructive: Annotated[
        bool | None,
        Option("--destructive/--no-destructive", help="Crash, restart and shut the target down too."),
    ] = None,
    user: Annotated[str, Option(help="User to log in to a CMD channel.")] = "Administrator",
    domain: Annotated[str, Option(help="The user's domain; default: the machine's own.")] = "",
    password: Annotated[str, Option(help="The password; - asks for it.")] = "",
    baudrate: Baudrate = None,
    dtr: Dtr = None,
    rts: Rts = None,
    append: Annotated[str, Option(help="Knobs of a SAC image, key=value.")] = "",
    into: Annotated[Path | None, Option(metavar="DIR", help="Where to keep the console.")] = None,
    json: Annotated[bool, Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Take a SAC through its commands, and print how its texts differ from a release's, by section."""
    from emulator.sac.image import SAC_IMAGES  # noqa: PLC0415
    from emulator.sac.profile import load_profile  # noqa: PLC0415
    from harness.conformance.checks import check_image, check_port  # noqa: PLC0415
    from harness.recording.record import private_files  # noqa: PLC0415
    from harness.snapshots.lab import Lab  # noqa: PLC0415

    port, baud = chosen_port(port, baudrate, dtr=dtr, rts=rts)
    if sum((bool(target), bool(port), recording is not None)) != 1:
        raise SpecError("what to compare: give one of --target NAME, --port URL, --recording DIR")
    wanted = load_profile(profile) if profile else None
    place = into or Path(f"conformance-{utc_now():%Y%m%d-%H%M%S}")
    is_own = target in SAC_IMAGES
    may_destroy = is_own if destructive is None else destructive
    how: dict[str, Any] = {"profile": wanted, "destructive": may_destroy, "tell": _tell}
    with private_files():
        if recording is not None:
            outcome = _recording(recording, wanted)
        elif append and not is_own:
            raise SpecError("--append sets knobs of a SAC image; this target has none")
        elif target and (image := _image_of(target)) is not None:
            outcome = check_image(image, Lab(run_dir=place), words=tuple(append.split()), **how)
        else:
            account = _account(user, domain, password)
            outcome = check_port(port or _console_of(target), place, baudrate=baud, account=account, **how)
    _print(outcome, as_json=json)
    raise typer.Exit(1 if outcome.differences else 0)


def _recording(directory: Path, profile: SacProfile | None) -> ConformanceResult:
    from harness.conformance.checks import check_recording  # noqa: PLC0415
    from harness.recording.record import RAW, SANITISED  # noqa: PLC0415

    if profile is None:
        raise SpecError("--recording needs --profile, the release to compare it with")
    inner = next((directory / name for name in (RAW, SANITISED) if (directory / name).is_dir()), directory)
    return check_recording(inner, profile)


def _image_of(name: str) -> GuestImage | None:
    """Return ttylab's SAC guest or the registered Windows called `name`, or None."""
    from emulator.sac.image import SAC_IMAGES, sac_image  # noqa: PLC0415
    from emulator.windows.registry import WindowsRegistry  # noqa: PLC0415

    if name in SAC_IMAGES:
        return sac_image(name)
    registry = WindowsRegistry()
    return registry.open(name) if name in registry.images() else None


def _console_of(name: str) -> str:
    """Return the pty of a running machine: it is driven and observed through its console alone."""
    from emulator.machine.ledger import list_machines  # noqa: PLC0415
    from harness.terminal.interactive import choose_machine  # noqa: PLC0415

    return choose_machine(list_machines(), name).console


def _account(user: str, domain: str, password: str) -> Account | None:
    from emulator.sac.image import Account  # noqa: PLC0415

    if password == "-":  # noqa: S105  # asks for one
        password = typer.prompt("Password", hide_input=True, err=True)
    return Account(user=user, domain=domain, password=password) if password else None


def _tell(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[Kttylab: {escape(text.encode())[:70]}")


def _print(outcome: ConformanceResult, *, as_json: bool) -> None:
    from harness.conformance.compare import render_json, render_text  # noqa: PLC0415

    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
    render = render_json if as_json else render_text
    say(render(outcome.differences, profile=outcome.profile.name, kept=str(outcome.kept)))
