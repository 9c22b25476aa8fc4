"""A plan in the words of other tools, to be reviewed and applied by them: one file an export. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from consolidate.export.ansible import export_ansible
from consolidate.export.compose import export_compose
from consolidate.export.export import Export, Exporter, on_host
from consolidate.export.kubernetes import export_kubernetes
from consolidate.export.libvirt import export_libvirt
from consolidate.export.nomad import export_nomad
from consolidate.export.shell import export_shell
from consolidate.export.systemd import export_systemd

EXPORTS: Mapping[str, Exporter] = {
    "ansible": export_ansible,
    "compose": export_compose,
    "kubernetes": export_kubernetes,
    "libvirt": export_libvirt,
    "nomad": export_nomad,
    "shell": export_shell,
    "systemd": export_systemd,
}
"""By the name on the command line."""

__all__ = ["EXPORTS", "Export", "Exporter", "on_host"]
