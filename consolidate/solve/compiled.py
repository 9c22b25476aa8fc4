"""How inner loops are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from numba import njit

_P = ParamSpec("_P")
_R = TypeVar("_R")


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
    compiled: Callable[_P, _R] = compile_it(function)
    return compiled
