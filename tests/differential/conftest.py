"""One real Redis 7 and one Redis 8 for all differential tests of a session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.differential.executor import RealServer, real_redis
from tests.differential.twin import Twin
from tests.peers import REDIS7_SERVER, REDIS8_SERVER


@pytest.fixture(scope="session")
def redis7() -> Iterator[RealServer]:
    with real_redis(REDIS7_SERVER, "--enable-debug-command", "yes") as server:
        yield server


@pytest.fixture(scope="session")
def redis8() -> Iterator[RealServer]:
    with real_redis(REDIS8_SERVER, "--enable-debug-command", "yes") as server:
        yield server


@pytest.fixture
def twin(redis7: RealServer) -> Twin:
    """A fresh server of ours, and the real one."""
    return Twin(redis7)
