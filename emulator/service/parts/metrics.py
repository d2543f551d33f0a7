"""The service's counters for Prometheus; no label is secret or chosen by a client."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """Counters of one service, in their own registry; the service's loop owns them.

    Attributes:
        requests: by method, route (its pattern) and status.
        seconds: how long requests took, by route.
        bytes_out: guests' output that was sent on links.
        bytes_in: input that was typed on links.
        connects: calls of `connect` that were granted.
        refused: refused requests, by error code.
        commands: admin commands by name and effect.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = self._counter("ttylab_requests", "Requests answered.", "method", "route", "status")
        self.seconds = Histogram(
            "ttylab_request_seconds",
            "Duration of requests.",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.bytes_out = self._counter("ttylab_link_sent_bytes", "Guests' output sent on links.")
        self.bytes_in = self._counter("ttylab_link_received_bytes", "Input that came on links.")
        self.connects = self._counter("ttylab_connects", "Consoles that were granted.")
        self.refused = self._counter("ttylab_refused", "Requests refused, by error code.", "code")
        self.commands = self._counter("ttylab_admin_commands", "Admin commands.", "command", "effect")

    def watch(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """Show what `read` returns as the gauge `name`."""
        Gauge(name, help_text, registry=self.registry).set_function(read)

    def render(self) -> bytes:
        """Return all counters in Prometheus' text format."""
        return generate_latest(self.registry)

    def _counter(self, name: str, help_text: str, *labels: str) -> Counter:
        return Counter(name, help_text, labels, registry=self.registry)
