"""The process as the server may ask about it: memory, processor time, and the file it was configured by."""

from __future__ import annotations

import ctypes
import ctypes.util
import gc
import os
import platform
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

from shoal.node.runtime.reactor import HAS_EPOLL
from shoal.node.server.host import ProcessFacts

_STATM = Path("/proc/self/statm")


class ProcessHost:
    """The real process behind a server."""

    def facts(self) -> ProcessFacts:
        """The process as it is now."""
        own = resource.getrusage(resource.RUSAGE_SELF)
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return ProcessFacts(
            process_id=os.getpid(),
            executable=sys.executable,
            operating_system=f"{platform.system()} {platform.release()} {platform.machine()}",
            python=platform.python_version(),
            multiplexing="epoll" if HAS_EPOLL else "trio",
            resident_bytes=_resident_bytes(own),
            system_memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            cpu_system=own.ru_stime,
            cpu_user=own.ru_utime,
            cpu_system_children=children.ru_stime,
            cpu_user_children=children.ru_utime,
        )

    def release_memory(self) -> None:
        """Collect what is garbage and give whole free pages back, where the C library can."""
        gc.collect()
        library = ctypes.util.find_library("c")
        trim = getattr(ctypes.CDLL(library), "malloc_trim", None) if library is not None else None
        if trim is not None:
            trim(0)

    def sleep(self, seconds: float) -> None:
        """Stop the whole process, as a long command would."""
        time.sleep(seconds)

    def rewrite_file(self, path: str, change: Callable[[str], str]) -> None:
        """Replace a file's text by `change` of it: a new file beside it, durable, then the name."""
        target = Path(path)
        text = target.read_text(encoding="utf-8", errors="surrogateescape") if target.exists() else ""
        temporary = target.with_name(f"{target.name}.tmp-{os.getpid()}")
        with temporary.open("w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(change(text))
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(target)


def _resident_bytes(usage: resource.struct_rusage) -> int:
    """Memory in physical pages now; where that cannot be asked, the most there ever was."""
    if _STATM.exists():
        return int(_STATM.read_text().split()[1]) * resource.getpagesize()
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
