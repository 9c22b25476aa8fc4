"""One connection to a host, and the program (`remote`) that answers at its far end."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import asyncssh

from consolidate.apply import remote
from consolidate.errors import ApplyError

_SENT = "import sys; exec(compile(sys.stdin.buffer.read(int(sys.stdin.buffer.readline())), 'remote', 'exec'))"
"""Reads the program's length and the program; what follows are requests."""


@dataclass(frozen=True)
class SshOptions:
    """How hosts are reached, where ssh_config does not say."""

    config: Path | None = None
    """Instead of ~/.ssh/config."""
    known_hosts: Path | None = None
    """Instead of what ssh_config names, or ~/.ssh/known_hosts."""
    identity: Path | None = None
    """A private key, before those of ssh_config and the agent."""
    sudo: bool = False
    """Become root by ``sudo -n``, which never asks for a password."""
    installed: str = ""
    """Path of `remote` on the hosts, where sudo allows nothing else; it then runs restricted."""
    connect_s: float = 30.0
    """Until a host must have let us in and answered."""
    answer_s: float = 30.0
    """Until a file must have been read or written."""

    def command(self) -> str:
        """What the host's shell runs."""
        program = f"-I {self.installed} --restricted" if self.installed else f'-I -c "{_SENT}"'
        return f"sudo -n /usr/bin/python3 {program}" if self.sudo else f"python3 {program}"


class SshSession:
    """A connection and the program at its far end; lives on the connections' thread."""

    def __init__(self, name: str, address: str, options: SshOptions) -> None:
        self.name = name
        self.options = options
        user, at, rest = address.rpartition("@")
        host, colon, port = rest.rpartition(":")
        numbered = bool(colon) and port.isdigit()
        self.host = host if numbered else rest
        self._more: dict[str, Any] = {"port": int(port)} if numbered else {}
        if at:
            self._more["username"] = user
        self.place = f"ssh://{address}"
        self._broken = ""
        self._connection: asyncssh.SSHClientConnection | None = None
        self._process: asyncssh.SSHClientProcess[str] | None = None

    async def open(self) -> None:
        """Connect, start the program, and wait until it answers."""
        try:
            async with asyncio.timeout(self.options.connect_s):
                await self._open()
        except TimeoutError:
            await self.close()
            raise ApplyError(
                f"{self.name}: no answer from {self.place} within {self.options.connect_s:g} s; "
                "see whether it runs and can be reached"
            ) from None
        except ApplyError:
            await self.close()
            raise

    async def ask(self, request: str, patience_s: float) -> dict[str, Any]:
        """Send one line and read one."""
        if self._broken or self._process is None:
            raise ApplyError(self._broken or f"{self.name}: the connection is closed; connect anew")
        try:
            async with asyncio.timeout(patience_s):
                self._process.stdin.write(request + "\n")
                line = await self._process.stdout.readline()
        except TimeoutError:
            await self._break(f"no answer within {patience_s:g} s")
        except (asyncssh.Error, OSError) as error:
            await self._break(str(error) or type(error).__name__)
        if not line.endswith("\n"):
            await self._break("it was closed")
        try:
            answer: dict[str, Any] = json.loads(line)
        except ValueError:
            await self._break(f"it said {line.strip()[:60]!r}, which is no answer")
        return answer

    async def close(self) -> None:
        """End it; an end without a farewell is an end as well."""
        process, connection = self._process, self._connection
        self._process = self._connection = None
        if process is not None:
            process.close()
        if connection is not None:
            connection.abort()
            await connection.wait_closed()

    async def _open(self) -> None:
        arguments = dict(self._more)
        for key, path in (("config", self.options.config), ("known_hosts", self.options.known_hosts)):
            if path is not None:
                arguments[key] = str(path)
        if self.options.identity is not None:
            arguments["client_keys"] = [str(self.options.identity)]
        try:
            # A connection that went dead without a word is noticed within a minute.
            self._connection = await asyncssh.connect(
                self.host, **arguments, keepalive_interval=15, keepalive_count_max=3
            )
            self._process = await self._connection.create_process(self.options.command())
        except asyncssh.HostKeyNotVerifiable:
            raise ApplyError(
                f"{self.name}: the host key of {self.place} is not in known_hosts, or is another one; compare its "
                "fingerprint with the host's own and add it (ssh-keyscan), as ssh would ask"
            ) from None
        except asyncssh.PermissionDenied:
            raise ApplyError(
                f"{self.name}: {self.place} does not accept our keys; load one into the agent or name it in ssh_config"
            ) from None
        except (asyncssh.Error, asyncssh.ConfigParseError, asyncssh.KeyImportError, OSError) as error:
            raise ApplyError(f"{self.name}: cannot connect to {self.place} ({error}); try ssh to it by hand") from None
        await self._start()

    async def _start(self) -> None:
        assert self._process is not None
        try:
            if not self.options.installed:
                program = Path(remote.__file__).read_text(encoding="utf-8")
                self._process.stdin.write(f"{len(program.encode())}\n{program}")
            line = await self._process.stdout.readline()
            ready = json.loads(line) if line else None
        except (asyncssh.Error, OSError, ValueError):
            ready = None
        if not isinstance(ready, dict) or "ready" not in ready:
            said = (await self._process.stderr.read()).strip().splitlines() if not line else [line.strip()]
            raise ApplyError(
                f"{self.name}: {'sudo' if self.options.sudo else 'python3'} does not start there "
                f"({said[-1] if said else 'no word why'}); it takes Python 3.7"
                f"{' and the sudoers line of docs/apply-remote.md' if self.options.sudo else ''}"
            )

    async def _break(self, why: str) -> NoReturn:
        self._broken = (
            f"{self.name}: the connection broke ({why}); what was announced is in the journal: apply again to go on, "
            "or roll back"
        )
        await self.close()
        raise ApplyError(self._broken)
