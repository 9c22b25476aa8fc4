"""Real back ends, started once for all tests that need them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.backends.docker import docker_engine
from tests.support.backends.engine import Engine
from tests.support.backends.podman import podman_engine


@pytest.fixture(scope="session")
def docker() -> Iterator[Engine]:
    """A Docker Engine without containers; tests remove their own."""
    with docker_engine() as engine:
        yield engine


@pytest.fixture(scope="session")
def podman() -> Iterator[Engine]:
    """A Podman without containers; tests remove their own."""
    with podman_engine() as engine:
        yield engine
