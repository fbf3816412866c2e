"""The append-only file of real nodes: what was acknowledged is there after a crash."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.processes.nodes import running_node

pytestmark = pytest.mark.processes


@pytest.mark.parametrize("policy", ["always", "everysec", "no"])
def test_data_survive_a_crash(tmp_path: Path, policy: str) -> None:
    with running_node(
        tmp_path, "--appendonly", "yes", "--appendfsync", policy, "--enable-debug-command", "yes"
    ) as node:
        node.ask("RPUSH", "list", "a", "b")
        node.ask("SELECT", 3)
        node.ask("SET", "string", "1", "EX", 1000)
        digest = node.ask("DEBUG", "DIGEST")
        node.kill()
        node.start()
        assert node.ask("DEBUG", "DIGEST") == digest
        assert node.ask("TTL", "string") > 900
        assert "DB loaded from append only file" in node.log
