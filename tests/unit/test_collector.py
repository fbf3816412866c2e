"""The cyclic collector and the dataset."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from shoal.node.runtime.collector import NEVER, collect_what_is_new, settle_collector

pytestmark = pytest.mark.usefixtures("_collector_restored")
OLDEST = 2


@pytest.fixture
def _collector_restored() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


def test_the_oldest_generation_is_left_alone_and_the_young_ones_are_not() -> None:
    settle_collector()
    youngest, middle, oldest = gc.get_threshold()
    assert oldest == NEVER
    collections = [generation["collections"] for generation in gc.get_stats()]
    kept: list[list[int]] = [[] for _ in range(youngest * (middle + 5))]
    after = [generation["collections"] for generation in gc.get_stats()]
    assert len(kept) > youngest
    assert after[0] > collections[0]
    assert after[1] > collections[1]
    assert after[2] == collections[2]


class Cycle:
    def __init__(self) -> None:
        self.itself = self


def test_what_is_new_is_looked_at_once() -> None:
    settle_collector()
    kept = [[number] for number in range(100)]
    gone = weakref.ref(Cycle())
    collect_what_is_new()
    assert gone() is None
    oldest = set(map(id, gc.get_objects(OLDEST)))
    assert oldest.issuperset(map(id, kept))
    young = set(map(id, gc.get_objects(0) + gc.get_objects(1)))
    assert young.isdisjoint(map(id, kept))
