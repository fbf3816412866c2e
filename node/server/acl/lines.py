"""Users as lines of text: of an ACL file, and of a configuration file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from shoal.node.server.acl.catalogue import Catalogue
from shoal.node.server.acl.selectors import RuleError, UnknownCommand, has_spaces
from shoal.node.server.acl.users import (
    DEFAULT,
    Rules,
    UnmatchedParenthesis,
    User,
    default_user,
    joined_selectors,
)

_KEPT = "WARNING: ACL errors detected, no change to the previously active ACL rules was performed"


class AclError(Exception):
    """Users that cannot be had; the message says which and why."""


@dataclass(frozen=True, slots=True)
class UserLine:
    """A user as a configuration file tells of it."""

    name: bytes
    rules: tuple[bytes, ...]


@dataclass(slots=True)
class UsersRead:
    """What the lines of a file give."""

    users: dict[bytes, User] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)


def read_acl_file(path: str, text: str, rules: Rules) -> dict[bytes, User]:
    """The users of an ACL file, the default one included. AclError tells everything that is wrong with it."""
    found = UsersRead()
    for number, line in enumerate(text.split("\n"), start=1):
        words = line.strip(" \t\r\n").encode("utf-8", "surrogateescape").split(b" ")
        if words != [b""]:
            _read_line(found, f"{path}:{number}", number, words, rules)
    if found.errors:
        raise AclError("".join(found.errors) + _KEPT)
    found.users.setdefault(DEFAULT, default_user(rules))
    return found.users


def _read_line(found: UsersRead, place: str, number: int, words: list[bytes], rules: Rules) -> None:
    if words[0] != b"user" or len(words) < 2:
        found.errors.append(f"{place} should start with user keyword followed by the username. ")
        return
    name, shown = words[1], words[1].decode("utf-8", "replace")
    if has_spaces(name):
        found.errors.append(f"'{place}: username '{shown}' contains invalid characters. ")
        return
    if name in found.users:
        found.errors.append(f"WARNING: Duplicate user '{shown}' found on line {number}. ")
        return
    user = found.users[name] = User(name, rules)
    try:
        changes = joined_selectors(words[2:])
    except UnmatchedParenthesis:
        found.errors.append(f"{place}: Unmatched parenthesis in selector definition.")
        return
    told = False
    for change in changes:
        rule = change.strip(b"\t\r\n")
        try:
            user.take_over(user.changed([rule], rules))
        except UnknownCommand as error:
            spelled = rule.decode("utf-8", "replace")
            found.errors.append(f"{place}: Error in applying operation '{spelled}': {error}. ")
        except RuleError as error:
            if not told:
                found.errors.append(f"{place}: {error}. ")
            told = True


def read_user_line(words: Sequence[bytes], known: Sequence[UserLine]) -> UserLine:
    """A `user` line of a configuration file, behind that word. AclError if it makes no sense.

    Commands are not looked up: they may be registered later than configuration files are read.
    """
    if not words:
        raise AclError("wrong number of arguments")
    name = words[0]
    if name in [line.name for line in known]:
        raise _declaration_error(
            name, "Duplicate user found. A user can only be defined once in config files"
        )
    rules = Rules(Catalogue({}), all_channels=False)
    user = User(name, rules)
    try:
        changes = joined_selectors(words[1:])
    except UnmatchedParenthesis as error:
        raise _declaration_error(
            str(error).encode(), "Unmatched parenthesis in selector definition"
        ) from None
    for change in changes:
        try:
            user = user.changed([change], rules)
        except UnknownCommand:
            continue
        except RuleError as error:
            raise _declaration_error(change, str(error)) from None
    return UserLine(name, tuple(changes))


def _declaration_error(word: bytes, reason: str) -> AclError:
    return AclError(f"Error in user declaration '{word.decode('utf-8', 'replace')}': {reason}")


def configured_users(lines: Sequence[UserLine], rules: Rules) -> dict[bytes, User]:
    """The users of a configuration file. AclError for a rule that makes no sense."""
    users: dict[bytes, User] = {}
    for line in lines:
        if has_spaces(line.name):
            raise AclError("Spaces not allowed in ACL usernames")
        changes = (b"reset", *line.rules) if line.name == DEFAULT else line.rules
        try:
            users[line.name] = User(line.name, rules).changed(changes, rules)
        except RuleError as error:
            rule, name = error.rule.decode("utf-8", "replace"), line.name.decode("utf-8", "replace")
            reason = f"Error loading ACL rule '{rule}' for the user named '{name}': {error}"
            raise AclError(reason) from None
    return users
