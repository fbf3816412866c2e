"""What a connection says about itself on its way in."""

from __future__ import annotations

import pytest

from tests.unit.server.client import World

BEYOND_32_BITS = "ERR value is out of range, value must between -2147483648 and 2147483647"


@pytest.mark.parametrize(
    ("index", "reply"),
    [
        ("15", "OK"),
        ("16", "ERR DB index is out of range"),
        ("-1", "ERR DB index is out of range"),
        ("2147483648", BEYOND_32_BITS),
        ("-2147483649", BEYOND_32_BITS),
        ("one", "ERR value is not an integer or out of range"),
        ("", "ERR value is not an integer or out of range"),
    ],
)
def test_select_takes_the_number_of_a_database(index: str, reply: str) -> None:
    assert World().client()("SELECT", index) == reply
