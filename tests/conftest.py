"""Settings of all tests: nothing is timed, so that a busy machine fails none.

`--hypothesis-profile=million` has the comparisons with real servers generate a million commands for each type
of data, instead of twenty thousand.
"""

from __future__ import annotations

import gc
import os
import sys

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
