"""Settings of all tests: nothing is timed, so that a busy machine fails none.

`--hypothesis-profile=million` has the comparisons with real servers generate a million commands for each type
of data, instead of twenty thousand.
"""

from __future__ import annotations

import gc
import os
import sys
from itertools import chain, zip_longest
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("shoal", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("million", settings.get_profile("shoal"), max_examples=5000)
settings.load_profile("shoal")

# Tests start hundreds of nodes and as many `shoal` commands. One that may not keep its bytecode compiles all
# its modules again, which is nearly half of what a start costs.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Thousands of tests and what is imported for them stay: looking for garbage among them costs a tenth of the
# time. Nodes look as rarely.
gc.set_threshold(50_000, 10, 100)


def pytest_collection_finish() -> None:
    """Leave out all there is so far."""
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Side by side, files whose nodes wait for one another alternate with files that compute.

    So neither do all wait at a time, nor do all want a core. Of the latter there are more; the short ones of
    `unit` come last, and the work ends evenly.
    """
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    waiting, computing = [], []
    for tests in files.values():
        starts_nodes = any(test.get_closest_marker("processes") for test in tests)
        (waiting if starts_nodes else computing).append(tests)
    alternating = zip_longest(waiting, computing, fillvalue=[])
    items[:] = chain.from_iterable(chain.from_iterable(alternating))
