"""Whether a client listens to channels that its user may use no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoal.node.dataset.glob import glob_match
from shoal.node.server.acl.users import User
from shoal.node.server.pubsub import Kind

if TYPE_CHECKING:
    from shoal.node.server.session import Session


def hears_too_much(session: Session, old: User, new: User) -> bool:
    """Whether a client of the old user listens to something that the new one may not.

    If the new user may use all that the old one might, nobody is asked: whoever was let in then stays, even
    if the rules have been stricter for a while.
    """
    if session.subscriptions is None or any(selector.all_channels for selector in new.selectors):
        return False
    allowed = [channel for selector in new.selectors for channel in selector.channels]
    was_limited = not any(selector.all_channels for selector in old.selectors)
    before = [channel for selector in old.selectors for channel in selector.channels]
    if was_limited and set(before) <= set(allowed):
        return False
    names = session.subscriptions.names
    heard = [*names[Kind.CHANNEL], *names[Kind.SHARD]]
    return any(pattern not in allowed for pattern in names[Kind.PATTERN]) or any(
        not any(glob_match(pattern, channel) for pattern in allowed) for channel in heard
    )
