"""How soon the kernel ends this process when the machine's memory runs out: `oom-score-adj`."""

from __future__ import annotations

from pathlib import Path

from shoal.node.runtime.log import Log
from shoal.node.server.config import Config
from shoal.node.server.parameters import DirectiveError

_FILE = Path("/proc/self/oom_score_adj")
_LEAST, _MOST = -1000, 1000


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
                score = self._config.oom_score_adj_values[0 if is_primary else 1]
                if wanted != "absolute":
                    score += given
            _FILE.write_text(str(min(max(score, _LEAST), _MOST)))
        except OSError as error:
            self._log.warning(f"Unable to write oom_score_adj: {error.strerror}")
            raise DirectiveError(
                "Failed to apply new oom_score_adj configuration, check server logs."
            ) from None
        self._given = None if wanted == "no" else given
