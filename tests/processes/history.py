"""What was written to which key, and so what a read may give.

A value carries its key and a number that grows with every write of that key. One writer; readers may
be many.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field

_VALUE = re.compile(rb"(?P<key>.+)#(?P<number>\d+)")


@dataclass
class History:
    """The newest number attempted and the newest one acknowledged, of every key."""

    attempted: dict[bytes, int] = field(default_factory=dict)
    acknowledged: dict[bytes, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    reads: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def next_value(self, key: bytes) -> bytes:
        """A value never written before, which may be read from now on."""
        number = self.attempted.get(key, 0) + 1
        self.attempted[key] = number
        return b"%b#%d" % (key, number)

    def acknowledge(self, key: bytes, value: bytes) -> None:
        """A replica has it too: from now on no read may give anything older."""
        number = int(value.rpartition(b"#")[2])
        self.acknowledged[key] = max(number, self.acknowledged.get(key, 0))

    def oldest_allowed(self, key: bytes) -> int:
        """To be asked before a read is sent; the answer is what `check_read` needs."""
        return self.acknowledged.get(key, 0)

    def check_read(self, key: bytes, value: bytes | None, oldest: int) -> None:
        """Note a violation unless the key was given this value, and none older than `oldest`."""
        found = _VALUE.fullmatch(value or b"")
        if value is None:
            wrong = oldest > 0
        else:
            wrong = (
                found is None
                or found["key"] != key
                or not oldest <= int(found["number"]) <= self.attempted.get(key, 0)
            )
        with self._lock:
            self.reads += 1
            if wrong:
                newest = self.attempted.get(key, 0)
                self.violations.append(
                    f"{key!r} read as {value!r}; allowed are numbers from {oldest} to {newest}"
                )
