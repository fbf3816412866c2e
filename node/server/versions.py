"""The versions a server claims."""

REDIS_VERSION = "8.0.0"
"""The Redis whose commands and protocol this server follows; clients switch features on by it."""
