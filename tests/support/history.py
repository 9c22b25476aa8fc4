"""A small estate as its exporters would have shown it, with values that are known exactly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

SCRAPE_S = 15
GIB = 1 << 30
CORES = 2


@dataclass(frozen=True)
class Point:
    """One scraped sample."""

    metric: str
    labels: str
    at_s: int
    value: float


@dataclass(frozen=True)
class Estate:
    """Hosts ``web-0``, ``web-1``, …: each uses a fifth of a core more than the one before, and holds two pods.

    ``web-1`` reboots in the middle; ``web-0`` needs twice its memory for one scrape.
    """

    first_s: int
    last_s: int
    hosts: int = 3

    @property
    def reboot_s(self) -> int:
        """When ``web-1`` starts anew, in between two scrapes."""
        return (self.first_s + self.last_s) // 2 + SCRAPE_S // 2

    @property
    def spike_s(self) -> int:
        """When ``web-0`` needs its memory."""
        return self.first_s + (self.last_s - self.first_s) // 4 // SCRAPE_S * SCRAPE_S + 4 * SCRAPE_S

    def busy_cores(self, host: int) -> float:
        """CPU that a host uses all the time."""
        return 0.2 * (host + 1)

    def pod_cores(self, host: int, pod: int) -> float:
        """CPU that a pod's container uses all the time."""
        return 0.05 * (pod + 1) + 0.01 * host

    def points(self) -> Iterator[Point]:
        """All samples, those of a metric together."""
        yield from self._each(self._node)
        yield from self._each(self._kubelet)
        yield from self._each(self._state)

    def _each(self, of_host: object) -> Iterator[Point]:
        by_metric: dict[str, list[Point]] = {}
        for host in range(self.hosts):
            for at_s in range(self.first_s, self.last_s + 1, SCRAPE_S):
                for metric, labels, value in of_host(host, at_s):  # type: ignore[operator]
                    by_metric.setdefault(metric, []).append(Point(metric, labels, at_s, value))
        for points in by_metric.values():
            yield from points

    def boot_s(self, host: int, at_s: int) -> int:
        """Since when a host runs."""
        if host == 1 and at_s >= self.reboot_s:
            return self.reboot_s
        return self.first_s - 86_400

    def _node(self, host: int, at_s: int) -> Iterator[tuple[str, str, float]]:
        target = f'instance="10.0.0.{host}:9100",job="node"'
        up_s = at_s - self.boot_s(host, at_s)
        for cpu in range(CORES):
            busy = self.busy_cores(host) / CORES
            for mode, share in (("user", busy * 0.75), ("system", busy * 0.25), ("idle", 0.9 - busy), ("steal", 0.1)):
                yield "node_cpu_seconds_total", f'{target},cpu="{cpu}",mode="{mode}"', up_s * share
        used = GIB * (2 if host == 0 and at_s == self.spike_s else 1)
        yield "node_memory_MemTotal_bytes", target, 4 * GIB
        yield "node_memory_MemAvailable_bytes", target, 4 * GIB - used
        for device, share in (("sda", 1.0), ("sda1", 1.0), ("dm-0", 1.0), ("nvme0n1", 2.0)):
            yield "node_disk_read_bytes_total", f'{target},device="{device}"', 1000.0 * share * up_s
            yield "node_disk_reads_completed_total", f'{target},device="{device}"', 10.0 * share * up_s
            yield "node_disk_writes_completed_total", f'{target},device="{device}"', 5.0 * share * up_s
        for device in ("lo", "eth0", "cni0"):
            yield "node_network_receive_bytes_total", f'{target},device="{device}"', 500.0 * up_s
        yield "node_vmstat_oom_kill", target, float(up_s // 3600)
        yield "node_boot_time_seconds", target, float(self.boot_s(host, at_s) + at_s % 2)
        yield "node_uname_info", f'{target},nodename="web-{host}",release="6.1.0",sysname="Linux"', 1.0
        yield "node_os_info", f'{target},id="debian",version_id="12"', 1.0
        yield "node_dmi_info", f'{target},product_uuid="uuid-{host}",system_vendor="QEMU"', 1.0

    def _kubelet(self, host: int, at_s: int) -> Iterator[tuple[str, str, float]]:
        target = f'instance="10.0.0.{host}:10250",job="kubelet"'
        for pod in range(2):
            name = f'namespace="shop",pod="front-7c9e-{host}{pod}"'
            up_s = at_s - self.boot_s(host, at_s)
            for container, share in (("", 1.1), ("POD", 0.1), ("app", 1.0)):
                labels = f'{target},{name},container="{container}",id="/kubepods/pod{host}{pod}/{container}",name=""'
                yield "container_cpu_usage_seconds_total", labels, self.pod_cores(host, pod) * share * up_s
                yield "container_memory_working_set_bytes", labels, share * 100_000_000
                yield "container_start_time_seconds", labels, float(self.boot_s(host, at_s))
                yield "container_cpu_cfs_periods_total", labels, 10.0 * up_s
                yield "container_cpu_cfs_throttled_periods_total", labels, 1.0 * up_s
        yield "machine_cpu_cores", target, CORES
        yield "machine_memory_bytes", target, 4 * GIB

    def _state(self, host: int, _at_s: int) -> Iterator[tuple[str, str, float]]:
        target = 'instance="10.0.1.1:8080",job="kube-state-metrics"'
        for pod in range(2):
            name = f'namespace="shop",pod="front-7c9e-{host}{pod}"'
            yield "kube_pod_info", f'{target},{name},node="web-{host}.example"', 1.0
            yield "kube_pod_owner", f'{target},{name},owner_kind="ReplicaSet",owner_name="front-7c9e"', 1.0
            labels = f'{target},{name},container="app",node="web-{host}.example"'
            yield "kube_pod_container_resource_limits", f'{labels},resource="cpu",unit="core"', 0.5
            yield "kube_pod_container_resource_limits", f'{labels},resource="memory",unit="byte"', 256e6
        if host == 0:
            labels = f'{target},namespace="shop",replicaset="front-7c9e",owner_kind="Deployment",owner_name="front"'
            yield "kube_replicaset_owner", labels, 1.0
        node = f'{target},node="web-{host}.example"'
        yield "kube_node_info", f'{node},internal_ip="10.0.0.{host}"', 1.0
        yield (
            "kube_node_status_capacity",
            f'{node},resource="cpu",unit="core"',
            CORES + 1.0,
        )  # node_exporter goes before

    def exposition(self) -> bytes:
        """For VictoriaMetrics: timestamps in milliseconds."""
        return "".join(f"{p.metric}{{{p.labels}}} {p.value!r} {p.at_s * 1000}\n" for p in self.points()).encode()

    def openmetrics(self) -> str:
        """For promtool: timestamps in seconds, and an end."""
        return "".join(f"{p.metric}{{{p.labels}}} {p.value!r} {p.at_s}\n" for p in self.points()) + "# EOF\n"
