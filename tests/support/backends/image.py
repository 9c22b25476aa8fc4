"""A small bootable Debian 12 (systemd, unified control groups, sshd, Python with psutil), built once per machine.

The image is kept in a cache folder outside the project, under a name that is a hash of its recipe: another recipe is
another image. ``CONSOLIDATE_TEST_CACHE`` names the folder; else it is in the user's cache.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGES = (
    "systemd-sysv",
    "dbus",
    "udev",
    "kmod",
    "iproute2",
    "openssh-server",
    "procps",
    "e2fsprogs",
    "python3",
    "python3-psutil",
    "linux-image-cloud-amd64",
    "initramfs-tools",
    "busybox-static",
    "zstd",
)
DISK_SIZE = "3G"
INITRD_MODULES = "virtio_pci\nvirtio_blk\nvirtio_balloon\next4\n"
"""What the guest boots with; the balloon reports its memory before anything else runs."""
ESSENTIAL = f"""
mkdir -p "$1/etc/initramfs-tools/conf.d"
printf 'MODULES=list\\nCOMPRESS=zstd\\nBUSYBOX=n\\n' > "$1/etc/initramfs-tools/conf.d/small"
printf '{INITRD_MODULES.encode("unicode_escape").decode()}' > "$1/etc/initramfs-tools/modules"
"""
CUSTOMIZE = """
root="$1"
echo guest > "$root/etc/hostname"
echo '127.0.0.1 localhost guest' > "$root/etc/hosts"
echo '/dev/vda / ext4 rw,noatime 0 1' > "$root/etc/fstab"
install -d -m 700 "$root/root/.ssh"
install -m 600 "$KEY.pub" "$root/root/.ssh/authorized_keys"
printf '[Match]\\nName=en* eth*\\n[Network]\\nAddress=10.0.2.15/24\\nGateway=10.0.2.2\\n' \\
  > "$root/etc/systemd/network/10-user.network"
printf 'PermitRootLogin prohibit-password\\nUseDNS no\\nGSSAPIAuthentication no\\n' \\
  > "$root/etc/ssh/sshd_config.d/test.conf"
chroot "$root" systemctl --quiet enable systemd-networkd ssh
chroot "$root" systemctl --quiet mask systemd-networkd-wait-online.service systemd-timesyncd.service \\
  apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer e2scrub_all.timer e2scrub_reap.service
: > "$root/etc/machine-id"
rm -f "$root/etc/resolv.conf"
: > "$root/etc/resolv.conf"
mv "$root"/boot/vmlinuz-* "$OUT/vmlinuz"
mv "$root"/boot/initrd.img-* "$OUT/initrd.img"
rm -rf "$root"/boot/* "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*
"""
BOOTSTRAP = (
    "mmdebstrap",
    "--quiet",
    "--mode=root",
    "--variant=minbase",
    "--components=main",
    f"--include={','.join(PACKAGES)}",
    '--aptopt=Acquire::Languages "none"',
    *(f"--dpkgopt=path-exclude=/usr/share/{place}/*" for place in ("doc", "man", "locale")),
    f"--essential-hook={ESSENTIAL}",
    f"--customize-hook={CUSTOMIZE}",
    "bookworm",
)


@dataclass(frozen=True)
class Image:
    """What a guest boots from."""

    folder: Path

    @property
    def kernel(self) -> Path:
        """The guest's own kernel, which the emulator loads itself."""
        return self.folder / "vmlinuz"

    @property
    def initrd(self) -> Path:
        """The kernel's first file system."""
        return self.folder / "initrd.img"

    @property
    def disk(self) -> Path:
        """A qcow2 to lay another on; nobody writes to it."""
        return self.folder / "root.qcow2"

    @property
    def key(self) -> Path:
        """The private key that root's account accepts."""
        return self.folder / "id_ed25519"


def image() -> Image:
    """Return the image of the recipe above, built if this machine has none yet (a minute or two)."""
    recipe = hashlib.sha256("\0".join([*BOOTSTRAP, DISK_SIZE]).encode()).hexdigest()[:12]
    return Image(cached(f"debian-12-{recipe}", _build))


def cached(name: str, build: Callable[[Path], None]) -> Path:
    """Return a folder of the cache, filled by ``build`` where there is none of that name.

    Two test runs do not build the same thing at once, and a build that was cut short leaves nothing to be found.
    """
    cache = _cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache / f"{name}.lock"):
        if not (cache / name).is_dir():
            with tempfile.TemporaryDirectory(dir=cache, prefix="unfinished-") as place:
                unfinished = Path(place) / name
                unfinished.mkdir()
                build(unfinished)
                unfinished.rename(cache / name)
    return cache / name


def _cache_folder() -> Path:
    if named := os.environ.get("CONSOLIDATE_TEST_CACHE"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "consolidate-tests"


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(out: Path) -> None:
    key, root, raw = out / "id_ed25519", out / "root", out / "root.raw"
    _call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "consolidate-tests", "-f", str(key))
    environment = os.environ | {"OUT": str(out), "KEY": str(key)}
    _call(*BOOTSTRAP, str(root), environment=environment)
    _call("truncate", "-s", DISK_SIZE, str(raw))
    _call("mkfs.ext4", "-q", "-F", "-L", "root", "-O", "^has_journal", "-d", str(root), str(raw))
    shutil.rmtree(root)
    _call("qemu-img", "convert", "-O", "qcow2", str(raw), str(out / "root.qcow2"))
    raw.unlink()


def _call(*command: str, environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed with {done.returncode}: {done.stderr[-2000:]}")
