"""Addresses as users and servers write them: `host:port`, `[::1]:7000`, `host:port@bus_port`."""

from __future__ import annotations

from dataclasses import dataclass

MAX_PORT = 65535
BUS_PORT_OFFSET = 10000


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """Where a server listens for clients."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Raises ValueError, whose text says what an address looks like."""
    host, colon, port = text.partition("@")[0].rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not (port.isascii() and port.isdigit()) or not 0 < int(port[:6]) <= MAX_PORT:
        raise ValueError(f"{text!r} is not an address: write HOST:PORT, such as 127.0.0.1:7000")
    return Address(host, int(port))
