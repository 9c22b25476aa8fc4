"""A real Docker Engine, started by hand."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from tests.support.backends.engine import IMAGE, Engine, busybox, need, workplace
from tests.support.backends.namespace import BRIDGE


@contextlib.contextmanager
def docker_engine() -> Iterator[Engine]:
    """An engine that keeps its containers when it is killed (``--live-restore``)."""
    need("docker", "dockerd", "runc", "busybox", "ip", "nsenter")
    with workplace("docker") as (folder, parent, inside):
        socket = folder / "docker.sock"
        daemon = (
            "dockerd",
            f"--host=unix://{socket}",
            f"--data-root={folder / 'data'}",
            f"--exec-root={folder / 'exec'}",
            f"--pidfile={folder / 'pid'}",
            f"--cgroup-parent=/{parent}",
            f"--bridge={BRIDGE}",
            "--storage-driver=vfs",  # works on any file system, and the image is small
            "--exec-opt=native.cgroupdriver=cgroupfs",
            "--live-restore",
            "--iptables=false",
            "--ip6tables=false",
            "--ip-forward=false",
            "--ip-masq=false",
            # Without CAP_SYS_RESOURCE, neither may be raised above what this process has.
            "--default-ulimit=nofile=20000:20000",
            "--oom-score-adjust=0",
        )
        client = ("docker", f"--host=unix://{socket}")
        # Its containerd ends with it, which shows nowhere if process 1 does not collect ended processes.
        leftovers = (folder / "pid", folder / "exec/containerd/containerd.pid")
        engine = Engine(socket, client, daemon, {}, parent, inside, leftovers=leftovers)
        engine.start()
        try:
            archive = folder / "image.tar"
            archive.write_bytes(busybox())
            engine.call("import", str(archive), IMAGE)
            yield engine
        finally:
            engine.stop()
