"""What the operator's side remembers of a host: its journal, who did what, and what is held back after it hurt."""

from __future__ import annotations

import getpass
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from pydantic import TypeAdapter, ValidationError

from consolidate.apply.journal import Journal, append_line
from consolidate.errors import ApplyError

_MOST_TIMES = 16
"""The back-off doubles up to this (Attune's defaults)."""


@dataclass(frozen=True)
class Outcome:
    """What became of one change."""

    workload: str
    path: str
    """What was written to: the subject and its key."""
    status: str
    """``done``, ``unchanged``, ``refused``, ``failed``, ``undone``, ``skipped``, or ``gone`` with its subject."""
    took_s: float
    observed: str
    error: str = ""


@dataclass(frozen=True)
class Hold:
    """A workload that is not limited again for a while."""

    reverts: int
    until_s: float
    reason: str


_HOLDS = TypeAdapter(dict[str, Hold])


class Records:
    """Files of one host below the state directory: ``hosts/NAME.jsonl``, ``.holds.json``, and ``audit.jsonl``."""

    def __init__(self, state: Path, host: str, now: Callable[[], float] = time.time) -> None:
        """Name the files; ``now`` is Unix time."""
        self.host = host
        self.now = now
        name = quote(host, safe="")
        self.journal = Journal(state / "hosts" / f"{name}.jsonl")
        self._holds = state / "hosts" / f"{name}.holds.json"
        self._audit = state / "audit.jsonl"

    def audit(self, action: str, plan: str, outcomes: Iterable[Outcome] = ()) -> None:
        """Add who did what and when: a line that an action begins, or a line for each outcome.

        Raises:
            ApplyError: where it cannot be written.

        """
        about = {"at_s": round(self.now(), 3), "who": _who(), "host": self.host, "action": action, "plan": plan}
        lines = [about | asdict(outcome) for outcome in outcomes] or [about | {"status": "begins"}]
        try:
            self._audit.parent.mkdir(parents=True, exist_ok=True)
            append_line(self._audit, "\n".join(json.dumps(line) for line in lines))
        except OSError as error:
            raise ApplyError(
                f"{self._audit}: the audit log cannot be written ({error.strerror}); make room there, or name another "
                "--state"
            ) from None

    def holds(self) -> Mapping[str, Hold]:
        """Workloads that were taken back because they hurt.

        Raises:
            ApplyError: where the file is damaged.

        """
        try:
            return _HOLDS.validate_json(self._holds.read_bytes())
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise ApplyError(f"{self._holds}: cannot be read ({error.strerror}); name another --state") from None
        except ValidationError:
            raise ApplyError(f"{self._holds}: damaged; remove it, which ends every hold") from None

    def hold(self, workload: str, reason: str, base_s: float) -> Hold:
        """Keep a workload from being limited again: ``base_s``, then twice as long each time, up to 16 times."""
        before = self.holds().get(workload)
        reverts = (before.reverts if before else 0) + 1
        hold = Hold(reverts, self.now() + base_s * min(2 ** (reverts - 1), _MOST_TIMES), reason)
        self._write_holds({**self.holds(), workload: hold})
        return hold

    def release(self, workloads: Iterable[str]) -> None:
        """Forget what hurt once: it held for a whole observation."""
        before = self.holds()
        left = {name: hold for name, hold in before.items() if name not in set(workloads)}
        if left != before:
            self._write_holds(left)

    def _write_holds(self, holds: Mapping[str, Hold]) -> None:
        new = self._holds.with_suffix(".new")
        try:
            self._holds.parent.mkdir(parents=True, exist_ok=True)
            with new.open("wb") as file:
                file.write(_HOLDS.dump_json(dict(holds)))
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._holds)
        except OSError as error:
            raise ApplyError(f"{self._holds}: cannot be written ({error.strerror}); make room there") from None


def hosts_with_writes(state: Path) -> list[str]:
    """Hosts on which something is in force that can be taken back."""
    journals = sorted((state / "hosts").glob("*.jsonl"))
    return [unquote(path.stem) for path in journals if Journal(path).open_entries()]


def _who() -> str:
    """The person, also behind sudo."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # no such user in a container
        return f"uid {os.getuid()}"
