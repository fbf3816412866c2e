"""Reading RDB data: what real servers wrote, in pieces of any size, and what nobody should write."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.node.dataset.digest import keyspace_digest
from shoal.node.persistence.crc64 import crc64
from shoal.node.persistence.errors import RdbError
from shoal.node.persistence.rdb_reader import Auxiliary, EmptyKey, Entry, ExpectedSize, Function, RdbReader
from tests.peers import REDIS7_SERVER, REDIS8_SERVER, ROOT, VALKEY8_SERVER, needs
from tests.unit.real_server import fill, real_server
from tests.unit.samples import load, plain, plain_keyspace

ASSETS = ROOT / "suite7" / "tests" / "assets"
LARGE_COMPACT = [
    *("--list-max-listpack-size", "-1", "--list-compress-depth", "1", "--hash-max-listpack-entries", "2000"),
    *(
        "--zset-max-listpack-entries",
        "2000",
        "--hash-max-listpack-value",
        "8000",
        "--set-max-intset-entries",
        "2",
    ),
]
NO_COMPRESSION = ["--rdbcompression", "no", "--rdbchecksum", "no", "--zset-max-listpack-entries", "0"]
SERVERS = [
    pytest.param(p, marks=needs(p), id=p.parts[-3]) for p in (REDIS7_SERVER, REDIS8_SERVER, VALKEY8_SERVER)
]


def sealed(body: bytes, version: int = 10) -> bytes:
    data = b"REDIS%04d" % version + body + b"\xff"
    return data + crc64(data).to_bytes(8, "little")


def events_of(data: bytes) -> list[object]:
    reader = RdbReader()
    events = reader.feed(data)
    assert reader.finished
    return events


def refusal(data: bytes) -> str:
    with pytest.raises(RdbError) as refused:
        RdbReader().feed(data)
    return str(refused.value)


# --- what real servers write ---------------------------------------------------------------------------


@pytest.mark.peers
@pytest.mark.parametrize("options", [[], LARGE_COMPACT, NO_COMPRESSION], ids=["default", "compact", "plain"])
@pytest.mark.parametrize("program", SERVERS)
def test_a_real_servers_file_loads_as_the_same_data(program, options, tmp_path):
    with real_server(program, tmp_path, *options) as client:
        fill(client)
        client.save()
        digest = client.execute_command("DEBUG", "DIGEST")
        expiry = client.pexpiretime("string:expires")
    data = (tmp_path / "dump.rdb").read_bytes()
    keyspace = load(data)
    assert keyspace_digest(keyspace).hex().encode() == digest
    assert keyspace.databases[0].expiry(b"string:expires") == expiry
    for chunk in (1, 7, 1000):
        assert plain_keyspace(load(data, chunk=chunk)) == plain_keyspace(keyspace)


@pytest.mark.peers
@needs(REDIS7_SERVER)
def test_functions_facts_and_idle_times_of_a_real_file_are_told(tmp_path):
    code = b"#!lua name=mine\nredis.register_function('f', function() return 1 end)"
    options = ("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
    with real_server(REDIS7_SERVER, tmp_path, *options) as client:
        client.function_load(code.decode())
        client.restore(
            "idle", 0, b"\x00\x011\x0a\x00" + crc64(b"\x00\x011\x0a\x00").to_bytes(8, "little"), idletime=500
        )
        client.save()
    events = events_of((tmp_path / "dump.rdb").read_bytes())
    assert Function(code) in events
    assert Auxiliary(b"redis-ver", b"7.0.15") in events
    assert ExpectedSize(0, 1, 0) in events
    (entry,) = (event for event in events if isinstance(event, Entry))
    assert entry.idle_seconds in range(499, 520)


@pytest.mark.peers
@pytest.mark.parametrize(
    ("asset", "key", "expected"),
    [
        ("hash-zipmap", b"hash", ("fields", {b"f1": b"v1", b"f2": b"v2"})),
        ("hash-ziplist", b"hash", ("fields", {b"f1": b"v1", b"f2": b"v2"})),
        ("list-quicklist", b"list", [b"7"]),
        ("zset-ziplist", b"zset", ("scores", [(1.0, b"one"), (2.0, b"two")], {b"one": 1.0, b"two": 2.0})),
    ],
)
@needs(REDIS7_SERVER)
def test_files_of_old_servers_load(asset, key, expected):
    data = (ASSETS / f"{asset}.rdb").read_bytes()
    assert plain_keyspace(load(data))[0, key] == (expected, None)


@pytest.mark.peers
@needs(REDIS7_SERVER)
def test_the_damaged_files_of_redis_own_tests_are_refused_or_skipped():
    empty = events_of((ASSETS / "corrupt_empty_keys.rdb").read_bytes())
    assert sum(isinstance(event, EmptyKey) for event in empty) == 9
    assert not any(isinstance(event, Entry) for event in empty)
    assert "ziplist" in refusal((ASSETS / "corrupt_ziplist.rdb").read_bytes())


# --- framing -------------------------------------------------------------------------------------------


def test_an_empty_file_of_any_version_is_complete():
    assert events_of(b"REDIS0001\xff") == []
    assert events_of(sealed(b"", 12)) == []
    data = b"VALKEY080\xff"
    assert events_of(data + crc64(data).to_bytes(8, "little")) == []


def test_bytes_beyond_the_end_are_handed_back():
    reader = RdbReader()
    reader.feed(sealed(b"")[:-1])
    reader.feed(sealed(b"")[-1:] + b"*1\r\n$4\r\nPI")
    reader.feed(b"NG\r\n")
    assert reader.surplus == b"*1\r\n$4\r\nPING\r\n"


def test_a_checksum_of_zero_was_not_computed():
    assert events_of(sealed(b"")[:-8] + bytes(8)) == []


def test_a_wrong_checksum_is_refused_unless_it_is_not_to_be_checked():
    data = sealed(b"\x00\x01k\x01v")[:-8] + b"\x01" * 8
    assert "checksum" in refusal(data)
    reader = RdbReader(verify_checksum=False)
    assert [event.key for event in reader.feed(data)] == [b"k"]
    assert reader.finished


@pytest.mark.parametrize(
    "header", [b"REDIS0000", b"REDIS0013", b"VALKEY081", b"REDISabcd", b"*3\r\n$3\r\nSE", b"REDIS 010"]
)
def test_a_foreign_header_is_refused(header):
    assert "RDB" in refusal(header)


def test_attributes_belong_to_the_next_key_only():
    second, third = (
        b"\xfd" + (1000).to_bytes(4, "little") + b"\xf9\x07\x00\x01b\x011",
        b"\xfc" + (-5).to_bytes(8, "little", signed=True) + b"\xf8\x09\x00\x01c\x012",
    )
    events = events_of(sealed(b"\xfe\x03" + second + third + b"\x00\x01d\x013"))
    assert events == [
        Entry(3, b"b", b"1", 1_000_000, None, 7),
        Entry(3, b"c", b"2", -5, 9, None),
        Entry(3, b"d", b"3", None, None, None),
    ]


def test_a_modules_own_data_and_slot_hints_are_passed_over():
    module = (
        b"\xf7\x40\x99\x02\x01"
        + b"\x01\x05"
        + b"\x02\x06"
        + b"\x03"
        + bytes(4)
        + b"\x04"
        + bytes(8)
        + b"\x05\x02hi"
        + b"\x00"
    )
    slot = b"\xf4\x05\x01\x00"
    data = sealed(module + slot + b"\x00\x01k\x01v")
    assert [event.key for event in events_of(data)] == [b"k"]
    assert plain_keyspace(load(data, chunk=1)) == {(0, b"k"): (b"v", None)}


def test_a_container_without_elements_is_told_as_such_and_takes_its_expiry_along():
    events = events_of(sealed(b"\xfc" + bytes(8) + b"\x01\x05empty\x00" + b"\x00\x01k\x01v"))
    assert events == [EmptyKey(0, b"empty"), Entry(0, b"k", b"v", None, None, None)]


def test_a_large_value_is_kept_as_it_comes_and_not_read_anew():
    """Fed in pieces, what waits between two feeds is less than one element, however long the list."""
    elements = b"".join(b"\x0a%010d" % number for number in range(20000))
    data = sealed(b"\x01\x04list\x80" + (20000).to_bytes(4, "big") + elements)
    reader = RdbReader()
    events = []
    for start in range(0, len(data), 4096):
        events += reader.feed(data[start : start + 4096])
        assert reader.waiting_bytes < 20
    assert [len(event.value) for event in events] == [20000]


# --- hostile data --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"\x15\x01s\x01\x01k\x00", "'s': a stream's node has no id for a key"),
        (b"\x07\x01m\x00", "'m': it holds a module's value"),
        (b"\x16\x01h\x00", "'h': it holds a hash whose fields expire"),
        (b"\x63\x01u\x00", "'u': it is of an unknown object type 99"),
        (b"\xf6\x00", "opcode 246"),
        (b"\x02\x01s\x02\x01a\x01a", "'s': a set holds a member twice"),
        (b"\x04\x01h\x02\x01a\x01b\x01a\x01c", "'h': a hash holds a field twice"),
        (b"\x05\x01z\x01\x01a" + b"\xff" * 8, "'z': a score is not a number"),
        (b"\x09\x01m\x02\x00\xff", "'m': Zipmap integrity check failed"),
        (b"\x0b\x01s\x01\x00", "'s': Intset integrity check failed"),
        (b"\x0c\x01z\x01\x00", "'z': Zset ziplist integrity check failed"),
        (
            b"\x10\x01h\x13\x13\x00\x00\x00\x04\x00\x81a\x02\x81b\x02\x81a\x02\x81d\x02\xff",
            "'h': Hash listpack with dup elements",
        ),
        (b"\x03\x01z\x01\x01a\xfd", "'z': the score b'nan' is no number"),
        (b"\x00\x01k\x81" + b"\xff" * 8, "longer than any can be"),
        (b"\x00\x01k\xc4", "string encoding 4"),
        (b"\x00\x01k\xc3\x02\x05\x20\x00", "before its beginning"),
        (b"\x01\x01l\xc0", "where a length is expected"),
        (b"\x00\x82", "length encoding 0x82"),
        (b"\x12\x01l\x01\x03\x01a", "list node 3"),
        (b"\xf7\x01\x02\x01\x09", "item 9 in a module"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(body, words):
    assert words in refusal(sealed(body))


def test_an_announced_size_takes_no_memory_until_the_bytes_are_there():
    reader = RdbReader()
    reader.feed(b"REDIS0010\x01\x01l\x81" + b"\x7f" + b"\xff" * 7)
    reader.feed(b"\x80\xff\xff\xff\xff" + bytes(100))
    assert not reader.finished
    assert reader.waiting_bytes < 200


@pytest.fixture(scope="module")
def real_files(tmp_path_factory):
    files = []
    for number, options in enumerate(([], NO_COMPRESSION)):
        directory = tmp_path_factory.mktemp(f"redis7-{number}")
        with real_server(REDIS7_SERVER, directory, *options) as client:
            fill(client)
            for key in client.scan_iter("*many"):
                client.delete(key)
            client.delete("string:large", "list:plain-node", "list:texts", "string:compressed")
            client.save()
        files.append((directory / "dump.rdb").read_bytes()[9:-9])
    return files


@pytest.mark.peers
@needs(REDIS7_SERVER)
@settings(max_examples=1000, deadline=None)
@given(data=st.data())
def test_mutants_of_real_files_give_rdb_errors_or_keys(real_files, data):
    body = bytearray(data.draw(st.sampled_from(real_files)))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    mutant = sealed(bytes(body))
    reader = RdbReader()
    with suppress(RdbError):
        for event in reader.feed(mutant):
            assert not isinstance(event, Entry) or plain(event.value) is not None


@settings(max_examples=500)
@given(st.binary(max_size=200), st.integers(1, 50))
def test_random_bytes_are_treated_alike_however_they_come(body, chunk):
    data = sealed(body)
    assert outcome(data, len(data)) == outcome(data, chunk)


def outcome(data: bytes, chunk: int) -> object:
    """Keys and end of a file fed in pieces; after an error only that there was one."""
    reader = RdbReader()
    keys = []
    try:
        for start in range(0, len(data), chunk):
            keys += [plain(e.value) for e in reader.feed(data[start : start + chunk]) if isinstance(e, Entry)]
    except RdbError as error:
        return str(error)
    return keys, reader.finished, reader.surplus
