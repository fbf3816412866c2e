"""A user's permissions as rules that give them again: for ACL LIST, for files, for people."""

from __future__ import annotations

from shoal.node.server.acl.catalogue import EVERY_COMMAND, Catalogue, Category
from shoal.node.server.acl.selectors import Selector
from shoal.node.server.acl.users import User


def describe_user(user: User, catalogue: Catalogue) -> bytes:
    """Everything about a user but the name, in one line of rules."""
    passwords = [b"#" + digest.encode() for digest in user.passwords]
    root, *others = [describe_selector(selector, catalogue) for selector in user.selectors]
    return b" ".join([*user.flags, *passwords, root, *[b"(%b)" % other for other in others]])


def describe_line(user: User, catalogue: Catalogue) -> bytes:
    """The line about a user in a file."""
    return b"user %b %b" % (user.name, describe_user(user, catalogue))


def describe_selector(selector: Selector, catalogue: Catalogue) -> bytes:
    """The rules that make a selector what it is."""
    channels = (
        selector.channel_rules if selector.all_channels else [b"resetchannels", *selector.channel_rules]
    )
    return b" ".join([*selector.key_rules, *channels, describe_commands(selector, catalogue)])


def describe_commands(selector: Selector, catalogue: Catalogue) -> bytes:
    """The rules about commands: all or none, then categories that come close, then what is still wrong.

    Beginning with all of them says that commands to come are allowed too, so the choice is not free. Of the
    categories the one is taken, again and again, that is wrong about the fewest commands, as long as it is
    right about more; what it covers is not counted again.
    """
    rules = [b"+@all" if selector.commands < 0 else b"-@all"]
    sign, described = (b"-", EVERY_COMMAND) if selector.commands < 0 else (b"+", 0)
    left, categories = selector.commands, dict(catalogue.categories)
    while (name := _best(left, categories, adding=sign == b"+")) is not None:
        reach = categories.pop(name).reach
        rules.append(sign + b"@" + name.encode())
        if sign == b"+":
            described, left = described | reach, left & ~reach
        else:
            described, left = described & ~reach, left | reach
    for listed in catalogue:
        allowed = selector.commands & listed.bit
        if allowed != described & listed.bit:
            rules.append((b"+" if allowed else b"-") + listed.name.encode())
            described = described | listed.reach if allowed else described & ~listed.reach
        if not allowed:
            words = selector.first_arguments.get(listed.name, ())
            rules += [b"+%b|%b" % (listed.name.encode(), word) for word in words]
    return b" ".join(rules)


def _best(commands: int, categories: dict[str, Category], *, adding: bool) -> str | None:
    """The category that describes most of what is allowed, or not allowed; None if none does."""
    best, least_wrong, most_right = None, 0, 0
    for name, category in categories.items():
        on = (commands & category.members).bit_count()
        off = category.members.bit_count() - on
        right, wrong = (on, off) if adding else (off, on)
        if right <= wrong:
            continue
        if best is None or wrong < least_wrong or (wrong == least_wrong and right > most_right):
            best, least_wrong, most_right = name, wrong, right
    return best
