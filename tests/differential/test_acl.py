"""Users of the same rules, here and in Redis 7.0: shown alike, allowed alike, refused in the same words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import hiredis
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from shoal.node.commands.spec import CommandSpec, Flag
from shoal.node.server.acl.catalogue import Catalogue
from tests.differential.executor import RealServer
from tests.differential.several_clients import check_same, parse
from tests.peers import REDIS7_SERVER, needs
from tests.unit.server.client import World

pytestmark = [pytest.mark.peers, needs(REDIS7_SERVER)]

DIGEST = "34344e4d60c2b6d639b7bd22e18f2b0b91bc34bf0ac5f9952744435093cfb4e6"
COMMAND_NAMES = (
    "get set mget incr del copy sort sort_ro publish ssubscribe subscribe psubscribe xadd xinfo xinfo|stream"
    " config config|get config|set client client|id memory|usage debug select eval acl acl|whoami multi exec"
    " auth georadius zunionstore migrate bitfield script|load function|list"
)
CATEGORIES = (
    "keyspace read write set sortedset list hash string bitmap hyperloglog geo stream pubsub admin fast slow"
    " blocking dangerous connection transaction scripting nonsense"
)
USER_RULES = (
    f"on off nopass resetpass >one >two <one #{DIGEST} !{DIGEST} #12 sanitize-payload skip-sanitize-payload"
)
OTHER_RULES = "clearselectors reset ON perhaps + - +@ ~a~b % %~ ) > get"
PART_RULES = (
    "+select|0 +select|1 -select|0 +debug|object +debug| +config|nothing -config|nothing +config|get|port"
    " +get|a|b "
)
KEY_RULES = "allkeys resetkeys ~* ~a* ~b ~ %R~a* %W~a* %RW~c %r~c %rw~d? %R~* %W~* %RR~a %X~a %RW"
CHANNEL_RULES = "allchannels resetchannels &* &a* &b & &[ab]c"
ALL_COMMANDS = "allcommands nocommands +@all -@all +@ALL"

COMMAND_RULE = st.one_of(
    st.sampled_from((ALL_COMMANDS + PART_RULES).split()),
    st.tuples(st.sampled_from("+-"), st.sampled_from(COMMAND_NAMES.split())).map("".join),
    st.tuples(st.sampled_from(["+@", "-@"]), st.sampled_from(CATEGORIES.split())).map("".join),
)
SELECTOR_RULE = st.one_of(COMMAND_RULE, st.sampled_from((KEY_RULES + " " + CHANNEL_RULES).split()))
SELECTOR = st.lists(SELECTOR_RULE, max_size=4).map(" ".join).map("({})".format)
RULE = st.one_of(
    SELECTOR_RULE, SELECTOR_RULE, SELECTOR, st.sampled_from((USER_RULES + " " + OTHER_RULES).split())
)
RULES = st.lists(RULE, max_size=8)

LINES = (
    "get a1|get b|set a1 1|set a1 1 get|set c 1 ex get|mget a1 b|copy a1 c|copy c a1|exists a1|exists x"
    "|sort a1 by w* get #|sort a1 store c|sort_ro b by x|publish b 1|publish ac 1|spublish b 1|subscribe b x"
    "|psubscribe a*|psubscribe ab|ssubscribe ac|unsubscribe x|config get port|config set port 1|config"
    "|client id|select 0|select 1|debug object a1|debug jmap|eval s 1 a1|eval s 2 a1|eval s -1 a1|acl whoami"
    "|auth x|hello|zunionstore c 2 a1 b|zunionstore c 9 a1|georadius a1 0 0 1 m store c|migrate h 1 a1 0 1"
    '|migrate h 1 "" 0 1 keys a1 c|bitfield a1 get u4 0|bitfield a1 set u4 0 1|bitfield a1 get|xadd a1 * f v'
    "|xread streams a1 b 0 0|memory usage a1|script load s|function list|multi|nothing|get|zadd c 1 1"
    "|object encoding a1|lmpop 1 a1 left"
)
ALL_LINES = LINES.split("|")
"""Whether a user may run them is asked; nothing of it runs."""


class Redis:
    """A connection of its own to the real server."""

    def __init__(self, address: str, resp: int) -> None:
        self.server = RealServer(address)
        self.server.run("HELLO", resp)
        self.resp = resp

    def __call__(self, *words: str) -> Any:
        return self.server.run(*words).value

    def close(self) -> None:
        self("ACL", "DELUSER", "ann")
        self("CONFIG", "SET", "acl-pubsub-default", "resetchannels")
        self.server.close()


class Ours:
    """A server of ours, with a client that gets bytes as the real one's does."""

    def __init__(self, catalogue: Catalogue, resp: int) -> None:
        world = World(enable_debug_command="yes")
        world.server.acl.catalogue = catalogue
        self.client = world.client()
        self.client.reader = hiredis.Reader()
        self.client("HELLO", resp)

    def __call__(self, *words: str) -> Any:
        reply = self.client(*words)
        return ("error", reply) if isinstance(reply, str) else reply


def declared(info: list[Any]) -> CommandSpec:
    """A command as far as rules are concerned: its name, its categories and its subcommands."""
    categories = {category[1:].decode() for category in info[6]}
    flags = Flag.FAST if "fast" in categories else Flag.NONE
    subcommands = {one[0].partition(b"|")[2]: declared(one) for one in info[9]}
    name = info[0].decode()
    return CommandSpec(
        name, 1, flags, "server", "", "", "", acl=frozenset(categories), subcommands=subcommands
    )


@pytest.fixture(scope="module")
def catalogue(redis7: RealServer) -> Catalogue:
    """The commands of Redis 7.0, those alone: how rules are shown depends on which there are."""
    infos: Any = redis7.run("COMMAND").value
    return Catalogue({info[0]: declared(info) for info in infos})


@pytest.fixture(params=[2, 3])
def redis(redis7: RealServer, request: pytest.FixtureRequest) -> Iterator[Redis]:
    redis = Redis(str(redis7.socket.getpeername()), request.param)
    yield redis
    redis.close()


def words_of(rules: bytes) -> list[bytes]:
    """Rules in an order of ours: Redis tells those about single commands in that of its hash table."""
    return sorted(rules.replace(b"(", b"( ").replace(b")", b" )").split())


def without_order(reply: Any, resp: int) -> Any:
    """GETUSER, with the rules about commands in an order of ours."""
    if reply is None:
        return None
    user = reply if resp == 3 else dict(zip(reply[::2], reply[1::2], strict=True))
    if b"selectors" in user:
        user[b"selectors"] = [without_order(selector, resp) for selector in user[b"selectors"]]
    return {**user, b"commands": words_of(user[b"commands"])}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(RULES, min_size=1, max_size=3), st.booleans(), st.lists(st.sampled_from(ALL_LINES), max_size=6)
)
@example([["on", "nopass", "+@all", "-@string", "+incr", "-debug", "+debug|digest"]], False, ALL_LINES)
@example([["+@all", "%R~a*", "%W~c", "resetchannels", "&a*"]], False, ALL_LINES)
@example([["(+@read", "~a*)", "(+@all -@dangerous %W~c)", "(+select|0 ~* allchannels)"]], False, ALL_LINES)
@example([["+@write", "( +get ~b )", "(allchannels +publish"]], True, ALL_LINES)
def test_users_are_shown_and_allowed_as_in_redis(
    redis: Redis, catalogue: Catalogue, rules: list[list[str]], all_channels: bool, lines: list[str]
) -> None:
    ours = Ours(catalogue, redis.resp)
    default = "allchannels" if all_channels else "resetchannels"
    redis("ACL", "DELUSER", "ann")
    for server in (ours, redis):
        server("CONFIG", "SET", "acl-pubsub-default", default)
    for changes in rules:
        line = ("ACL", "SETUSER", "ann", *changes)
        assert ours(*line) == redis(*line), line
    mine, real = [without_order(server("ACL", "GETUSER", "ann"), redis.resp) for server in (ours, redis)]
    assert mine == real
    mine, real = [[words_of(line) for line in server("ACL", "LIST")] for server in (ours, redis)]
    assert mine == real
    for command in lines:
        words = [word.strip('"') for word in command.split()]
        asked = ("ACL", "DRYRUN", "ann", *words)
        assert ours(*asked) == redis(*asked), asked


def test_categories_hold_what_they_hold_in_redis(redis: Redis, catalogue: Catalogue) -> None:
    ours = Ours(catalogue, redis.resp)
    assert ours("ACL", "CAT") == redis("ACL", "CAT")
    for name in CATEGORIES.split():
        mine, real = ours("ACL", "CAT", name), redis("ACL", "CAT", name)
        assert sorted(mine) == sorted(real), name


SCRIPTS = {
    "denied": """
        a ACL SETUSER ann on >x +get +publish +subscribe +psubscribe +config|get ~a* %R~b &c*
        b AUTH ann y
        b AUTH ann x
        b ACL WHOAMI
        b GET a
        b GET b
        b GET c
        b SET a 1
        b CONFIG GET appendonly
        b CONFIG SET port 1
        b CONFIG NOTHING
        b NOTHING
        b GET
        b PUBLISH c 1
        b PUBLISH d 1
        b PSUBSCRIBE c*
        b PSUBSCRIBE c?
        b SUBSCRIBE c1 d
        a PUBLISH c1 hello
        a ACL SETUSER ann +@all
        b ACL WHOAMI
        b UNSUBSCRIBE
        b PUNSUBSCRIBE
        b RESET
        b ACL WHOAMI
        a ACL DELUSER ann
    """,
    "transaction": """
        a ACL SETUSER ann on nopass +@all ~a
        b AUTH ann anything
        b MULTI
        b SET a 1
        b SET b 1
        b EXEC
        b MULTI
        b SET a 1
        b GET a
        b INCR a
        a ACL SETUSER ann -incr
        b EXEC
        a ACL DELUSER ann
    """,
    "script": """
        a ACL SETUSER ann on nopass +eval +eval_ro +get +sort ~a
        b HELLO 2 AUTH nobody x
        b AUTH ann x
        b EVAL return{redis.acl_check_cmd('get','a'),redis.acl_check_cmd('get','b')} 0
        b EVAL return{redis.acl_check_cmd('set','a',1)} 0
        b EVAL redis.acl_check_cmd('nothing') 0
        b EVAL return(redis.call('get','a')) 1 a
        b EVAL return(redis.call('get','a')) 1 b
        b EVAL return(redis.pcall('get','b')) 0
        b EVAL return(redis.pcall('set','a',1)) 0
        b EVAL_RO return(redis.pcall('set','a',1)) 0
        b EVAL return(redis.pcall('sort','a','by','w*')) 0
        b SORT a BY w*
        b SORT a GET w*
        a ACL DELUSER ann
    """,
    "logins": """
        a ACL SETUSER ann
        b AUTH ann x
        b AUTH x
        a ACL SETUSER ann on
        b AUTH ann
        b AUTH ann x y
        b AUTH ann x
        a ACL SETUSER ann >x
        b AUTH ann x
        b PING
        b CLIENT ID
        a ACL SETUSER ann off
        b PING
        b AUTH default anything
        b PING
        a ACL DELUSER ann default
        a ACL DELUSER
        a ACL DELUSER nobody ann
        a ACL GETUSER ann
        a ACL DRYRUN ann get a
        a ACL DRYRUN default nothing a
        a ACL LOAD
        a ACL SAVE
        a ACL LOG nothing
        a ACL LOG 1 2
        a ACL CAT nothing
        a ACL CAT a b
        a ACL GENPASS 0
        a ACL GENPASS x
        a ACL GENPASS 1 2
        a ACL WHOAMI x
        a ACL NOTHING
        a CLIENT KILL USER nobody
        a CLIENT KILL USER ann
    """,
}


@pytest.mark.parametrize("resp", [2, 3])
@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_clients_are_sent_what_redis_sends(redis7: RealServer, script: str, resp: int) -> None:
    address = str(redis7.socket.getpeername())
    try:
        check_same(address, parse(script), resp, show_ids=True)
    finally:
        redis7.run("ACL", "DELUSER", "ann")
