"""A real VictoriaMetrics, and samples written into it."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.backends.process import program, serving


@contextmanager
def victoriametrics(folder: Path, options: Sequence[str] = ()) -> Iterator[str]:
    """The address of a VictoriaMetrics that keeps its data in a folder and shows samples at once."""
    path = program("victoria-metrics", "victoria-metrics")
    folder.mkdir(parents=True, exist_ok=True)

    def command(port: int) -> Sequence[str]:
        return [
            path,
            f"-storageDataPath={folder / 'data'}",
            f"-httpListenAddr=127.0.0.1:{port}",
            "-search.latencyOffset=0s",
            "-search.disableCache",  # what is written late into the past would stay unseen
            "-retentionPeriod=10y",
            "-memory.allowedBytes=512MB",
            "-loggerLevel=ERROR",
            *options,
        ]

    with serving(command, "/health", folder / "victoriametrics.log") as url:
        yield url


def write(url: str, exposition: bytes) -> None:
    """Import samples, in the exposition format with timestamps in milliseconds, and make them visible."""
    request = urllib.request.Request(f"{url}/api/v1/import/prometheus", data=exposition, method="POST")
    with urllib.request.urlopen(request, timeout=300):
        pass


def flush(url: str) -> None:
    """Make what was written visible to queries."""
    with urllib.request.urlopen(f"{url}/internal/force_flush", timeout=300):
        pass
