"""The plan as one page that needs nothing else: pictures, tables, light and dark, screen and paper."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

from consolidate.plan.plan import Plan, plan_digest
from consolidate.report import pictures, proof, savings, summary, words
from consolidate.units import format_bytes

TEMPLATE = "report.html.j2"


def render_html(plan: Plan) -> str:
    """The report as one HTML file."""
    environment = Environment(
        loader=PackageLoader("consolidate.report", ""),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    groups = summary.by_os(plan)
    states = [state for host in plan.hosts for state in (host.before, host.after)]
    page = environment.get_template(TEMPLATE).render(
        plan=plan,
        summary=summary,
        proof=proof,
        savings=savings,
        words=words,
        pictures=pictures,
        format_bytes=format_bytes,
        groups=groups,
        kept=[host for group in groups for host in group.kept],
        freed=[group for group in groups if group.freed],
        flows=summary.flows(plan),
        waves=summary.waves(plan),
        provenance=summary.provenance(plan, plan_digest(plan)),
        overfull=any(summary.peak(state.cpu_permille) > 1000 for state in states),
    )
    return "\n".join(words.printable(line) for line in page.split("\n")) + "\n"
