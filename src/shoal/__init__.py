"""Shoal: a Redis-Cluster-compatible, sharded, replicated in-memory datastore in Python on trio."""

__version__ = "0.1.0"
