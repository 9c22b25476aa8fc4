"""Binary files of ``sadc`` (``sa21``, ``sa20260131``), compressed or not, read by the ``sadf`` of this machine.

Files of sysstat 9.1.6 to 11.6 are converted first (``sadf -c``), as sysstat 12 wants it.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import shutil
import struct
import tempfile
from collections.abc import Sequence
from pathlib import Path

from collectors.external import run_into
from collectors.records import TraceError
from collectors.sysstat import sadf_json
from collectors.sysstat.recording import Recording

MAGIC = (b"\x96\xd5", b"\xd5\x96")
"""How such a file begins, on machines of either byte order."""
_GZIP, _BZIP2, _XZ = b"\x1f\x8b", b"BZ", b"\xfd7"
COMPRESSED = (_GZIP, _BZIP2, _XZ)
"""How it begins where sa2 packed it."""
LIMIT_S = 120.0
LIMIT_BYTES = 1 << 30
"""What ``sadf`` may write for one file; a day of a large host at one second stays below."""
_ACTIVITIES = ("-u", "-P", "ALL", "-b", "-r", "ALL", "-S", "-d", "-n", "DEV")
_WITH_PRESSURE = (*_ACTIVITIES, "-q", "PSI")
_PREVIOUS = (0x2171, 0x2173)
_FILESYSTEMS_ID, _FILESYSTEMS_OLD, _FILESYSTEMS_NEW = 37, 0x8A, 0x8B


def read(path: Path) -> list[Recording]:
    """What a binary file says, or a TraceError with what ``sadf`` says of it and the remedy."""
    if shutil.which("sadf") is None:
        raise TraceError(
            f"{path}: a binary file of sysstat, and there is no sadf here; install sysstat, or export it where it was "
            "written with `sadf -j FILE -- -A`"
        )
    with tempfile.TemporaryDirectory(prefix="consolidate-sysstat-") as folder:
        plain = _unpacked(path, Path(folder))
        if _format(plain) in _PREVIOUS:
            plain = _converted(plain, path, Path(folder))
        out = Path(folder) / "out.json"
        # Pressure came with 12.3.3; a sadf that does not know the word refuses all.
        complaint = _sadf(("-j", str(plain), "--", *_WITH_PRESSURE), out)
        if complaint and (complaint := _sadf(("-j", str(plain), "--", *_ACTIVITIES), out)):
            raise TraceError(f"{path}: sadf says {complaint!r}; export it where it was written with `sadf -j`")
        return sadf_json.parse(out.read_text(encoding="utf-8", errors="replace"), str(path))


def _unpacked(path: Path, folder: Path) -> Path:
    with path.open("rb") as file:
        start = file.read(2)
    if start not in COMPRESSED:
        return path
    plain = folder / "plain"
    try:
        with _open_packed(path, start) as packed, plain.open("wb") as file:
            while chunk := packed.read(1 << 20):
                file.write(chunk)
                if file.tell() > LIMIT_BYTES:
                    raise TraceError(f"{path}: unpacks to more than {LIMIT_BYTES >> 30} GiB; give a file of one day")
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise TraceError(f"{path}: cannot be unpacked ({error}); fetch the file again") from None
    return plain


def _open_packed(path: Path, start: bytes) -> io.BufferedIOBase:
    if start == _GZIP:
        return gzip.GzipFile(path)
    return bz2.BZ2File(path) if start == _BZIP2 else lzma.LZMAFile(path)


def _format(path: Path) -> int:
    with path.open("rb") as file:
        start = file.read(4)
    order = "<" if start[:2] == MAGIC[0] else ">"
    return int(struct.unpack(f"{order}H", start[2:])[0]) if len(start) == 4 else 0


def _converted(old: Path, named: Path, folder: Path) -> Path:
    copy, new = folder / "old", folder / "new"
    copy.write_bytes(without_filesystems(old.read_bytes()))
    if complaint := _sadf(("-c", str(copy)), new):
        raise TraceError(
            f"{named}: sadf cannot convert it ({complaint}); export it where it was written with `sadf -j`"
        )
    return new


def without_filesystems(content: bytes) -> bytes:
    """The file, its figures of filesystems marked as if they were of today's layout.

    Nothing here reads them, and the conversion of the older layout ends the ``sadf`` of Debian 12 (12.6.1) with a
    signal: it copies 160-byte records with instructions that want multiples of 16 bytes from a buffer that is none.
    Marked so, they are copied as they are. Layout of the header and of its list of activities: ``sa.h`` of 10.3.
    """
    patched = bytearray(content)
    order = "<" if content[:2] == MAGIC[0] else ">"
    try:
        version, size = struct.unpack_from(f"{order}H", content, 2)[0], struct.unpack_from(f"{order}I", content, 8)[0]
        start, list_start = (76, 76 + size) if version == 0x2173 else (8, 8)
        count = struct.unpack_from(f"{order}I", content, start + 12)[0] if version == 0x2173 else 0
        for place in range(list_start, list_start + 20 * min(count, 256), 20):
            if struct.unpack_from(f"{order}II", content, place) == (_FILESYSTEMS_ID, _FILESYSTEMS_OLD):
                struct.pack_into(f"{order}I", patched, place + 4, _FILESYSTEMS_NEW)
    except struct.error:
        return content  # cut short: sadf says so in its own words
    return bytes(patched)


def _sadf(arguments: Sequence[str], out: Path) -> str:
    """Run ``sadf`` into a file; empty, or in a few words why it failed."""
    return run_into(["sadf", *arguments], out, LIMIT_S, LIMIT_BYTES)
