"""How inner loops are compiled."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

from numba import njit

_P = ParamSpec("_P")
_R = TypeVar("_R")


def _sources() -> str:
    """Digest of all files that kernels or their constants may come from."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


_SOURCES = _sources()


def kernel(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Compile a loop over arrays that it is given and allocates none of.

    Without reference counts: a call that passes a problem, a tuple of some thirty arrays, would count every one of
    them up and down again, which takes four times as long as judging a step. And without the interpreter's lock, so
    that threads search side by side.
    """
    return _compile(function)


def inlined(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """The same for what is small and called from other kernels: copied into them, so that nothing is passed."""
    return _compile(function, forceinline=True)


def _compile(function: Callable[_P, _R], **options: bool) -> Callable[_P, _R]:
    compile_it: Any = njit(cache=True, nogil=True, _nrt=False, **options)  # type: ignore[call-overload]
    compiled: Any = compile_it(function)
    # What is kept of earlier runs counts as outdated once its own file changes; but kernels have others and constants
    # copied into them, so it is outdated once any of these files changes. Numba has no public way to say so.
    if hasattr(compiled, "_cache"):  # not where NUMBA_DISABLE_JIT is set
        kept = compiled._cache._cache_file
        kept._source_stamp = (kept._source_stamp, _SOURCES)
    return cast("Callable[_P, _R]", compiled)
