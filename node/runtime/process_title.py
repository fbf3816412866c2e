"""What `ps` and `top` show for a node: which port, and whether it is one of a cluster's."""

from __future__ import annotations

import sys

from setproctitle import setproctitle

from shoal.node.server.config import Config


def follow_config(config: Config) -> None:
    """Set the title now, if it is wanted, and whenever what it is made of changes."""
    if not config.set_proc_title:
        return

    def apply() -> None:
        setproctitle(process_title(config, sys.argv[0]))

    apply()
    config.on_change(["proc-title-template", "port", "bind", "tls-port"], apply)


def process_title(config: Config, program: str) -> str:
    """The template of the configuration, filled in."""
    return config.proc_title_template.format_map(
        {
            "title": program,
            "listen-addr": f"{config.bind[0] if config.bind else '*'}:{config.port or config.tls_port}",
            "server-mode": "[cluster]" if config.cluster_enabled else "",
            "port": config.port,
            "tls-port": config.tls_port,
            "unixsocket": config.unixsocket,
            "config-file": config.file or "",
        }
    ).rstrip()
