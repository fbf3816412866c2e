"""`shoal-server`: from the command line to a node that accepts connections."""

from __future__ import annotations

import sys

YOUNG_OBJECTS_BETWEEN_COLLECTIONS = 50_000
OLD_GENERATION_NEVER = 1_000_000_000


def main() -> None:
    """Entry point of `shoal-server`."""
    sys.exit(run(sys.argv[1:]))
