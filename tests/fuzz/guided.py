"""One target, guided by what its code does with an input: needs ``pip install atheris``.

python -m tests.fuzz.guided "collectors.sysstat.sadf_json.parse" -max_total_time=60

Options after the name are those of libFuzzer; what it finds it leaves in the working directory.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["collectors"]):
    from tests.fuzz.targets import targets


def main() -> None:
    """Hand a target and its seeds to libFuzzer, which ends the process."""
    name, *options = sys.argv[1:]
    target = targets()[name]
    with tempfile.TemporaryDirectory(prefix="consolidate-fuzz-") as folder:
        for number, seed in enumerate(target.seeds):
            (Path(folder) / str(number)).write_bytes(seed)
        atheris.Setup([sys.argv[0], folder, *options], target.feed)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
