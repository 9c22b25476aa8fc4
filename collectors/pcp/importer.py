"""PCP archives, and CSV files that ``pmrep`` wrote of them, to records."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from collectors.external import run_into
from collectors.pcp import mapping
from collectors.pcp.hosts import Found, records
from collectors.pcp.table import EXPORT, Table, parse
from collectors.records import TraceError
from collectors.traces.files import find, load

LIMIT_S = 600.0
LIMIT_BYTES = 4 << 30
"""What ``pmrep`` may write for one archive."""
_INVALID = re.compile(r"Invalid metric ([\w.]+)")
_SYSTEM_PYTHON = Path("/usr/bin/python3")
_ARCHIVE = (".index", ".meta", ".meta.xz", ".meta.gz", ".meta.zst")


def read(place: Path) -> Iterator[Found]:
    """Yield hosts, control groups and series of an archive or CSV file, or of all of a folder.

    An archive is given by its base name or by one of its files, and needs ``pmrep`` here. A CSV file needs nothing.

    Raises:
        TraceError: with the file, the row, the value and the remedy.

    """
    return records((_host(table), table) for table in _tables(place))


def _tables(place: Path) -> Iterator[Table]:
    if place.is_dir():
        archives = {_base(path) for path in place.glob("**/*") if path.name.endswith(_ARCHIVE)}
        for base in sorted(archives):
            yield _archive(base)
        for path in find(place, "**/*.csv") if not archives else sorted(place.glob("**/*.csv")):
            yield parse(load(path), str(path))
    elif place.suffix == ".csv":
        yield parse(load(place), str(place))
    else:
        yield _archive(_base(place))


def _base(path: Path) -> Path:
    """Base name of an archive, of which ``path`` may be a file: 20261125.0 is one of 20261125."""
    name = re.sub(r"\.(\d+|index|meta)(\.(xz|gz|zst))?$", "", path.name)
    known = any(path.with_name(f"{name}{ending}").exists() for ending in _ARCHIVE)
    return path.with_name(name) if known else path


def _host(table: Table) -> str:
    """Name that the host calls itself, or that of the file."""
    return table.last(mapping.NODENAME) or Path(table.name).stem


def _archive(base: Path) -> Table:
    if not any(base.with_name(f"{base.name}{ending}").exists() for ending in _ARCHIVE):
        raise TraceError(f"{base}: no archive of PCP; give its base name, without .0, .meta and .index")
    if shutil.which("pmrep") is None:
        raise TraceError(f"{base}: no pmrep here; install pcp, or bring what it prints elsewhere: `{EXPORT}`")
    with tempfile.TemporaryDirectory(prefix="consolidate-pcp-") as folder:
        out = Path(folder) / "out.csv"
        _export(base, out)
        return parse(load(out), str(base))


def _export(base: Path, out: Path) -> None:
    """Run ``pmrep``; it refuses all for one metric that was asked for and never had an instance."""
    wanted = list(mapping.WANTED)
    while wanted:
        command = ["pmrep", "-a", str(base), "-r", "-u", "-5", "-f", "%s", "-o", "csv", *wanted]
        complaint = run_into(command, out, LIMIT_S, LIMIT_BYTES, _python())
        if not complaint:
            return
        invalid = _INVALID.match(complaint)
        if not invalid or invalid[1] not in wanted:
            raise TraceError(
                f"{base}: pmrep says {complaint!r}; copy the archive again, or export it where it was made"
            )
        wanted.remove(invalid[1])
    raise TraceError(
        f"{base}: none of the metrics that a plan needs; log kernel.all.cpu, mem.util, disk.dev and cgroup"
    )


def _python() -> Mapping[str, str]:
    """Pmrep runs in the system's Python, whose packages a virtual environment's does not see."""
    return {"PCP_PYTHON_PROG": str(_SYSTEM_PYTHON)} if _SYSTEM_PYTHON.exists() else {}
