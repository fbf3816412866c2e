"""nodes.conf: what real servers write is read, what we write is read by them, what is broken is named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.cluster.config_file import ConfigFileError, format_config, parse_config
from shoal.cluster.messages import NodeFlag
from shoal.cluster.view import SavedConfig, SavedNode, restore_view
from tests.cluster.real_cluster import RealNode
from tests.cluster.strategies import addresses, epochs, node_ids, u16
from tests.peers import REDIS7_SERVER, REDIS8_SERVER, VALKEY8_SERVER, needs
from tests.ports import free_port

VECTORS = Path(__file__).parent / "vectors"
ME, PEER, REPLICA = "a" * 40, "b" * 40, "c" * 40
SHARD = "d" * 40

SAVED = SavedConfig(
    nodes=(
        SavedNode(
            ME,
            "127.0.0.1",
            7000,
            bus_port=17000,
            shard_id=SHARD,
            flags=NodeFlag.MYSELF | NodeFlag.PRIMARY,
            config_epoch=3,
            connected=True,
            slots=((0, 5460), (6000, 6000)),
        ),
        SavedNode(
            PEER,
            "127.0.0.1",
            7001,
            bus_port=11,
            hostname="peer.example",
            human_name="peer-one",
            shard_id="e" * 40,
            flags=NodeFlag.PRIMARY | NodeFlag.FAIL,
            config_epoch=2,
            slots=((5461, 5999),),
        ),
        SavedNode(
            REPLICA,
            "::1",
            7002,
            bus_port=12,
            shard_id=SHARD,
            flags=NodeFlag.REPLICA | NodeFlag.PFAIL | NodeFlag.NOFAILOVER,
            primary=ME,
            ping_sent_ms=5,
            pong_received_ms=1795463702831,
        ),
    ),
    current_epoch=9,
    last_vote_epoch=8,
    migrating=((6000, PEER),),
    importing=((5461, PEER),),
)
TEXT = format_config(SAVED)


def test_a_file_holds_one_line_per_node_and_then_the_epochs() -> None:
    assert TEXT.decode().splitlines() == [
        f"{ME} 127.0.0.1:7000@17000,,shard-id={SHARD} myself,master - 0 0 3 connected"
        f" 0-5460 6000 [5461-<-{PEER}] [6000->-{PEER}]",
        f"{PEER} 127.0.0.1:7001@11,peer.example,nodename=peer-one,shard-id={'e' * 40} master,fail - 0 0 2"
        " disconnected 5461-5999",
        f"{REPLICA} ::1:7002@12,,shard-id={SHARD} slave,fail?,nofailover {ME} 5 1795463702831 0 disconnected",
        "vars currentEpoch 9 lastVoteEpoch 8",
    ]


@pytest.mark.parametrize("tls_cluster", [False, True])
def test_reading_what_was_written_gives_it_back(tls_cluster: bool) -> None:
    ports = [
        (node, replace(node, tcp_port=7000 + n, tls_port=7100 + n)) for n, node in enumerate(SAVED.nodes)
    ]
    saved = replace(SAVED, nodes=tuple(node for _, node in ports))
    assert parse_config(format_config(saved, tls_cluster=tls_cluster), tls_cluster=tls_cluster) == saved
    assert parse_config(format_config(saved, tls_cluster=tls_cluster), tls_cluster=not tls_cluster) == saved


@given(
    st.lists(
        st.tuples(node_ids, addresses, u16, u16, epochs, st.none() | node_ids),
        min_size=1,
        unique_by=lambda n: n[0],
    ),
    epochs,
    epochs,
)
def test_any_set_of_primaries_survives_the_file(
    rows: list[tuple[str, str, int, int, int, str | None]], current: int, vote: int
) -> None:
    nodes = tuple(
        SavedNode(
            node,
            ip,
            port,
            bus_port=bus_port,
            config_epoch=epoch,
            shard_id=shard or "",
            flags=NodeFlag.PRIMARY | (NodeFlag.NONE if index else NodeFlag.MYSELF),
            slots=((index * 10, index * 10 + 8), (index * 10 + 9, index * 10 + 9)),
        )
        for index, (node, ip, port, bus_port, epoch, shard) in enumerate(rows)
    )
    saved = SavedConfig(nodes, current, vote)
    assert parse_config(format_config(saved)) == saved


@pytest.mark.parametrize("name", ["redis-7.0", "redis-8.0", "valkey-8.1"])
def test_files_of_real_servers_are_read(name: str) -> None:
    saved = parse_config((VECTORS / f"{name}.conf").read_bytes())
    assert sorted(node.slots for node in saved.nodes) == [
        (),
        ((0, 5460),),
        ((5461, 10921),),
        ((10922, 16383),),
    ]
    assert (saved.current_epoch, saved.last_vote_epoch) == (5, 5)
    assert sorted(node.hostname for node in saved.nodes) == ["", "", "", "first.shoal.example"]
    assert [slot for slot, _ in saved.migrating] == [6000]
    assert [slot for slot, _ in saved.importing] == [1]
    if name != "redis-7.0":
        assert len({node.shard_id for node in saved.nodes}) == 3
        assert "second-node" in {node.human_name for node in saved.nodes}
    view = restore_view(saved, 0)
    assert view.size == 3
    assert parse_config(format_config(saved)) == saved


def test_the_file_of_redis_7_is_written_back_byte_for_byte() -> None:
    data = (VECTORS / "redis-7.0.conf").read_bytes()
    assert format_config(parse_config(data)) == data


def test_a_file_that_lost_its_tail_is_always_detected() -> None:
    for end in range(len(TEXT)):
        with pytest.raises(ConfigFileError):
            parse_config(TEXT[:end])


def test_empty_lines_at_the_end_do_no_harm() -> None:
    assert parse_config(TEXT + b"\n\n") == SAVED


LINE_1 = f"{ME} 127.0.0.1:7000@17000 myself,master - 0 0 3 connected 0-10"
LINE_2 = f"{PEER} 127.0.0.1:7001@11 master - 0 0 2 connected 11-20"
VARS = "vars currentEpoch 9 lastVoteEpoch 8"


@pytest.mark.parametrize(
    ("lines", "line", "problem"),
    [
        ([LINE_1, LINE_2], 3, "vars line"),
        ([VARS, LINE_1], 3, "vars line"),
        ([LINE_1, VARS, LINE_2, VARS], 2, "vars line before the end"),
        ([LINE_2, VARS], 0, "no node is marked as myself"),
        ([VARS], 0, "no node is marked as myself"),
        ([LINE_1, LINE_1, VARS], 2, "already on line 1"),
        ([LINE_1, LINE_2.replace("master", "myself,master"), VARS], 2, "myself is already on line 1"),
        ([LINE_1[:60], VARS], 1, "fields where a node has at least 8"),
        ([LINE_1, LINE_2.replace("11-20", "10-20"), VARS], 2, "slot 10 already has an owner on line 1"),
        ([LINE_1.replace("0-10", "0-16384"), VARS], 1, "not a range within"),
        ([LINE_1.replace("0-10", "9-5"), VARS], 1, "not a range within"),
        ([LINE_1.replace("0-10", "0-"), VARS], 1, "neither a slot nor a range"),
        ([LINE_1.replace("0-10", "[5->-abc]"), VARS], 1, "not an open slot"),
        ([LINE_1 + f" [5->-{PEER}]", VARS], 1, f"open towards {PEER}"),
        ([LINE_1, LINE_2 + f" [11->-{ME}]", VARS], 2, "not myself"),
        ([LINE_1.replace("master", "boss"), VARS], 1, "unknown flag 'boss'"),
        ([LINE_1.replace("master", "master,slave"), VARS], 1, "both master and slave"),
        ([LINE_1.replace(",master", ""), VARS], 1, "neither master nor slave"),
        ([LINE_1.replace(" 3 ", " three "), VARS], 1, "config epoch 'three'"),
        ([LINE_1.replace(" 3 ", " -1 "), VARS], 1, "config epoch '-1'"),
        ([LINE_1.replace(" 3 ", f" {1 << 63} "), VARS], 1, "config epoch"),
        ([LINE_1.replace("a" * 40, "A" * 40), VARS], 1, "not an id"),
        ([LINE_1.replace("7000@17000", "70000@17000"), VARS], 1, "port '70000'"),
        ([LINE_1.replace("127.0.0.1:7000@17000", "127.0.0.1"), VARS], 1, "not an address"),
        ([LINE_1.replace("@17000", "@17000,two words"), VARS], 1, "unknown link state"),
        ([LINE_1.replace("@17000", "@17000,h!st"), VARS], 1, "not a hostname"),
        ([LINE_1.replace("@17000", "@17000,,shard-id=12"), VARS], 1, "not an id"),
        ([LINE_1.replace("@17000", "@17000,,shard-id"), VARS], 1, "key=value"),
        ([LINE_1.replace("@17000", "@17000,,tls-port=1,tls-port=2"), VARS], 1, "given twice"),
        ([LINE_1.replace(" connected", " tethered"), VARS], 1, "unknown link state"),
        ([LINE_1, LINE_2.replace("master -", f"slave {REPLICA}"), VARS], 2, "not another node"),
        ([LINE_1, LINE_2.replace("master -", f"master {ME}"), VARS], 2, "without being a slave"),
        ([LINE_1, LINE_2.replace("master -", f"slave {ME}"), VARS], 2, "a slave owns slots"),
        ([LINE_1, "vars currentEpoch 9"], 2, "once each"),
        ([LINE_1, "vars currentEpoch 9 lastVoteEpoch"], 2, "once each"),
        ([LINE_1, "vars currentEpoch 9 currentEpoch 9"], 2, "once each"),
        ([LINE_1, "vars currentEpoch nine lastVoteEpoch 8"], 2, "currentEpoch 'nine'"),
        ([LINE_1.replace("master", "mast\u00e9r"), VARS], 1, "not ASCII"),
        ([], 0, "empty"),
    ],
)
def test_a_broken_file_is_refused_with_the_line_and_the_reason(
    lines: list[str], line: int, problem: str
) -> None:
    with pytest.raises(ConfigFileError) as error:
        parse_config("".join(f"{text}\n" for text in lines).encode())
    assert problem in str(error.value)
    assert error.value.line == line


@given(st.data())
def test_no_edit_of_one_byte_raises_anything_but_config_file_error(data: st.DataObject) -> None:
    edited = bytearray(TEXT)
    edited[data.draw(st.integers(0, len(TEXT) - 1))] = data.draw(st.integers(0, 255))
    try:
        parse_config(bytes(edited))
    except ConfigFileError as error:
        assert error.problem


@pytest.mark.peers
@needs(REDIS7_SERVER, REDIS8_SERVER, VALKEY8_SERVER)
@pytest.mark.parametrize(
    "program", [REDIS7_SERVER, REDIS8_SERVER, VALKEY8_SERVER], ids=lambda p: p.parent.parent.name
)
def test_real_servers_start_from_a_file_of_ours(program: Path, tmp_path: Path) -> None:
    node = RealNode(program, tmp_path, free_port())
    node.config_file.write_bytes(TEXT)
    try:
        node.start()
        ours = {line.id: line for line in SAVED.nodes}
        lines = [line.split() for line in node.text("CLUSTER", "NODES").splitlines()]
        assert {words[0] for words in lines} == ours.keys()
        for words in lines:
            expected = ours[words[0]]
            assert words[3] == (expected.primary or "-")
            assert words[6] == str(3 if expected.primary else expected.config_epoch)
            slots = [f"{a}-{b}" if a != b else str(a) for a, b in expected.slots]
            assert [word for word in words[8:] if word[0] != "["] == slots
        assert "cluster_current_epoch:9" in node.text("CLUSTER", "INFO")
        assert f"[6000->-{PEER}]" in node.text("CLUSTER", "NODES")
    finally:
        node.kill()
