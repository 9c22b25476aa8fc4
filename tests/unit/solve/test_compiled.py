"""Kernels that are kept compiled, and what they were compiled from."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import consolidate

INNER = (
    "from consolidate.solve.compiled import inlined\nfrom consolidate.solve.amount import AMOUNT\n\n\n"
    "@inlined\ndef inner():\n    return {} + AMOUNT\n"
)
OUTER = (
    "from consolidate.solve.compiled import kernel\nfrom consolidate.solve.inner import inner\n\n\n"
    "@kernel\ndef outer():\n    return inner()\n"
)


def test_a_kernel_is_compiled_anew_once_what_was_copied_into_it_has_changed(tmp_path: Path) -> None:
    package = tmp_path / "consolidate"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(consolidate.__file__).parent, package, ignore=ignored)
    (package / "solve/outer.py").write_text(OUTER)
    found = []
    for value, amount in ((1, 0), (1, 0), (2, 0), (2, 5)):
        (package / "solve/inner.py").write_text(INNER.format(value))
        (package / "solve/amount.py").write_text(f"AMOUNT = {amount}\n")
        code = "from consolidate.solve.outer import outer; print(outer(), sum(outer.stats.cache_hits.values()))"
        ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
        found.append(ran.stdout.split())
    assert found == [["1", "0"], ["1", "1"], ["2", "0"], ["7", "0"]]
