"""What waited for a replica in the backlog goes to it in parts, in order, and that comes to an end."""

from __future__ import annotations

from random import Random

from shoal.node import builtin_commands
from shoal.node.resp.writer import encode_command
from shoal.node.server.attached_replica import CATCH_UP_BYTES_PER_TURN, MAX_UNSENT_SNAPSHOT_BYTES
from shoal.node.server.config import Config
from shoal.node.server.effects import CloseSession
from shoal.node.server.info import info_text
from shoal.node.server.server import Server
from shoal.node.server.special_parameters import BufferLimit

builtin_commands.load()
NOW_MS = 1_700_000_000_000
PART = CATCH_UP_BYTES_PER_TURN
WAITING = 20
"""So many parts wait for a replica when it goes online."""


class Primary:
    """A primary whose one replica has its snapshot and is online, with much of the stream still to get."""

    def __init__(self, *, partial: bool = False) -> None:
        self.now_ms = NOW_MS
        self.server = Server(Config(), Random(1), lambda: 0, now_ms=NOW_MS, run_id="0" * 40)
        self.server.config.repl_diskless_sync_delay = 0
        self.history = self.server.replication.history
        self.client = self.server.connect("127.0.0.1:50000", "127.0.0.1:6379")
        self.replica = self.server.connect("127.0.0.1:50001", "127.0.0.1:6379")
        self.received = b""
        if partial:
            self.history.keep_backlog(2 * WAITING * PART)
        else:
            self.says(b"REPLCONF", b"capa", b"eof")
            self.says(b"PSYNC", b"?", b"-1")
            self.turn()
            assert not self.server.replication.full_syncs.under_way
        self.begin = self.history.offset
        self.stream = b""
        while self.history.offset < WAITING * PART:
            self.write(PART // 4)
        self.take()
        self.received = b""
        if partial:
            self.says(b"PSYNC", self.history.replid.encode(), b"%d" % (self.begin + 1))
        else:
            self.acknowledge(self.begin)
        self.take()

    def write(self, size: int) -> None:
        words = (b"SET", b"key", Random(self.history.offset).randbytes(size))
        if not self.stream:
            self.stream += encode_command((b"SELECT", b"0"))
        self.stream += encode_command(words)
        self.server.receive(self.client, encode_command(words))
        self.client.out.clear()

    def says(self, *words: bytes) -> None:
        self.server.receive(self.replica, encode_command(words))

    def acknowledge(self, offset: int) -> None:
        self.says(b"REPLCONF", b"ACK", b"%d" % offset)

    def turn(self, *, takes: bool = True, ms: int = 1) -> int:
        """One turn, at whose end the replica takes what it was sent; returns how many bytes that was."""
        self.now_ms += ms
        self.server.begin_turn(self.now_ms)
        for effect in self.server.effects:
            if isinstance(effect, CloseSession):
                self.server.disconnect(effect.session)
        self.server.effects.clear()
        return self.take() if takes else 0

    def take(self) -> int:
        sent = b"".join(self.replica.out)
        self.replica.out.clear()
        self.replica.out_bytes = 0
        self.received += sent
        return len(sent)

    def info(self, name: str) -> str:
        return dict(
            line.split(":", 1)
            for line in info_text(self.server, ["replication", "memory"]).splitlines()
            if ":" in line
        )[name]

    @property
    def is_catching_up(self) -> bool:
        return bool(self.server.replication.catching_up)


def test_what_waited_goes_in_parts_and_nothing_that_arises_overtakes_it() -> None:
    primary = Primary()
    turns = 0
    while primary.is_catching_up:
        assert primary.turn() <= PART + 1000
        primary.write(100)
        turns += 1
    assert turns >= WAITING
    primary.take()
    assert primary.received == primary.stream
    primary.write(100)
    primary.take()
    assert primary.received == primary.stream, "what arises from then on goes to it directly"


def test_that_ends_though_clients_write_more_each_turn_than_a_part_holds() -> None:
    primary = Primary()
    for _ in range(WAITING + 1):
        primary.write(3 * PART)
        primary.turn()
    assert not primary.is_catching_up
    assert primary.received == primary.stream


def test_a_replica_that_lost_its_link_is_given_what_it_missed_in_parts_as_well() -> None:
    primary = Primary(partial=True)
    assert len(primary.received) <= PART + 100
    primary.write(100)
    while primary.is_catching_up:
        assert primary.turn() <= PART + 1000
    answer, _, stream = primary.received.partition(b"\r\n")
    assert answer.startswith(b"+CONTINUE")
    assert stream == primary.stream


def test_one_that_takes_nothing_is_sent_little_and_what_it_lacks_counts_against_its_limit() -> None:
    primary = Primary()
    config, lacks = primary.server.config, primary.history.offset - primary.begin
    config.client_output_buffer_limit["replica"] = BufferLimit(lacks + 10 * PART, 0, 0)
    for _ in range(10):
        primary.turn(takes=False, ms=1000)
    assert primary.replica.out_bytes <= MAX_UNSENT_SNAPSHOT_BYTES + PART
    assert not primary.server.wants_turn
    assert not primary.replica.closing
    for _ in range(12):
        primary.write(PART)
    primary.turn(takes=False, ms=1000)
    assert primary.replica.closing
    assert not primary.is_catching_up
    assert len_of_backlog(primary) == config.repl_backlog_size, "nothing is kept for it any more"


def test_one_that_is_hung_up_on_halfway_gets_nothing_more() -> None:
    primary = Primary()
    primary.turn()
    primary.server.replication.disconnect_replicas()
    primary.write(100)
    assert primary.take() == 0
    assert len(primary.received) < len(primary.stream)
    assert not primary.is_catching_up


def test_one_that_has_all_and_is_hung_up_on_gets_nothing_more_either() -> None:
    primary = Primary()
    while primary.is_catching_up:
        primary.turn()
    primary.server.replication.disconnect_replicas()
    primary.write(100)
    assert primary.take() == 0


def test_turns_follow_at_once_until_it_has_all() -> None:
    primary = Primary()
    while primary.is_catching_up:
        assert primary.server.wants_turn
        primary.turn()
    assert not primary.server.wants_turn


def test_what_is_kept_for_it_becomes_less_with_each_part() -> None:
    primary = Primary()
    before = len_of_backlog(primary)
    assert before >= (WAITING - 1) * PART
    for _ in range(5):
        primary.turn()
    assert len_of_backlog(primary) == before - 5 * PART
    assert int(primary.info("mem_total_replication_buffers")) == len_of_backlog(primary)


def test_it_counts_as_a_copy_of_what_it_has_acknowledged_and_no_more() -> None:
    primary = Primary()
    replication = primary.server.replication
    assert "state=online" in primary.info("slave0")
    middle = primary.begin + PART
    primary.turn()
    primary.acknowledge(middle)
    assert primary.is_catching_up
    assert replication.count_acknowledged(middle) == 1
    assert replication.count_acknowledged(middle + 1) == 0


def len_of_backlog(primary: Primary) -> int:
    backlog = primary.history.backlog
    assert backlog is not None
    return len(backlog)
