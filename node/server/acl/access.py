"""The users of one server: who there is, who a session is, what is denied, and what a change leads to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from shoal.cluster.effects import Level, Note
from shoal.node.commands.registry import COMMANDS
from shoal.node.commands.spec import CommandSpec
from shoal.node.resp.replies import CommandError
from shoal.node.server.acl.catalogue import Catalogue
from shoal.node.server.acl.description import describe_line
from shoal.node.server.acl.lines import AclError, configured_users, read_acl_file
from shoal.node.server.acl.log import AclLog
from shoal.node.server.acl.permissions import Denial, Reason, Request, denial, may_read_every_key
from shoal.node.server.acl.revoking import hears_too_much
from shoal.node.server.acl.selectors import RuleError, has_spaces
from shoal.node.server.acl.users import (
    DEFAULT,
    Rules,
    UnmatchedParenthesis,
    User,
    default_user,
    joined_selectors,
)
from shoal.node.server.client_list import describe

if TYPE_CHECKING:
    from shoal.node.server.server import Server
    from shoal.node.server.session import Session

WRONG_PASSWORD = "WRONGPASS invalid username-password pair or user is disabled."
_DENIED = {
    Reason.KEY: "NOPERM this user has no permissions to access one of the keys used as arguments",
    Reason.CHANNEL: "NOPERM this user has no permissions to access one of the channels used as arguments",
}
_IN_SCRIPT = {
    Reason.COMMAND: "can't run this command or subcommand",
    Reason.KEY: "can't access at least one of the keys mentioned in the command arguments",
    Reason.CHANNEL: "can't publish to the channel mentioned in the command",
}
_SINCE_QUEUED = {
    Reason.COMMAND: "no permission to execute the command or subcommand",
    Reason.KEY: "no permission to touch the specified keys",
    Reason.CHANNEL: "no permission to access one of the channels used as arguments",
}
_FILE_AND_LINES = (
    "Configuring Redis with users defined in redis.conf and at the same setting an ACL file path is invalid."
    " This setup is very likely to lead to configuration errors and security holes, please define either an"
    " ACL file or declare users directly in your redis.conf, but not both."
)


class AccessControl:
    """Users, and what they are denied. A session that may do everything never comes here."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.catalogue = Catalogue(COMMANDS)
        self.default = default_user(self.rules)
        self.users = {DEFAULT: self.default}
        self.log = AclLog()
        self.reset_statistics()

    def reset_statistics(self) -> None:
        """CONFIG RESETSTAT."""
        self.denied: dict[Reason, int] = dict.fromkeys(Reason, 0)
        """How often something was denied, for INFO."""

    @property
    def rules(self) -> Rules:
        """How rules are read now."""
        return Rules(self.catalogue, self.server.config.acl_pubsub_default == "allchannels")

    @property
    def requires_password(self) -> bool:
        """Whether clients must say who they are first: the default user has a password, or is off."""
        return not self.default.is_open

    @property
    def lines(self) -> list[bytes]:
        """Every user, in the order of names."""
        return [describe_line(self.users[name], self.catalogue) for name in sorted(self.users)]

    # --- at the start ------------------------------------------------------------------------------

    def load_at_startup(self) -> None:
        """Take over the users of the configuration, or of its ACL file. AclError if they make no sense."""
        config = self.server.config
        if config.aclfile and config.users:
            raise AclError(_FILE_AND_LINES)
        users = configured_users(config.users, self.rules)
        for name in [name for name, user in users.items() if not user.enabled]:
            self._tell(
                Level.NOTICE,
                f"The user '{name.decode('utf-8', 'replace')}' is disabled (there is no 'on' modifier in the"
                " user description). Make sure this is not a configuration error.",
            )
        self._replace(users)
        if config.aclfile:
            try:
                self.load()
            except AclError as error:
                raise AclError(f"Aborting Redis startup because of ACL errors: {error}") from None

    def set_default_password(self, password: str) -> None:
        """`requirepass`: the default user's one password, or none."""
        change = b">" + password.encode("utf-8", "surrogateescape") if password else b"nopass"
        self.default.take_over(self.default.changed([b"resetpass", change], self.rules))
        self.refresh_sessions()

    # --- logging in --------------------------------------------------------------------------------

    def authenticate(self, session: Session, name: bytes, password: bytes, command: bytes) -> None:
        """Let the session be a user, or raise WRONGPASS."""
        user = self.users.get(name)
        if user is None or not user.accepts(password):
            self._note(session, Reason.AUTH, _context(session), command, name)
            raise CommandError(WRONG_PASSWORD)
        session.become(user)

    # --- permissions -------------------------------------------------------------------------------

    def check(self, session: Session, spec: CommandSpec, words: Sequence[bytes]) -> None:
        """Raise NOPERM if the session's user may not run a command line."""
        refused = self._denied(session, spec, words, _context(session))
        if refused is not None:
            command = f"NOPERM this user has no permissions to run the '{spec.full_name}' command"
            raise CommandError(_DENIED.get(refused.reason, command))

    def check_queued(self, session: Session, spec: CommandSpec, words: Sequence[bytes]) -> None:
        """The same for a command of a transaction, when it is about to run."""
        refused = self._denied(session, spec, words, b"multi")
        if refused is not None:
            raise CommandError(
                "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC"
                " call. This command is no longer allowed for the following reason: "
                + _SINCE_QUEUED[refused.reason]
            )

    def check_in_script(self, session: Session, spec: CommandSpec, words: Sequence[bytes]) -> None:
        """The same for a command of a script that runs for the session."""
        refused = self._denied(session, spec, words, b"lua")
        if refused is not None:
            raise CommandError(f"ERR The user executing the script {_IN_SCRIPT[refused.reason]}")

    def denial(self, user: User, spec: CommandSpec, words: Sequence[bytes]) -> Denial | None:
        """Why a user may not run a command line, if so; nothing is noted."""
        return denial(user, Request(spec, words, self.catalogue))

    def may_read_every_key(self, user: User, spec: CommandSpec, words: Sequence[bytes]) -> bool:
        """Whether a command line may read keys that nobody named."""
        return may_read_every_key(user, Request(spec, words, self.catalogue))

    def _denied(
        self, session: Session, spec: CommandSpec, words: Sequence[bytes], context: bytes
    ) -> Denial | None:
        refused = self.denial(session.user, spec, words)
        if refused is not None:
            is_command = refused.reason is Reason.COMMAND
            what = spec.full_name.encode() if is_command else words[refused.position]
            self._note(session, refused.reason, context, what, session.user.name)
        return refused

    def _note(self, session: Session, reason: Reason, context: bytes, what: bytes, user: bytes) -> None:
        self.denied[reason] += 1
        limit = self.server.config.acllog_max_len
        self.log.note(reason, context, what, user, describe(session), session.now_ms, limit)

    # --- changes -----------------------------------------------------------------------------------

    def set_user(self, name: bytes, words: Sequence[bytes], by: Session) -> None:
        """ACL SETUSER: make a user or change one, as a whole or not at all."""
        if has_spaces(name):
            raise CommandError("ERR Usernames can't contain spaces or null characters")
        rules = self.rules
        old = self.users.get(name)
        try:
            new = (old or User(name, rules)).changed(joined_selectors(words), rules)
        except UnmatchedParenthesis as error:
            raise CommandError(f"ERR Unmatched parenthesis in acl selector starting at '{error}'.") from None
        except RuleError as error:
            rule = error.rule.decode("utf-8", "replace")
            raise CommandError(f"ERR Error in ACL SETUSER modifier '{rule}': {error}") from None
        if old is None:
            self.users[name] = new
            return
        self._drop_listeners(old, new, by)
        old.take_over(new)
        self.refresh_sessions()

    def delete(self, names: Iterable[bytes], by: Session) -> int:
        """ACL DELUSER: whoever is one of these users is hung up on. Returns how many there were."""
        gone = [self.users.pop(name) for name in dict.fromkeys(names) if name in self.users]
        self._end_sessions(gone, by)
        return len(gone)

    def load(self, by: Session | None = None) -> None:
        """ACL LOAD: have the users of the ACL file and no others. AclError if it is not as it should be."""
        path = self.server.config.aclfile
        try:
            text = self.server.host.read_file(path)
        except OSError as error:
            raise AclError(f"Error loading ACLs, opening file '{path}': {error.strerror}") from None
        users = read_acl_file(path, text, self.rules)
        gone = [user for name, user in self.users.items() if name != DEFAULT]
        self._drop_listeners(self.default, users[DEFAULT], by)
        self.users = {DEFAULT: self.default}
        self._replace(users)
        self._end_sessions(gone, by)

    def save(self) -> None:
        """ACL SAVE: write every user into the ACL file. OSError if that fails."""
        text = "".join(f"{line.decode('utf-8', 'surrogateescape')}\n" for line in self.lines)
        self.server.host.rewrite_file(self.server.config.aclfile, lambda old: text)

    def _replace(self, users: dict[bytes, User]) -> None:
        """Add users. The default one is always the same object: sessions hold it."""
        for name, user in users.items():
            if name == DEFAULT:
                self.default.take_over(user)
            else:
                self.users[name] = user
        self.refresh_sessions()

    # --- what becomes of sessions ------------------------------------------------------------------

    def refresh_sessions(self) -> None:
        """A user has changed: let every session know whether it has to be looked at more closely."""
        for session in self.server.sessions.values():
            session.parser.restrict(session.must_authenticate)
            session.refresh_plain()

    def _end_sessions(self, users: Sequence[User], by: Session | None) -> None:
        for session in [one for one in self.server.sessions.values() if one.user in users]:
            session.user = self.default
            session.authenticated = False
            session.refresh_plain()
            self._end(session, by)

    def _drop_listeners(self, old: User, new: User, by: Session | None) -> None:
        """Hang up on those who listen to what their user may hear no more."""
        for session in list(self.server.sessions.values()):
            if session.user is old and hears_too_much(session, old, new):
                self._end(session, by)

    def _end(self, session: Session, by: Session | None) -> None:
        """Hang up; on who asked for it, after the answer."""
        if session is by:
            session.close_after_reply()
        else:
            self.server.drop(session)

    def _tell(self, level: Level, text: str) -> None:
        self.server.effects.append(Note(level, text))


def _context(session: Session) -> bytes:
    return b"multi" if session.transaction is not None or session.in_exec else b"toplevel"
