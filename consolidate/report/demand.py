"""Sizes of workloads, as a table or as JSON."""

from __future__ import annotations

import io

from rich.console import Console
from rich.table import Table
from rich.text import Text

from consolidate.model.demand import Demand, Demands
from consolidate.units import format_amount


def demand_text(demands: Demands, width: int) -> str:
    """A line per workload: average CPU, what is reserved for it at its peak, and what that rests on."""
    table = Table(box=None, pad_edge=False)
    table.add_column("Workload", overflow="fold")
    for name in ("CPU mean", "CPU peak", "Memory"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("From", overflow="fold", max_width=26)
    for name, demand in sorted(demands.items()):
        if isinstance(demand, Demand):
            peak = demand.peak
            basis = demand.source
            if demand.source == "measured":
                basis = f"{demand.days:.1f} d, {demand.coverage:.0%}, {demand.slots} slots"
            amounts = [format_amount(key, peak.get(key)) for key in ("cpu_milli", "memory_bytes")]
            mean = format_amount("cpu_milli", round(demand.mean_cpu_milli))
            table.add_row(Text(name), mean, *amounts, basis)
        else:
            table.add_row(Text(name), "–", "unknown", "unknown", Text(demand.reason))
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


def demand_json(demands: Demands) -> dict[str, object]:
    """Every workload's profile, or the reason why there is none."""
    return {
        name: {
            "source": demand.source,
            "coverage": round(demand.coverage, 4),
            "days": round(demand.days, 2),
            "mean_cpu_milli": round(demand.mean_cpu_milli, 1),
            "slots": {dimension: slots.tolist() for dimension, slots in demand.amounts.items()},
        }
        if isinstance(demand, Demand)
        else {"unknown": demand.reason}
        for name, demand in sorted(demands.items())
    }
