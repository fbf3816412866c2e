"""What is particular about places: propagation, the order of ties, searches across the date line."""

from __future__ import annotations

import pytest

from shoal.node.resp.writer import encode
from tests.unit.commands.client import Client


@pytest.fixture
def client() -> Client:
    client = Client()
    client("GEOADD Sicily 13.361389 38.115556 Palermo 15.087269 37.502669 Catania")
    return client


def test_a_place_is_propagated_as_a_score(client: Client) -> None:
    client("GEOADD Sicily CH 13.583333 37.316667 Agrigento")
    assert client.sent == ["ZADD Sicily CH 3479030013248308 Agrigento"]
    client("GEOADD Sicily NX 1 1 Palermo")
    assert client.sent == []


def test_distances_have_four_decimals_and_places_seventeen(client: Client) -> None:
    assert client("GEODIST Sicily Palermo Catania") == b"166274.1516"
    assert client("GEODIST Sicily Palermo Palermo km") == b"0.0000"
    assert client("GEOPOS Sicily Palermo None")[0] == [b"13.36138933897018433", b"38.11555639549629859"]


def test_a_coordinate_is_a_double_in_resp3(client: Client) -> None:
    reply = client("GEOPOS Sicily Palermo")
    assert encode(reply, 3) == b"*1\r\n*2\r\n,13.36138933897018433\r\n,38.11555639549629859\r\n"


def test_geohashes_are_those_of_the_rest_of_the_world(client: Client) -> None:
    assert client("GEOHASH Sicily Palermo Catania") == [b"sqc8b49rny0", b"sqdtr74hyu0"]


def test_places_just_beyond_the_date_line_are_near(client: Client) -> None:
    client("GEOADD Fiji 179.9 -17 west -179.9 -17 east 0 0 far")
    assert client("GEOSEARCH Fiji FROMMEMBER west BYRADIUS 50 km ASC") == [b"west", b"east"]


def test_equally_far_members_keep_the_order_of_their_names(client: Client) -> None:
    client("GEOADD same 1 1 c 1 1 a 1 1 b")
    assert client("GEOSEARCH same FROMLONLAT 1 1 BYRADIUS 1 m COUNT 2") == [b"a", b"b"]
