"""`ttylab serve`: a local cloud with serial consoles."""

from __future__ import annotations

import gc
import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from typer import Option

from emulator.cloud.settings import CloudKind, Era, Fault
from harness.commands import say

if TYPE_CHECKING:
    from emulator.cloud.config import CloudConfig
    from emulator.service.running_service import RunningService
    from harness.serving.access import ServiceAccess

HOST, PORT = "127.0.0.1", 8443
EXAMPLES = """Examples:
  ttylab serve                               the demo cloud at https://localhost:8443
  eval "$(ttylab serve --print-env)"         in another terminal; then: ttylab console linux1
  ttylab serve --state ~/mycloud             keep VMs, roles and keys
  ttylab serve --print-config > cloud.toml   the demo, for you to change; then: --config cloud.toml
  ttylab serve --disk linux1=server.qcow2    a VM of the demo with your own disk; --kernel linux2=out/bzImage
  ttylab serve --port 0 --ready-file ready.json   for programs: any free port, written to the file
  ttylab serve --era 2020 --fault refused-trust   the rules of 2020, and a fault of the live service

Clients need to trust the authority in ca.pem, made on the first start: in DIR/ca with --state DIR, else in
`ca` in the user's data directory (or TTYLAB_STATE). /health answers 200 once guests can be reached.

Exit codes: 0 ended by Ctrl-C or SIGTERM, 2 wrong input, port or state directory in use, 3 the lab is broken,
130 ended at once by a second Ctrl-C.
"""


def serve(
    *,
    port: Annotated[int, Option(min=0, max=65535, help="0 takes any free port.")] = PORT,
    host: Annotated[str, Option(help="Loopback address to listen on.")] = HOST,
    public_host: Annotated[
        str, Option(metavar="NAME", help='Name in the endpoint; must not contain "ws".')
    ] = "",
    state: Annotated[Path | None, Option(metavar="DIR", help="Keep the cloud here.")] = None,
    config: Annotated[Path | None, Option(metavar="FILE", help="A cloud.toml; see --print-config.")] = None,
    era: Annotated[Era | None, Option(help="The year whose rules apply.")] = None,
    cloud: Annotated[CloudKind | None, Option(help="Which of Azure's clouds to be.")] = None,
    disk: Annotated[
        list[str] | None, Option(metavar="VM=FILE", help="Boot a VM from your own disk; repeatable.")
    ] = None,
    kernel: Annotated[
        list[str] | None, Option(metavar="VM=FILE", help="Boot a VM with your own kernel; repeatable.")
    ] = None,
    fault: Annotated[list[Fault] | None, Option(help="A fault to inject; may be repeated.")] = None,
    ready_file: Annotated[
        Path | None,
        Option(metavar="FILE", help="Write endpoint and credentials here, as JSON, once it answers."),
    ] = None,
    print_env: Annotated[
        bool,
        Option("--print-env", help="Print lines for az, Python, JavaScript, Go, Terraform; start nothing."),
    ] = False,
    print_config: Annotated[
        bool, Option("--print-config", help="Print the demo's cloud.toml; start nothing.")
    ] = False,
) -> None:
    """Start a local cloud whose VMs are real guests with consoles, for Azure's clients and a browser."""
    if print_config:
        from emulator.cloud.config import demo_text  # noqa: PLC0415

        say(demo_text(), nl=False)
        return
    tables, origin = _read_config(config)
    tables = _with_options(tables, era=era, cloud=cloud, faults=fault or [])
    if print_env:
        _print_environment(tables, origin, host=public_host or host, port=port, state=state)
        return
    where = {"host": host, "port": port, "public_host": public_host or None, "state": state}
    from harness.serving.own_guests import own_guests  # noqa: PLC0415

    with own_guests(tables, disks=disk or [], kernels=kernel or [], state=state) as served:
        _run(served, origin, ready_file=ready_file, **where)


def _run(tables: CloudConfig, origin: str, *, ready_file: Path | None, **where: Any) -> None:
    import logging  # noqa: PLC0415

    gc.disable()  # collecting garbage among the imports would take a quarter of the start
    try:
        from emulator.service.running_service import ServiceOptions  # noqa: PLC0415
        from harness.serving.server_process import serve_until_signal  # noqa: PLC0415

        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
        options = ServiceOptions(config=tables, origin=origin, **where)
        shown = partial(_announce, words=_words_of(origin, where))
        serve_until_signal(options, ready_file=ready_file, announce=shown)
    finally:
        gc.enable()


def _words_of(origin: str, where: dict[str, Any]) -> list[str]:
    """Return the options with which --print-env finds this service."""
    from emulator.cloud.config import DEMO_FILE  # noqa: PLC0415

    words = [] if origin == DEMO_FILE else ["--config", origin]
    named = {"--host": "host", "--public-host": "public_host", "--state": "state"}
    given = {option: where[key] for option, key in named.items() if where[key] not in {None, HOST}}
    return [*words, *(str(word) for pair in given.items() for word in pair)]


def _announce(access: ServiceAccess, running: RunningService, *, words: list[str]) -> None:
    from harness.serving.environment import render_banner  # noqa: PLC0415

    gc.freeze()  # what was imported stays
    gc.enable()
    service = running.service
    port = urlsplit(access.endpoint).port
    words = words if port == PORT else [*words, "--port", str(port)]
    say(render_banner(access, service.cloud.records(), service.settings, options=words), nl=False)


def _read_config(path: Path | None) -> tuple[CloudConfig, str]:
    from emulator.cloud.config import DEMO_FILE, demo_config, load_cloud_config  # noqa: PLC0415

    return (demo_config(), DEMO_FILE) if path is None else (load_cloud_config(path), str(path))


def _with_options(
    tables: CloudConfig, *, era: Era | None, cloud: CloudKind | None, faults: list[Fault]
) -> CloudConfig:
    """Return the file's tables with the changes of the command line."""
    given = tables.settings
    settings = replace(
        given, era=era or given.era, kind=cloud or given.kind, faults=given.faults.union(faults)
    )
    return replace(tables, settings=settings)


def _print_environment(tables: CloudConfig, origin: str, *, host: str, port: int, state: Path | None) -> None:
    from harness.serving.environment import describe_access, render_environment  # noqa: PLC0415
    from harness.serving.trust import write_bundles  # noqa: PLC0415

    access = describe_access(tables, origin, host=host, port=port, state=state)
    trust = write_bundles(access.ca, os.environ)
    say(render_environment(access, trust=trust, before=os.environ), nl=False)
