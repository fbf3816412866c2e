"""ACL: the users of a server, and what they may do."""

from __future__ import annotations

from shoal.cluster.effects import Level, Note
from shoal.node.commands.help import help_command
from shoal.node.commands.registry import command, container
from shoal.node.commands.spec import Arg, Flag
from shoal.node.dataset.numbers import require_integer
from shoal.node.resp.replies import OK, CommandError, Reply, SetReply
from shoal.node.server.acl.description import describe_commands
from shoal.node.server.acl.lines import AclError
from shoal.node.server.acl.permissions import Reason
from shoal.node.server.acl.selectors import Selector
from shoal.node.server.acl.users import DEFAULT
from shoal.node.server.session import Session

PASSWORD_BITS = 256
PASSWORD_MAX_BITS = 4096

_COMMON = Flag.NOSCRIPT | Flag.LOADING | Flag.STALE
_ADMIN = Flag.ADMIN | _COMMON
_NO_FILE = (
    "ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL"
    " SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in"
    " order to store users in the Redis configuration."
)
_CANNOT_SAVE = (
    "ERR There was an error trying to save the ACLs. Please check the server logs for more information"
)
_PER_USER = "O(N). Where N is the number of configured users."

container("ACL", group="server", since="6.0.0", summary="Holds the commands about users and their rights.")
help_command("ACL", since="6.0.0")

# --- users ---------------------------------------------------------------------------------------------


@command(
    "ACL|SETUSER",
    arity=-3,
    flags=_ADMIN,
    group="server",
    since="6.0.0",
    complexity="O(N). Where N is the number of rules provided.",
    summary="Makes a user, or changes one, by rules.",
    history=(("6.2.0", "Rules about channels."), ("7.0.0", "Selectors, and reading apart from writing.")),
    arguments=(Arg("username"), Arg("rule", optional=True, multiple=True)),
)
def acl_setuser(session: Session, name: bytes, *rules: bytes) -> Reply:
    session.server.acl.set_user(name, rules, session)
    return OK


@command(
    "ACL|DELUSER",
    arity=-3,
    flags=_ADMIN,
    group="server",
    since="6.0.0",
    complexity="O(1) amortized time considering the typical user.",
    summary="Deletes users, and closes their connections.",
    arguments=(Arg("username", multiple=True),),
)
def acl_deluser(session: Session, *names: bytes) -> Reply:
    if DEFAULT in names:
        raise CommandError("ERR The 'default' user cannot be removed")
    return session.server.acl.delete(names, session)


@command(
    "ACL|GETUSER",
    arity=3,
    flags=_ADMIN,
    group="server",
    since="6.0.0",
    complexity="O(N). Where N is the number of password, command and pattern rules that the user has.",
    summary="Shows the rules of a user.",
    history=(
        ("6.2.0", "Shows channels."),
        ("7.0.0", "Shows selectors, and keys and channels as the rules about them."),
    ),
    arguments=(Arg("username"),),
)
def acl_getuser(session: Session, name: bytes) -> Reply:
    user = session.server.acl.users.get(name)
    if user is None:
        return None
    return {
        b"flags": SetReply([*user.flags]),
        b"passwords": [digest.encode() for digest in user.passwords],
        **_permissions(session, user.root),
        b"selectors": [_permissions(session, selector) for selector in user.selectors[1:]],
    }


def _permissions(session: Session, selector: Selector) -> dict[bytes, Reply]:
    return {
        b"commands": describe_commands(selector, session.server.acl.catalogue),
        b"keys": b" ".join(selector.key_rules),
        b"channels": b" ".join(selector.channel_rules),
    }


@command(
    "ACL|USERS",
    arity=2,
    flags=_ADMIN,
    group="server",
    since="6.0.0",
    complexity=_PER_USER,
    summary="Names all users.",
)
def acl_users(session: Session) -> Reply:
    return sorted(session.server.acl.users)


@command(
    "ACL|LIST",
    arity=2,
    flags=_ADMIN,
    group="server",
    since="6.0.0",
    complexity=_PER_USER,
    summary="Shows all users, each as a line of an ACL file.",
)
def acl_list(session: Session) -> Reply:
    return [*session.server.acl.lines]


@command(
    "ACL|WHOAMI",
    arity=2,
    flags=_COMMON,
    group="server",
    since="6.0.0",
    complexity="O(1)",
    summary="Names the user of this connection.",
)
def acl_whoami(session: Session) -> Reply:
    return session.user.name


@command(
    "ACL|DRYRUN",
    arity=-4,
    flags=_ADMIN,
    group="server",
    since="7.0.0",
    complexity="O(1).",
    summary="Tells whether a user may run a command, without running it.",
    arguments=(Arg("username"), Arg("command"), Arg("arg", optional=True, multiple=True)),
)
def acl_dryrun(session: Session, name: bytes, *line: bytes) -> Reply:
    words = list(line)
    acl, table = session.server.acl, session.server.dispatcher.table
    user = acl.users.get(name)
    if user is None:
        raise CommandError(b"ERR User '%b' not found" % name)
    if not table.knows(words) and not (len(words) == 1 and words[0].lower() in table.subcommands):
        raise CommandError(b"ERR Command '%b' not found" % words[0])
    spec = table.find(words).spec
    refused = acl.denial(user, spec, words)
    if refused is None:
        return OK
    if refused.reason is Reason.COMMAND:
        return f"This user has no permissions to run the '{spec.full_name}' command".encode()
    what = refused.reason.name.lower().encode()
    return b"This user has no permissions to access the '%b' %b" % (words[refused.position], what)


# --- commands and passwords ----------------------------------------------------------------------------


@command(
    "ACL|CAT",
    arity=-2,
    flags=_COMMON,
    group="server",
    since="6.0.0",
    complexity="O(1) since the categories and commands are a fixed set.",
    summary="Lists the categories of commands, or the commands of one.",
    arguments=(Arg("categoryname", optional=True),),
)
def acl_cat(session: Session, *category: bytes) -> Reply:
    catalogue = session.server.acl.catalogue
    if not category:
        return [name.encode() for name in catalogue.categories]
    if len(category) > 1:
        raise bad_arguments("CAT")
    name = category[0].lower().decode("latin-1")
    if name not in catalogue.categories:
        raise CommandError(b"ERR Unknown category '%b'" % category[0][:128])
    return [command_name.encode() for command_name in catalogue.in_category(name)]


@command(
    "ACL|GENPASS",
    arity=-2,
    flags=_COMMON,
    group="server",
    since="6.0.0",
    complexity="O(1)",
    summary="Makes up a password that cannot be guessed.",
    arguments=(Arg("bits", "integer", optional=True),),
)
def acl_genpass(session: Session, *size: bytes) -> Reply:
    if len(size) > 1:
        raise bad_arguments("GENPASS")
    bits = require_integer(size[0]) if size else PASSWORD_BITS
    if not 0 < bits <= PASSWORD_MAX_BITS:
        raise CommandError(
            "ERR ACL GENPASS argument must be the number of bits for the output password, a positive number"
            f" up to {PASSWORD_MAX_BITS}"
        )
    digits = (bits + 3) // 4
    try:
        return session.server.host.random_bytes(digits).hex()[:digits].encode()
    except OSError as error:
        raise CommandError(f"ERR No randomness to be had: {error.strerror}") from None


# --- the file ------------------------------------------------------------------------------------------


@command(
    "ACL|LOAD",
    arity=2,
    flags=_ADMIN,
    group="server",
    since="6.0.0",
    complexity=_PER_USER,
    summary="Replaces all users by those of the ACL file, and closes their connections.",
)
def acl_load(session: Session) -> Reply:
    _require_file(session)
    try:
        session.server.acl.load(session)
    except AclError as error:
        raise CommandError(f"ERR {error}") from None
    return OK


@command(
    "ACL|SAVE",
    arity=2,
    flags=_ADMIN,
    group="server",
    since="6.0.0",
    complexity=_PER_USER,
    summary="Writes all users into the ACL file.",
)
def acl_save(session: Session) -> Reply:
    _require_file(session)
    server = session.server
    try:
        server.acl.save()
    except OSError as error:
        server.effects.append(Note(Level.WARNING, f"Writing ACL file for ACL SAVE: {error.strerror}"))
        raise CommandError(_CANNOT_SAVE) from None
    return OK


def _require_file(session: Session) -> None:
    if not session.server.config.aclfile:
        raise CommandError(_NO_FILE)


def bad_arguments(subcommand: str) -> CommandError:
    """The refusal of a subcommand that takes fewer words than it was given."""
    return CommandError(
        f"ERR unknown subcommand or wrong number of arguments for '{subcommand}'. Try ACL HELP."
    )
