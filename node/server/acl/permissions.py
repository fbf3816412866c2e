"""Whether a user may run a command line."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from functools import cached_property
from typing import NamedTuple

from shoal.node.commands.spec import CommandSpec, Flag, KeyUse
from shoal.node.dataset.glob import glob_match
from shoal.node.server.acl.catalogue import Catalogue
from shoal.node.server.acl.selectors import Access, Selector
from shoal.node.server.acl.users import User


class Reason(IntEnum):
    """Why something was denied. Of several, the greater says more."""

    COMMAND = 1
    KEY = 2
    AUTH = 3
    CHANNEL = 4

    @property
    def label(self) -> str:
        return {Reason.COMMAND: "cmd"}.get(self, self.name.lower())


class Denial(NamedTuple):
    """A refusal: why, and by which word of the command line."""

    reason: Reason
    position: int = 0


class Request:
    """A command line, and what it takes to run it."""

    def __init__(self, spec: CommandSpec, words: Sequence[bytes], catalogue: Catalogue) -> None:
        self.spec = spec
        self.words = words
        self.bit = catalogue.bit(spec)

    @cached_property
    def keys(self) -> list[tuple[int, Access]]:
        """Positions of its keys, with what is done to each."""
        return [(position, needed_access(use)) for position, use in self.spec.key_uses(self.words)]

    def denied_by(self, selector: Selector) -> Denial | None:
        """Why a selector does not allow the line; None if it does."""
        if not (selector.all_commands or self._allows_command(selector)):
            return Denial(Reason.COMMAND)
        if self.spec.keys and not selector.all_keys:
            for position, access in self.keys:
                if not allows_key(selector, self.words[position], access):
                    return Denial(Reason.KEY, position)
        channels = self.spec.channels
        if channels is not None and not selector.all_channels:
            for position in channels.positions(self.words):
                if not allows_channel(selector, self.words[position], is_pattern=channels.are_patterns):
                    return Denial(Reason.CHANNEL, position)
        return None

    def _allows_command(self, selector: Selector) -> bool:
        if selector.commands & self.bit or self.spec.flags & Flag.NO_AUTH:
            return True
        allowed = selector.first_arguments.get(self.spec.full_name, ())
        return len(self.words) > 1 and self.words[1].lower() in [word.lower() for word in allowed]


def denial(user: User, request: Request) -> Denial | None:
    """Why a user may not run a line; None if one of its selectors allows it.

    What is told of several refusals is the one of the selector that went furthest.
    """
    worst = Denial(Reason.COMMAND)
    for selector in user.selectors:
        refused = request.denied_by(selector)
        if refused is None:
            return None
        worst = max(worst, refused)
    return worst


def may_read_every_key(user: User, request: Request) -> bool:
    """Whether one selector allows both the line and to read whatever key there is."""
    return any(
        request.denied_by(selector) is None
        and (selector.all_keys or bool(selector.keys.get(b"*", 0) & Access.READ))
        for selector in user.selectors
    )


def needed_access(use: KeyUse) -> Access:
    """What a user must be allowed for such a use of a key: nothing to ask only whether it is there."""
    access = Access(0)
    if use & KeyUse.ACCESS:
        access |= Access.READ
    if use & (KeyUse.INSERT | KeyUse.DELETE | KeyUse.UPDATE):
        access |= Access.WRITE
    return access


def allows_key(selector: Selector, key: bytes, access: Access) -> bool:
    """Whether a key may be used so. Any pattern will do where no access is asked for."""
    return any(
        given & access == access and glob_match(pattern, key) for pattern, given in selector.keys.items()
    )


def allows_channel(selector: Selector, channel: bytes, *, is_pattern: bool) -> bool:
    """Whether a channel may be used. A pattern to listen to must itself be among the allowed ones."""
    if is_pattern:
        return channel in selector.channels
    return any(glob_match(pattern, channel) for pattern in selector.channels)
