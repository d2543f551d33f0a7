"""The options that every command for a cloud service has."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from harness.azure.address import ServiceAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions:
    """Which service a command is for; each field is an option."""

    group: Annotated[str, typer.Option("--group", "-g", help="Resource group; default rg1.")] = ""
    subscription: Annotated[str, typer.Option("--subscription", help="Subscription id.")] = ""
    ready_file: Annotated[
        Path | None, typer.Option("--ready-file", help="What `ttylab serve --ready-file` wrote.")
    ] = None
    endpoint: Annotated[str, typer.Option("--endpoint", help="https://HOST:PORT of ttylab's service.")] = ""
    ca: Annotated[Path | None, typer.Option("--ca", help="Certificate of the service's authority.")] = None
    principal: Annotated[
        str, typer.Option("--as", metavar="NAME", help="Client id or user to be; default app.")
    ] = ""
    real_azure: Annotated[
        bool, typer.Option("--real-azure", help="The real Azure, as whoever azure-identity finds.")
    ] = False

    def address(self) -> ServiceAddress:
        """Return the service that they name; raises as `choose_address`."""
        from harness.azure.address import choose_address  # noqa: PLC0415

        return choose_address(**asdict(self))


def with_service_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give `command` these options in the place of its keyword parameter `service`."""
    signature = inspect.signature(command, eval_str=True)
    options = inspect.signature(ClientOptions, eval_str=True).parameters

    @functools.wraps(command)
    def run(**given: Any) -> None:
        chosen = {name: given.pop(name) for name in options}
        command(**given, service=ClientOptions(**chosen))

    shown = [
        part
        for parameter in signature.parameters.values()
        for part in (options.values() if parameter.name == "service" else (parameter,))
    ]
    run.__signature__ = signature.replace(parameters=shown)  # type: ignore[attr-defined]
    return run
