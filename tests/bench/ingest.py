"""Samples a second from Parquet and CSV files to the store, and the memory that takes.

python -m tests.bench.ingest --samples 10000000 --table

Files are made up first, of virtual machines with a reading every five minutes, sorted by time as exports are: every
workload's readings lie scattered over the whole file. What is timed is the import verb's work: reading, checking,
sorting and writing the store. Every case runs in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

from collectors.tables.importer import read
from consolidate.store import Store

STEP_S = 300
START_S = 1_700_000_000
METRICS = {
    "cpu_cores": ('"cpu percent"', "percent-of-cores", ', cores = "vcpus"', 100),
    "memory_working_set_bytes": ('"memory MiB"', "MiB", "", 8000),
    "disk_read_bytes_per_s": ('"read"', "KiB/s", "", 10_000),
    "net_rx_bytes_per_s": ('"received"', "Mbit/s", "", 900),
}
"""Column, unit, what else its entry says, and the greatest value, by metric."""
CASES = ("wide parquet", "wide csv", "long parquet", "long csv")
HEADINGS = ("form", "samples", "file MiB", "seconds", "samples/s", "peak MiB")


def make(case: str, samples: int, workloads: int, folder: Path) -> Path:
    """Write the file of a case and its mapping; sizes are the same in all."""
    form, kind = case.split()
    rows = samples // len(METRICS) // workloads
    columns = ", ".join(f"random() * {greatest} AS {column}" for column, _, _, greatest in METRICS.values())
    wide = f"""
        SELECT {START_S} + {STEP_S} * step AS at, 'host-' || vm % 50 AS server, 'vm-' || vm AS vm, 4 AS vcpus, {columns}
        FROM range({rows}) AS steps(step), range({workloads}) AS vms(vm) ORDER BY step, vm
    """
    names = ", ".join(column for column, *_ in METRICS.values())
    table = wide if form == "wide" else f"UNPIVOT ({wide}) ON {names} INTO NAME counter VALUE reading"
    path = folder / f"{form}.{kind}"
    with duckdb.connect() as connection:
        connection.execute("SELECT setseed(0.5)")
        connection.execute(f"COPY ({table}) TO '{path}' (FORMAT {kind})")
    (folder / "mapping.toml").write_text(mapping(form), encoding="utf-8")
    return path


def mapping(form: str) -> str:
    """The mapping file of a form."""
    lines = ["[columns]", 'at = "at"', 'host = "server"', 'workload = "vm"']
    lines += ['metric = "counter"', 'value = "reading"'] if form == "long" else []
    lines += ["[metrics]"]
    key = "name" if form == "long" else "column"
    lines += [f'{name} = {{{key} = {at}, unit = "{unit}"{more}}}' for name, (at, unit, more, _) in METRICS.items()]
    return "\n".join(lines)


def measure(path: Path, store: Path) -> dict[str, float]:
    """Import one file in this process."""
    began = time.monotonic()
    samples = Store.create(store).append(read(path))
    seconds = time.monotonic() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "samples": samples,
        "file_bytes": path.stat().st_size,
        "seconds": round(seconds, 2),
        "samples_per_s": round(samples / seconds),
        "peak_memory_bytes": peak,
    }


def main() -> None:
    """Make every case's file, import it in a process of its own, and print a line for it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=10_000_000)
    parser.add_argument("--workloads", type=int, default=500)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--table", action="store_true", help="Markdown; otherwise one JSON object a line")
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="consolidate-bench-") as folder:
        if given.file:
            print(json.dumps(measure(given.file, Path(folder) / "store")))
            return
        if given.table:
            print("| " + " | ".join(HEADINGS) + " |\n|" + "---|" * len(HEADINGS))
        for case in given.only:
            path = make(case, given.samples, given.workloads, Path(folder))
            command = [sys.executable, "-m", "tests.bench.ingest", "--file", str(path)]
            figures = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            print(_row(case, figures) if given.table else json.dumps({"form": case, **figures}), flush=True)
            path.unlink()


def _row(case: str, figures: dict[str, float]) -> str:
    cells = (
        case,
        f"{figures['samples']:,}",
        f"{figures['file_bytes'] / 2**20:,.0f}",
        f"{figures['seconds']:.1f}",
        f"{figures['samples_per_s']:,}",
        f"{figures['peak_memory_bytes'] / 2**20:,.0f}",
    )
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
