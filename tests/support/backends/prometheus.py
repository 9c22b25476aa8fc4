"""A real Prometheus and a real node_exporter, and a history that promtool writes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml

from tests.support.backends.process import program, serving


def promtool() -> str:
    """Path of promtool."""
    return program("promtool", "prometheus")


@contextmanager
def node_exporter(folder: Path) -> Iterator[str]:
    """The address of a node_exporter of this machine."""
    path = program("prometheus-node-exporter", "prometheus-node-exporter")

    def command(port: int) -> Sequence[str]:
        return [path, f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]

    with serving(command, "/metrics", folder / "node_exporter.log") as url:
        yield url


@contextmanager
def prometheus(
    folder: Path,
    jobs: Mapping[str, Sequence[str]],
    scrape: str = "1s",
    options: Sequence[str] = (),
    scheme: str = "http",
) -> Iterator[str]:
    """The address of a Prometheus that keeps its data in a folder.

    Args:
        folder: For configuration, data and log.
        jobs: Name to targets, each ``host:port``.
        scrape: Interval of scrapes.
        options: Further options of its command line.
        scheme: ``https`` where those give it a certificate.

    """
    path = program("prometheus", "prometheus")
    folder.mkdir(parents=True, exist_ok=True)
    scrapes = [{"job_name": job, "static_configs": [{"targets": list(targets)}]} for job, targets in jobs.items()]
    config = {"global": {"scrape_interval": scrape, "evaluation_interval": scrape}, "scrape_configs": scrapes}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))

    def command(port: int) -> Sequence[str]:
        return [
            path,
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            "--storage.tsdb.retention.time=3650d",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=warn",
            *options,
        ]

    with serving(command, "/-/ready", folder / "prometheus.log", scheme) as url:
        yield url


def backfill(folder: Path, openmetrics: str) -> None:
    """Write blocks of history into the data of a Prometheus that is not running."""
    folder.mkdir(parents=True, exist_ok=True)
    history = folder / "history.om"
    history.write_text(openmetrics)
    command = [promtool(), "tsdb", "create-blocks-from", "openmetrics", str(history), str(folder / "data")]
    subprocess.run(command, check=True, capture_output=True)
