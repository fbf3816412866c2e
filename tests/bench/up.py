"""`python -m tests.bench.up`: from the command `shoal up` to its word that all six nodes serve."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from tests.processes.local_cluster import local_cluster

BAR_SECONDS = 3.0


def main() -> int:
    """Print the figures; exit status 1 if the median misses the bar."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.up", description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    measured = [start_once() for _ in range(options.runs)]
    if options.json:
        print(json.dumps(measured, indent=2))
    else:
        print(
            "`shoal up`, three primaries with a replica each, from the command to all six serving, seconds\n"
        )
        print("| runs | median | fastest | slowest |")
        print("|---|---|---|---|")
        print(f"| {len(measured)} | {median(measured):.2f} | {min(measured):.2f} | {max(measured):.2f} |")
    return int(median(measured) > BAR_SECONDS)


def start_once() -> float:
    """Seconds until the command reported that every node serves."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        with local_cluster(Path(folder) / "cluster"):
            return time.monotonic() - began


if __name__ == "__main__":
    sys.exit(main())
