"""A real SSH server on the loopback, for one user with one key; it runs what it is asked on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh


class _Server(asyncssh.SSHServer):
    """Lets connections through to other servers, as a jump host does."""

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> bool:
        return dest_host == "127.0.0.1"


@dataclass
class SshServer:
    """A running server, and the files that its clients need."""

    folder: Path
    port: int
    loop: asyncio.AbstractEventLoop
    commands: list[str] = field(default_factory=list)
    """What it was asked to run."""
    connections: list[asyncssh.SSHServerConnection] = field(default_factory=list)

    @property
    def key(self) -> Path:
        """The private key that it accepts."""
        return self.folder / "id"

    @property
    def known_hosts(self) -> Path:
        """Names its host key."""
        return self.folder / "known_hosts"

    def cut(self) -> None:
        """End every connection without a word."""
        done = threading.Event()

        def abort() -> None:
            for connection in self.connections:
                connection.abort()
            done.set()

        self.loop.call_soon_threadsafe(abort)
        assert done.wait(10)


async def _feed(source: asyncssh.SSHReader[bytes], sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(asyncssh.Error, OSError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    sink.close()


async def _copy(source: asyncio.StreamReader, sink: asyncssh.SSHWriter[bytes]) -> None:
    while data := await source.read(65536):
        with contextlib.suppress(asyncssh.Error, OSError):  # a client that is gone reads no more
            sink.write(data)


@contextlib.contextmanager
def ssh_server(folder: Path) -> Iterator[SshServer]:
    """Start one; its connections and what they run end with it."""
    folder.mkdir(parents=True, exist_ok=True)
    host_key, key = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    key.write_private_key(str(folder / "id"))
    (folder / "id").chmod(0o600)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = SshServer(folder, 0, loop)
    children: list[asyncio.subprocess.Process] = []

    async def run(process: asyncssh.SSHServerProcess[bytes]) -> None:
        server.commands.append(process.command or "")
        server.connections.append(process.channel.get_connection())
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_shell(process.command or "", stdin=pipe, stdout=pipe, stderr=pipe)
        children.append(child)
        assert child.stdin and child.stdout and child.stderr
        upwards = asyncio.create_task(_feed(process.stdin, child.stdin))
        await asyncio.gather(_copy(child.stdout, process.stdout), _copy(child.stderr, process.stderr))
        upwards.cancel()
        process.exit(await child.wait())

    async def start() -> asyncssh.SSHAcceptor:
        accepted = asyncssh.import_authorized_keys(key.export_public_key().decode())
        return await asyncssh.listen(
            *("127.0.0.1", 0),
            server_factory=_Server,
            server_host_keys=[host_key],
            authorized_client_keys=accepted,
            process_factory=run,
            encoding=None,
        )

    async def stop(acceptor: asyncssh.SSHAcceptor) -> None:
        acceptor.close()
        for connection in server.connections:
            connection.abort()
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()
        await acceptor.wait_closed()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    acceptor = asyncio.run_coroutine_threadsafe(start(), loop).result(30)
    server.port = acceptor.get_port()
    public = host_key.export_public_key().decode().strip()
    server.known_hosts.write_text(f"[127.0.0.1]:{server.port} {public}\n")
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(stop(acceptor), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
