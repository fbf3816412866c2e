"""The one exception a command ends with when something is wrong that the user can do something about."""

from __future__ import annotations

from collections.abc import Sequence


class CliError(Exception):
    """What went wrong and what to do next, in one line; the command exits with status 1.

    `details` are further lines to show below, such as the end of a log.
    """

    def __init__(self, text: str, details: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.details = details


class ConnectionLostError(CliError):
    """A server could not be reached, went away, or did not answer in time."""


class ReplyError(CliError):
    """A server answered with an error. `str()` is its text, such as `ERR Unknown node 1234`."""

    @property
    def code(self) -> str:
        """The first word, by which clients tell errors apart."""
        return str(self).partition(" ")[0]
