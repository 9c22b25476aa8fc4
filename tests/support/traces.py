"""Unpacks the public traces."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path


def unpack(archive: Path, folder: Path, wanted: Callable[[str], bool] = lambda name: True) -> None:
    """Write an archive's regular files below a folder, by their own parent's and base names only.

    `TarFile.extractall` wants a filter from Python 3.12 on and knows none in 3.11.2, which Debian 12 has.
    """
    with tarfile.open(archive) as members:
        for member in members:
            if member.isfile() and wanted(member.name):
                path = folder.joinpath(*Path(member.name).parts[-2:])
                path.parent.mkdir(parents=True, exist_ok=True)
                content = members.extractfile(member)
                assert content is not None
                path.write_bytes(content.read())
