"""How much of the memory this process holds is in use.

A process's size does not tell: it grows and hardly ever shrinks, for what is freed is kept for later. CPython
takes objects of up to 512 bytes from pools of its own, and everything larger from the C library; both know
what they have given out. The pools' account is a report meant for people, which costs a walk over all pools:
about half a millisecond for a hundred megabytes. Where either is missing (another C library, a CPython that
hides its report), the process's size has to do, and eviction stops later than it could.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

_IN_USE = b"# bytes in allocated blocks"


class _MallocInfo(ctypes.Structure):
    """The C library's `struct mallinfo2`."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        )
    ]


def heap_meter() -> Callable[[], int] | None:
    """A function that tells the bytes in use; None if it cannot be known here."""
    libc = ctypes.CDLL(None)
    try:
        report = ctypes.pythonapi["_PyObject_DebugMallocStats"]
        open_stream, close, free, mallinfo = libc.open_memstream, libc.fclose, libc.free, libc.mallinfo2
    except AttributeError:
        return None
    open_stream.restype, mallinfo.restype = ctypes.c_void_p, _MallocInfo
    for function in (report, close, free):
        function.argtypes = [ctypes.c_void_p]

    def measure() -> int:
        text, size = ctypes.c_void_p(), ctypes.c_size_t()
        stream = open_stream(ctypes.byref(text), ctypes.byref(size))
        report(stream)
        close(stream)
        small = _read(ctypes.string_at(text, size.value) if text.value else b"")
        free(text)
        large = mallinfo()
        return small + int(large.uordblks) + int(large.hblkhd)

    return measure if measure() else None


def _read(report: bytes) -> int:
    """The number of bytes in use from the pools' report: `# bytes in allocated blocks = 3,655,376`."""
    _, found, rest = report.partition(_IN_USE)
    digits = rest.split(b"\n", 1)[0].partition(b"=")[2].replace(b",", b"").strip()
    return int(digits) if found and digits.isdigit() else 0
