"""Durable state: the log, its cursors, the accounts. Imports nothing of ours.

A synchronous core: :class:`storage.writer.Writer` applies batches of commands on state that it
owns, :class:`storage.reader.Reader` reads snapshots. Threads and event loops are the caller's.
What the daemon relies on is written down in :mod:`storage.interface`.
"""
