"""The cyclic collector, kept from holding up clients for as long as the dataset is large.

Keys and values are bytes in dicts and lists: they make no cycles, and to walk them finds nothing. But tasks,
and errors with their tracebacks, do leave cycles behind, soon after they came to be. So the collector looks
at what is new at the end of turns, when their own lists and tuples are gone: at few things, and at each of
them once. A container of the dataset is small then. Left to itself the collector comes much later, in the
midst of a turn, and finds new a table that has grown to a million keys meanwhile: a quarter of a second.
"""

from __future__ import annotations

import gc

MOST_NEW_CONTAINERS = 1000
"""With more (`gc.get_count()[0]`) the end of a turn has them looked at, in a tenth of a millisecond."""
IN_THE_MIDST_OF_A_TURN = 50_000
"""New ones after which the collector comes by itself."""
NEVER = 1_000_000_000
_YOUNG_AND_MIDDLE = 1


def settle_collector() -> None:
    """Leave alone what is there now, and the oldest generation for ever."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(IN_THE_MIDST_OF_A_TURN, 1, NEVER)


def leave_alone_what_is_there() -> None:
    """After a loading, which leaves no cycles behind: look at none of it."""
    gc.freeze()


def collect_what_is_new() -> None:
    """Look for cycles among what is young. What is none is of the oldest generation from now on."""
    gc.collect(_YOUNG_AND_MIDDLE)
