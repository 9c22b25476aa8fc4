"""Whether the named policies keep what they promise: rolling origin, on random halves of the workloads.

python -m tests.bench.promises --splits 20 --table

Each half is planned on the first days, makes its promise from them alone, and is judged on the days that follow.

risk kept   the judged rate is at most the policy's risk
kept        the judged rate is at most what was promised
host-days   mean share of the judged days of hosts on which the host kept the policy's risk, and what was told of it
expected    the 95 % interval of the judged rate holds the rate that was expected; a second sample as large as the first
            and alike falls into it in 83 % of cases, since the interval knows nothing of the first one's own error
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from consolidate.backtest import Judged, judge_halves
from consolidate.backtest.promise import Promise
from consolidate.model.policy import SIZING_POLICIES
from tests.bench.command import show_table
from tests.bench.histories import Judgement, judgements

HEADINGS = (
    "trace",
    "hosts of",
    "policy",
    "hosts",
    "risk %",
    "promised % at most",
    "judged %",
    "highest %",
    "kept %",
    "risk kept %",
    "host-days %",
    "told %",
    "expected %",
)


def row(case: Judgement, policy: str, halves: Sequence[Judged]) -> tuple[str, ...]:
    """Means over the halves that had a plan and promised something."""
    told = [(one, one.promise) for one in halves if one.promise is not None]

    def mean(values: list[float]) -> str:
        return f"{np.mean(values) * 100:.3g}"

    promises: list[Promise] = [promise for _, promise in told]
    judged = [one for one, _ in told]
    return (
        case.trace,
        str(case.shape),
        policy,
        f"{np.mean([one.hosts for one in judged if one.hosts is not None]):.1f}",
        mean([SIZING_POLICIES[policy].risk]),
        mean([one.at_most for one in promises]),
        mean([one.violation_rate for one in judged]),
        f"{max(one.violation_rate for one in judged) * 100:.3g}",
        mean([float(one.kept is True) for one in judged]),
        mean([float(one.violation_rate <= promise.risk) for one, promise in told]),
        mean([one.within for one in judged]),
        mean([one.within for one in promises]),
        mean([float(one.expected is True) for one in judged]),
    )


def rows(given: argparse.Namespace) -> Iterator[tuple[str, ...]]:
    """A row for every split, shape and policy."""
    for case in judgements(given.traces):
        for name in given.policies:
            policy = replace(case.inputs.policy, sizing=SIZING_POLICIES[name])
            fleet = case.inputs.fleet
            yield row(case, name, judge_halves(case.history, fleet, policy, case.train_days, given.splits, given.seed))


def main() -> None:
    """Print a row as soon as there is one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--traces", nargs="+", choices=["planetlab", "bitbrains"], default=["planetlab", "bitbrains"])
    parser.add_argument("--policies", nargs="+", choices=[*SIZING_POLICIES], default=[*SIZING_POLICIES])
    parser.add_argument("--splits", type=int, default=20, help="random halves")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--table", action="store_true", help="Markdown; otherwise one JSON object a line")
    given = parser.parse_args()
    show_table(HEADINGS, rows(given), given.table)


if __name__ == "__main__":
    main()
