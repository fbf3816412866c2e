"""What every …STORE command does with its result."""

from __future__ import annotations

from shoal.node.commands.call import Call
from shoal.node.dataset.lists import ListValue
from shoal.node.dataset.sorted_sets import SortedSet
from shoal.node.dataset.values import SetValue


def store_result(call: Call, destination: bytes, value: ListValue | SetValue | SortedSet, event: str) -> int:
    """Give the destination the result, whatever it held, or remove it if the result is empty.

    Returns the result's size. The value must be complete by now: the destination may be one of its sources.
    """
    if value:
        call.db.set(destination, value)
        call.db.changed(destination, event)
    elif call.db.delete(destination):
        call.db.changed(destination, "del")
    return len(value)
