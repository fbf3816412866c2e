"""The title of a node's process."""

from __future__ import annotations

import pytest

from shoal.node.runtime.process_title import process_title
from shoal.node.server.config import ChangeError, Config


def test_it_names_the_address_and_the_mode() -> None:
    config = Config(bind=("127.0.0.1",), port=7000, cluster_enabled=True)
    assert process_title(config, "shoal-server") == "shoal-server 127.0.0.1:7000 [cluster]"
    assert process_title(Config(), "shoal-server") == "shoal-server *:6379"


def test_a_template_may_name_more() -> None:
    config = Config(port=7000, unixsocket="/run/s", file="/etc/shoal.conf")
    config.change([("proc-title-template", ["T {title} {port} {tls-port} {unixsocket} {config-file}"])])
    assert process_title(config, "x") == "T x 7000 0 /run/s /etc/shoal.conf"


@pytest.mark.parametrize("template", ["{unknown}", "{port", "{}", "{port!r}", "{port:5}"])
def test_a_template_that_cannot_be_filled_in_is_refused(template: str) -> None:
    with pytest.raises(ChangeError, match="template format is invalid"):
        Config().change([("proc-title-template", [template])])
