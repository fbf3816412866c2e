"""Memory in use rises with what is made and falls with what goes, which a process's size does not do."""

from __future__ import annotations

import sys

import pytest

from shoal.node.runtime.heap import heap_meter

TOLERANCE = 0.1


def test_large_and_small_objects_are_counted_and_no_longer_once_they_are_gone() -> None:
    measure = heap_meter()
    if measure is None:
        pytest.skip("this C library or this Python does not tell what it has given out")
    before = measure()
    large = bytearray(10_000_000)
    with_large = measure()
    small = [b"%d" % number for number in range(100_000)]
    with_small = measure()
    assert with_large - before == pytest.approx(sys.getsizeof(large), rel=TOLERANCE)
    expected = sys.getsizeof(small) + sum(map(sys.getsizeof, small))
    assert with_small - with_large == pytest.approx(expected, rel=4 * TOLERANCE)  # multiples of 16
    del large, small
    assert abs(measure() - before) < TOLERANCE * (with_small - before)
