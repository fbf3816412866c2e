"""One real Redis 7 for all differential tests of a session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.differential.executor import RealServer, real_redis
from tests.peers import REDIS7_SERVER


@pytest.fixture(scope="session")
def redis7() -> Iterator[RealServer]:
    with real_redis(REDIS7_SERVER, "--enable-debug-command", "yes") as server:
        yield server
