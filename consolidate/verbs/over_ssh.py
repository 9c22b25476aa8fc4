"""``apply``, ``status`` and ``rollback`` with ``--ssh``: the same on all hosts of a plan at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from consolidate.apply import Records
from consolidate.apply.backends.registry import persistently
from consolidate.apply.hosts import HostOutcome, ManyHosts, Pace, planned_hosts
from consolidate.apply.hosts_show import host_line
from consolidate.apply.records import hosts_with_writes
from consolidate.apply.session import SshOptions
from consolidate.apply.ssh import SshMachines
from consolidate.errors import InputError
from consolidate.plan.plan import Plan


@dataclass(frozen=True)
class Reach:
    """Which hosts, how they are reached, and how fast."""

    state: Path
    only: Sequence[str] = ()
    """Hosts that are meant; all of the plan, or all that were written to, where none is named."""
    options: SshOptions = field(default_factory=SshOptions)
    pace: Pace = field(default_factory=Pace)
    persistent: bool = False
    tell: Callable[[str], None] = lambda _: None
    """Told of each host that is through."""


def apply_over_ssh(plan: Plan, reach: Reach, *, write: bool) -> list[HostOutcome]:
    """Enforce a plan on its hosts, or show what that would change.

    Raises:
        InputError: where a host is named that the plan does not limit.

    """
    with _many(reach) as many:
        hosts = _hosts(plan, reach)
        return many.apply(plan, hosts) if write else many.prepare(plan, hosts)


def status_over_ssh(plan: Plan, reach: Reach) -> list[HostOutcome]:
    """Compare hosts with a plan.

    Raises:
        InputError: where a host is named that the plan does not limit.

    """
    with _many(reach) as many:
        return many.status(plan, _hosts(plan, reach))


def rollback_over_ssh(reach: Reach, *, everything: bool = False, force: bool = False) -> list[HostOutcome]:
    """Take back what was applied on the hosts named, or on all that anything was applied on."""
    with _many(reach) as many:
        return many.rollback(reach.only or hosts_with_writes(reach.state), everything=everything, force=force)


@contextmanager
def _many(reach: Reach) -> Iterator[ManyHosts]:
    with SshMachines(reach.options) as ssh:
        many = ManyHosts(
            ssh.connect,
            lambda host: Records(reach.state, host),
            reach.pace,
            progress=lambda one, at, of: reach.tell(f"{at}/{of} {host_line(one)}"),
        )
        yield replace(many, backends=persistently()) if reach.persistent else many


def _hosts(plan: Plan, reach: Reach) -> Sequence[str]:
    known = planned_hosts(plan)
    strange = next((host for host in reach.only if host not in known), None)
    if strange is not None:
        some = f"{', '.join(known[:3])}{' …' if len(known) > 3 else ''}" or "none"
        raise InputError(f"--only {strange}: the plan limits nothing there ({some}); name a host of the plan")
    return [host for host in known if not reach.only or host in reach.only]
