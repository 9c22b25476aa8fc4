"""Hosts to test on: real Debian 12 guests with systemd and unified control groups, emulated without KVM.

The first one of a kind boots in half a minute or more; a snapshot of it is kept beside its image, and from then on
each starts in a few seconds::

    with guests("web-1", "web-2") as (one, two):
        one.ssh("systemd-run --unit=load sh -c 'while :; do :; done'")

Guests reach nothing but what they are reached from: ssh, and the ports that a test asks for.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import shutil
import socket
import subprocess
import tarfile
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.backends import qmp
from tests.support.backends.image import Image, cached, image

SNAPSHOT = "ready"
BOOT_PATIENCE_S = 240
APPEND = "root=/dev/vda rw console=ttyS0 quiet psi=1 net.ifnames=0 mitigations=off loglevel=3 tsc=reliable"


@dataclass(frozen=True)
class Machine:
    """What a guest's hardware is. Each kind has a snapshot of its own, so tests share kinds where they can."""

    memory_mib: int = 768
    cpus: int = 2
    nodes: int = 2
    """NUMA nodes, with equal shares of processors and memory."""

    def __post_init__(self) -> None:
        if self.cpus % self.nodes or self.memory_mib % self.nodes:
            raise ValueError(f"{self.nodes} nodes cannot have equal shares of {self}; give another number of nodes")

    def arguments(self) -> list[str]:
        """QEMU's arguments for it, without those that differ from guest to guest."""
        each_mib, each_cpus = self.memory_mib // self.nodes, self.cpus // self.nodes
        sockets = f"sockets={self.nodes},cores={each_cpus},threads=1"
        arguments = ["-m", str(self.memory_mib), "-smp", f"{self.cpus},{sockets}"]
        for node in range(self.nodes):
            first, last = node * each_cpus, (node + 1) * each_cpus - 1
            arguments += ["-object", f"memory-backend-ram,id=ram{node},size={each_mib}M"]
            arguments += ["-numa", f"node,nodeid={node},cpus={first}-{last},memdev=ram{node}"]
        devices = ["virtio-net-pci,netdev=user", "virtio-balloon-pci", "virtio-rng-pci"]
        return [
            *("-machine", "q35", "-accel", "tcg,thread=multi,tb-size=256", "-cpu", "max"),
            *arguments,
            *("-nodefaults", "-display", "none"),
            *(word for device in devices for word in ("-device", device)),
        ]


@dataclass
class Guest:
    """A running guest, root's account on it, and what has to be removed when it ends."""

    name: str
    folder: Path
    image: Image
    ports: dict[int, int]
    """By the guest's port: ours, on the loopback."""
    process: subprocess.Popen[bytes] = field(repr=False)

    @property
    def monitor(self) -> Path:
        """QEMU's monitor socket."""
        return self.folder / "qmp"

    def ssh(self, command: str, stdin: bytes = b"", *, check: bool = True, timeout_s: float = 120) -> str:
        """Run a shell command as root and return what it printed.

        Raises:
            RuntimeError: where it fails and ``check`` is set, with its last words.

        """
        done = subprocess.run([*self._ssh(), command], input=stdin, capture_output=True, timeout=timeout_s, check=False)
        if check and done.returncode:
            complaint = done.stderr.decode()[-2000:]
            raise RuntimeError(f"{command!r} ended with {done.returncode} on {self.name}: {complaint}")
        return done.stdout.decode()

    def put(self, source: Path, target: str) -> None:
        """Copy a file, or a folder with all that is in it but compiled Python, to an absolute path."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            archive.add(source, target.lstrip("/"), filter=lambda it: None if it.name.endswith("__pycache__") else it)
        self.ssh("tar -C / -xf - --no-same-owner", packed.getvalue())

    def add_swap(self, mebibytes: int) -> None:
        """Give it swap space, which it has none of at first."""
        self.ssh(
            f"dd if=/dev/zero of=/swap bs=1M count={mebibytes} status=none && chmod 600 /swap"
            " && mkswap --quiet /swap 2>&1 && swapon /swap"
        )

    def use_bfq(self) -> None:
        """Switch its disk to the scheduler under which IO weights have an effect."""
        self.ssh("modprobe bfq && echo bfq > /sys/block/vda/queue/scheduler")

    def balloon(self, mebibytes: int) -> None:
        """Ask it to get by with less memory; it follows within seconds."""
        qmp.execute(self.monitor, "balloon", value=mebibytes << 20)

    def reboot(self) -> None:
        """Reboot, and wait until it is up again (as long as a first boot)."""
        before = self._boot_id()
        self.ssh("systemctl reboot", check=False)
        until = time.monotonic() + BOOT_PATIENCE_S
        while time.monotonic() < until:
            with contextlib.suppress(RuntimeError, subprocess.TimeoutExpired):
                if self._boot_id() != before:
                    return self.settle()
            time.sleep(0.5)
        raise TimeoutError(f"{self.name} did not come up again within {BOOT_PATIENCE_S} s: {self._console()}")

    def wait_for_ssh(self) -> None:
        """Return as soon as it answers; say what its console said last where it does not."""
        until = time.monotonic() + BOOT_PATIENCE_S
        while time.monotonic() < until and self.process.poll() is None:
            with contextlib.suppress(RuntimeError, subprocess.TimeoutExpired):
                self.ssh("true", timeout_s=15)
                return
            time.sleep(0.2)
        raise TimeoutError(f"{self.name} does not answer: {self._console()} {self._complaints()}")

    def settle(self) -> None:
        """Wait until systemd has started everything; a unit that failed does not matter here."""
        self.ssh("systemctl is-system-running --wait", check=False, timeout_s=BOOT_PATIENCE_S)

    def stop(self) -> None:
        """End it at once and remove what was its own."""
        subprocess.run([*self._ssh("-O", "exit")], capture_output=True, check=False)
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _ssh(self, *options: str) -> list[str]:
        quiet = ("BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR")
        # One connection for all commands: an emulated machine takes seconds over each handshake.
        shared = ("ControlMaster=auto", "ControlPersist=60", f"ControlPath={self.folder}/ssh", "ConnectTimeout=10")
        words = [word for option in quiet + shared for word in ("-o", option)]
        return ["ssh", *words, "-i", str(self.image.key), "-p", str(self.ports[22]), *options, "root@127.0.0.1"]

    def _boot_id(self) -> str:
        return self.ssh("cat /proc/sys/kernel/random/boot_id", timeout_s=15)

    def _console(self) -> str:
        console = self.folder / "console"
        return console.read_text(errors="replace")[-1000:] if console.exists() else ""

    def _complaints(self) -> str:
        return (self.folder / "qemu.log").read_text(errors="replace")[-1000:]


@contextlib.contextmanager
def guests(*names: str, machine: Machine = Machine(), ports: Sequence[int] = ()) -> Iterator[tuple[Guest, ...]]:
    """Start guests of these names from the snapshot, all at once, and stop them whatever happens."""
    base = image()
    snapshot = _snapshot(base, machine)
    with contextlib.ExitStack() as stack:
        started = []
        for name in names:  # in this thread: they end with the one that started them
            guest = _start(name, base, machine, snapshot, ports)
            stack.callback(guest.stop)
            started.append(guest)
        with ThreadPoolExecutor(len(started)) as pool:
            list(pool.map(_make_its_own, started))
        yield tuple(started)


def _make_its_own(guest: Guest) -> None:
    """Tell a guest from the others of its snapshot, and tell it the time."""
    guest.wait_for_ssh()
    guest.ssh(
        f"date --utc --set=@{time.time():.3f} && hostnamectl set-hostname {guest.name}"
        f" && echo {uuid.uuid4().hex} > /etc/machine-id"
    )


def _snapshot(base: Image, machine: Machine) -> Path:
    """Return a disk with a booted, settled machine in it, kept for the next time."""
    version = subprocess.run(["qemu-system-x86_64", "--version"], capture_output=True, text=True, check=True).stdout
    kind = hashlib.sha256("\0".join([*machine.arguments(), APPEND, version]).encode()).hexdigest()[:12]
    return cached(f"{base.folder.name}-{kind}", lambda folder: _boot(folder, base, machine)) / "disk.qcow2"


def _boot(folder: Path, base: Image, machine: Machine) -> None:
    disk = folder / "disk.qcow2"
    backing = ["-F", "qcow2", "-b", str(base.disk)]
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *backing, str(disk)], check=True)
    guest = _start("snapshot", base, machine, disk, ())
    try:
        guest.wait_for_ssh()
        guest.settle()
        guest.ssh("sync; echo 3 > /proc/sys/vm/drop_caches")  # what is not in memory need not be restored
        if complaint := qmp.monitor(guest.monitor, f"savevm {SNAPSHOT}"):
            raise RuntimeError(f"QEMU could not keep a snapshot: {complaint}")
        qmp.execute(guest.monitor, "quit")
        guest.process.wait(timeout=30)
        shutil.move(guest.folder / "disk.qcow2", disk)
    finally:
        guest.stop()


def _start(name: str, base: Image, machine: Machine, disk: Path, ports: Sequence[int]) -> Guest:
    """Start QEMU on a copy of a disk: at the disk's snapshot if it has one, else from the beginning."""
    folder = Path(tempfile.mkdtemp(prefix=f"guest-{name}-"))
    own_disk = folder / "disk.qcow2"
    subprocess.run(["cp", "--reflink=auto", "--sparse=always", str(disk), str(own_disk)], check=True)
    listed = subprocess.run(["qemu-img", "snapshot", "-l", str(own_disk)], capture_output=True, text=True, check=True)
    forwarded = {port: _free_port() for port in (22, *ports)}
    forwards = "".join(f",hostfwd=tcp:127.0.0.1:{ours}-:{theirs}" for theirs, ours in forwarded.items())
    command = [
        *("setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", "-name", name, *machine.arguments()),
        *("-kernel", str(base.kernel), "-initrd", str(base.initrd), "-append", APPEND),
        *("-drive", f"file={own_disk},if=virtio,cache=unsafe,discard=unmap"),
        *("-netdev", f"user,id=user,restrict=on{forwards}"),
        *("-serial", f"file:{folder}/console", "-qmp", f"unix:{folder}/qmp,server=on,wait=off"),
        *(["-loadvm", SNAPSHOT] if SNAPSHOT in listed.stdout.split() else []),
    ]
    with (folder / "qemu.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    return Guest(name, folder, base, forwarded, process)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
