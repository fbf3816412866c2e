"""Writing RDB data: what real servers make of it, and what comes back."""

import time
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.cluster.slots import key_slot
from shoal.node.dataset.digest import keyspace_digest
from shoal.node.dataset.frequencies import CountingRules
from shoal.node.dataset.keyspace import Keyspace
from shoal.node.dataset.lists import ListValue
from shoal.node.dataset.snapshot import LARGE_VALUE_ELEMENTS, SlotWalk
from shoal.node.dataset.usage import note_frequency, note_idle
from shoal.node.persistence.errors import RdbError
from shoal.node.persistence.rdb_loader import RdbLoader
from shoal.node.persistence.rdb_reader import Entry, RdbReader, ShortStrings
from shoal.node.persistence.rdb_saver import RdbSave
from shoal.node.persistence.rdb_writer import RdbWriter
from tests.peers import REDIS7_SERVER, REDIS8_SERVER, VALKEY8_SERVER, needs
from tests.unit.real_server import fill, real_server
from tests.unit.samples import NOW_MS, load, plain_keyspace, save, values

keyspaces = st.dictionaries(
    st.tuples(st.integers(0, 3), st.binary(max_size=8)),
    st.tuples(values, st.none() | st.integers(NOW_MS + 1, NOW_MS + (1 << 40))),
    max_size=8,
)


def keyspace_of(content) -> Keyspace:
    keyspace = Keyspace(4)
    keyspace.now_ms = NOW_MS
    for (index, key), (value, expiry_ms) in content.items():
        keyspace.databases[index].set(key, value)
        keyspace.databases[index].set_expiry(key, expiry_ms)
    return keyspace


@settings(deadline=None)
@given(keyspaces, st.booleans(), st.booleans(), st.integers(1, 100))
def test_what_is_written_is_read_back(content, checksum, compress, chunk):
    keyspace = keyspace_of(content)
    data = save(keyspace, checksum=checksum, compress=compress)
    assert plain_keyspace(load(data, chunk=chunk)) == plain_keyspace(keyspace)
    assert (data[-8:] == bytes(8)) is not checksum


@pytest.mark.parametrize("compress", [False, True])
def test_strings_of_every_length_are_written_whole_beside_keys_of_other_kinds(compress):
    keyspace = Keyspace(2)
    keyspace.now_ms = NOW_MS
    for database in keyspace.databases:
        for length in (*range(130), 1000):
            database.set(b"{k}value%d" % length, b"v" * length)
            database.set(b"{k}" + b"k" * length, b"value")
            database.set(b"{k}mutable%d" % length, bytearray(b"m" * length))
        for number in range(0, 130, 5):
            database.set_expiry(b"{k}value%d" % number, NOW_MS + 1000 + number)
            database.set(b"{k}list%d" % number, ListValue([b"element"]))
    for budget in (1, 100, 1 << 20):
        writer = RdbWriter(compress=compress)
        writer.header({})
        walk = SlotWalk(keyspace, writer)
        while not walk.step(budget):
            pass
        writer.end()
        assert walk.told == walk.total == len(keyspace)
        assert plain_keyspace(load(writer.take())) == plain_keyspace(keyspace)


def test_the_checksum_does_not_depend_on_when_the_bytes_are_taken():
    def written(*, often: bool) -> bytes:
        writer, taken = RdbWriter(), b""
        writer.header({b"aof-base": b"1"})
        for number in range(100):
            writer.add(0, b"key %d" % number, b"value", None)
            taken += writer.take() if often else b""
        writer.end()
        return taken + writer.take()

    assert written(often=True) == written(often=False)


@pytest.mark.parametrize("size", [0, 63, 64, 16383, 16384, 70000])
def test_lengths_of_every_class_are_read_back(size):
    keyspace = Keyspace(1)
    keyspace.databases[0].set(b"k" * size, b"v" * size)
    keyspace.databases[0].set(b"list", ListValue([b"e"] * (size + 1)))
    assert plain_keyspace(load(save(keyspace))) == plain_keyspace(keyspace)


def test_add_returns_the_size_of_what_it_wrote():
    writer = RdbWriter(checksum=False)
    sizes = [
        writer.add(0, b"a", b"1", None),
        writer.add(2, b"b", b"2" * 100, 5),
        writer.add(2, b"c", b"", None),
    ]
    assert len(writer.take()) == sum(sizes)


@pytest.mark.peers
@pytest.mark.parametrize(
    "program",
    [pytest.param(p, marks=needs(p), id=p.parts[-3]) for p in (REDIS7_SERVER, REDIS8_SERVER, VALKEY8_SERVER)],
)
def test_a_real_server_loads_our_file_as_the_same_data(program, tmp_path):
    with real_server(program, tmp_path) as client:
        fill(client)
        client.save()
    keyspace = load((tmp_path / "dump.rdb").read_bytes())
    facts = {b"redis-ver": b"7.0.15", b"redis-bits": b"64", b"ctime": b"1700000000", b"used-mem": b"1"}
    function = b"#!lua name=mine\nredis.register_function('f', function() return 1 end)"
    keyspace.functions = (function,)
    save = RdbSave(keyspace, facts, compress=True)
    with (tmp_path / "dump.rdb").open("wb") as file:
        while not save.done:
            file.write(save.step(10_000))
    with real_server(program, tmp_path) as client:
        assert client.execute_command("DEBUG", "DIGEST") == keyspace_digest(keyspace).hex().encode()
        assert client.pexpiretime("string:expires") == keyspace.databases[0].expiry(b"string:expires")
        assert client.object("encoding", "string:int:127") == b"int"
        assert client.fcall("f", 0) == 1


def test_a_save_holds_what_was_there_at_its_creation_and_only_the_slots_asked_for():
    keyspace = Keyspace(2)
    for number in range(100):
        keyspace.databases[number % 2].set(b"key %d" % number, b"before")
    slots = {key_slot(b"key %d" % number) for number in range(0, 100, 3)}
    expected = {key: value for key, value in plain_keyspace(keyspace).items() if key_slot(key[1]) in slots}
    save = RdbSave(keyspace, {}, slots=slots)
    data = save.step(1)
    keyspace.swap(0, 1)
    keyspace.databases[0].set(b"key 3", b"after")
    keyspace.flush()
    while not save.done:
        data += save.step(1)
    assert plain_keyspace(load(data)) == expected
    assert save.step(1) == b""


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu", "noeviction"])
def test_where_eviction_goes_by_it_a_save_tells_how_much_keys_were_used(policy):
    rules = CountingRules(Random(1)) if policy == "allkeys-lfu" else None
    keyspace = Keyspace(1)
    keyspace.now_ms = NOW_MS
    keyspace.count_uses(rules)
    keyspace.saves_usage = policy != "noeviction"
    database = keyspace.databases[0]
    database.set(b"string", b"value")
    database.set(b"long list", ListValue(b"element" for _ in range(LARGE_VALUE_ELEMENTS + 1)))
    database.set_expiry(b"string", NOW_MS + 3_600_000)
    for key in (b"string", b"long list"):
        note_frequency(database, key, 77)
        note_idle(database, key, 3000)
    save = RdbSave(keyspace, {})
    entries = [event for event in RdbReader().feed(save.step(1 << 30)) if isinstance(event, Entry)]
    told = {"allkeys-lru": (3000, None), "allkeys-lfu": (None, 77), "noeviction": (None, None)}[policy]
    assert [(entry.idle_seconds, entry.frequency) for entry in entries] == [told, told]


@needs(REDIS7_SERVER)
@pytest.mark.parametrize("policy", ["volatile-lru", "volatile-lfu"])
def test_redis_knows_how_much_keys_were_used_from_our_file_and_we_from_its(policy, tmp_path):
    options = ("--maxmemory-policy", policy)
    word, told = ("IDLETIME", 3000) if policy.endswith("lru") else ("FREQ", 77)
    with real_server(REDIS7_SERVER, tmp_path, *options) as client:
        client.set("source", "value")
        client.execute_command("RESTORE", "key", 3_600_000, client.dump("source"), word, told)
        client.save()
    keyspace = Keyspace(16)
    keyspace.now_ms = int(time.time() * 1000)
    keyspace.count_uses(CountingRules(Random(1)) if policy.endswith("lfu") else None)
    keyspace.saves_usage = True
    RdbLoader(keyspace).apply(RdbReader().feed((tmp_path / "dump.rdb").read_bytes()))
    (tmp_path / "dump.rdb").write_bytes(RdbSave(keyspace, {}).step(1 << 30))
    with real_server(REDIS7_SERVER, tmp_path, *options) as client:
        assert told <= client.execute_command("OBJECT", word, "key") < told + 60


def test_a_save_given_up_is_forgotten():
    keyspace = Keyspace(1)
    keyspace.databases[0].set(b"key", b"before")
    save = RdbSave(keyspace, {})
    save.stop()
    assert keyspace.snapshots == []
    assert save.step(1) == b""


# --- loading into a keyspace ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keep_expired", "expected"), [(False, {b"later", b"never"}), (True, {b"gone", b"later", b"never"})]
)
def test_a_primary_drops_expired_keys_at_load_and_a_replica_keeps_them(keep_expired, expected):
    keyspace = Keyspace(1)
    keyspace.now_ms = NOW_MS
    loader = RdbLoader(keyspace, keep_expired=keep_expired)
    expiries = {b"gone": NOW_MS, b"later": NOW_MS + 1, b"never": None}
    loader.apply(Entry(0, key, b"v", expiry_ms, None, None) for key, expiry_ms in expiries.items())
    assert {key for _, key in plain_keyspace(keyspace)} == expected
    assert loader.loaded == len(expected)
    assert len(loader.expired) == 3 - len(expected)


def test_facts_functions_and_idle_times_are_kept():
    writer = RdbWriter()
    writer.header({b"repl-id": b"f" * 40, b"repl-offset": b"17"})
    writer.function(b"#!lua name=mine")
    keyspace = Keyspace(1)
    keyspace.now_ms = NOW_MS
    loader = RdbLoader(keyspace)
    loader.apply(RdbReader().feed(writer.take()))
    loader.apply([Entry(0, b"k", b"v", None, 60, None)])
    assert loader.auxiliary == {b"repl-id": b"f" * 40, b"repl-offset": b"17"}
    assert keyspace.functions == (b"#!lua name=mine",)
    assert keyspace.databases[0].times_of_use(b"k")[b"k"] == NOW_MS - 60_000


def test_a_database_we_have_not_and_a_key_met_twice_are_refused():
    entry = Entry(0, b"k", b"v", None, None, None)
    with pytest.raises(RdbError, match="twice"):
        RdbLoader(Keyspace(1)).apply([entry, entry])
    with pytest.raises(RdbError, match="database 1"):
        RdbLoader(Keyspace(1)).apply([entry._replace(database=1)])
    run = ShortStrings(0, {b"j": b"v", b"k": b"v"})
    for events in ([entry, run], [run, entry], [run, run]):
        with pytest.raises(RdbError, match="twice"):
            RdbLoader(Keyspace(1)).apply(events)
    with pytest.raises(RdbError, match="database 1"):
        RdbLoader(Keyspace(1)).apply([run._replace(database=1)])


@pytest.mark.parametrize("at", range(1, 60))
def test_a_key_met_twice_among_many_short_strings_is_refused_as_well(at):
    writer = RdbWriter()
    writer.header({})
    for number in (*range(60), 60 - at, *range(60, 80)):
        writer.add(0, b"k%d" % number, b"v", None)
    writer.end()
    with pytest.raises(RdbError, match=f"'k{60 - at}' comes twice"):
        RdbLoader(Keyspace(1)).apply(RdbReader().feed(writer.take()))


@pytest.mark.parametrize("is_watched", [False, True])
def test_short_strings_are_loaded_many_at_a_time_as_they_are_one_by_one(is_watched):
    values = {b"%bkey:%d" % (b"{tag}" * (n % 3 == 0), n): b"value:%d" % n for n in range(500)}
    one_by_one, together = Keyspace(1), Keyspace(1)
    for keyspace in (one_by_one, together):
        keyspace.now_ms = NOW_MS
        for number in range(300):
            keyspace.databases[0].set(b"{tag}%d" % number, b"was there")
        keyspace.databases[0].scan(0, 10)
    new: dict[Keyspace, list[bytes]] = {one_by_one: [], together: []}
    walks = []
    if is_watched:
        for keyspace, keys in new.items():
            keyspace.on_new_key = lambda index, key, keys=keys: keys.append(key)
            walks.append(SlotWalk(keyspace, RdbWriter()))
    RdbLoader(one_by_one).apply(Entry(0, key, value, None, None, None) for key, value in values.items())
    loader = RdbLoader(together)
    loader.apply([ShortStrings(0, values)])
    assert loader.loaded == 500
    assert plain_keyspace(together) == plain_keyspace(one_by_one)
    assert len(together) == len(one_by_one) == 800
    assert together.databases[0].accessed == one_by_one.databases[0].accessed
    assert new[together] == new[one_by_one]
    for keyspace in (one_by_one, together):
        found, cursor = set(), 0
        while not found or cursor:
            cursor, keys = keyspace.databases[0].scan(cursor, 50)
            found.update(keys)
        assert len(found) == 800
