"""Ansible: a playbook that puts drop-ins in place, and one that takes them away.

Both do nothing where nothing is to be done, and ``--check --diff`` shows what they would do: the modules ``copy``,
``file`` and ``systemd_service`` support that. Texts are marked ``!unsafe``, so that no name is taken for a template
(Ansible documents, "Unsafe or raw strings").
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import yaml

from consolidate.export.export import Export, Left, comment, heading, limits_left, sentences
from consolidate.export.systemd import DROP_IN, NO_BURST, NO_UNIT, PROPERTIES, drop_in, unit_of
from consolidate.plan.plan import Partition, Plan, plan_digest

FOLDER = "/etc/systemd/system"
_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
"""Hosts that a play can name; other characters make patterns of several."""


class _Unsafe(str):
    """Text that is no template."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    pass


_Dumper.add_representer(_Unsafe, lambda dumper, text: dumper.represent_scalar("!unsafe", str(text)))


def export_ansible(plan: Plan) -> Export:
    """``ansible-playbook apply.yml``, and back ``ansible-playbook rollback.yml``."""
    left: list[Left] = []
    by_host: dict[str, list[tuple[Partition, str]]] = {}
    for partition in plan.partitions:
        unit = unit_of(partition)
        if unit is None:
            left.append(Left(partition.workload, "everything", NO_UNIT))
        elif not _HOST.fullmatch(partition.host):
            left.append(Left(partition.workload, "everything", f"no play can name the host {partition.host!r}"))
        else:
            left += limits_left(partition, PROPERTIES, NO_BURST)
            by_host.setdefault(partition.host, []).append((partition, unit))
    unsaid = sentences(left)
    apply = [_play(host, units, _put(units)) for host, units in by_host.items()]
    back = [_play(host, units, _remove(units)) for host, units in by_host.items()]
    head = heading(plan, "Playbook", unsaid, plan_digest(plan))
    files = {
        "apply.yml": comment(head) + _dump(apply),
        "rollback.yml": comment([head[0], "Takes away what apply.yml put there"]) + _dump(back),
    }
    return Export(files if by_host else {}, unsaid)


def _play(host: str, units: Sequence[tuple[Partition, str]], tasks: list[dict[str, object]]) -> dict[str, object]:
    reload = {"name": "Reload systemd", "ansible.builtin.systemd_service": {"daemon_reload": True}}
    return {
        "name": f"Limits of {len(units)} units on {host}",
        "hosts": host,
        "become": True,
        "gather_facts": False,
        "tasks": tasks,
        "handlers": [reload],
    }


def _put(units: Sequence[tuple[Partition, str]]) -> list[dict[str, object]]:
    tasks: list[dict[str, object]] = []
    for partition, unit in units:
        folder = f"{FOLDER}/{unit}.d"
        tasks.append(_task(partition, "Folder", "file", path=_Unsafe(folder), state="directory", mode="0755"))
        content, dest = _Unsafe(drop_in(partition, unit)), _Unsafe(f"{folder}/{DROP_IN}")
        put = _task(partition, "Limits", "copy", content=content, dest=dest, mode="0644")
        tasks.append(put | {"notify": "Reload systemd"})
    return tasks


def _remove(units: Sequence[tuple[Partition, str]]) -> list[dict[str, object]]:
    return [
        _task(partition, "No limits", "file", path=_Unsafe(f"{FOLDER}/{unit}.d/{DROP_IN}"), state="absent")
        | {"notify": "Reload systemd"}
        for partition, unit in units
    ]


def _task(partition: Partition, what: str, module: str, **arguments: object) -> dict[str, object]:
    return {"name": _Unsafe(f"{what} of {partition.workload}"), f"ansible.builtin.{module}": arguments}


def _dump(document: object) -> str:
    return "---\n" + yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
