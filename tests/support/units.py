"""Guests with two services of systemd, and what an operator needs to reach them over SSH."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from consolidate.apply.session import SshOptions
from tests.support.backends.guest import Guest, guests

UNITS = ("shop.service", "batch.service")
_UNIT = "[Service]\nExecStart=/bin/sleep infinity\nOOMPolicy=continue\n[Install]\nWantedBy=multi-user.target\n"
_FILES = (
    *("cpu.max", "cpu.weight", "memory.low", "memory.high", "memory.max", "memory.swap.max"),
    *("io.max", "io.weight", "pids.max", "cpuset.cpus", "cpuset.mems"),
)
_VOLATILE = "CPUUsage|MemoryCurrent|MemoryAvailable|TasksCurrent|IO(Read|Write)|IPIngress|IPEgress|Exec(Main|Start)"


@contextmanager
def guests_with_units(*names: str) -> Iterator[dict[str, Guest]]:
    """Guests by name, each with both services running."""
    with guests(*names) as started:
        for guest in started:
            for unit in UNITS:
                guest.ssh(f"cat > /etc/systemd/system/{unit}", _UNIT.encode())
            guest.ssh(f"systemctl daemon-reload && systemctl enable --quiet --now {' '.join(UNITS)}")
        yield {guest.name: guest for guest in started}


def ssh_options(running: Mapping[str, Guest], folder: Path) -> SshOptions:
    """Host keys that were looked up beforehand, and an ssh_config that knows the guests by name."""
    keys, hosts = b"", ""
    for name, guest in running.items():
        scan = ["ssh-keyscan", "-T", "60", "-t", "ed25519", "-p", str(guest.ports[22]), "127.0.0.1"]
        keys += subprocess.run(scan, capture_output=True, check=True).stdout
        hosts += f"Host {name}\n  HostName 127.0.0.1\n  Port {guest.ports[22]}\n  User root\n"
    known = folder / "known_hosts"
    known.write_bytes(keys)
    everybody = f"Host *\n  IdentityFile {next(iter(running.values())).image.key}\n  IdentitiesOnly yes\n"
    (folder / "config").write_text(f"{hosts}{everybody}  UserKnownHostsFile {known}\n")
    return SshOptions(config=folder / "config")


def everything(guest: Guest) -> str:
    """Every kernel file, property and drop-in of the services, but for what changes by itself."""
    # Names in lists such as After= come in another order after each reload.
    show = f"systemctl show {' '.join(UNITS)} | grep -vE '^({_VOLATILE})|^(After|Before|Requires|Wants|Conflicts)='"
    folders = [f"/sys/fs/cgroup/system.slice/{unit}" for unit in UNITS]
    files = " ".join(f"{folder}/{file}" for folder in folders for file in _FILES)  # some may not be there
    drop_ins = "find /etc/systemd/system.control /run/systemd/system.control -mindepth 1 2>/dev/null | sort"
    return guest.ssh(f"{show}; grep -H '' {files} 2>&1; {drop_ins}")
