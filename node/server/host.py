"""What a server asks of the process and the machine it runs on, and must have answered at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """Memory in bytes, processor time in seconds."""

    process_id: int = 0
    executable: str = ""
    operating_system: str = ""
    python: str = ""
    multiplexing: str = ""
    resident_bytes: int = 0
    peak_resident_bytes: int = 0
    system_memory_bytes: int = 0
    cpu_system: float = 0.0
    cpu_user: float = 0.0
    cpu_system_children: float = 0.0
    cpu_user_children: float = 0.0


class Host(Protocol):
    """The runtime's side of a server."""

    def heap_bytes(self) -> int:
        """How much of the memory this process holds is in use."""

    def facts(self) -> ProcessFacts:
        """The process as it is now."""

    def release_memory(self) -> None:
        """Give memory that is free inside the process back to the system, as far as that is possible."""

    def sleep(self, seconds: float) -> None:
        """Stop the whole process for a while: DEBUG SLEEP, to see what others make of a node that hangs."""

    def fault(self) -> None:
        """Die as a bug in C code would have it: DEBUG SEGFAULT, to see what is left in the log."""

    def read_file(self, path: str) -> str:
        """A file's text, undecodable bytes by surrogateescape; OSError if it cannot be had."""

    def rewrite_file(self, path: str, change: Callable[[str], str]) -> None:
        """Replace a file's text by `change` of it, durably and all or nothing; OSError if that fails."""

    def random_bytes(self, size: int) -> bytes:
        """Bytes that nobody can guess; OSError where there are none."""


class NoHost:
    """A server by itself, in a simulation or a test: no process to speak of and no disk."""

    def heap_bytes(self) -> int:
        return 0

    def facts(self) -> ProcessFacts:
        return ProcessFacts()

    def release_memory(self) -> None:
        return

    def sleep(self, seconds: float) -> None:
        return

    def fault(self) -> None:
        return

    def read_file(self, path: str) -> str:
        raise OSError(2, "No such file or directory")

    def rewrite_file(self, path: str, change: Callable[[str], str]) -> None:
        raise OSError(30, "Read-only file system")

    def random_bytes(self, size: int) -> bytes:
        raise OSError(38, "Function not implemented")
