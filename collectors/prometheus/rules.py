"""Recording rules: each is one query of a pull under a name, so that a long pull reads one series a host and metric."""

from __future__ import annotations

from typing import Any

from collectors.prometheus.plan import asks_of
from collectors.prometheus.survey import scope_of
from collectors.prometheus.table import Mapped

EVALUATION_S = 60
"""Short enough that what is read at a step is hardly older than the step."""


def recording_rules(mapped: Mapped, matchers: tuple[str, ...], step_s: int, peak_s: int = 0) -> str:
    """A rules file of Prometheus, in the naming style of node-mixin: ``level:metric:operation``.

    Args:
        mapped: Tables whose metrics are recorded.
        matchers: Of the series that are recorded.
        step_s: Of the pulls that will read it: the window of every rule.
        peak_s: As for the pull.

    """
    import yaml  # noqa: PLC0415  # nothing else here needs it

    groups: list[dict[str, Any]] = []
    for table in mapped.tables:
        scope = scope_of(table, matchers, step_s)
        rules = [
            {"record": name, "expr": ask.expression(scope, peak_s)}
            for ask in asks_of(table, peak_s > 0)
            if (name := ask.rule(step_s))
        ]
        if rules:
            interval = f"{min(EVALUATION_S, step_s)}s"
            groups.append({"name": f"consolidate-{table.name}", "interval": interval, "rules": rules})
    text: str = yaml.safe_dump({"groups": groups}, sort_keys=False, width=1000)
    return text
