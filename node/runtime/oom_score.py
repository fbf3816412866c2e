"""How soon the kernel ends this process when the machine's memory runs out: `oom-score-adj`."""

from __future__ import annotations

from pathlib import Path

from shoal.node.runtime.log import Log
from shoal.node.server.config import Config
from shoal.node.server.parameters import DirectiveError
from shoal.node.server.server import Server

_FILE = Path("/proc/self/oom_score_adj")
_LEAST, _MOST = -1000, 1000
_PRIMARY, _REPLICA, _WRITER = range(3)
"""Whose score each of `oom-score-adj-values` is."""


class OomScore:
    """The process's score. The one it was started with is kept until it is wanted again."""

    def __init__(self, config: Config, log: Log) -> None:
        self._config = config
        self._log = log
        self._given: int | None = None
        """The score before it was first set here; None while it is not ours."""

    def follow(self, *, is_primary: bool) -> None:
        """Set what the configuration says for this role, or set back what was there before.

        DirectiveError, and the cause in the log, if the system refuses: to lower a score takes privileges.
        """
        wanted = self._config.oom_score_adj
        if wanted == "no" and self._given is None:
            return
        try:
            given = int(_FILE.read_text()) if self._given is None else self._given
            score = given
            if wanted != "no":
                score = self._config.oom_score_adj_values[_PRIMARY if is_primary else _REPLICA]
                if wanted != "absolute":
                    score += given
            _FILE.write_text(_within_bounds(score))
        except OSError as error:
            self._log.warning(f"Unable to write oom_score_adj: {error.strerror}")
            raise DirectiveError(
                "Failed to apply new oom_score_adj configuration, check server logs."
            ) from None
        self._given = None if wanted == "no" else given


def score_writer(server: Server, pid: int, log: Log) -> None:
    """Have a process that writes a file for us ended before us: what it has can be done again."""
    config = server.config
    if config.oom_score_adj == "no":
        return
    values = config.oom_score_adj_values
    score = values[_WRITER]
    try:
        if config.oom_score_adj != "absolute":
            score += int(_FILE.read_text()) - values[_PRIMARY if server.is_primary else _REPLICA]
        Path(f"/proc/{pid}/oom_score_adj").write_text(_within_bounds(score))
    except OSError as error:
        log.warning(f"Unable to write oom_score_adj of process {pid}: {error.strerror}")


def _within_bounds(score: int) -> str:
    return str(min(max(score, _LEAST), _MOST))
