"""A user: whether it may log in and how, and what it may do then."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from shoal.node.server.acl.catalogue import Catalogue
from shoal.node.server.acl.selectors import RuleError, Selector, words_in_parentheses

DEFAULT = b"default"
_NO_SUCH_PASSWORD = "The password you are trying to remove from the user does not exist"
_NO_DIGEST = (
    "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"
)
_DIGITS = frozenset(b"0123456789abcdef")


@dataclass(slots=True)
class Rules:
    """What rules are read by."""

    catalogue: Catalogue
    all_channels: bool
    """`acl-pubsub-default allchannels`: whether a new user may use every channel."""


class User:
    """One user. Passwords are kept as their SHA-256 digests only."""

    def __init__(self, name: bytes, rules: Rules) -> None:
        self.name = name
        self.enabled = False
        self.needs_no_password = False
        self.sanitizes: bool | None = None
        """Kept and shown; every payload is checked here in any case."""
        self.passwords: dict[str, None] = {}
        self.selectors = [Selector(all_channels=rules.all_channels)]
        self.is_limited = True
        """Whether there is something it may not do. Asked for every session, so it is held, not computed."""

    @property
    def root(self) -> Selector:
        """The selector that rules without parentheses are about."""
        return self.selectors[0]

    @property
    def is_open(self) -> bool:
        """Whether anybody may be this user, without a word."""
        return self.enabled and self.needs_no_password

    def accepts(self, password: bytes) -> bool:
        """Whether it may log in with this password."""
        if not self.enabled:
            return False
        digest = digest_of(password)
        matches = [hmac.compare_digest(digest, own) for own in self.passwords]
        return self.needs_no_password or any(matches)

    def changed(self, changes: Sequence[bytes], rules: Rules) -> User:
        """A user of the same name, as this one is after some rules. RuleError names the one that is wrong."""
        user = User(self.name, rules)
        user.take_over(self)
        for rule in changes:
            try:
                user._apply(rule, rules)
            except RuleError as error:
                error.rule = rule
                raise
        user._settle()
        return user

    def take_over(self, other: User) -> None:
        """Become what another is, name excepted."""
        self.enabled, self.needs_no_password = other.enabled, other.needs_no_password
        self.sanitizes, self.passwords = other.sanitizes, dict(other.passwords)
        self.selectors = [selector.copy() for selector in other.selectors]
        self._settle()

    def _settle(self) -> None:
        self.is_limited = not any(selector.is_unlimited for selector in self.selectors)

    @property
    def flags(self) -> list[bytes]:
        """The rules about the user itself, and not about what it may do."""
        flags = [b"on" if self.enabled else b"off"]
        if self.needs_no_password:
            flags.append(b"nopass")
        if self.sanitizes is not None:
            flags.append(b"sanitize-payload" if self.sanitizes else b"skip-sanitize-payload")
        return flags

    def _apply(self, rule: bytes, rules: Rules) -> None:
        word = rule.lower()
        if word in (b"on", b"off"):
            self.enabled = word == b"on"
        elif word in (b"sanitize-payload", b"skip-sanitize-payload"):
            self.sanitizes = word == b"sanitize-payload"
        elif word in (b"nopass", b"resetpass"):
            self.needs_no_password = word == b"nopass"
            self.passwords = {}
        elif rule[:1] in (b">", b"#"):
            self.passwords[_digest_in(rule)] = None
            self.needs_no_password = False
        elif rule[:1] in (b"<", b"!"):
            digest = _digest_in(rule)
            if digest not in self.passwords:
                raise RuleError(_NO_SUCH_PASSWORD)
            del self.passwords[digest]
        elif rule[:1] == b"(" and rule[-1:] == b")":
            selector = Selector(all_channels=rules.all_channels)
            for inner in words_in_parentheses(rule):
                selector.apply(inner, rules.catalogue)
            self.selectors.append(selector)
        elif word == b"clearselectors":
            del self.selectors[1:]
        elif word == b"reset":
            self.take_over(User(self.name, rules))
            self.sanitizes = True
        elif rule:
            self.root.apply(rule, rules.catalogue)


def default_user(rules: Rules) -> User:
    """Who everybody is at first, and may do everything."""
    return User(DEFAULT, rules).changed([b"+@all", b"~*", b"&*", b"on", b"nopass"], rules)


def digest_of(password: bytes) -> str:
    return sha256(password).hexdigest()


def _digest_in(rule: bytes) -> str:
    """The digest that a rule gives, or whose password."""
    if rule[:1] in (b">", b"<"):
        return digest_of(rule[1:])
    if len(rule) != 65 or not _DIGITS.issuperset(rule[1:]):
        raise RuleError(_NO_DIGEST)
    return rule[1:].decode()


class UnmatchedParenthesis(Exception):  # noqa: N818
    """A selector's end is missing; it begins with this word."""


def joined_selectors(words: Sequence[bytes]) -> list[bytes]:
    """Rules in which a selector may be spread over several words, as one word for each selector."""
    rules: list[bytes] = []
    opened: bytes | None = None
    begins = b""
    for word in words:
        if word[:1] == b"(" and word[-1:] != b")":
            opened = begins = word
        elif opened is not None:
            opened += b" " + word
            if word[-1:] == b")":
                rules.append(opened)
                opened = None
        else:
            rules.append(word)
    if opened is not None:
        raise UnmatchedParenthesis(begins.decode("utf-8", "replace"))
    return rules
