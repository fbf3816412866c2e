"""What the words of the command line become: addresses, numbers, ranges of slots, weights."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from fractions import Fraction

from shoal.cli.addresses import Address, parse_address
from shoal.cli.topology import SlotRange
from shoal.cluster.slots import SLOT_COUNT


def address(text: str) -> Address:
    """An address; argparse tells its user what is wrong with another text."""
    try:
        return parse_address(text)
    except ValueError as problem:
        raise argparse.ArgumentTypeError(str(problem)) from None


def integer(text: str, least: int, most: int) -> int:
    """A plain decimal number within bounds."""
    if not (text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from {least} to {most}")
    return int(text)


def natural(text: str) -> int:
    """0 or more."""
    return integer(text, 0, 10**9)


def positive(text: str) -> int:
    """1 or more."""
    return integer(text, 1, 10**9)


def port(text: str) -> int:
    """A TCP port."""
    return integer(text, 1, 65535)


def slot_amount(text: str) -> int:
    """How many slots: at least one."""
    return integer(text, 1, SLOT_COUNT)


def ranges(text: str) -> Sequence[SlotRange]:
    """`0-99,200`: slots, single or from first to last."""
    ranges: list[SlotRange] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        start = integer(first, 0, SLOT_COUNT - 1)
        end = integer(last, start, SLOT_COUNT - 1) if dash else start
        ranges.append((start, end))
    return ranges


def weight(text: str) -> tuple[str, Fraction]:
    """`NODE=WEIGHT`, the weight exact."""
    node, _, weight = text.rpartition("=")
    try:
        value = (
            Fraction(weight) if len(weight) < 20 and weight.replace(".", "", 1).isdigit() else Fraction(-1)
        )
    except ValueError:
        value = Fraction(-1)
    if not node or value < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not NODE=WEIGHT, such as 127.0.0.1:7001=1.5")
    return node, value


def percentage(text: str) -> float:
    """From 0 to 100."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is not a percentage")
    return value


class SeedAction(argparse.Action):
    """`HOST:PORT` or `HOST PORT`, as redis-cli takes it."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[object] | None,
        option_string: str | None = None,
    ) -> None:
        words = [str(word) for word in values] if isinstance(values, list) else []
        if len(words) > 2:
            parser.error(f"unrecognized arguments: {' '.join(words[2:])}")
        try:
            setattr(namespace, self.dest, address(":".join(words)))
        except argparse.ArgumentTypeError as problem:
            parser.error(str(problem))
