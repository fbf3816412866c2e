"""The process and its machine, as the server may ask about them, and the file it was configured by."""

from __future__ import annotations

import ctypes
import gc
import os
import platform
import resource
import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path

from shoal.node.runtime.crash_report import CrashReport
from shoal.node.runtime.heap import heap_meter
from shoal.node.runtime.without_epoll import HAS_EPOLL
from shoal.node.server.host import ProcessFacts

_PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")
_STATM = Path("/proc/self/statm")


class RealHost:
    """The operating system this process runs on."""

    def __init__(self, crash_report: CrashReport) -> None:
        self._crash_report = crash_report
        self._operating_system = f"{platform.system()} {platform.release()} {platform.machine()}"
        self._system_memory = os.sysconf("SC_PHYS_PAGES") * _PAGE_SIZE
        self._heap_meter = heap_meter()

    def heap_bytes(self) -> int:
        """Memory in use, or where that cannot be known, memory held."""
        if self._heap_meter is not None:
            return self._heap_meter()
        return _resident_bytes(resource.getrusage(resource.RUSAGE_SELF))

    def facts(self) -> ProcessFacts:
        """The process as it is now."""
        own = resource.getrusage(resource.RUSAGE_SELF)
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return ProcessFacts(
            process_id=os.getpid(),
            executable=sys.executable,
            operating_system=self._operating_system,
            python=platform.python_version(),
            multiplexing="epoll" if HAS_EPOLL else "trio",
            resident_bytes=_resident_bytes(own),
            peak_resident_bytes=_peak_bytes(own),
            system_memory_bytes=self._system_memory,
            cpu_system=own.ru_stime,
            cpu_user=own.ru_utime,
            cpu_system_children=children.ru_stime,
            cpu_user_children=children.ru_utime,
        )

    def release_memory(self) -> None:
        """Collect what is garbage, and let the C library return its free pages where it can."""
        gc.collect()
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)

    def sleep(self, seconds: float) -> None:
        """Stop this thread, and with it every client, timer and link."""
        time.sleep(seconds)

    def fault(self) -> None:
        """Read where nothing is."""
        self._crash_report.fault()

    def read_file(self, path: str) -> str:
        """The file as it is now."""
        return Path(path).read_text(encoding="utf-8", errors="surrogateescape")

    def random_bytes(self, size: int) -> bytes:
        """The system's randomness."""
        return secrets.token_bytes(size)

    def rewrite_file(self, path: str, change: Callable[[str], str]) -> None:
        """Write beside the file, fsync, rename over it, fsync the folder: a crash leaves old or new."""
        target = Path(path)
        old = target.read_text(encoding="utf-8", errors="surrogateescape") if target.exists() else ""
        temporary = target.with_name(f"{target.name}.{os.getpid()}.tmp")
        with temporary.open("w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(change(old))
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            temporary.chmod(target.stat().st_mode & 0o777)
        temporary.replace(target)
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _resident_bytes(usage: resource.struct_rusage) -> int:
    """Memory in use now where the system tells; elsewhere the most there ever was."""
    if _STATM.exists():
        return int(_STATM.read_text().split()[1]) * _PAGE_SIZE
    return _peak_bytes(usage)


def _peak_bytes(usage: resource.struct_rusage) -> int:
    return usage.ru_maxrss if sys.platform == "darwin" else usage.ru_maxrss * 1024
