"""``python -m consolidate.cli``: the same as ``consolidate``."""

from consolidate.cli import main

main()
