"""The errors a user may meet. Each is one sentence that ends in the remedy.

ConsolidateError          exit 1
├── InputError            a file, option or measurement that cannot be used
├── StoreError            a sample store that is damaged or of another schema
├── ApplyError            a host that refused a write, or a write that would hurt
├── InfeasibleError       exit 3: the rules and the workloads cannot hold together
└── StalePlanError        exit 4: the plan is altered, or the host has changed since
"""


class ConsolidateError(Exception):
    """Base of everything the command line prints as one sentence."""

    exit_code = 1


class InputError(ConsolidateError):
    """Input that cannot be used; names the file, the place, the value and the remedy."""


class StoreError(ConsolidateError):
    """A sample store that is damaged or was written by another schema."""


class ApplyError(ConsolidateError):
    """A write that a host refused, or that was refused on its behalf."""


class InfeasibleError(ConsolidateError):
    """Rules and workloads that cannot hold together on these hosts."""

    exit_code = 3


class StalePlanError(ConsolidateError):
    """A plan that was altered, or whose observed *before* no longer holds."""

    exit_code = 4
