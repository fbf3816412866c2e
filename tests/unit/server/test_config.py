"""Directives: the values they take, how they refuse others, and a change that fails leaving no trace."""

import pytest

from shoal.node.server.config import DIRECTIVES, ChangeError, Config
from shoal.node.server.config_rewrite import rewritten
from shoal.node.server.parameters import DirectiveError


@pytest.mark.parametrize(
    ("name", "words", "shown"),
    [
        ("maxmemory", ["64mb"], "67108864"),
        ("maxmemory", ["64m"], "64000000"),
        ("maxmemory-clients", ["5%"], "5%"),
        ("maxmemory-clients", ["1gb"], "1073741824"),
        ("unixsocketperm", ["700"], "700"),
        ("loglevel", ["Warning"], "warning"),
        ("save", ["900", "1", "300", "10"], "900 1 300 10"),
        ("save", [""], ""),
        (
            "client-output-buffer-limit",
            ["replica", "512mb", "128mb", "60"],
            "normal 0 0 0 slave 536870912 134217728 60 pubsub 33554432 8388608 60",
        ),
        ("oom-score-adj-values", ["1", "-2", "3"], "1 -2 3"),
        ("notify-keyspace-events", ["KEA"], "AKE"),
        ("notify-keyspace-events", ["Kx$"], "$xK"),
        ("shutdown-on-sigint", ["nosave", "force", "now"], "nosave now force"),
        ("shutdown-on-sigterm", ["default"], "default"),
        ("latency-tracking-info-percentiles", ["50", "99.5"], "50 99.5"),
        ("replicaof", ["127.0.0.1", "6380"], "127.0.0.1 6380"),
        ("slaveof", ["no", "one"], ""),
        ("bind", ["10.0.0.1", "-::1"], "10.0.0.1 -::1"),
    ],
)
def test_a_value_is_shown_in_its_canonical_form(name: str, words: list[str], shown: str) -> None:
    config = Config()
    config.read(name, words)
    assert config.shown(name) == shown


@pytest.mark.parametrize(
    ("name", "words", "reason"),
    [
        ("appendonly", ["maybe"], "argument must be 'yes' or 'no'"),
        ("maxmemory", ["64xb"], "argument must be a memory value"),
        ("maxmemory", ["-1"], "argument must be a memory value"),
        ("maxmemory-clients", ["200%"], "percentage argument must be less or equal to 100"),
        ("maxmemory-clients", ["x"], "argument must be a memory or percent value"),
        ("port", ["70000"], "argument must be between 0 and 65535 inclusive"),
        ("port", ["--bla"], "argument couldn't be parsed into an integer"),
        ("unixsocketperm", ["888"], "argument couldn't be parsed as an octal number"),
        ("unixsocketperm", ["1777"], "argument must be between 0 and 777 inclusive"),
        ("appendfsync", ["often"], "argument(s) must be one of the following: everysec, always, no"),
        ("save", ["900"], "Invalid save parameters"),
        ("save", ["0", "1"], "Invalid save parameters"),
        ("dbfilename", ["a/b"], "dbfilename can't be a path, just a filename"),
        ("appendfilename", [""], "appendfilename can't be empty"),
        ("notify-keyspace-events", ["KQ"], "Invalid event class character. Use 'Ag$lshzxeKEtmdn'."),
        (
            "shutdown-on-sigint",
            ["save", "nosave"],
            "shutdown options SAVE and NOSAVE can't be used simultaneously",
        ),
        ("replicaof", ["localhost", "abc"], "Invalid master port"),
        ("replicaof", ["localhost"], "wrong number of arguments"),
        (
            "cluster-announce-hostname",
            ["a b"],
            "Hostnames may only contain alphanumeric characters, hyphens or dots",
        ),
    ],
)
def test_a_bad_value_is_refused_in_the_words_redis_uses(name: str, words: list[str], reason: str) -> None:
    with pytest.raises(DirectiveError) as refusal:
        Config().read(name, words)
    assert str(refusal.value) == reason


def test_both_names_of_a_directive_are_one_attribute() -> None:
    config = Config()
    config.read("slave-read-only", ["no"])
    assert config.replica_read_only is False
    assert config.shown("replica-read-only") == config.shown("slave-read-only") == "no"


def test_every_directive_reads_back_what_it_shows() -> None:
    config = Config()
    for name, parameter in DIRECTIVES.items():
        if name in ("replicaof", "slaveof"):
            continue
        shown = config.shown(name)
        words = shown.split(" ") if parameter.several else [shown]
        config.read(name, words)
        assert config.shown(name) == shown, name


def test_a_change_is_all_or_nothing() -> None:
    config = Config()
    with pytest.raises(ChangeError) as refusal:
        config.change([("maxmemory", ["1mb"]), ("port", ["none"])])
    assert refusal.value.name == "port"
    assert config.maxmemory == 0


def test_a_hook_that_refuses_takes_the_whole_change_back_and_the_hooks_before_it_run_again() -> None:
    config = Config()
    applied: list[int] = []

    def refuse() -> None:
        raise DirectiveError("Unable to listen on this port. Check server logs.")

    config.on_change(["maxclients"], lambda: applied.append(config.maxclients))
    config.on_change(["port"], refuse)
    with pytest.raises(ChangeError) as refusal:
        config.change([("maxclients", ["5"]), ("port", ["7001"])])
    assert (refusal.value.name, config.port, config.maxclients) == ("port", 6379, 10000)
    assert applied == [5, 10000]


def test_a_hook_runs_once_for_all_its_directives_and_not_for_an_unchanged_value() -> None:
    config = Config()
    calls: list[str] = []
    config.on_change(["tls-port", "slave-priority"], lambda: calls.append("called"))
    config.change([("tls-port", ["7001"]), ("replica-priority", ["5"])])
    config.change([("tls-port", ["7001"])])
    assert calls == ["called"]


# --- CONFIG REWRITE ------------------------------------------------------------------------------------


def test_rewriting_keeps_comments_and_order_and_replaces_lines_where_they_stand() -> None:
    config = Config(maxmemory=100, port=7000)
    old = "# my node\nport 6379\n\n  # memory\nMaxMemory 64mb\nrename-command FLUSHALL nope\n"
    assert rewritten(old, config) == (
        "# my node\nport 7000\n\n  # memory\nmaxmemory 100\nrename-command FLUSHALL nope\n"
    )


def test_rewriting_adds_what_the_file_did_not_say_below_a_heading_once() -> None:
    config = Config(maxmemory=100)
    once = rewritten("port 6379\n", config)
    assert once == "port 6379\n# Generated by CONFIG REWRITE\nmaxmemory 100\n"
    assert rewritten(once, config) == once


def test_rewriting_spreads_a_list_over_its_lines_and_drops_those_left_over() -> None:
    config = Config(save=((60, 1),))
    assert rewritten("save 900 1\nsave 300 10\nport 6379\n", config) == "save 60 1\nport 6379\n"
    assert rewritten("save 900 1\n", Config(save=())) == 'save ""\n'


def test_rewriting_uses_the_name_the_file_uses() -> None:
    config = Config(hash_max_listpack_entries=7)
    assert rewritten("hash-max-ziplist-entries 20\n", config) == "hash-max-ziplist-entries 7\n"


def test_rewriting_drops_the_line_of_a_primary_no_longer_followed() -> None:
    assert rewritten("slaveof 127.0.0.1 6380\nport 6379\n", Config()) == "port 6379\n"


def test_rewriting_quotes_what_needs_quotes() -> None:
    assert 'requirepass "a b\\"c"' in rewritten("", Config(requirepass='a b"c'))
