"""Which files of Redis 7.0.15's own suites are run against us."""

from __future__ import annotations

UNIT_FILES = (
    "unit/type/string",
    "unit/type/incr",
    "unit/expire",
    "unit/keyspace",
    "unit/protocol",
    "unit/multi",
    "unit/auth",
    "unit/cluster",
    "unit/other",
    "unit/info",
    "unit/querybuf",
    "unit/pause",
    "unit/networking",
    "integration/redis-cli",
    "integration/redis-benchmark",
    "integration/logging",
)
"""One or more servers each, by `runtest`."""

CLUSTER_FILES = (
    "00-base",
    "01-faildet",
    "02-failover",
    "03-failover-loop",
    "04-resharding",
    "05-slave-selection",
    "06-slave-stop-cond",
    "07-replica-migration",
    "08-update-msg",
    "09-pubsub",
    "10-manual-failover",
    "11-manual-takeover",
    "12-replica-migration-2",
    "12.1-replica-migration-3",
    "13-no-failover-option",
    "14-consistency-check",
    "15-cluster-slots",
    "16-transactions-on-replica",
    "17-diskless-load-swapdb",
    "18-info",
    "19-cluster-nodes-slots",
    "20-half-migrated-slot",
    "21-many-slot-migration",
    "22-replica-in-sync",
    "23-multiple-slot-operations",
    "24-links",
    "25-pubsubshard-slot-migration",
    "26-pubsubshard",
    "27-endpoints",
    "28-cluster-shards",
    "29-slot-migration-response",
)
"""Twenty servers each, by `runtest-cluster`."""
