"""Hosts over SSH: one connection each, on which a small program answers (`remote`); nothing is installed there.

Who is connected to, as whom and through whom is what ssh_config says, as for ``ssh`` itself. A host whose key is not
in ``known_hosts`` is refused, whatever StrictHostKeyChecking says. No secret is sent or put on a command line.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import threading
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self, TypeVar

from consolidate.apply import remote
from consolidate.apply.machine import PATIENCE_S, occupied, refusal
from consolidate.apply.session import SshOptions, SshSession
from consolidate.errors import ApplyError

T = TypeVar("T")
_GRACE_S = 15.0
"""For an answer to travel, on top of what its command may take."""


class SshMachines:
    """Connections to hosts, in a thread of their own; leaving the block closes them all."""

    def __init__(self, options: SshOptions | None = None) -> None:
        """Remember how; nothing is connected before it is needed."""
        self.options = options or SshOptions()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="ssh", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.wait_for(self._end(), 30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def connect(self, name: str, address: str = "") -> SshMachine:
        """Connect to a host: ``[user@]host[:port]``, or a name of ssh_config; its name in the plan by default.

        Raises:
            ApplyError: where it cannot be reached, is not who it should be, or does not let us in.

        """
        session = SshSession(name, address or name, self.options)
        self.wait_for(session.open(), self.options.connect_s + _GRACE_S)
        return SshMachine(session, self)

    def wait_for(self, work: Coroutine[Any, Any, T], patience_s: float) -> T:
        """What comes of work on the connections' thread."""
        done = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return done.result(patience_s)
        except concurrent.futures.TimeoutError:
            done.cancel()
            raise ApplyError(f"no answer within {patience_s:g} s; see whether the host is overloaded") from None

    async def _end(self) -> None:
        """Let what is closing close; cancel what is left."""
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)


class SshMachine:
    """A host behind a connection. Once that breaks, everything fails with the same sentence: connect anew."""

    def __init__(self, session: SshSession, machines: SshMachines) -> None:
        """Take over a connection that answers."""
        self.name = session.name
        self.place = session.place
        self._session = session
        self._machines = machines
        self._turn = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the connection, and with it the program on the host."""
        self._machines.wait_for(self._session.close(), _GRACE_S)

    def read(self, path: str) -> str | None:
        """Content of a file below the root without the final newline; None where it is not there."""
        return self.read_many([path])[0]

    def read_many(self, paths: Sequence[str]) -> list[str | None]:
        """The same for several files in one round trip.

        Raises:
            ApplyError: where one may be there but cannot be read.

        """
        found: list[str | None] = []
        for content in self._ask("read", list(paths)):
            if isinstance(content, dict):
                raise ApplyError(
                    f"/{content['path']}: cannot be read on {self.name} ({remote.meaning(content['errno'])}); "
                    "connect as a user who may read it, or with sudo"
                )
            found.append(content)
        return found

    def write(self, path: str, text: str) -> None:
        """Write a file in one system call and check it; never through a symbolic link."""
        self._ask("write", path, text, place=(path, text))

    def inode(self, path: str) -> int | None:
        """Identity of a directory, which a group created anew does not share; None where it is not there."""
        found: int | None = self._ask("inode", path)
        return found

    def is_directory(self, path: str) -> bool:
        """Whether a directory is there."""
        return bool(self._ask("is_directory", path))

    def is_below(self, path: str, mount: str) -> bool:
        """Whether a path really lies below another, all links followed."""
        return bool(self._ask("is_below", path, mount))

    @contextmanager
    def reserved(self) -> Iterator[None]:
        """Keep every other applier away, wherever it runs; the lock is the host's, and ends with our program there.

        Raises:
            ApplyError: where another one is at work.

        """
        if not self._ask("reserve", PATIENCE_S, patience_s=PATIENCE_S):
            raise occupied(self.name)
        try:
            yield
        finally:
            with suppress(ApplyError):  # the connection broke, and the lock went with it
                self._ask("release")

    def run(self, arguments: Sequence[str], stdin: str = "", timeout_s: float = 60.0) -> str:
        """Standard output of a command that succeeded; it runs without a shell.

        Raises:
            ApplyError: where it is not there, fails or takes too long, with its last words.

        """
        command = " ".join(arguments)
        done = self._ask("run", list(arguments), stdin, timeout_s, patience_s=timeout_s, place=(command, ""))
        if "late" in done:
            raise ApplyError(f"{command}: no answer within {timeout_s:g} s on {self.name}; see whether its daemon runs")
        if done["code"]:
            lines = done["err"].strip().splitlines() or [f"exit code {done['code']}"]
            raise ApplyError(f"{command}: {lines[-1]}; run it by hand on {self.name} to see more")
        return str(done["out"])

    def _ask(
        self, action: str, *arguments: object, patience_s: float | None = None, place: tuple[str, str] | None = None
    ) -> Any:
        patience_s = self._machines.options.answer_s if patience_s is None else patience_s
        request = json.dumps({"action": action, "arguments": arguments})
        with self._turn:
            answer = self._machines.wait_for(self._session.ask(request, patience_s + _GRACE_S), patience_s + 60)
        if "forbidden" in answer:
            raise ApplyError(
                f"{self.name}: its restricted helper does not do {answer['forbidden']!r}; "
                "connect as root, or leave this workload out"
            )
        if "errno" in answer:
            raise self._failure(action, answer["errno"], place or (action, ""))
        return answer["result"]

    def _failure(self, action: str, number: int, place: tuple[str, str]) -> ApplyError:
        if action == "write":
            return refusal(*place, number)
        why = remote.meaning(number)
        return ApplyError(f"{place[0]}: cannot be run on {self.name} ({why}); install it there, or plan without it")
