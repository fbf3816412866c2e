"""cjson, cmsgpack, struct and bit on generated values: the same bytes, results and errors as in Redis."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.differential.executor import RealServer
from tests.differential.lua_values import LuaValue, literal, numbers, strings, values
from tests.differential.test_scripts import Both
from tests.peers import REDIS7_SERVER, needs

pytestmark = [pytest.mark.peers, needs(REDIS7_SERVER)]

EXAMPLES = 150
generated = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)

SHOW = b"""
local function show(value)
    if type(value) == 'table' then
        local parts = {}
        for key, item in pairs(value) do parts[#parts + 1] = show(key) .. '=' .. show(item) end
        return '{' .. table.concat(parts, ',') .. '}'
    elseif type(value) == 'number' then
        return string.format('%.17g', value)
    end
    return type(value) .. ':' .. (value == cjson.null and 'null' or tostring(value))
end
local function all(...)
    local parts = {}
    for i = 1, select('#', ...) do parts[i] = show((select(i, ...))) end
    return table.concat(parts, ';')
end
"""
"""Everything of a value in one string, in the order in which its table holds it."""


@pytest.fixture(scope="module")
def both(redis7: RealServer) -> Both:
    return Both(redis7, 2)


def check(both: Both, script: bytes, *arguments: bytes) -> None:
    """Both answer the script alike."""
    mine, real = both.ask_bytes(b"EVAL", SHOW + script, b"0", *arguments)
    assert mine == real, script


@generated
@given(value=values)
def test_cjson_encodes_alike_and_takes_it_back(both: Both, value: LuaValue) -> None:
    check(both, b"return cjson.encode(" + literal(value) + b")")
    check(both, b"return all(cjson.decode(cjson.encode(" + literal(value) + b")))")


@generated
@given(data=st.data())
def test_cjson_decodes_alike_whatever_it_is_given(both: Both, data: st.DataObject) -> None:
    inner = st.one_of(
        st.none(), st.booleans(), st.floats(), st.integers(-(10**18), 10**18), st.text(max_size=8)
    )
    value = data.draw(
        st.recursive(
            inner,
            lambda item: st.one_of(
                st.lists(item, max_size=5), st.dictionaries(st.text(max_size=4), item, max_size=4)
            ),
            max_leaves=10,
        )
    )
    text = json.dumps(value, ensure_ascii=data.draw(st.booleans())).encode("utf-8", "surrogatepass")
    check(both, b"return all(cjson.decode(ARGV[1]))", text)
    at = data.draw(st.integers(0, len(text)))
    odd = data.draw(
        st.sampled_from([b"", b"\\", b'"', b"[", b"}", b",", b"0x1", b"-", b"\x00", b"1e", b"nan", b"\\u12"])
    )
    check(both, b"return all(cjson.decode(ARGV[1]))", text[:at] + odd + text[at + 1 :])


@generated
@given(given_values=st.lists(values, min_size=1, max_size=3))
def test_cmsgpack_packs_alike_and_takes_it_back(both: Both, given_values: list[LuaValue]) -> None:
    words = b",".join(map(literal, given_values))
    check(both, b"return cmsgpack.pack(" + words + b")")
    check(both, b"return all(cmsgpack.unpack(cmsgpack.pack(" + words + b")))")
    check(both, b"return all(cmsgpack.unpack_limit(cmsgpack.pack(" + words + b"), 1, 0))")


@generated
@given(data=st.binary(max_size=24), limit=st.integers(-1, 3), offset=st.integers(-1, 6))
def test_cmsgpack_unpacks_any_bytes_alike(both: Both, data: bytes, limit: int, offset: int) -> None:
    check(both, b"return all(cmsgpack.unpack(ARGV[1]))", data)
    check(both, b"return all(cmsgpack.unpack_one(ARGV[1], %d))" % offset, data)
    check(both, b"return all(cmsgpack.unpack_limit(ARGV[1], %d, %d))" % (limit, offset), data)


FORMATS = "> < = ! !2 !4 !8 b B h H l L T f d s x i i1 i2 i3 i4 i8 I I2 I4 c0 c1 c3"

formats = st.lists(
    st.sampled_from(FORMATS.split(" ")),
    min_size=1,
    max_size=6,
).map(lambda items: "".join(items).encode())


@generated
@given(layout=formats, given_values=st.lists(st.one_of(numbers, strings), max_size=6))
def test_struct_packs_alike(both: Both, layout: bytes, given_values: list[LuaValue]) -> None:
    words = b"".join(b"," + literal(value) for value in given_values)
    check(both, b'return struct.pack("%b"%b)' % (layout, words))
    check(both, b'return all(struct.size("%b"))' % layout)


@generated
@given(layout=formats, data=st.binary(max_size=40), position=st.integers(0, 5))
def test_struct_unpacks_alike(both: Both, layout: bytes, data: bytes, position: int) -> None:
    check(both, b'return all(struct.unpack("%b", ARGV[1]))' % layout, data)
    check(both, b'return all(struct.unpack("%b", ARGV[1], %d))' % (layout, position), data)


@generated
@given(
    name=st.sampled_from(
        [
            b"tobit",
            b"bnot",
            b"band",
            b"bor",
            b"bxor",
            b"lshift",
            b"rshift",
            b"arshift",
            b"rol",
            b"ror",
            b"bswap",
            b"tohex",
        ]
    ),
    given_values=st.lists(numbers, min_size=1, max_size=3),
)
def test_bit_calculates_alike(both: Both, name: bytes, given_values: list[float]) -> None:
    check(both, b"return all(bit.%b(%b))" % (name, b",".join(map(literal, given_values))))
