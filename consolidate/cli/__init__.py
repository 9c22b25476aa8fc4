"""The command line: verbs and wiring. Results on stdout, progress and errors on stderr.

Exit codes: 0 fine, 1 error, 2 changes proposed or found, 3 infeasible, 4 stale or altered plan.
"""

from __future__ import annotations

import sys
from typing import NoReturn

import typer

from consolidate.cli import enforcing, judging, planning, sampling
from consolidate.errors import ConsolidateError

app = typer.Typer(
    help="Plan, prove and enforce the consolidation of underutilised servers onto fewer hosts.",
    pretty_exceptions_enable=False,
    add_completion=True,
)
for stage in (sampling, judging, planning, enforcing):
    app.add_typer(stage.verbs)


def main() -> NoReturn:
    """Run a verb; an error the user can mend is one sentence and an exit code."""
    try:
        code = app(sys.argv[1:] or ["--help"], standalone_mode=False)
    except typer.TyperException as error:  # a wrong option is an error, not a change
        print(f"consolidate: {error.format_message().rstrip('.')}; see consolidate --help", file=sys.stderr)
        sys.exit(1)
    except (typer.Abort, KeyboardInterrupt):
        print("consolidate: interrupted", file=sys.stderr)
        sys.exit(130)
    except ConsolidateError as error:
        print(f"consolidate: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    sys.exit(code or 0)
