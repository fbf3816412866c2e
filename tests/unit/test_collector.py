"""The cyclic collector and the dataset."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from shoal.node.runtime.main import OLD_GENERATION_NEVER, settle_collector


@pytest.fixture
def _collector_restored() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


@pytest.mark.usefixtures("_collector_restored")
def test_the_oldest_generation_is_left_alone_and_the_young_ones_are_not() -> None:
    settle_collector()
    youngest, middle, oldest = gc.get_threshold()
    assert oldest == OLD_GENERATION_NEVER
    collections = [generation["collections"] for generation in gc.get_stats()]
    kept: list[list[int]] = [[] for _ in range(youngest * (middle + 5))]
    after = [generation["collections"] for generation in gc.get_stats()]
    assert len(kept) > youngest
    assert after[0] > collections[0]
    assert after[1] > collections[1]
    assert after[2] == collections[2]
