"""Lua values as hypothesis makes them, and how a script spells them."""

from __future__ import annotations

from hypothesis import strategies as st

LuaValue = None | bool | float | bytes | list["LuaValue"] | dict[bytes, "LuaValue"]

numbers = st.one_of(
    st.integers(-70000, 70000).map(float),
    st.integers(-(1 << 63), 1 << 64).map(float),
    st.sampled_from(
        [0.0, -0.0, 0.1, 1.5, -2.5, 1e15, 1e16, 1e300, 5e-324, 2.0**31, 2.0**32, 2.0**53, 2.0**63]
    ),
    st.floats(allow_nan=False, allow_infinity=False),
)
strings = st.one_of(
    st.text(max_size=12).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.binary(max_size=40),
    st.sampled_from([b"x" * 31, b"x" * 32, b"x" * 255, b"x" * 256, b"x" * 65536, b'"\\/\x7f\x00\n']),
)
leaves: st.SearchStrategy[LuaValue] = st.one_of(st.booleans(), numbers, strings)
values: st.SearchStrategy[LuaValue] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=18), st.dictionaries(st.binary(max_size=6), inner, max_size=6)
    ),
    max_leaves=24,
)


def literal(value: LuaValue) -> bytes:
    """The value as Lua source."""
    match value:
        case None:
            return b"nil"
        case bool():
            return b"true" if value else b"false"
        case float():
            return b"(-0.0)" if value == 0 and str(value)[0] == "-" else b"(%.17g)" % value
        case bytes():
            return b'"' + b"".join(b"\\%03d" % byte for byte in value) + b'"'
        case list():
            return b"{" + b",".join(map(literal, value)) + b"}"
        case dict():
            return b"{" + b",".join(b"[%b]=%b" % (literal(k), literal(v)) for k, v in value.items()) + b"}"
