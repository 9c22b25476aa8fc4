"""What can be imported from files: one line per format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from collectors.inventory import aws, azure_migrate, live_optics, rvtools, vsphere
from collectors.pcp import importer as pcp
from collectors.prometheus import exposition
from collectors.records import Record
from collectors.sysstat import importer as sysstat
from collectors.tables import importer as tables
from collectors.traces import alibaba, azure, bitbrains, planetlab, records, segments, tianchi


@dataclass(frozen=True)
class Importer:
    """One format of files."""

    read: Callable[[Path], Iterator[Record]]
    """Yields the records of a file or folder, or raises a TraceError: file, place, value and remedy."""
    what: str
    """What the files are, in a few words."""


IMPORTERS: Mapping[str, Importer] = {
    "agent": Importer(segments.read, "segments of an agent: its spool, or what was copied from it"),
    "alibaba": Importer(alibaba.read, "folder of the Alibaba cluster trace of 2018"),
    "aws-compute-optimizer": Importer(aws.read_optimizer, "EC2 export of AWS Compute Optimizer, CSV"),
    "aws-discovery": Importer(aws.read_discovery, "server list of AWS Application Discovery or Migration Hub, CSV"),
    "azure": Importer(azure.read, "folder of the Azure Public Dataset V1"),
    "azure-migrate": Importer(azure_migrate.read, "import template of Azure Migrate, filled in"),
    "bitbrains": Importer(bitbrains.read, "folder of GWA-T-12 CSV files, one a VM"),
    "exposition": Importer(exposition.read, "text that Prometheus exporters answer a scrape with, saved to a file"),
    "live-optics": Importer(live_optics.read, "Live Optics workbook for VMware"),
    "pcp": Importer(pcp.read, "PCP archives, or CSV files of pmrep"),
    "planetlab": Importer(planetlab.read, "folder of PlanetLab CPU traces, one folder a day"),
    "records": Importer(records.read, "what `python -m collectors` printed on other hosts"),
    "rvtools": Importer(rvtools.read, "RVTools workbook, or the folder of its CSV files"),
    "sysstat": Importer(sysstat.read, "files of sadc, `sadf -j` or `sadf -d`, or a folder of them"),
    "table": Importer(tables.read, "CSV or Parquet with a mapping file beside it"),
    "tianchi": Importer(tianchi.read, "archive of the Tianchi scheduling contest of 2018"),
    "vsphere": Importer(vsphere.read, "folder of what Get-Stat, Get-VM and Get-VMHost exported"),
}
"""Format, as on the command line, to its reader."""
