"""The wire of chatd, sans-IO: frames, declared operations, state machines for both roles.

This package imports nothing of ours and touches no socket, clock, thread or source of
randomness: the same bytes give the same events, always. ``docs/protocol.md`` is its
normative description; the tables there are generated from the declarations here.
"""
