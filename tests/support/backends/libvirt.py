"""A real libvirtd with emulated domains, in name spaces of its own: it leaves nothing on the machine it ran on.

What the daemon would keep in ``/run`` and ``/var`` lies in a folder of the test's, whose ``run`` holds the sockets and
process ids that a host has in ``/run/libvirt``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape

from collectors.cgroup import find_hierarchies
from tests.support.backends.image import image

APPEND = "root=/dev/vda rw console=ttyS0 quiet psi=1 mitigations=off"
TUN = (10, 200)
"""Device number of ``/dev/net/tun`` (kernel document admin-guide/devices.txt), which containers often lack."""
DAEMON = """
auth_unix_rw = "none"
auth_unix_ro = "none"
"""
EMULATOR = """
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
namespaces = [ ]
stdio_handler = "file"
cgroup_controllers = [ "cpu", "memory", "blkio", "cpuset", "cpuacct" ]
"""
"""Nothing that needs a login manager, a security module or a log daemon."""
OWN_PLACES = {"etc": "/etc/libvirt", "run": "/run/libvirt", "lib": "/var/lib/libvirt", "cache": "/var/cache/libvirt"}
DOMAIN = """
<domain type='qemu'>
  <name>{name}</name>
  <metadata>
    <os:libosinfo xmlns:os="http://libosinfo.org/xmlns/libvirt/domain/1.0"><os:os id="{system}"/></os:libosinfo>
  </metadata>
  <memory unit='MiB'>{memory_mib}</memory>
  <vcpu>{cpus}</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>{kernel}</kernel><initrd>{initrd}</initrd><cmdline>{append}</cmdline>
  </os>
  <features><acpi/></features>
  <cpu mode='maximum'/>
  <on_reboot>destroy</on_reboot>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' cache='unsafe'/><source file='{disk}'/><target dev='vda' bus='virtio'/>
    </disk>
    <interface type='ethernet'><model type='virtio'/></interface>
    <serial type='file'><source path='{folder}/{name}.console'/></serial>
    <memballoon model='virtio'><stats period='1'/></memballoon>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
  </devices>
</domain>
"""


@dataclass
class Libvirt:
    """A daemon of our own; domains that are defined in it end with it."""

    folder: Path
    process: subprocess.Popen[bytes] = field(repr=False)

    @property
    def run(self) -> Path:
        """What a host has as ``/run/libvirt``."""
        return self.folder / "run"

    @property
    def uri(self) -> str:
        """Names the daemon to virsh."""
        return f"qemu:///system?socket={self.run}/libvirt-sock"

    def virsh(self, *words: str, check: bool = True) -> str:
        """Run one of virsh's commands and return what it printed.

        Raises:
            RuntimeError: with virsh's words, where it fails and ``check`` is set.

        """
        done = subprocess.run(
            ["virsh", "--quiet", "--connect", self.uri, *words], capture_output=True, text=True, timeout=90, check=False
        )
        if check and done.returncode:
            raise RuntimeError(f"virsh {' '.join(words)} ended with {done.returncode}: {done.stderr}")
        return done.stdout

    def define(
        self, name: str, memory_mib: int = 512, cpus: int = 1, system: str = "http://debian.org/debian/12"
    ) -> None:
        """Make a domain known, with a disk of its own; it does not run yet."""
        base = image()
        disk = self.folder / f"{name}.qcow2"
        backing = ["-F", "qcow2", "-b", str(base.disk)]
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *backing, str(disk)], check=True)
        text = DOMAIN.format(
            name=escape(name),
            system=system,
            memory_mib=memory_mib,
            cpus=cpus,
            kernel=base.kernel,
            initrd=base.initrd,
            append=APPEND,
            disk=disk,
            folder=self.folder,
        )
        (self.folder / f"{name}.xml").write_text(text)
        self.virsh("define", str(self.folder / f"{name}.xml"))

    def stats(self, name: str) -> dict[str, str]:
        """What ``virsh domstats`` says of a domain now, by key."""
        lines = self.virsh("domstats", "--raw", name).splitlines()
        return dict(line.strip().partition("=")[::2] for line in lines if "=" in line)

    def pid(self, name: str) -> int:
        """Process id of a running domain's emulator."""
        return int((self.run / f"qemu/{name}.pid").read_text())

    def hang(self) -> None:
        """Let the daemon answer nobody any more."""
        self.process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        """End the daemon as a crash would: sockets stay, and so do its domains."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """End domains and daemon, and remove what they left."""
        for file in (self.run / "qemu").glob("*.pid"):
            if file.stem != "driver":
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(file.read_text()), signal.SIGKILL)
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        try:
            self.process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def libvirt() -> Iterator[Libvirt]:
    """Start a daemon; stop it, its domains and their control groups whatever happens."""
    groups_before = _machine_groups()
    folder = Path(tempfile.mkdtemp(prefix="libvirt-"))
    daemon = Libvirt(folder, _start(folder))
    try:
        _wait(daemon)
        yield daemon
    finally:
        daemon.stop()
        _remove_groups(_machine_groups() - groups_before)


def _start(folder: Path) -> subprocess.Popen[bytes]:
    mounts = []
    for name, place in OWN_PLACES.items():
        (folder / name).mkdir()
        mounts.append(f"mkdir -p {place} && mount --bind {folder}/{name} {place}")
    # The account that Debian's daemon insists on is made by a package that would also start a daemon of its own.
    for database, line in (("passwd", "libvirt-qemu:x:64055:64055::/:/bin/false"), ("group", "libvirt-qemu:x:64055:")):
        (folder / database).write_text(f"{Path('/etc', database).read_text()}{line}\n")
        mounts.append(f"mount --bind {folder}/{database} /etc/{database}")
    (folder / "etc/libvirtd.conf").write_text(DAEMON)
    (folder / "etc/qemu.conf").write_text(EMULATOR)
    if not (tun := Path("/dev/net/tun")).exists():
        tun.parent.mkdir(exist_ok=True)
        os.mknod(tun, stat.S_IFCHR | 0o666, os.makedev(*TUN))
    script = " && ".join([*mounts, "ip link set lo up", "exec libvirtd"])
    command = ["setpriv", "--pdeathsig", "TERM", "unshare", "-n", "-m", "--propagation", "private", "sh", "-c", script]
    with (folder / "libvirtd.log").open("wb") as log:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def _wait(daemon: Libvirt, patience_s: float = 60) -> None:
    """The first start probes the emulator, which takes a while."""
    until = time.monotonic() + patience_s
    while time.monotonic() < until and daemon.process.poll() is None:
        with contextlib.suppress(RuntimeError):
            daemon.virsh("uri")
            return
        time.sleep(0.1)
    raise TimeoutError(f"libvirtd does not answer: {(daemon.folder / 'libvirtd.log').read_text()[-2000:]}")


def _machine_groups() -> set[Path]:
    """Every group in which libvirt keeps domains, in any hierarchy."""
    return {root / "machine" for root in find_hierarchies(Path("/")).roots if (root / "machine").is_dir()}


def _remove_groups(tops: set[Path], patience_s: float = 5) -> None:
    until = time.monotonic() + patience_s
    while any(top.is_dir() for top in tops) and time.monotonic() < until:
        for top in tops:
            for place in sorted([top, *(it for it in top.rglob("*") if it.is_dir())], reverse=True):
                with contextlib.suppress(OSError):  # an emulator leaves its group a moment after it ended
                    place.rmdir()
        time.sleep(0.05)
