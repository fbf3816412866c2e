"""A script that takes long is suspended wherever it comes from, and what is behind it waits for its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.node.resp.writer import encode_command
from shoal.node.runtime.append_only_loading import AppendOnlyLoading
from shoal.node.runtime.disk import Disk
from shoal.node.runtime.ending import Ending
from shoal.node.runtime.log import Log
from shoal.node.runtime.snapshots import Snapshots
from shoal.node.server.effects import Shutdown
from shoal.node.server.server import Server
from tests.unit.append_only_node import AofNode
from tests.unit.server.client import Client, Stopwatch, World
from tests.unit.test_replication_servers import Pair, contents, linked_pair

SLOW = b"redis.call('incr', KEYS[1]) for i = 1, 400000 do end return redis.call('incr', KEYS[1])"
EVAL = (b"EVAL", SLOW, b"1", b"count")
TAKES_FIVE_TURNS = 5
LOADING = "LOADING Redis is loading the dataset in memory"


def let_time_pass(server: Server) -> None:
    """Each look at the clock finds it a second later."""
    stopwatch = Stopwatch()
    stopwatch.step_us = 1_000_000
    server.stopwatch.clock_ns = stopwatch
    server.config.busy_reply_threshold = 1


# --- from an append-only file ----------------------------------------------------------------------


def load_with_script(folder: Path, *commands: tuple[bytes, ...]) -> AofNode:
    """A node whose append-only file holds these commands."""
    node = AofNode(folder)
    node.start()
    increment = node.append_only.files.path("appendonly.aof.1.incr.aof")
    increment.write_bytes(b"".join(encode_command(words) for words in commands))
    node.append_only.files.load()
    let_time_pass(node.server)
    return node


@pytest.mark.parametrize("in_transaction", [False, True])
def test_a_replayed_script_lets_clients_be_answered_and_the_load_goes_on_behind_it(
    tmp_path: Path, in_transaction: bool
) -> None:
    script = [(b"MULTI",), EVAL, (b"INCR", b"count"), (b"EXEC",)] if in_transaction else [EVAL, EVAL]
    node = load_with_script(tmp_path, (b"SET", b"a", b"1"), *script, (b"SET", b"z", b"26"))
    server, other = node.server, Client(node.server, "127.0.0.1:9")
    loading = AppendOnlyLoading(server, node.append_only.files, Log("", "nothing")).run()
    turns = 0
    for keys in loading:
        if keys:
            continue
        assert server.loading
        assert other("GET", "a") == LOADING
        assert other("SCRIPT", "KILL") == LOADING
        server.begin_turn(server.keyspace.now_ms + 1)
        turns += 1
    assert turns >= TAKES_FIVE_TURNS
    assert not server.loading
    assert other("MGET", "a", "count", "z") == ["1", "3" if in_transaction else "4", "26"]
    assert node.append_only.files.path("appendonly.aof.1.incr.aof").stat().st_size == sum(
        len(encode_command(words)) for words in ((b"SET", b"a", b"1"), *script, (b"SET", b"z", b"26"))
    )


def test_a_replayed_script_that_fails_late_is_counted_as_failed(tmp_path: Path) -> None:
    failing = (b"EVAL", b"for i = 1, 400000 do end return redis.call('nothing')", b"0")
    node = load_with_script(tmp_path, failing, (b"SET", b"z", b"26"))
    log = tmp_path / "log"
    for keys in AppendOnlyLoading(node.server, node.append_only.files, Log(str(log), "notice")).run():
        if not keys:
            node.server.begin_turn(node.server.keyspace.now_ms + 1)
    assert "1 commands of appendonly.aof.1.incr.aof failed, the first at offset 0" in log.read_text()
    assert Client(node.server, "127.0.0.1:9")("GET", "z") == "26"


# --- from our primary ------------------------------------------------------------------------------


def pair_with_slow_script() -> tuple[Pair, Client]:
    """A replica in the midst of a script that its primary sent verbatim, as old versions do; its client."""
    pair = linked_pair()
    let_time_pass(pair.replica)
    pair.primary.replication.pass_on(encode_command(EVAL) + encode_command((b"INCR", b"count")))
    pair.carry_out()
    pair.deliver()
    client = Client(pair.replica, "127.0.0.1:9")
    assert client("GET", "count").startswith("BUSY")
    return pair, client


def test_a_replica_answers_while_its_primarys_script_runs_and_claims_no_more_than_it_has() -> None:
    pair, client = pair_with_slow_script()
    before, primary = pair.replica.replication.history.offset, pair.primary.replication
    assert client("SCRIPT", "KILL").startswith("UNKILLABLE The busy script was sent by a master instance")
    primary.pass_on(encode_command((b"INCR", b"count")))
    pair.carry_out()
    pair.deliver()
    assert pair.replica.replication.history.offset == before < primary.history.offset
    pair.settle()
    assert client("GET", "count") == "4"
    assert pair.replica.replication.history.offset == primary.history.offset


def test_a_replica_that_is_promoted_within_a_script_has_all_of_it_and_nothing_behind_it() -> None:
    pair, client = pair_with_slow_script()
    before = pair.replica.replication.history.offset
    pair.replica.become_primary()
    assert client("GET", "count") == "2"
    assert pair.replica.replication.history.second_offset == before + len(encode_command(EVAL)) + 1


def test_a_link_that_breaks_within_a_script_is_made_anew_behind_what_had_come() -> None:
    pair, client = pair_with_slow_script()
    pair.cut()
    assert pair.at_primary is None
    pair.settle()
    assert client("GET", "count") == "3"
    assert pair.replica.replication.history.offset == pair.primary.replication.history.offset
    assert pair.primary.replication.partial_syncs == 1


# --- pictures of all data --------------------------------------------------------------------------


def test_no_replica_is_given_half_of_a_script_and_then_all_of_it() -> None:
    pair = Pair()
    pair.primary.config.repl_diskless_sync_delay = 1
    pair.replica.follow_primary("127.0.0.1", 6379)
    pair.turn()
    pair.deliver()
    let_time_pass(pair.primary)
    pair.write(*EVAL)
    assert pair.primary.scripts.busy is not None
    pair.now_ms += 5000
    pair.settle()
    assert contents(pair.primary) == contents(pair.replica) == {(0, b"count"): b"2"}


def test_no_save_point_keeps_half_of_a_script(tmp_path: Path) -> None:
    world = World(dir=str(tmp_path), save=((0, 1),))
    snapshots = Snapshots(world.server, Log("", "nothing"), Disk())
    world.client()("SET", "a", 1)
    assert snapshots.is_due()
    let_time_pass(world.server)
    client = world.client()
    world.server.receive(client.session, encode_command(EVAL))
    assert not snapshots.is_due()
    while not client.received():
        world.pass_time(1)
    assert snapshots.is_due()


def test_a_bgsave_waits_for_the_script_that_began_in_the_same_turn(tmp_path: Path) -> None:
    node = AofNode(tmp_path)
    node.start()
    let_time_pass(node.server)
    node.server.receive(node.session, encode_command((b"BGSAVE",)) + encode_command(EVAL))
    node.node.carry_out_effects()
    assert node.server.scripts.busy is not None
    assert node.server.persistence.in_progress_since is None
    assert node.server.persistence.save_scheduled


def test_a_signal_to_end_waits_for_the_script_of_which_the_last_snapshot_would_hold_half(
    tmp_path: Path,
) -> None:
    world = World(dir=str(tmp_path), save=((3600, 1),))
    log, begun = Log("", "nothing"), []
    snapshots = Snapshots(world.server, log, Disk())
    ending = Ending(world.server, log, snapshots, leave=lambda: None, start=begun.append)
    let_time_pass(world.server)
    client = world.client()
    world.server.receive(client.session, encode_command(EVAL))
    ending.note_signal(Shutdown(None, None, now=False, force=False))
    while not client.received():
        ending.look()
        assert not begun
        world.pass_time(1)
    ending.look()
    assert begun
    snapshots.give_up()
