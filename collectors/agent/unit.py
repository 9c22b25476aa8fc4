"""The agent as a unit of systemd, with the least that it needs (systemd.exec(5), systemd.resource-control(5))."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

STATE = "consolidate-agent"
"""Name below /var/lib, where a unit may write."""

_UNIT = """\
# Written by `python -m collectors.agent --unit`; install as /etc/systemd/system/consolidate-agent.service
[Unit]
Description=Samples what runs on this host for consolidate
After=network-online.target
Wants=network-online.target

[Service]
Type=exec
ExecStart={command}
WorkingDirectory={folder}
Restart=always
RestartSec=5
# Ends after sealing its segment.
TimeoutStopSec=30

# A user of its own that exists only while it runs: all that is read below is readable by everybody. Not so, and
# therefore left out: the processors' energy counters, and the sockets of container engines. Where they are wanted:
# AmbientCapabilities=CAP_DAC_READ_SEARCH, and SupplementaryGroups=docker libvirt
DynamicUser=yes
# The spool, the only place that may be written to.
StateDirectory={state}
StateDirectoryMode=0750
UMask=0027
{credential}
# No capability at all, and no way to get one.
CapabilityBoundingSet=
AmbientCapabilities=
NoNewPrivileges=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictNamespaces=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
# raises the number of files that it may open
SystemCallFilter=setrlimit prlimit64
MemoryDenyWriteExecute=yes

# The host as it is, but nothing of it to change.
ProtectSystem=strict
ProtectHome={home}
ReadOnlyPaths=/sys/fs/cgroup /proc
ProtectControlGroups=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectClock=yes
ProtectHostname=yes
PrivateDevices=yes
PrivateTmp=yes
# It measures every process, so it has to see them all.
ProtectProc=default
ProcSubset=all
# Its receiver and its metrics, and the sockets of container engines.
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX

# It yields to all that it measures. A quarter of a core for the moment of a round, of which it takes less than a
# hundredth over time; a smaller quota would stretch the round. Memory: its own, and the kernel's for the files that it
# keeps open.
CPUQuota=25%
CPUWeight=20
MemoryHigh=160M
MemoryMax=256M
MemorySwapMax=0
TasksMax=64
LimitNOFILE=16384
Nice=10
IOSchedulingClass=idle
OOMScoreAdjust=500

[Install]
WantedBy=multi-user.target
"""


def render(command: Sequence[str], folder: Path, token_file: Path | None) -> str:
    """The unit that runs a command from the folder that holds the ``collectors`` package.

    A token is handed over as a credential, since the unit's own user could not read its file.
    """
    homes = ("/home", "/root", "/run/user")
    inside = any(Path(home) in Path(path).parents for home in homes for path in (command[0], folder / "collectors"))
    credential = f"LoadCredential=token:{_quote(str(token_file))}" if token_file is not None else ""
    token = ["--token-file", "%d/token"] if token_file is not None else []  # systemd puts the folder's name in
    return _UNIT.format(
        command=" ".join([*map(_quote, command), *token]),
        folder=_quote(str(folder)),
        state=STATE,
        credential=credential,
        home="read-only" if inside else "yes",
    ).replace("\n\n\n", "\n\n")


def _quote(text: str) -> str:
    """A word of a unit's line: ``%`` and ``$`` are doubled, since they would be expanded."""
    text = text.replace("%", "%%").replace("$", "$$")
    if text and not any(character in " \t\"'\\;" for character in text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
