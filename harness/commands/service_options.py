"""The options that every command for a cloud service has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

GroupOption: TypeAlias = Annotated[str, typer.Option("--group", "-g", help="Resource group; default rg1.")]
SubscriptionOption: TypeAlias = Annotated[str, typer.Option("--subscription", help="Subscription id.")]
ReadyFileOption: TypeAlias = Annotated[
    Path | None, typer.Option("--ready-file", help="What `ttylab serve --ready-file` wrote.")
]
EndpointOption: TypeAlias = Annotated[
    str, typer.Option("--endpoint", help="https://HOST:PORT of ttylab's service.")
]
CaOption: TypeAlias = Annotated[
    Path | None, typer.Option("--ca", help="Certificate of the service's authority.")
]
PrincipalOption: TypeAlias = Annotated[
    str, typer.Option("--as", metavar="NAME", help="Client id or user to be; default app.")
]
RealAzureOption: TypeAlias = Annotated[
    bool, typer.Option("--real-azure", help="The real Azure, as whoever azure-identity finds.")
]
