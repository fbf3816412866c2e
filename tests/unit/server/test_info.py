"""INFO and what it counts, LATENCY, SLOWLOG."""

from typing import Any

from shoal.node.server.host import NoHost, ProcessFacts
from shoal.node.server.info import human_bytes
from shoal.node.server.latency import percentile_us
from shoal.node.server.memory_limit import EMPTY_SERVER_BYTES
from tests.unit.server.client import Client, World, fields


def info(client: Client, *sections: str) -> dict[str, str]:
    return fields(client("INFO", *sections))


def test_sections_are_chosen_by_name_and_unknown_ones_are_ignored() -> None:
    client = World().client()
    text = client("INFO", "Keyspace", "cpu", "nonsense")
    assert [line for line in text.split("\r\n") if line.startswith("#")] == ["# CPU", "# Keyspace"]
    assert client("INFO", "nonsense") == ""


def test_default_all_and_everything() -> None:
    client = World().client()
    assert "cmdstat_info" not in client("INFO")
    assert "# Modules" in client("INFO") and "# Modules" not in client("INFO", "all")
    assert "cmdstat_info" in client("INFO", "everything") and "# Modules" in client("INFO", "everything")


def test_the_identity_of_the_server() -> None:
    found = info(World(port=7001, cluster_enabled=True).client(), "server", "cluster")
    assert found["redis_version"] == "8.0.0" and found["shoal_version"]
    assert (found["redis_mode"], found["tcp_port"], found["run_id"]) == ("cluster", "7001", "a" * 40)
    assert found["cluster_enabled"] == "1"


def test_commands_are_counted_by_name_and_outcome() -> None:
    client = World().client()
    client("SET", "k", "v")
    client("LPUSH", "k", "x")
    client("GET")
    found = info(client, "commandstats", "errorstats", "stats")
    assert found["cmdstat_set"].startswith("calls=1,") and "failed_calls=0" in found["cmdstat_set"]
    assert found["cmdstat_lpush"].endswith("rejected_calls=0,failed_calls=1")
    assert found["cmdstat_get"] == "calls=0,usec=0,usec_per_call=0.00,rejected_calls=1,failed_calls=0"
    assert (found["errorstat_ERR"], found["errorstat_WRONGTYPE"]) == ("count=1", "count=1")
    assert found["total_error_replies"] == "2"
    assert found["total_commands_processed"] == "2"


def test_connections_bytes_hits_and_misses_are_counted_until_the_reset() -> None:
    world = World()
    client = world.client()
    client("SET", "k", "v")
    client("GET", "k")
    client("GET", "none")
    found = info(client, "stats")
    assert (found["keyspace_hits"], found["keyspace_misses"]) == ("1", "1")
    assert found["total_connections_received"] == "1"
    assert int(found["total_net_input_bytes"]) > 80
    client("CONFIG", "RESETSTAT")
    found = info(client, "stats", "commandstats")
    assert (found["keyspace_hits"], found["total_connections_received"]) == ("0", "0")
    assert "cmdstat_get" not in found


def test_the_rate_of_commands_is_that_of_the_last_moments() -> None:
    world = World()
    client = world.client()
    for _ in range(20):
        for _ in range(5):
            client("PING")
        world.pass_time(100)
    assert info(client, "stats")["instantaneous_ops_per_sec"] == "50"


def test_each_database_with_keys_is_listed_with_its_mean_time_to_live() -> None:
    client = World().client()
    client("SET", "a", 1)
    client("SET", "b", 1, "PX", 4000)
    client("SELECT", 3)
    client("SET", "c", 1)
    found = info(client, "keyspace")
    assert found == {"db0": "keys=2,expires=1,avg_ttl=4000", "db3": "keys=1,expires=0,avg_ttl=0"}


class BigHost(NoHost):
    def facts(self) -> ProcessFacts:
        return ProcessFacts(process_id=42, resident_bytes=6 << 20)

    def heap_bytes(self) -> int:
        return (4 << 20) - EMPTY_SERVER_BYTES


def test_memory_is_what_the_system_says() -> None:
    world = World()
    world.server.host = BigHost()
    world.server.memory.startup_bytes = 1 << 20
    found = info(world.client(), "memory", "server")
    assert (found["used_memory"], found["used_memory_human"]) == (str(3 << 20), "3.00M")
    data = (3 << 20) - EMPTY_SERVER_BYTES
    assert (found["used_memory_dataset"], found["used_memory_peak_perc"]) == (str(data), "100.00%")
    assert (found["used_memory_rss"], found["mem_fragmentation_ratio"]) == (str(6 << 20), "1.50")
    assert found["process_id"] == "42"


def test_sizes_for_people() -> None:
    assert [human_bytes(size) for size in (5, 1536, 5 << 30)] == ["5B", "1.50K", "5.00G"]


# --- slow commands -------------------------------------------------------------------------------------


def slow_world(threshold_us: int) -> World:
    world = World(slowlog_log_slower_than=threshold_us)
    world.stopwatch.step_us = 20_000
    return world


def test_a_command_that_waited_is_noted_when_it_is_served() -> None:
    world = slow_world(0)
    waiting, client = world.client(), world.client()
    waiting.send(b"BLPOP l 0\r\n")
    assert client("SLOWLOG", "LEN") == 0
    client("RPUSH", "l", "x", "y")
    client("LPOP", "l")
    assert [entry[3] for entry in client("SLOWLOG", "GET")][:3] == [
        ["LPOP", "l"],
        ["BLPOP", "l", "0"],
        ["RPUSH", "l", "x", "y"],
    ]


def test_a_slow_command_is_noted_wherever_it_stands_in_a_pipeline() -> None:
    world = slow_world(10_000)
    client = world.client()
    client.send(b"PING\r\nSADD s x\r\nSINTER s s\r\nKEYS *\r\nSCARD s\r\nSCARD s\r\nPING\r\n")
    client.received()
    noted = [" ".join(entry[3]) for entry in client("SLOWLOG", "GET")]
    assert noted[::-1] == ["PING", "SADD s x", "SINTER s s", "KEYS *", "SCARD s", "PING"]


def test_slow_commands_are_kept_newest_first_and_secrets_are_not() -> None:
    world = slow_world(10_000)
    client = world.client()
    client("CONFIG", "SET", "requirepass", "secret", "maxclients", 9)
    client("AUTH", "secret")
    client("SET", "k", "x" * 200)
    newest, second, third = client("SLOWLOG", "GET")
    assert newest[3] == ["SET", "k", "x" * 128 + "... (72 more bytes)"]
    assert second[3] == ["AUTH", "(redacted)"]
    assert third[3] == ["CONFIG", "SET", "requirepass", "(redacted)", "maxclients", "9"]
    assert newest[2] == 20_000 and newest[4] == "127.0.0.1:50000"


def test_a_slow_command_is_noted_wherever_in_a_pipeline_it_stands() -> None:
    client = slow_world(10_000).client()
    client.send(b"LRANGE list 0 -1\r\nPING\r\nHGETALL hash\r\nGET string\r\n")
    assert len(client.received()) == 4
    noted = [entry[3] for entry in client("SLOWLOG", "GET")]
    assert noted == [["GET", "string"], ["HGETALL", "hash"], ["PING"], ["LRANGE", "list", "0", "-1"]]


def test_a_slow_command_is_noted_as_the_client_s_that_sent_it() -> None:
    world = slow_world(10_000)
    first, second = world.client("127.0.0.1:1"), world.client("127.0.0.1:2")
    get = b"*2\r\n$3\r\nGET\r\n$1\r\n%b\r\n"
    world.server.receive_all([(first.session, get % b"a"), (second.session, get % b"b")])
    assert first.received() == [None]
    noted = [(entry[3], entry[4]) for entry in first("SLOWLOG", "GET")]
    assert noted == [(["GET", "b"], "127.0.0.1:2"), (["GET", "a"], "127.0.0.1:1")]


def test_the_slow_log_is_counted_bounded_and_emptied() -> None:
    client = slow_world(0).client()
    client("CONFIG", "SET", "slowlog-max-len", 2)
    for _ in range(4):
        client("PING")
    assert client("SLOWLOG", "LEN") == 2
    assert len(client("SLOWLOG", "GET", 1)) == 1
    assert client("SLOWLOG", "GET", -2) == "ERR count should be greater than or equal to -1"
    client("CONFIG", "SET", "slowlog-log-slower-than", -1)
    client("SLOWLOG", "RESET")
    assert client("SLOWLOG", "LEN") == 0


def test_spikes_are_noticed_by_kind_of_command_once_a_threshold_is_set() -> None:
    world = slow_world(-1)
    client = world.client()
    client("KEYS", "*")
    assert client("LATENCY", "LATEST") == []
    client("CONFIG", "SET", "latency-monitor-threshold", 20)
    client("LATENCY", "RESET")
    client("KEYS", "*")
    world.pass_time(1000)
    client("GET", "k")
    world.pass_time(1000)
    world.stopwatch.step_us = 30_000
    client("GET", "k")
    now = world.server.keyspace.now_ms // 1000
    latest: Any = client("LATENCY", "LATEST")
    assert ["fast-command", now, 30, 30] in latest
    assert client("LATENCY", "HISTORY", "fast-command") == [[now - 1, 20], [now, 30]]
    assert client("LATENCY", "GRAPH", "fast-command").startswith("fast-command - high 30 ms, low 20 ms")
    assert "fast-command: 2 spikes, 25 ms on average, 30 ms at worst." in client("LATENCY", "DOCTOR")
    assert client("LATENCY", "RESET", "fast-command", "none") == 1


def test_distributions_by_command_and_by_container() -> None:
    world = slow_world(-1)
    client = world.client()
    client("SET", "k", "v")
    client("CONFIG", "RESETSTAT")
    world.stopwatch.step_us = 3
    client("GET", "k")
    client("CONFIG", "GET", "port")
    found = client("LATENCY", "HISTOGRAM", "get", "config", "blabla")
    by_name = dict(zip(found[::2], found[1::2], strict=True))
    assert by_name["get"] == ["calls", 1, "histogram_usec", [4, 1]]
    assert set(by_name) == {"get", "config|get", "config|resetstat"}


def test_a_percentile_is_the_upper_bound_of_its_bucket() -> None:
    histogram = [0] * 64
    histogram[3], histogram[10] = 99, 1
    assert (percentile_us(histogram, 50), percentile_us(histogram, 99), percentile_us(histogram, 99.9)) == (
        8.0,
        8.0,
        1024.0,
    )
    assert percentile_us([0] * 64, 50) == 0.0
