"""A real Podman with its service, started by hand."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from tests.support.backends.engine import IMAGE, Engine, busybox, need, workplace

_SETTINGS = """
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=4096:4096"]
[network]
network_config_dir = "{folder}/networks"
[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
events_logger = "file"
"""
"""crun refuses control groups of both versions at once; without CAP_SYS_RESOURCE limits cannot be raised."""


@contextlib.contextmanager
def podman_engine() -> Iterator[Engine]:
    """The service of root's Podman; unlike Docker's, its containers never depend on it."""
    need("podman", "runc", "busybox", "ip", "nsenter", "catatonit")
    with workplace("podman") as (folder, parent, inside):
        socket, settings = folder / "podman.sock", folder / "containers.conf"
        settings.write_text(_SETTINGS.format(folder=folder))
        daemon = (
            "podman",
            f"--root={folder / 'root'}",
            f"--runroot={folder / 'run'}",
            f"--tmpdir={folder / 'tmp'}",
            "--storage-driver=vfs",  # works on any file system, and the image is small
            "system",
            "service",
            "--time=0",
            f"unix://{socket}",
        )
        client = ("podman", "--remote", f"--url=unix://{socket}")
        environment = {"CONTAINERS_CONF": str(settings)}
        options = (f"--cgroup-parent=/{parent}",)
        removal = ("rm", "--force", "--time=0")  # else it asks politely for 10 s
        engine = Engine(socket, client, daemon, environment, parent, inside, options, removal)
        engine.start()
        try:
            archive = folder / "image.tar"
            archive.write_bytes(busybox())
            engine.call("import", str(archive), IMAGE)
            yield engine
        finally:
            engine.stop()
