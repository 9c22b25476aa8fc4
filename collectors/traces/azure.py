"""Azure Public Dataset V1 (Cortez et al., SOSP 2017): ``vmtable.csv`` and ``vm_cpu_readings-file-N-of-125.csv``.

Plain or gzipped, without headers; the schema is that of AzurePublicDatasetV1.md. Readings are percent of a virtual
machine's cores every five minutes: the average becomes ``cpu_cores``, the greatest ``cpu_cores_max``. No memory was
measured: what a virtual machine was given stands for it. Times count seconds from the trace's start, for which no
date is published; ``ORIGIN_S`` is made up, so that hours of the day and days of the week mean nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from collectors.records import NoteRecord, Series, TraceError, WorkloadRecord
from collectors.tables.engine import Engine, engine
from collectors.tables.packed import check
from collectors.tables.query import headless
from collectors.traces.files import find

ORIGIN_S = 1_483_228_800
"""2017-01-01 00:00 UTC."""
_GB_BYTES = 10**9
_VMS = {
    "vmid": "VARCHAR",
    "subscription": "VARCHAR",
    "deployment": "VARCHAR",
    "created": "DOUBLE",
    "deleted": "DOUBLE",
    "max_cpu": "DOUBLE",
    "avg_cpu": "DOUBLE",
    "p95_max_cpu": "DOUBLE",
    "category": "VARCHAR",
    "cores": "INTEGER",
    "memory_gb": "DOUBLE",
}
_READINGS = {"second": "DOUBLE", "vmid": "VARCHAR", "min_cpu": "DOUBLE", "max_cpu": "DOUBLE", "avg_cpu": "DOUBLE"}
_REPAIR = "repair the line, or fetch the file again"


def read(folder: Path) -> Iterator[WorkloadRecord | Series | NoteRecord]:
    """Yield the virtual machines that have readings in a folder of the data set, which may be a part of it."""
    tables, readings = (
        [path for path in find(folder, f"**/{name}*") if path.name.endswith((".csv", ".csv.gz"))]
        for name in ("vmtable", "vm_cpu_readings")
    )
    if len(tables) != 1 or not readings:
        raise TraceError(
            f"{folder}: {len(tables)} files vmtable.csv and {len(readings)} vm_cpu_readings-….csv; the first says how "
            "many cores each percentage is of, so give a folder with one of it and at least one of the second"
        )
    check([*tables, *readings])
    with engine(str(readings[0]), _REPAIR, _REPAIR) as trace:
        trace.rows(f"CREATE TEMP TABLE vms AS SELECT * FROM {headless(tables, _VMS)}")
        _check_vms(trace, tables[0])
        trace.find(
            f"""
            SELECT '' AS host, vmid AS workload, ({ORIGIN_S} + second)::BIGINT AS at_s,
                   readings.avg_cpu / 100 * cores AS m0, readings.max_cpu / 100 * cores AS m1
            FROM {headless(readings, _READINGS)} AS readings JOIN vms USING (vmid)
            """,
            ("m0", "m1"),
        )
        sizes = {}
        for vm, deployment, subscription, cores, memory_gb in trace.rows(
            "SELECT vmid, deployment, subscription, cores, memory_gb FROM vms "
            "WHERE vmid IN (SELECT workload FROM found) ORDER BY vmid"
        ):
            limits = {"cpu_milli": int(cores) * 1000, "memory_bytes": int(memory_gb * _GB_BYTES)}
            sizes[str(vm)] = limits["memory_bytes"]
            yield WorkloadRecord(str(vm), "vm", limits=limits, group=str(deployment), owner=str(subscription))
        yield from _with_memory(trace, sizes)
    yield NoteRecord(
        "azure", "memory was not measured, what each virtual machine was given stands for it; dates made up"
    )


def _check_vms(trace: Engine, file: Path) -> None:
    """Every machine needs a name, and cores and memory that can be."""
    fault = "vmid IS NULL OR cores IS NULL OR cores < 1 OR memory_gb IS NULL OR NOT memory_gb BETWEEN 0 AND 1e6"
    for vm, cores, memory_gb in trace.rows(f"SELECT vmid, cores, memory_gb FROM vms WHERE {fault} LIMIT 1"):
        raise TraceError(f"{file}: {str(vm)[:40]}: {cores} cores and {memory_gb} GB are no size; {_REPAIR}")
    for (vm,) in trace.rows("SELECT vmid FROM vms GROUP BY vmid HAVING count(*) > 1 LIMIT 1"):
        raise TraceError(f"{file}: {str(vm)[:40]} stands there twice; {_REPAIR}")


def _with_memory(trace: Engine, sizes: dict[str, int]) -> Iterator[Series]:
    for series in trace.series(("cpu_cores", "cpu_cores_max")):
        yield series
        if series.metric == "cpu_cores":
            memory = np.full(len(series.at_s), float(sizes[series.workload or ""]))
            yield Series("", series.workload, "", "memory_working_set_bytes", series.at_s, memory)
