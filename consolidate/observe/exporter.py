"""Metrics of a plan and of its enforcement, in the words of Prometheus.

``METRICS`` is the whole list; its table stands in ``metrics``. Every scrape reads the plan and its enforcement
again; a read that fails becomes ``consolidate_up 0`` and never a crash.
"""

from __future__ import annotations

import errno
import logging
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, generate_latest, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from consolidate.errors import InputError
from consolidate.observe.metrics import METRICS, PLAN_METRICS, READ_FAILURES, UP, Enforcement, Metric, Samples, Snapshot

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = [
    "DEFAULT_ADDRESS",
    "DEFAULT_PORT",
    "METRICS",
    "Enforcement",
    "Metric",
    "PlanCollector",
    "Snapshot",
    "render_metrics",
    "serve_metrics",
]

DEFAULT_ADDRESS = "127.0.0.1"
"""Metrics name hosts and workloads: only this machine may read them unless somebody decides otherwise."""
DEFAULT_PORT = 9753
_LOG = logging.getLogger(__name__)
_STOP_POLL_S = 0.2
_CLIENT_TIMEOUT_S = 10


def _gauge(metric: Metric, samples: Samples = ()) -> GaugeMetricFamily:
    family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels, unit=metric.unit)
    for labels, value in samples:
        family.add_metric([_encodable(label) for label in labels], float(value))
    return family


def _encodable(text: str) -> str:
    """The text without lone surrogates: JSON can carry them, the exposition format cannot."""
    return text.encode("utf-8", "replace").decode()


def _families(snapshot: Snapshot) -> list[GaugeMetricFamily]:
    return [_gauge(metric, reader(snapshot)) for metric, reader in PLAN_METRICS.items()]


def _failures(count: int) -> CounterMetricFamily:
    return CounterMetricFamily(READ_FAILURES.name, READ_FAILURES.help, count)


class PlanCollector(Collector):
    """Reads again at every scrape, and tells whether that worked.

    The reason of a failure goes to ``report`` once, until it changes or the read works again.
    """

    def __init__(self, read: Callable[[], Snapshot], report: Callable[[str], None] = _LOG.warning) -> None:
        self._read = read
        self._report = report
        self._lock = threading.Lock()  # scrapes may overlap
        self._failed = 0
        self._reason = ""

    def describe(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """Every family without samples, so that a registry can refuse a name given twice."""
        yield _gauge(UP)
        yield _failures(0)
        yield from (_gauge(metric) for metric in PLAN_METRICS)

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """All metrics of one new reading; after a failure, only that it failed."""
        families, reason = self._attempt()
        count = self._count(reason)
        yield _gauge(UP, [((), not reason)])
        yield _failures(count)
        yield from families

    def _attempt(self) -> tuple[list[GaugeMetricFamily], str]:
        try:
            return _families(self._read()), ""
        except Exception as error:  # noqa: BLE001 - the per-scrape boundary: a failure becomes a metric
            return [], f"{type(error).__name__}: {error}"

    def _count(self, reason: str) -> int:
        with self._lock:
            self._failed += bool(reason)
            changed, self._reason = reason != self._reason, reason
            count = self._failed
        if reason and changed:
            self._report(f"metrics: the plan cannot be read: {reason}")
        return count


def render_metrics(snapshot: Snapshot) -> bytes:
    """The text exposition of one reading, as node_exporter's textfile collector takes it."""
    return generate_latest(_Fixed([_gauge(UP, [((), 1)]), _failures(0), *_families(snapshot)]))


@dataclass(frozen=True)
class _Fixed(Collector):
    """Families that are read already."""

    families: list[GaugeMetricFamily | CounterMetricFamily]

    def collect(self) -> list[GaugeMetricFamily | CounterMetricFamily]:
        return self.families


def serve_metrics(
    read: Callable[[], Snapshot],
    address: str = DEFAULT_ADDRESS,
    port: int = DEFAULT_PORT,
    stop: threading.Event | None = None,
    *,
    ready: Callable[[str, int], None] = lambda address, port: None,
    report: Callable[[str], None] = _LOG.warning,
) -> None:
    """Serve ``/metrics`` until ``stop`` is set; ``ready`` is told the address and port (0 asks for a free one).

    Why a reading failed goes to ``report``.

    Raises:
        InputError: where the address and port cannot be listened on.

    """
    ends = stop or threading.Event()
    registry = CollectorRegistry()
    registry.register(PlanCollector(read, report))
    with _listen(address, port) as server:
        server.set_app(_only_metrics(make_wsgi_app(registry)))
        ready(address, server.server_port)
        while not ends.is_set():
            server.handle_request()


class _Handler(WSGIRequestHandler):
    timeout = _CLIENT_TIMEOUT_S

    def log_message(self, format: str, *args: object) -> None:
        """Scrapes are not worth a line each."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    timeout = _STOP_POLL_S


class _Server6(_Server):
    address_family = socket.AF_INET6


def _listen(address: str, port: int) -> _Server:
    try:
        return (_Server6 if ":" in address else _Server)((address, port), _Handler)
    except (OSError, OverflowError) as error:
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            reason = "another program listens there; give another port"
        else:
            reason = f"{error}; give an address of this machine and a port that you may use"
        raise InputError(f"metrics cannot be served on {address} port {port}: {reason}") from None


def _only_metrics(metrics: WSGIApplication) -> WSGIApplication:
    """The metrics under their usual path, a pointer to it elsewhere."""

    def serve(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/metrics":
            return metrics(environ, start_response)
        start_response("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
        return [b"metrics are at /metrics\n"]

    return serve
