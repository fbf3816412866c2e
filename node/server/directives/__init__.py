"""Every directive of the configuration, by subject.

All of Redis 7.0's are here, with Redis's defaults unless the declaration says why not, so that a
configuration file written for Redis starts a node. A directive that does nothing here says so, and why,
in its `effect`.
"""
