"""Options that several verbs have, and what they all agree on."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Annotated

import typer

FLUSH_S = 60
"""Rounds of this long are stored together: a kill loses no more, and a month is not a million segments."""
CHANGES = 2
"""Exit code: something would change, or has."""

StoreOption = Annotated[Path, typer.Option("--store", help="Directory of the sample store.")]
MaybeStore = Annotated[Path | None, typer.Option("--store", help="Directory of the sample store.")]
FleetOption = Annotated[Path | None, typer.Option("--fleet", help="YAML file: hosts, workloads, rules, policy.")]
PlanArgument = Annotated[Path, typer.Argument(help="Plan file, as `consolidate plan --out` wrote it.")]
KeepOption = Annotated[str, typer.Option(help="Remove what is older, such as 30d.", show_default="everything")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
SeedOption = Annotated[int, typer.Option(help="Same seed and effort, same plan.", min=0)]
EffortOption = Annotated[int, typer.Option(help="How hard to search: 1 is usual, 10 is patient.", min=1, max=1000)]
HostOption = Annotated[str, typer.Option("--host", help="Name of this host in the plan.", show_default="this host's")]
RootOption = Annotated[Path, typer.Option("--root", help="Directory that looks like the host's /.")]
StateOption = Annotated[Path, typer.Option("--state", help="Directory of the journal.")]
FORMATS = (
    "agent, alibaba, aws-compute-optimizer, aws-discovery, azure, azure-migrate, bitbrains, exposition, live-optics, "
    "pcp, planetlab, records, rvtools, sysstat, table, tianchi, vsphere"
)
"""Written out here because the registry of importers takes longer to load than `--help` may."""
THIS_HOST = platform.node()
ROOT = Path("/")
STATE = Path("/var/lib/consolidate")
