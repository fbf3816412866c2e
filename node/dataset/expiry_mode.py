"""Who decides that something's time is over."""

from __future__ import annotations

from enum import Enum


class ExpiryMode(Enum):
    """What an access does with a key whose time has come."""

    DELETE = "a primary deletes it and propagates DEL"
    HIDE = "a replica, or a primary whose writes are paused, answers as if it were gone"
    IGNORE = "while applying the primary's stream or loading, only the stream decides"
