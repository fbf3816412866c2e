"""The processes of the other tests: how they end, and what they leave when they do not come up."""

from __future__ import annotations

from pathlib import Path

import hiredis
import pytest

from tests.processes.nodes import Node, running_node

pytestmark = pytest.mark.processes


def test_a_node_answers_and_ends_cleanly(tmp_path: Path) -> None:
    with running_node(tmp_path) as node:
        assert node.ask("SET", "key", b"\xff") == "OK"
        assert node.ask("GET", "key") == "\udcff"
        assert node.calls("set") == 1
        with pytest.raises(hiredis.ReplyError, match="ERR unknown command"):
            node.ask("NONSENSE")
        assert node.stop() == 0
        assert "bye bye" in node.log


def test_a_node_that_does_not_start_is_shown_with_its_log(tmp_path: Path) -> None:
    with (
        pytest.raises(AssertionError, match=r"(?s)ended with status 1.*nonsense"),
        running_node(tmp_path, "--nonsense", "yes"),
    ):
        pass


def test_what_was_saved_is_there_after_a_new_start(tmp_path: Path) -> None:
    with running_node(tmp_path) as first:
        first.ask("SET", "key", "value")
        first.ask("SAVE")
        first.kill()
        again = Node(first.directory, first.port)
        again.start()
        try:
            assert again.ask("GET", "key") == "value"
        finally:
            again.kill()
