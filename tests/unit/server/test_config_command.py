"""CONFIG as a client sees it."""

from collections.abc import Callable

import pytest

from shoal.node.server.config import DIRECTIVES, Config
from shoal.node.server.config_file import ConfigReader, ConfigText
from shoal.node.server.host import NoHost
from tests.unit.server.client import World


def pairs(flat: list[str]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def test_get_takes_names_and_patterns_and_shows_each_directive_once() -> None:
    client = World().client()
    found = client("CONFIG", "GET", "maxmemory", "MAXMEMORY*", "*of", "nothing")
    assert len(found) == 2 * len(pairs(found))
    assert {"maxmemory", "maxmemory-policy", "slaveof", "replicaof"} <= set(pairs(found))


def test_a_hidden_directive_is_shown_only_by_its_name() -> None:
    client = World().client()
    assert "key-load-delay" not in pairs(client("CONFIG", "GET", "*"))
    assert client("CONFIG", "GET", "key-load-delay") == ["key-load-delay", "0"]


def test_set_changes_several_directives_or_none() -> None:
    client = World().client()
    assert client("CONFIG", "SET", "maxmemory", "1mb", "save", "3000 5") == "OK"
    assert client("CONFIG", "GET", "save", "maxmemory") == ["save", "3000 5", "maxmemory", "1048576"]
    assert client("CONFIG", "SET", "maxmemory", "2mb", "maxmemory-clients", "200%") == (
        "ERR CONFIG SET failed (possibly related to argument 'maxmemory-clients')"
        " - percentage argument must be less or equal to 100"
    )
    assert client("CONFIG", "GET", "maxmemory") == ["maxmemory", "1048576"]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("x", "1"), "ERR Unknown option or number of arguments for CONFIG SET - 'x'"),
        (("port", "1", "port"), "ERR syntax error"),
        (
            ("daemonize", "yes"),
            "ERR CONFIG SET failed (possibly related to argument 'daemonize') - can't set immutable config",
        ),
        (
            ("timeout", "1", "timeout", "2"),
            "ERR CONFIG SET failed (possibly related to argument 'timeout') - duplicate parameter",
        ),
        (
            ("dir", "/"),
            "ERR CONFIG SET failed (possibly related to argument 'dir') - can't set protected config",
        ),
    ],
)
def test_set_refuses(words: tuple[str, ...], error: str) -> None:
    assert World().client()("CONFIG", "SET", *words) == error


def test_a_protected_directive_may_be_opened_to_local_clients() -> None:
    world = World(enable_protected_configs="local")
    assert world.client()("CONFIG", "SET", "dbfilename", "x.rdb") == "OK"
    assert "protected" in world.client("10.0.0.9:1")("CONFIG", "SET", "dbfilename", "y.rdb")


def test_while_loading_the_data_directory_may_not_move() -> None:
    world = World(enable_protected_configs="yes")
    client = world.client()
    world.server.loading = True
    world.server.refresh_gates()
    assert client("CONFIG", "SET", "dir", "/").startswith("LOADING ")
    assert client("CONFIG", "SET", "loglevel", "debug") == "OK"


def test_a_password_set_now_is_asked_of_those_who_connect_later() -> None:
    world = World()
    client = world.client()
    client("CONFIG", "SET", "requirepass", "secret")
    assert client("PING") == "PONG"
    late = world.client()
    assert late("PING") == "NOAUTH Authentication required."
    assert late("AUTH", "secret") == "OK"
    assert late("PING") == "PONG"


def test_encoding_limits_take_effect_at_once() -> None:
    client = World().client()
    client("HSET", "h", "a", 1, "b", 2)
    assert client("OBJECT", "ENCODING", "h") == "listpack"
    client("CONFIG", "SET", "hash-max-ziplist-entries", 1)
    assert client("OBJECT", "ENCODING", "h") == "hashtable"


def test_beyond_maxmemory_only_what_needs_memory_is_refused() -> None:
    world = World()
    client = world.client()
    client("SET", "k", "v")
    world.server.is_out_of_memory = True
    world.server.refresh_gates()
    refusal = "OOM command not allowed when used memory > 'maxmemory'."
    assert client("SET", "k", "w") == refusal
    assert (client("GET", "k"), client("DEL", "k")) == ("v", 1)
    client("MULTI")
    assert client("SET", "k", "w") == refusal
    assert client("EXEC").startswith("EXECABORT")


class OneFile(NoHost):
    """A host with a single file."""

    def __init__(self, text: str) -> None:
        self.text = text

    def rewrite_file(self, path: str, change: Callable[[str], str]) -> None:
        assert path == "/etc/redis.conf"
        self.text = change(self.text)


def test_rewrite_brings_the_file_up_to_date() -> None:
    world = World()
    world.server.config.file = "/etc/redis.conf"
    world.server.host = host = OneFile("# mine\nmaxclients 5\n")
    client = world.client()
    client("CONFIG", "SET", "maxclients", 7)
    assert client("CONFIG", "REWRITE") == "OK"
    assert host.text == "# mine\nmaxclients 7\n"


def test_every_directive_is_read_as_it_is_written() -> None:
    world = World(maxclients=5, enable_debug_command="yes")
    world.server.config.file = "/etc/redis.conf"
    world.server.host = host = OneFile("")
    assert world.client()("DEBUG", "CONFIG-REWRITE-FORCE-ALL") == "OK"
    again = Config()
    ConfigReader(again, lambda pattern: []).read(ConfigText("the file", host.text))
    assert {name: again.value(one) for name, one in DIRECTIVES.items()} == {
        name: world.server.config.value(one) for name, one in DIRECTIVES.items()
    }


def test_rewrite_says_why_it_cannot() -> None:
    world = World()
    client = world.client()
    assert client("CONFIG", "REWRITE") == "ERR The server is running without a config file"
    world.server.config.file = "/etc/redis.conf"
    assert client("CONFIG", "REWRITE") == "ERR Rewriting config file: Read-only file system"


def test_a_renamed_command_answers_to_its_new_name_only() -> None:
    world = World()
    config = world.server.config
    config.renamed_commands = [("FLUSHALL", ""), ("GET", "fetch")]
    client = type(world.client())(type(world.server)(
        config, world.server.rng, world.stopwatch, now_ms=1, run_id="b" * 40), "127.0.0.1:1")  # fmt: skip
    assert client("FLUSHALL").startswith("ERR unknown command 'FLUSHALL'")
    assert client("GET", "k").startswith("ERR unknown command 'GET'")
    assert client("Fetch", "k") is None


def test_help_is_made_from_the_declarations() -> None:
    lines = World().client()("CONFIG", "HELP")
    assert "SET <parameter> <value> [<parameter> <value> ...]" in lines
