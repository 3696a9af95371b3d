"""Errors of the daemon's start that belong to no part in particular."""


class ListenError(Exception):
    """An address of `server.listen` cannot be bound; the message says which and why."""
