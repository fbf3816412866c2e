"""What the log says of a process that is about to die of a signal, in the words that people grep for.

A fault in C code (a null pointer, a broken stack) leaves no interpreter to run Python: there `faulthandler`
writes the stack of every thread straight to the log's descriptor, and nothing else can. SIGABRT from outside
finds the interpreter well, so its report also holds INFO and the clients, as Redis's does.
"""

from __future__ import annotations

import ctypes
import faulthandler
import os
import signal
import sys
from types import FrameType

from shoal import __version__
from shoal.node.runtime.log import Log
from shoal.node.server.client_list import describe
from shoal.node.server.info import info_text
from shoal.node.server.server import Server

START = "=== REDIS BUG REPORT START: Cut & paste starting from here ==="
END = "=== REDIS BUG REPORT END. ==="


class CrashReport:
    """Writes the report, as `crash-log-enabled` says."""

    def __init__(self, server: Server, log: Log) -> None:
        self.server = server
        self.log = log
        self._fd: int | None = None
        """The log's descriptor while reports are wanted: when it is needed there is no opening files."""

    def follow_config(self) -> None:
        """Be ready from now on, or not, whenever `crash-log-enabled` changes."""
        self._apply()
        self.server.config.on_change(["crash-log-enabled"], self._apply)

    def _apply(self) -> None:
        if self._fd is not None:
            faulthandler.disable()
            os.close(self._fd)
            self._fd = None
            signal.signal(signal.SIGABRT, signal.SIG_DFL)
        if self.server.config.crash_log_enabled:
            path, flags = self.log.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT
            self._fd = os.open(path, flags, 0o666) if path else os.dup(sys.stdout.fileno())
            faulthandler.enable(self._fd)
            signal.signal(signal.SIGABRT, self._on_abort)

    def _on_abort(self, number: int, frame: FrameType | None) -> None:
        """Report everything, then die of the signal after all."""
        self._begin(number)
        if self._fd is not None:
            faulthandler.dump_traceback(self._fd)
        self.log.warning("------ INFO OUTPUT ------\n" + info_text(self.server, ["everything"]))
        clients = b"\n".join(map(describe, self.server.sessions.values()))
        self.log.warning("------ CLIENT LIST OUTPUT ------\n" + clients.decode("utf-8", "replace"))
        self.log.warning(END)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def fault(self) -> None:
        """DEBUG SEGFAULT: read where nothing is. The handler in C writes the stack, we what precedes it."""
        if self._fd is not None:
            self._begin(signal.SIGSEGV)
        ctypes.string_at(0)

    def _begin(self, number: int) -> None:
        self.log.warning(START)
        self.log.warning(f"Shoal {__version__} crashed by signal: {number}")
        self.log.warning("------ STACK TRACE ------")
