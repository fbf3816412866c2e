"""Users: what they are denied, where, in which words, and what a change of their rules leads to."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shoal.node.server.acl.lines import AclError, UserLine
from shoal.node.server.host import NoHost
from tests.unit.server.client import Client, World, fields

NO_KEY = "NOPERM this user has no permissions to access one of the keys used as arguments"
NO_CHANNEL = "NOPERM this user has no permissions to access one of the channels used as arguments"


def no_command(name: str) -> str:
    return f"NOPERM this user has no permissions to run the '{name}' command"


class Files(NoHost):
    """A disk, and a source of randomness that anybody can guess."""

    def __init__(self, **files: str) -> None:
        self.files = files

    def read_file(self, path: str) -> str:
        if path not in self.files:
            raise OSError(2, "No such file or directory")
        return self.files[path]

    def rewrite_file(self, path: str, change: Callable[[str], str]) -> None:
        self.files[path] = change(self.files.get(path, ""))

    def random_bytes(self, size: int) -> bytes:
        return bytes(range(size))


def user(world: World, *rules: str, name: str = "ann") -> Client:
    """A client that is a user of these rules."""
    assert world.client()("ACL", "SETUSER", name, "on", "nopass", *rules) == "OK"
    client = world.client()
    assert client("AUTH", name, "x") == "OK"
    return client


# --- what is denied --------------------------------------------------------------------------------------


def test_commands_keys_and_channels_are_denied_in_redis_words() -> None:
    ann = user(World(), "+get", "+publish", "~a*", "&c")
    assert ann("GET", "a1") is None
    assert ann("GET", "b") == NO_KEY
    assert ann("SET", "a", 1) == no_command("set")
    assert ann("PUBLISH", "d", 1) == NO_CHANNEL
    assert ann("CONFIG", "GET", "port") == no_command("config|get")


def test_the_short_way_is_closed_to_a_user_with_limits_and_open_to_all_others() -> None:
    world = World()
    ann, free = user(world, "+@all", "~*", "&*", "-flushall"), world.client()
    assert free.session.plain and not ann.session.plain
    world.client()("ACL", "SETUSER", "ann", "+@all")
    assert ann.session.plain
    world.client()("ACL", "SETUSER", "default", "-flushall")
    assert not free.session.plain
    assert free("FLUSHALL") == no_command("flushall")


def test_every_key_of_a_command_must_be_allowed_for_what_is_done_to_it() -> None:
    ann = user(World(), "+@all", "%R~r*", "%W~w*")
    assert ann("COPY", "r", "w") == 0
    assert ann("COPY", "w", "r") == NO_KEY
    assert ann("MGET", "r1", "r2", "x") == NO_KEY
    assert ann("EXISTS", "w") == 0  # nothing is read, so either kind will do
    assert ann("EXISTS", "x") == NO_KEY


def test_keys_are_found_where_migrate_finds_them() -> None:
    ann = user(World(), "+@all", "~mine", "~KEYS")
    line = ("MIGRATE", "127.0.0.1", 1, "", 0, 10)
    assert ann(*line, "KEYS", "theirs", "KEYS", "mine") == NO_KEY
    assert ann(*line, "AUTH", "KEYS", "KEYS", "mine") == "NOKEY"


def test_a_selector_allows_by_itself_or_not_at_all() -> None:
    ann = user(World(), "(+get ~a)", "(+set ~b)")
    assert ann("GET", "a") is None
    assert ann("SET", "b", 1) == "OK"
    assert ann("GET", "b") == NO_KEY


def test_sort_follows_elements_only_for_who_may_read_every_key() -> None:
    world = World()
    ann = user(world, "+sort", "~list")
    denied = "ERR {} option of SORT denied due to insufficient ACL permissions."
    assert ann("SORT", "list", "BY", "w*") == denied.format("BY")
    assert ann("SORT", "list", "GET", "#") == denied.format("GET")
    assert ann("SORT", "list", "BY", "nosort") == []
    world.client()("ACL", "SETUSER", "ann", "%R~*")
    assert ann("SORT", "list", "BY", "w*") == []


def test_commands_before_authentication_need_no_permission() -> None:
    ann = user(World())
    assert ann("PING") == no_command("ping")
    assert ann("HELLO", 2)[0] == "server"
    assert ann("RESET") == "RESET"
    assert ann("ACL", "WHOAMI") == "default"


def test_a_transaction_is_denied_what_was_taken_away_since_it_was_queued() -> None:
    world = World()
    ann = user(world, "+@all", "~*")
    ann("MULTI")
    ann("SET", "a", 1)
    ann("GET", "a")
    world.client()("ACL", "SETUSER", "ann", "-set")
    error, value = ann("EXEC")
    assert str(error) == (
        "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This"
        " command is no longer allowed for the following reason: no permission to execute the command or"
        " subcommand"
    )
    assert value is None


def test_what_is_denied_while_it_is_queued_spoils_the_transaction() -> None:
    ann = user(World(), "+multi", "+exec")
    ann("MULTI")
    assert ann("SET", "a", 1) == no_command("set")
    assert ann("EXEC") == "EXECABORT Transaction discarded because of previous errors."


def test_a_script_has_the_rights_of_its_user() -> None:
    ann = user(World(), "+eval", "+get", "~a")
    assert ann("EVAL", "return redis.call('get', 'a')", 0) is None
    denied = ann("EVAL", "return redis.call('set', 'a', 1)", 0)
    assert denied.startswith("ERR The user executing the script can't run this command or subcommand script:")
    denied = ann("EVAL", "return redis.call('get', 'b')", 0)
    assert "can't access at least one of the keys mentioned in the command arguments" in denied
    check = "return {redis.acl_check_cmd('get', 'a'), redis.acl_check_cmd('get', 'b')}"
    assert ann("EVAL", check, 0) == [1, None]


def test_who_waits_for_a_key_gets_it_only_if_it_still_may() -> None:
    world = World()
    ann, bob, admin = user(world, "+blpop", "~a"), user(world, "+blpop", "~a", name="bob"), world.client()
    for client in (ann, bob):
        client.send(b"BLPOP a 0\r\n")
    admin("ACL", "SETUSER", "ann", "resetkeys", "~b")
    admin("RPUSH", "a", "element")
    assert ann.received() == [NO_KEY]
    assert bob.received() == [["a", "element"]]


def test_the_key_that_is_written_is_the_one_that_is_looked_at() -> None:
    ann = user(World(), "+@all", "~mine")
    line = ("GEORADIUS", "mine", 0, 0, 1, "m", "STORE", "mine", "STORE")
    assert ann(*line, "theirs") == NO_KEY
    assert ann(*line, "mine") == 0


# --- who is let in ---------------------------------------------------------------------------------------


def test_only_an_enabled_user_with_the_right_password_is_let_in() -> None:
    world = World()
    admin, client = world.client(), world.client()
    admin("ACL", "SETUSER", "ann", ">one", ">two")
    wrong = "WRONGPASS invalid username-password pair or user is disabled."
    assert client("AUTH", "ann", "one") == wrong
    admin("ACL", "SETUSER", "ann", "on")
    assert client("AUTH", "ann", "three") == wrong
    assert client("AUTH", "nobody", "one") == wrong
    assert client("HELLO", 2, "AUTH", "ann", "one")[0] == "server"
    admin("ACL", "SETUSER", "ann", "<two")
    assert client("AUTH", "ann", "two") == wrong


def test_whether_clients_must_authenticate_follows_the_default_user() -> None:
    world = World(requirepass="secret")
    admin, client = world.client(), world.client()
    assert client("PING") == "NOAUTH Authentication required."
    assert admin("AUTH", "secret") == "OK"
    admin("ACL", "SETUSER", "default", "nopass")
    assert client("PING") == "PONG"
    admin("ACL", "SETUSER", "default", "off")
    assert client("PING") == "NOAUTH Authentication required."
    assert admin("PING") == "PONG"
    admin("CONFIG", "SET", "requirepass", "other")
    assert client("AUTH", "default", "other").startswith("WRONGPASS")  # off is off
    admin("ACL", "SETUSER", "default", "on")
    assert client("AUTH", "other") == "OK"


def test_a_deleted_users_clients_are_hung_up_on_and_its_own_gets_its_answer() -> None:
    world = World()
    ann, other = user(world, "+@all"), world.client()
    other("AUTH", "ann", "")
    assert ann("ACL", "DELUSER", "ann", "nobody") == 1
    assert other.is_hung_up and not ann.is_hung_up
    assert ann.session in world.server.closing


def test_listeners_are_hung_up_on_only_if_they_lose_a_channel() -> None:
    world = World()
    ann, rest = user(world, "+@all", "&a*", "&b"), user(world, "+@all", "&a*", "&b", name="rest")
    ann("SUBSCRIBE", "a1")
    rest("PSUBSCRIBE", "a*")
    admin = world.client()
    admin("ACL", "SETUSER", "ann", "resetchannels", "&a*")
    assert not ann.is_hung_up
    admin("ACL", "SETUSER", "ann", "resetchannels", "&b")
    assert ann.is_hung_up
    admin("ACL", "SETUSER", "rest", "resetchannels", "&a?")
    assert rest.is_hung_up  # a pattern is matched letter by letter
    assert "sub=1" not in admin("CLIENT", "LIST")


def test_clients_are_listed_and_killed_by_user() -> None:
    world = World()
    ann, admin = user(world, "+@all"), world.client()
    assert " user=ann " in ann("CLIENT", "INFO")
    assert admin("CLIENT", "KILL", "USER", "nobody") == "ERR No such user 'nobody'"
    assert admin("CLIENT", "KILL", "USER", "ann") == 1
    assert ann.is_hung_up


# --- the log and the counters ----------------------------------------------------------------------------


def test_the_log_tells_what_was_denied_once_for_each_kind() -> None:
    world = World()
    ann, admin = user(world, "+get", "+eval", "+multi", "~a"), world.client()
    ann("GET", "b")
    ann("GET", "b")
    ann("EVAL", "return redis.pcall('set', 'a', 1)", 0)
    ann("MULTI")
    ann("SET", "a", 1)
    admin("AUTH", "ann2", "x")
    world.pass_time(1500)
    entries = [dict(zip(entry[::2], entry[1::2], strict=True)) for entry in admin("ACL", "LOG")]
    found = [(e["reason"], e["context"], e["object"], e["username"], e["count"]) for e in entries]
    assert found == [
        ("auth", "toplevel", "AUTH", "ann2", 1),
        ("command", "multi", "set", "ann", 1),
        ("command", "lua", "set", "ann", 1),
        ("key", "toplevel", "b", "ann", 2),
    ]
    assert [entry["entry-id"] for entry in entries] == [3, 2, 1, 0]
    assert entries[0]["age-seconds"] == "1.5"
    assert " user=ann " in entries[3]["client-info"]
    assert admin("ACL", "LOG", 1)[0][1] == 1
    assert admin("ACL", "LOG", "RESET") == "OK"
    assert admin("ACL", "LOG") == []
    info = fields(admin("INFO", "stats"))
    assert [info[f"acl_access_denied_{kind}"] for kind in ("auth", "cmd", "key", "channel")] == list("1220")
    admin("CONFIG", "RESETSTAT")
    assert fields(admin("INFO", "stats"))["acl_access_denied_key"] == "0"


def test_the_log_is_as_long_as_configured() -> None:
    world = World(acllog_max_len=3)
    ann = user(world, "+get")
    for number in range(5):
        ann("GET", number)
    assert len(world.client()("ACL", "LOG")) == 3


def test_passwords_are_shown_to_nobody() -> None:
    world = World(slowlog_log_slower_than=0)
    admin = world.client()
    admin("ACL", "SETUSER", "ann", ">secret")
    assert ["ACL", "SETUSER", "(redacted)", "(redacted)"] in [one[3] for one in admin("SLOWLOG", "GET")]


# --- files -----------------------------------------------------------------------------------------------


def test_users_are_saved_and_loaded_and_their_clients_hung_up_on() -> None:
    world = World(aclfile="users.acl")
    world.server.host = files = Files()
    ann, admin = user(world, "+get", "~a", "(+set ~b)"), world.client()
    assert admin("ACL", "SAVE") == "OK"
    assert files.files["users.acl"] == (
        "user ann on nopass ~a resetchannels -@all +get (~b resetchannels -@all +set)\n"
        "user default on nopass ~* &* +@all\n"
    )
    admin("ACL", "SETUSER", "bob")
    assert admin("ACL", "LOAD") == "OK"
    assert admin("ACL", "USERS") == ["ann", "default"]
    assert ann.is_hung_up and not admin.is_hung_up


def test_a_bad_file_changes_nothing_and_everything_wrong_is_told() -> None:
    world = World(aclfile="users.acl")
    text = "user a +nothing\nnonsense\n\nuser a on\nuser b (~x\nuser c perhaps maybe\n"
    world.server.host = Files(**{"users.acl": text})
    admin = world.client()
    assert admin("ACL", "LOAD") == (
        "ERR users.acl:1: Error in applying operation '+nothing': Unknown command or category name in ACL. "
        "users.acl:2 should start with user keyword followed by the username. "
        "WARNING: Duplicate user 'a' found on line 4. "
        "users.acl:5: Unmatched parenthesis in selector definition."
        "users.acl:6: Syntax error. "
        "WARNING: ACL errors detected, no change to the previously active ACL rules was performed"
    )
    assert admin("ACL", "USERS") == ["default"]


def test_users_of_the_configuration_are_there_from_the_start() -> None:
    world = World()
    world.server.config.users = [
        UserLine(b"ann", (b"on", b"nopass", b"+get")),
        UserLine(b"default", (b"on", b"nopass", b"~*", b"+@all", b"-flushall")),
    ]
    world.server.acl.load_at_startup()
    client = world.client()
    assert client("FLUSHALL") == no_command("flushall")
    assert client("PUBLISH", "c", 1) == NO_CHANNEL  # such a line begins anew
    assert client("ACL", "LIST")[0] == "user ann on nopass resetchannels -@all +get"


@pytest.mark.parametrize(
    ("lines", "aclfile", "reason"),
    [
        ([UserLine(b"a", (b"+nothing",))], "", "Unknown command or category name in ACL"),
        ([UserLine(b"a b", ())], "", "Spaces not allowed in ACL usernames"),
        ([UserLine(b"a", ())], "users.acl", "but not both"),
        ([], "users.acl", "Aborting Redis startup because of ACL errors: Error loading ACLs, opening file"),
    ],
)
def test_a_node_does_not_start_with_users_that_make_no_sense(
    lines: list[UserLine], aclfile: str, reason: str
) -> None:
    world = World(aclfile=aclfile)
    world.server.config.users = lines
    with pytest.raises(AclError, match=reason):
        world.server.acl.load_at_startup()


def test_rewriting_the_configuration_writes_users_where_they_stood() -> None:
    world = World()
    world.server.config.file = "redis.conf"
    world.server.host = files = Files(**{"redis.conf": "user ann on\n# end\nuser gone on\n"})
    admin = world.client()
    admin("ACL", "SETUSER", "ann", "off")
    assert admin("CONFIG", "REWRITE") == "OK"
    assert files.files["redis.conf"] == (
        "user ann off resetchannels -@all\n# end\nuser default on nopass ~* &* +@all\n"
    )


def test_a_password_is_made_of_as_many_bits_as_asked_for() -> None:
    world = World()
    world.server.host = Files()
    admin = world.client()
    assert admin("ACL", "GENPASS") == bytes(range(32)).hex()
    assert admin("ACL", "GENPASS", 5) == "00"
    assert "must be the number of bits" in admin("ACL", "GENPASS", 4097)
