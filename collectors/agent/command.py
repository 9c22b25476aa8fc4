"""Options of the agent, and its wiring."""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import platform
import random
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from collectors import COLLECTORS
from collectors.agent import unit
from collectors.agent.exposition import Status
from collectors.agent.loop import Agent, Clock
from collectors.agent.observer import Observer
from collectors.agent.push import Deliveries, Destination, Push, Receiver
from collectors.agent.server import Server, serving
from collectors.agent.spool import Limits, Spool, SpoolError
from collectors.held import raise_open_files
from collectors.records import Collector

SPOOL = Path("/var/lib") / unit.STATE
_SIZES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


@dataclass(frozen=True)
class Options:
    """How an agent works."""

    root: Path = Path("/")
    host: str = ""
    interval_s: float = 10.0
    spool: Path = SPOOL
    limits: Limits = field(default_factory=Limits)
    listen: tuple[str, int] | None = None
    destination: Destination | None = None
    token: str = ""
    keep_open: int | None = None
    """Kernel files kept open at most; None for as many as are worth it."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Sample until SIGTERM or SIGINT, or print the unit of systemd that does."""
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        options = parse(given)
        if given.unit:
            print(unit.render(_command(given), Path(__file__).parents[2], given.token_file), end="")
            return
        run(options, lambda text: print(text, file=sys.stderr, flush=True))
    except (ValueError, SpoolError) as error:
        parser.error(str(error))


def parse(given: argparse.Namespace) -> Options:
    """Options of the command line.

    Raises:
        ValueError: for one that cannot be, with the remedy.

    """
    if not (given.root / "proc").is_dir():
        raise ValueError(f"--root {given.root} holds no proc directory; give a directory that looks like a host's /")
    if not 1 <= given.interval <= 3600:
        raise ValueError(f"--interval {given.interval:g} is not a time between rounds; give 1 to 3600 seconds")
    if given.segment_seconds < given.interval:
        raise ValueError(f"--segment-seconds {given.segment_seconds} is less than a round; give 300, for example")
    if given.open_files is not None and given.open_files < 0:
        raise ValueError(f"--open-files {given.open_files} is not a number of files; give 0 or more")
    token = read_token(given.token_file) if given.token_file is not None else ""
    return Options(
        root=given.root,
        host=given.host,
        interval_s=given.interval,
        spool=given.spool,
        limits=Limits(parse_size(given.spool_max), given.segment_seconds),
        listen=parse_address(given.listen) if given.listen else None,
        destination=Receiver.at(given.push, token) if given.push else None,
        token=token,
        keep_open=given.open_files,
    )


def run(options: Options, report: Callable[[str], None], collectors: Sequence[Collector] = COLLECTORS) -> None:
    """Run an agent in this process until SIGTERM or SIGINT.

    Raises:
        SpoolError: where the spool cannot be used.
        ValueError: where the address cannot be listened on.

    """
    end = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: end.set())
    allowed = raise_open_files()
    keep_open = allowed if options.keep_open is None else min(allowed, options.keep_open)
    with contextlib.ExitStack() as stack:
        spool = stack.enter_context(contextlib.closing(Spool(options.spool, options.host, options.limits, report)))
        observer = Observer(options.root, options.host, options.interval_s, report, collectors, keep_open)
        stack.callback(observer.close)
        clock = Clock(time.time, time.monotonic, end.wait)
        agent = Agent(observer, spool, options.interval_s, clock, report)
        push = Push(spool, options.destination, random.random, report) if options.destination else None
        if options.listen is not None:

            def status() -> Status:
                deliveries = push.deliveries if push else Deliveries()
                sizes = (spool.held_bytes, spool.limit_bytes, len(spool.segments()))
                return Status(options.host, agent.rounds, observer.costs, spool.tally, deliveries, *sizes)

            server = _listen(options.listen, options.token, spool, status)
            stack.enter_context(serving(server))
            report(f"agent: metrics and segments on {server.server_name} port {server.server_port}")
            if not options.token and not ipaddress.ip_address(server.server_name).is_loopback:
                report("agent: whoever reaches that address can read and remove segments; give --token-file")
        if push is not None:
            stack.enter_context(pushing(push, end))
        agent.run()


@contextlib.contextmanager
def pushing(push: Push, end: threading.Event) -> Iterator[None]:
    """Deliver in a thread of its own, and once more at the end."""

    def deliver() -> None:
        while not end.wait(push.step()):
            pass

    thread = threading.Thread(target=deliver, daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()
        push.step()


def parse_size(text: str) -> int:
    """Bytes of a size such as ``256M``.

    Raises:
        ValueError: where it is none.

    """
    found = re.fullmatch(r"([0-9]{1,6})([KMG]?)", text)
    if found is None:
        raise ValueError(f"{text!r} is not a size; give one such as 256M or 1G")
    return int(found[1]) * _SIZES[found[2]]


def parse_address(text: str) -> tuple[str, int]:
    """Address and port of ``127.0.0.1:9754`` or ``[::1]:9754``.

    Raises:
        ValueError: where it is none.

    """
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not (port.isascii() and port.isdecimal() and int(port) < 65536):
        raise ValueError(f"{text!r} is not an address to listen on; give one such as 127.0.0.1:9754")
    return host, int(port)


def read_token(path: Path) -> str:
    """The bearer token that a file holds.

    Raises:
        ValueError: where there is none.

    """
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise ValueError(f"--token-file {path}: {reason}; give a file with one line that only you can read") from None
    if not token or not token.isprintable() or " " in token:
        raise ValueError(f"--token-file {path} holds no token; write one line of letters and digits into it")
    return token


def _listen(address: tuple[str, int], token: str, spool: Spool, status: Callable[[], Status]) -> Server:
    try:
        return Server(address, token, spool, status)
    except OSError as error:
        reason = error.strerror or error
        raise ValueError(
            f"--listen {address[0]}:{address[1]}: {reason}; give an address of this machine and a free port"
        ) from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m collectors.agent", description=main.__doc__)
    add = parser.add_argument
    add("--root", type=Path, default=Path("/"), help="directory that looks like a host's /")
    add("--host", default=platform.node(), help="name to record the host under")
    add("--interval", type=float, default=10.0, help="seconds between rounds")
    add("--spool", type=Path, default=SPOOL, help="directory for what nobody has fetched yet")
    add("--spool-max", default="256M", help="size at which the oldest segments are dropped")
    add("--segment-seconds", type=int, default=300, help="length of a segment, after which it can be fetched")
    add("--listen", default="", help="address and port for metrics and segments, such as 127.0.0.1:9754")
    add("--push", default="", help="address of a receiver, such as https://store.example:9755")
    add("--token-file", type=Path, help="file with the token that is asked for, and that the receiver asks for")
    add("--open-files", type=int, help="kernel files to keep open at most; fewer cost less memory and more time")
    add("--unit", action="store_true", help="print a unit of systemd that runs the agent with these options")
    return parser


def _command(given: argparse.Namespace) -> list[str]:
    """The command line of a unit: the options given, but for those that the unit knows better."""
    default = _parser().parse_args([])
    command = [sys.executable, "-m", "collectors.agent", "--spool", str(given.spool)]
    for name, value in vars(given).items():
        if name not in ("unit", "spool", "token_file") and value != getattr(default, name):
            command += [f"--{name.replace('_', '-')}", str(value)]
    return command
