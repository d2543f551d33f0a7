"""Resource Manager's server, as a client's tests plan it."""

import json
from dataclasses import dataclass, field

from harness.azure.address import ServiceAddress
from harness.azure.http import Reply

ADDRESS = ServiceAddress(endpoint="https://h", secret="secret")


def reply(status=200, body=None, **headers):
    data = b"" if body is None else json.dumps(body).encode()
    return Reply(
        status=status, body=data, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )


@dataclass
class Server:
    """Answers what was planned, in order, and keeps what was asked."""

    plan: list = field(default_factory=list)
    asked: list = field(default_factory=list)

    def send(self, method, url, *, headers, body, deadline):
        self.asked.append((method, url, headers, body))
        return self.plan.pop(0)


class Tokens:
    """Has always the same token."""

    def token(self, deadline):
        return "token"
