"""Every limit of the client protocol, named once. Each has a test at its edge.

The numbers are Redis's, so that a client which fits there fits here.
"""

MAX_INLINE_BYTES = 64 * 1024
"""Longest inline command, and longest header line (`*…`, `$…`), without its end."""

MAX_ARGUMENTS = (1 << 31) - 1
"""Most words in one command."""

MAX_BULK_BYTES = 512 * 1024 * 1024
"""Longest argument, unless `proto-max-bulk-len` says otherwise."""

MAX_QUERY_BUFFER_BYTES = 1024 * 1024 * 1024
"""Most bytes of one unfinished command, unless `client-query-buffer-limit` says otherwise."""

UNAUTHENTICATED_MAX_ARGUMENTS = 10
"""Most words in a command before the client has authenticated, where it must."""

UNAUTHENTICATED_MAX_BULK_BYTES = 16 * 1024
"""Longest argument before the client has authenticated, where it must."""
