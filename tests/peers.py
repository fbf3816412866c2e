"""Where the real servers are that ours is compared with, and the reason to skip when they are not there."""

import os
from pathlib import Path

import pytest

ROOT = Path(os.environ.get("SHOAL_PEERS", "/opt/peers"))

REDIS7_SERVER = ROOT / "redis7" / "bin" / "redis-server"
REDIS7_CLI = ROOT / "redis7" / "bin" / "redis-cli"
REDIS7_BENCHMARK = ROOT / "redis7" / "bin" / "redis-benchmark"
REDIS8_SERVER = ROOT / "redis8" / "bin" / "redis-server"
REDIS7_CHECK_RDB = ROOT / "redis7" / "bin" / "redis-check-rdb"
VALKEY8_CLI = ROOT / "valkey8" / "bin" / "valkey-cli"
VALKEY8_SERVER = ROOT / "valkey8" / "bin" / "valkey-server"


def needs(*programs: Path) -> pytest.MarkDecorator:
    """A mark that skips a test unless every program is installed; under CI a missing one is an error.

    A skipped comparison in CI would be a green lamp without a test behind it, so there the
    mark lets the test run and fail on the missing program instead.
    """
    missing = [str(program) for program in programs if not program.exists()]
    in_ci = os.environ.get("CI") == "true"
    return pytest.mark.skipif(bool(missing) and not in_ci, reason=f"real server not installed: {missing}")
