"""One real Redis 7 and one Redis 8 for all differential tests of a session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shoal.node.dataset import database, extendible_hashing, table
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


@pytest.fixture(params=["in one dict", "wide"])
def any_tables(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sets, hashes and sorted sets as they are, and such as become wide tables with their third element."""
    if request.param == "wide":
        for module in (table, database):
            monkeypatch.setattr(module, "MOST_IN_ONE_DICT", 2)
        for module in (table, extendible_hashing):
            monkeypatch.setattr(module, "MOST_IN_BUCKET", 2)
            monkeypatch.setattr(module, "FEW_IN_BUCKET", 1)
