"""The versions a server claims."""

REDIS_VERSION = "7.2.4"
"""The Redis whose commands and protocol this server follows; clients switch features on by it."""
